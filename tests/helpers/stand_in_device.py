"""A device for machines without a GPU: what its tensors hold lies in the CPU's memory.

For torch it is a device like another, so code that would fail on a GPU fails here:
operations on tensors of two devices, and products of matrices of integers. Operations can
be watched, to count them and what they move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import pytest

__all__ = ["Operation", "stand_in", "watched"]

_NAME = "standin"
#: What torch does on a GPU with a tensor of the CPU: copies, and indices of elements.
_MIXED = ("copy_", "_to_copy", "index.Tensor", "index_put_", "index_put")
_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "addmm_", "baddbmm_", "dot", "mv")


class Operation(NamedTuple):
    """One operation on the device.

    Attributes
    ----------
    name : str
        That of torch, without ``aten::``; ``tolist`` for a list of the numbers.
    inputs, outputs : list of Tensor
        Their copies in the CPU's memory.
    """

    name: str
    inputs: list[Any]
    outputs: list[Any]


_watchers: list[Callable[[Operation], None]] = []
#: Kept as long as the device: what a library implements goes with it.
_libraries: list[Any] = []


@contextmanager
def watched(watcher: Callable[[Operation], None]) -> Iterator[None]:
    """Call `watcher` after each operation on the device."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


@cache
def stand_in() -> Any:
    """Return the device, a ``torch.device``; skip the test if torch has none to offer."""
    torch = import_module("torch")
    backends = import_module("torch.utils.backend_registration")
    register = getattr(backends, "_setup_privateuseone_for_python_backend", None)
    if register is None:
        pytest.skip("this version of torch takes no devices written in Python")
    register(_NAME)
    tensor = _tensor_class()
    library = torch.library.Library("aten", "IMPL")

    def made(function: Callable[..., Any]) -> Callable[..., Any]:
        def make(*args: Any, device: Any = None, **options: Any) -> Any:
            del device
            return tensor(function(*args, device="cpu", **options))

        return make

    def copied(source: Any, target: Any, non_blocking: bool = False) -> Any:
        del non_blocking
        _own(target).copy_(_own(source))
        return target

    aten = torch.ops.aten
    for name in (
        "empty.memory_format",
        "empty_strided",
        "arange",
        "arange.start",
        "arange.start_step",
        "triu_indices",
    ):
        packet, _, overload = name.partition(".")
        function = getattr(getattr(aten, packet), overload or "default")
        library.impl(name, made(function), "PrivateUse1")
    library.impl("_copy_from", copied, "PrivateUse1")
    _libraries.append(library)
    return torch.device(_NAME)


def _own(value: Any) -> Any:
    """Return the copy in the CPU's memory of a tensor of the device, others as they are."""
    return getattr(value, "on_cpu", value)


@cache
def _tensor_class() -> Any:
    torch = import_module("torch")
    trees = import_module("torch.utils._pytree")

    class StandInTensor(torch.Tensor):  # type: ignore[misc, name-defined]
        @staticmethod
        def __new__(cls: Any, on_cpu: Any) -> Any:
            return torch.Tensor._make_wrapper_subclass(
                cls,
                on_cpu.shape,
                strides=on_cpu.stride(),
                storage_offset=on_cpu.storage_offset(),
                dtype=on_cpu.dtype,
                device=_NAME,
            )

        def __init__(self, on_cpu: Any) -> None:
            self.on_cpu = on_cpu

        def __repr__(self, **_: Any) -> str:
            return f"StandInTensor({self.on_cpu!r})"

        def tolist(self) -> Any:
            _tell("tolist", [self.on_cpu], [])
            return self.on_cpu.tolist()

        @classmethod
        def __torch_dispatch__(
            cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return _run(function, args, kwargs or {})

    def _tensors(values: Any) -> list[Any]:
        leaves = trees.tree_leaves(values)
        return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]

    def _run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        name, given = function.name().removeprefix("aten::"), _tensors((args, kwargs))
        _check(name, given)
        device = kwargs.get("device")
        stays = device is None or torch.device(device).type == _NAME
        own_args, own_kwargs = trees.tree_map(_own, (args, kwargs))
        if device is not None:
            own_kwargs["device"] = "cpu"
        found = function(*own_args, **own_kwargs)
        _tell(name, [_own(one) for one in given], _tensors(found))
        if not stays:
            # A copy: on a GPU the two never share memory.
            return trees.tree_map(
                lambda one: one.clone() if isinstance(one, torch.Tensor) else one, found
            )
        same = {id(_own(one)): one for one in given}

        def back(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            return same[id(value)] if id(value) in same else StandInTensor(value)

        return trees.tree_map(back, found)

    def _check(name: str, given: list[Any]) -> None:
        if name not in _MIXED:
            for one in given:
                if not isinstance(one, StandInTensor) and one.dim():
                    raise RuntimeError(
                        f"{name}: a tensor of the CPU, of shape {tuple(one.shape)}, "
                        "among those of the device"
                    )
        if name in _PRODUCTS and not given[0].is_floating_point():
            raise RuntimeError(f"{name}: GPUs have no products of integers")

    return StandInTensor


def _tell(name: str, inputs: list[Any], outputs: list[Any]) -> None:
    for watcher in _watchers:
        watcher(Operation(name, inputs, outputs))
