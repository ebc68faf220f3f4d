"""Tensors from the arrays of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["optional", "reals", "whole"]


def reals(values: Any) -> Tensor:
    """Return numbers as a float64 tensor, a copy."""
    return torch.tensor(np.asarray(values, dtype=np.float64))


def optional(values: np.ndarray | None) -> Tensor | None:
    """Return numbers as a float64 tensor, None for None."""
    return None if values is None else reals(values)


def whole(values: Any) -> Tensor:
    """Return whole numbers as an int64 tensor, a copy."""
    return torch.tensor(np.asarray(values, dtype=np.int64))
