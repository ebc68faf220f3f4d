"""The golden record: named arrays, texts and files, their digests and comparison."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

Item = np.ndarray | str | bytes

_PACKAGES = "gapfit|numpy|scipy|ase|dscribe|pydantic"
# What changes from run to run, or with the machine, in texts of commands and files.
_MASKS = [
    (r"\b(in|after|about) \d[\d.]* ?(ms|s|min|h)\b( \d+ ?(s|min)\b)?", r"\1 <time>"),
    (r"(?m)^  time  .*$", "  time <time>"),
    (r"(?m)^timings, s: .*$", "timings, s: <times>"),
    (r'Time of the fit</p><p class="value">[^<]*', "Time of the fit"),
    (r'(?s)<figure id="figure-resources".*?</figure>', "<figure of resources>"),
    # Lines that come when some seconds have passed.
    (r"(?m)^.* \d+ %, .* left\n", ""),
    (r"(?m)^.* step +\d+ of \d+ .* calls\n", ""),
    (r"\b\d[\d.]* ?[kMG]B\b", "<size>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?( ?[+-]\d\d:?\d\d| UTC|Z)?", "<date>"),
    (rf'("?({_PACKAGES})"?:? "?)\d[\w.+]*', r"\1<version>"),
    (r"python \d[\w.]* on \w+, \d+ CPUs", "<python>"),
    (r'"timings": \{[^{}]*\}', '"timings": <timings>'),
    (r'"memory": \{[^{}]*(\{[^{}]*\})?[^{}]*\}', '"memory": <memory>'),
    (r'"(seconds|size)": [\d.]+', r'"\1": <number>'),
]
_MASKS_OF_BYTES = [(rb'"gapfit": "[^"]*"', b'"gapfit": "<version>"')]
_HEADER = "header.json"
# Hexadecimal digits kept of a digest.
_DIGITS = 32
_DIFF_LINES = 40


def masked(text: str, folders: Mapping[str, str]) -> str:
    """Return a text without times, sizes, dates, versions and the names of folders."""
    for name, folder in folders.items():
        text = text.replace(folder, name)
    for pattern, replacement in _MASKS:
        text = re.sub(pattern, replacement, text)
    return text


@dataclass
class Record:
    """Named items in the order in which they came.

    Attributes
    ----------
    folders : mapping of str to str
        What stands for the names of folders in texts.
    items : dict of str to ndarray, str or bytes
        Numbers, masked texts, and binary files.
    """

    folders: Mapping[str, str]
    items: dict[str, Item] = field(default_factory=dict)

    def add(self, name: str, item: Any) -> None:
        """Keep an item; texts are masked, all that is no text or bytes is an array."""
        if name in self.items:
            raise ValueError(f"{name} is recorded twice")
        if isinstance(item, str):
            item = masked(item, self.folders)
        elif isinstance(item, bytes):
            for pattern, replacement in _MASKS_OF_BYTES:
                item = re.sub(pattern, replacement, item)
        else:
            item = np.asarray(item)
        self.items[name] = item

    def add_file(self, name: str, path: Path) -> None:
        """Keep the content of a file, as text where it is one."""
        content = path.read_bytes()
        try:
            self.add(name, content.decode())
        except UnicodeDecodeError:
            self.add(name, content)

    def add_model(self, name: str, path: Path) -> None:
        """Keep the arrays of a model file by name, and its header key by key.

        Two more items do not depend on names, so that these can be told from changed
        content: the digests of all arrays, and all values in the header, both sorted.
        """
        with np.load(path) as archive:
            # Versions have no names among the values.
            header = json.loads(masked(archive[_HEADER].decode(), self.folders))
            arrays = {key: archive[key] for key in archive.files if key != _HEADER}
        for key, array in arrays.items():
            self.add(f"{name}/arrays/{key}", array)
        header.pop("arrays", None)
        for key, value in header.items():
            self.add(
                f"{name}/header/{key}", json.dumps(value, indent=1, sort_keys=True)
            )
        contents = sorted(digest(array) for array in arrays.values())
        self.add(f"{name}/contents/arrays", "\n".join(contents))
        values = sorted(json.dumps(value) for value in _leaves(header))
        self.add(f"{name}/contents/header", "\n".join(values))

    def digests(self) -> dict[str, str]:
        """Return the digest of each item."""
        return digests_of(self.items)

    def summary(self) -> dict[str, str]:
        """Return a digest for each part of a case: what is committed."""
        parts: dict[str, list[str]] = {}
        for name, value in self.digests().items():
            parts.setdefault(_part(name), []).append(f"{name} {value}")
        return {part: digest("\n".join(lines)) for part, lines in parts.items()}

    def save(self, folder: Path) -> None:
        """Write everything: arrays.npz, texts, files, and digests.json."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {k: v for k, v in self.items.items() if isinstance(v, np.ndarray)}
        np.savez(folder / "arrays.npz", **arrays)
        for name, item in self.items.items():
            path = folder / "texts" / f"{name}.txt"
            if isinstance(item, np.ndarray):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            content = item.encode() if isinstance(item, str) else item
            path.write_bytes(content)
        kinds = {name: type(item).__name__ for name, item in self.items.items()}
        (folder / "kinds.json").write_text(json.dumps(kinds, indent=1) + "\n")
        write_digests(self.digests(), folder / "digests.json")

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Read what `save` wrote."""
        kinds = json.loads((folder / "kinds.json").read_text())
        record = cls({})
        with np.load(folder / "arrays.npz") as arrays:
            for name, kind in kinds.items():
                if kind == "ndarray":
                    record.items[name] = arrays[name]
                    continue
                content = (folder / "texts" / f"{name}.txt").read_bytes()
                record.items[name] = content.decode() if kind == "str" else content
        return record


def _part(name: str) -> str:
    first = name.split("/")[:3]
    if name.endswith("/coefficients"):
        first[-1] = "coefficients"
    return "/".join(first)


def _leaves(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for item in inner:
            yield from _leaves(item)
    else:
        yield value


def digest(item: Item) -> str:
    """Return the start of the SHA-256 of an item; of an array with type and shape."""
    if isinstance(item, np.ndarray):
        content = f"{item.dtype.str} {item.shape} ".encode() + item.tobytes()
    else:
        content = item.encode() if isinstance(item, str) else item
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def digests_of(items: Mapping[str, Item]) -> dict[str, str]:
    """Return the digest of each item."""
    return {name: digest(item) for name, item in items.items()}


def write_digests(digests: Mapping[str, str], path: Path) -> None:
    """Write digests and what they hold for."""
    content = {"environment": environment(), "digests": digests}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def environment() -> dict[str, str]:
    """Return what the last bits of numbers depend on."""
    cpu = Path("/proc/cpuinfo")
    facts = cpu.read_text() if cpu.is_file() else ""
    flags = set(facts.split())
    widest = 512 if "avx512f" in flags else 256 if "avx2" in flags else 128
    model = re.search(r"model name\s*: (.*)", facts)
    blas = {info.get("architecture", "") for info in threadpool_info()}
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": model[1] if model else platform.processor(),
        "vector_bits": os.environ.get("GAPFIT_INSTRUCTION_SET", str(widest)),
        "blas": " ".join(sorted(blas - {""})),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "ase", "dscribe")},
    }


def difference(
    old: Item | None, new: Item | None, tolerance: float
) -> tuple[bool, str]:
    """Return whether two items pass as the same, and how they differ."""
    if old is None or new is None:
        return False, "missing" if new is None else "not in the record"
    if type(old) is not type(new):
        return False, f"{type(old).__name__} became {type(new).__name__}"
    if digest(old) == digest(new):
        return True, "equal"
    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        return _of_arrays(old, new, tolerance)
    if isinstance(old, str) and isinstance(new, str):
        return False, "text differs\n" + _of_texts(old, new)
    return False, f"bytes differ ({len(old)} and {len(new)})"


def _of_arrays(old: np.ndarray, new: np.ndarray, tolerance: float) -> tuple[bool, str]:
    if (old.shape, old.dtype) != (new.shape, new.dtype):
        return False, f"{old.dtype} {old.shape} became {new.dtype} {new.shape}"
    if old.dtype.kind != "f":
        return False, f"{np.count_nonzero(old != new)} of {old.size} values differ"
    largest = float(np.abs(old).max(initial=0.0)) or 1.0
    change = float(np.abs(new - old).max(initial=0.0)) / largest
    passes = change <= tolerance
    note = f", within the tolerance of {tolerance:g}" if passes else ""
    return passes, f"differs by {change:.1e} of the largest value{note}"


def _of_texts(old: str, new: str) -> str:
    lines = list(
        difflib.unified_diff(
            old.splitlines(), new.splitlines(), "recorded", "now", n=0, lineterm=""
        )
    )
    cut = [f"... {len(lines) - _DIFF_LINES} more lines"] * (len(lines) > _DIFF_LINES)
    return "\n".join(f"    {line[:200]}" for line in [*lines[:_DIFF_LINES], *cut])
