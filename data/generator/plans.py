"""The plan of each system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .plan import Plan
from .plan_carbon import plan_carbon
from .plan_other import plan_alloy, plan_gst, plan_phosphorus
from .plan_silicon import plan_silicon
from .plan_tungsten import plan_tungsten

PLANS: Final[dict[str, Callable[[], Plan]]] = {
    "Si": plan_silicon,
    "C": plan_carbon,
    "W": plan_tungsten,
    "P": plan_phosphorus,
    "Ge2Sb2Te5": plan_gst,
    "Fe7Cr2Ni": plan_alloy,
}
