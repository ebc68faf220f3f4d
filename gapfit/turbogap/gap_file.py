"""Files ``.gap`` of TurboGAP as blocks of keys.

A block is::

    gap_beg distance_2b
    species1 = Si
    species2 = O
    rcut = 5.0
    gap_end

with one key to a line, and blanks or commas between values. Names of files may be in
quotes. ``!`` and ``#`` begin comments. Energies of isolated atoms are not in the file but
in TurboGAP's input; gapfit writes, and reads, them as two comments that follow one another,
``! species = Si O`` and ``! e0 = -158.5 -432.1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path

from gapfit._support.foreign import MB, ForeignError, foreign_text
from gapfit.errors import ModelFileError, shortened
from gapfit.quip.numbers import real, whole
from gapfit.quip.xml_file import LARGEST_E0

__all__ = ["Block", "GapText", "atomic_number", "read_gap"]

#: Largest file, bytes: a block has 1 kB, and potentials of ten species 1000 blocks.
_LARGEST = 10 * MB
_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s,\"'!]+|!.*")
_COMMENT = re.compile(r"[!#]\s*(species|e0)\s*=\s*(\S.*)")

_PAIR = ("species1", "species2")
_GP = ("delta", "rcut", "desc_sparse", "alphas_sparse")
_KEYS: dict[str, tuple[str, ...]] = {
    "distance_2b": (*_PAIR, *_GP, "sigma"),
    "angle_3b": ("species_center", *_PAIR, *_GP, "sigma", "kernel_type"),
    "soap_turbo": (
        *("n_species", "species", "central_species", *_GP, "buffer", "atom_sigma_r"),
        *("atom_sigma_t", "atom_sigma_r_scaling", "atom_sigma_t_scaling", "nf"),
        *("amplitude_scaling", "n_max", "l_max", "central_weight", "global_scaling"),
        *("scaling_mode", "basis", "radial_enhancement", "zeta", "compress_soap"),
        *("compress_mode", "file_compress_soap"),
    ),
    "core_pot": (*_PAIR, "core_pot_file"),
}
#: Keys of other models of the same environments, which do not change the GAP.
_PROPERTIES = (
    *("has_vdw", "vdw_qs", "vdw_alphas", "vdw_zeta", "vdw_delta", "vdw_v0"),
    *("has_local_properties", "n_local_properties", "local_property_qs"),
    *("local_property_alphas", "local_property_labels", "local_property_zetas"),
    *("local_property_deltas", "local_property_v0s"),
)
_OTHER_NAMES = {
    **dict.fromkeys(("Z1", "z1"), "species1"),
    **dict.fromkeys(("Z2", "z2"), "species2"),
    **dict.fromkeys(("Z_center", "z_center"), "species_center"),
}


@dataclass(frozen=True)
class _Entry:
    line: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """What stands between ``gap_beg`` and ``gap_end``.

    Attributes
    ----------
    path : Path
        The file.
    kind : str
        "distance_2b", "angle_3b", "soap_turbo" or "core_pot".
    line : int
        Line of ``gap_beg``, from 1.
    entries : mapping of str to _Entry
        Lines and values of its keys.
    left_out : tuple of str
        Keys of local properties.
    """

    path: Path
    kind: str
    line: int
    entries: Mapping[str, _Entry]
    left_out: tuple[str, ...]

    def error(self, key: str, reason: str) -> ModelFileError:
        """Return an error about a key, with its line."""
        line = self.entries[key].line if key in self.entries else self.line
        return ModelFileError(f"{self.path}, line {line}: {self.kind}: {reason}")

    def words(
        self, key: str, number: int = 1, default: str | None = None
    ) -> tuple[str, ...]:
        """Return the `number` values of a key.

        Raises
        ------
        ModelFileError
            It is missing and has no default, or has another number of values.
        """
        entry = self.entries.get(key)
        if entry is None:
            if default is None:
                raise self.error(key, f"{key} is missing; add {key} = ...")
            return (default,) * number
        if len(entry.words) != number:
            values = "one value" if number == 1 else f"{number} values"
            raise self.error(
                key,
                f"{key} = {shortened(' '.join(entry.words))} must have {values}",
            )
        return entry.words

    def numbers(
        self, key: str, number: int = 1, default: float | None = None
    ) -> list[float]:
        """Return the `number` numbers of a key; see `words`."""
        words = self.words(key, number, None if default is None else repr(default))
        try:
            return [real(word) for word in words]
        except ValueError as error:
            raise self.error(key, f"{key}: {error}") from None

    def wholes(
        self, key: str, number: int = 1, default: int | None = None
    ) -> list[int]:
        """Return the `number` whole numbers of a key; see `words`."""
        words = self.words(key, number, None if default is None else str(default))
        try:
            return [whole(word) for word in words]
        except ValueError as error:
            raise self.error(key, f"{key}: {error}") from None

    def species(self, key: str, number: int = 1) -> list[int]:
        """Return the `number` atomic numbers of a key; see `words`."""
        found = []
        for symbol in self.words(key, number):
            if (z := atomic_number(symbol)) is None:
                raise self.error(key, f"{shortened(symbol)} is not a chemical symbol")
            found.append(z)
        return found

    def only(self, key: str, default: str, *supported: str) -> str:
        """Return the value of a key, one of those that gapfit has; see `words`."""
        (word,) = self.words(key, 1, default)
        if word not in supported:
            raise self.error(
                key,
                f"{key} = {shortened(word)} is not supported (only "
                f"{' and '.join(supported)})",
            )
        return word


@dataclass(frozen=True)
class GapText:
    """Contents of a file ``.gap``.

    Attributes
    ----------
    path : Path
        The file.
    blocks : tuple of Block
        In their order.
    e0 : dict of int to float, or None
        Energies of isolated atoms by atomic number, eV; None if the file has none.
    """

    path: Path
    blocks: tuple[Block, ...]
    e0: dict[int, float] | None


def atomic_number(symbol: str) -> int | None:
    """Return the atomic number of a chemical symbol; None of other words."""
    from ase.data import atomic_numbers

    z = int(atomic_numbers.get(symbol, 0))
    return z or None


def read_gap(path: Path) -> GapText:
    """Return the blocks of a file.

    Raises
    ------
    ModelFileError
        The first error, with file and line: a line that is no key, an unknown key or
        block, a block without its end, or none at all.
    """
    try:
        lines = foreign_text(path, _LARGEST).split("\n")
    except ForeignError as error:
        raise ModelFileError(f"{path}: {error}") from None
    numbered = [(n, line.strip()) for n, line in enumerate(lines, 1) if line.strip()]
    blocks = tuple(_blocks(path, numbered))
    if not blocks:
        raise ModelFileError(
            f"{path}: not a potential of TurboGAP (it has no block gap_beg ... gap_end)"
        )
    return GapText(path, blocks, _e0(path, numbered))


def _blocks(path: Path, lines: list[tuple[int, str]]) -> Iterator[Block]:
    begun: tuple[int, str] | None = None
    entries: dict[str, _Entry] = {}
    for number, line in lines:
        where = f"{path}, line {number}"
        words = _words(line)
        if not words:
            continue
        if words[0] == "gap_beg":
            if begun is not None:
                raise _unended(path, *begun)
            begun, entries = (number, _kind(words, where)), {}
        elif begun is None:
            raise ModelFileError(
                f"{where}: {shortened(line, 60)!r} is outside of a block; expected "
                "gap_beg, or ! before a comment"
            )
        elif words[0] == "gap_end":
            yield _block(path, begun, entries)
            begun = None
        else:
            key, values = _assignment(words, begun[1], where)
            if key in entries:
                raise ModelFileError(
                    f"{where}: {key} occurs twice in this block, first in line "
                    f"{entries[key].line}; keep one of them"
                )
            entries[key] = _Entry(number, values)
    if begun is not None:
        raise _unended(path, *begun)


def _words(line: str) -> list[str]:
    """Return the words of a line without its comment, and without quotes."""
    if line.startswith(("!", "#")):
        return []
    found = [word for word in _WORD.findall(line) if not word.startswith("!")]
    return [word[1:-1] if word[0] in "\"'" else word for word in found]


def _kind(words: list[str], where: str) -> str:
    kind = words[1] if len(words) > 1 else "nothing"
    if kind not in _KEYS:
        *most, last = _KEYS
        raise ModelFileError(
            f"{where}: the block {shortened(kind)} is not supported; supported are "
            f"{', '.join(most)} and {last}"
        )
    return kind


def _unended(path: Path, line: int, kind: str) -> ModelFileError:
    return ModelFileError(
        f"{path}, line {line}: the block {kind} has no gap_end; the file is truncated or "
        "damaged, get it again"
    )


def _assignment(words: list[str], kind: str, where: str) -> tuple[str, tuple[str, ...]]:
    """Return the key of a line and its values."""
    # The converter of TurboGAP writes this key with a blank.
    if words[:2] == ["scaling", "mode"]:
        words = ["scaling_mode", *words[2:]]
    key = _OTHER_NAMES.get(words[0], words[0])
    allowed = _KEYS[kind] + (_PROPERTIES if kind == "soap_turbo" else ())
    if len(words) < 3 or words[1] != "=":
        raise ModelFileError(
            f"{where}: expected a line such as {allowed[0]} = ..., with blanks around =, "
            f"found {shortened(' '.join(words), 60)!r}"
        )
    if key not in allowed:
        near = get_close_matches(key[:60], allowed, n=1, cutoff=0.7)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ModelFileError(
            f"{where}: {kind} has no key {shortened(key)} that gapfit knows{hint}"
        )
    return key, tuple(words[2:])


def _block(path: Path, begun: tuple[int, str], entries: dict[str, _Entry]) -> Block:
    line, kind = begun
    left_out = tuple(key for key in entries if key in _PROPERTIES)
    return Block(path, kind, line, entries, left_out)


def _e0(path: Path, lines: list[tuple[int, str]]) -> dict[int, float] | None:
    """Return the energies of isolated atoms in two comments, one after the other."""
    matches = [(number, _COMMENT.fullmatch(line)) for number, line in lines]
    for (_, before), (number, match) in pairwise(matches):
        if (
            before is None
            or match is None
            or (before[1], match[1]) != ("species", "e0")
        ):
            continue
        symbols, values = before[2].split(), match[2].split()
        species = [atomic_number(symbol) for symbol in symbols]
        try:
            if len(species) != len(values) or None in species:
                raise ValueError(f"{len(values)} values for {' '.join(symbols)}")
            if len(set(species)) < len(species):
                raise ValueError(f"a species occurs twice in {' '.join(symbols)}")
            e0 = {z: real(v) for z, v in zip(species, values, strict=True) if z}
            if (largest := max(map(abs, e0.values()))) > LARGEST_E0:
                raise ValueError(f"{largest:.3g} eV is the energy of no atom")
            return e0
        except ValueError as error:
            raise ModelFileError(
                f"{path}, line {number}: e0 = {shortened(match[2])}: "
                f"{shortened(str(error), 100)}; give the energy of each species above it"
            ) from None
    return None
