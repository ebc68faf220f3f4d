"""SOAP and a cluster expansion of the same densities, which are expanded once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from gapfit.descriptors.ace import Ace
from gapfit.model.terms import FittedTerm

__all__ = ["SharedTerms", "shared_terms"]


class SharedTerms(NamedTuple):
    """Two terms, and what the prediction of `soap` takes to add the energies of `ace`."""

    soap: FittedTerm
    ace: FittedTerm
    form: Any


def shared_terms(terms: Sequence[FittedTerm]) -> SharedTerms | None:
    """Return the first terms of the same densities; None if there are none."""
    for ace, soap in product(terms, terms):
        if isinstance(ace.descriptor, Ace):
            form = ace.descriptor.shared(soap.descriptor, soap.basis, ace.prepared)
            if form is not None:
                return SharedTerms(soap, ace, form)
    return None
