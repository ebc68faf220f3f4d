"""QUIP's strings of options: ``soap l_max=8 Z=14 species_Z={14 8}``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gapfit.errors import GapfitError, shortened
from gapfit.quip.numbers import real, whole, wholes

__all__ = ["Options", "entries", "repeated", "split_parts"]

_FALSE = frozenset({"F", "FALSE"})
#: A key alone is true.
_TRUE = frozenset({"T", "TRUE", ""})
#: Newlines count as blanks in QUIP, tabs do not separate.
_SEPARATORS = " ,\n\r"
_BRACES = {"{": "}", '"': '"', "'": "'"}
#: Types of descriptors of QUIP; they are options without a value, at any place.
_KINDS = frozenset(
    [
        *("a2_dimer", "ab_dimer", "alex", "an_monomer", "angle_3b", "as_distance_2b"),
        *("atom_real_space", "behler", "bispectrum_so3", "bispectrum_so4"),
        *("bond_real_space", "co_angle_3b", "co_distance_2b", "com_dimer"),
        *("coordination", "cosnx", "distance_2b", "distance_nb", "general_dimer"),
        *("general_monomer", "general_trimer", "molecule_lo_d", "power_so3"),
        *("power_so4", "rdf", "soap", "soap_express", "soap_turbo", "trihis"),
        *("water_dimer", "water_monomer", "water_trimer"),
    ]
)
#: Other names of options; the last one that is given counts, under either name.
_OTHER_NAMES = {
    "at_file": "atoms_filename",
    "atom_gaussian_width": "atom_sigma",
    "baseline_ip_args": "core_ip_args",
    "baseline_param_filename": "core_param_file",
    "config_type_sigma": "config_type_kernel_regularisation",
    "default_local_property_sigma": "default_kernel_regularisation_local_property",
    "default_sigma": "default_kernel_regularisation",
    "do_copy_at_file": "do_copy_atoms_file",
    "energy_scale": "delta",
    "gp_file": "gap_file",
    "hessian_delta": "hessian_displacement",
    "n_sparsex": "n_sparse",
    "normalize": "normalise",
    "sigma_parameter_name": "kernel_regularisation_parameter_name",
    "sigma_per_atom": "kernel_regularisation_is_per_atom",
    "soap_exponent": "zeta",
    "theta_fac": "lengthscale_factor",
    "theta_file": "lengthscale_file",
    "theta_uniform": "lengthscale_uniform",
}


@dataclass
class Options:
    """Keys with values, and the keys that were looked up.

    QUIP ignores case: names and keys are in lower case here.

    Attributes
    ----------
    name : str
        The type of a descriptor, or the name of the program.
    values : dict of str to str
        Keys and values in their order, the last one of each key, without braces and
        quotes.
    asked : set of str
        Keys that were looked up.
    """

    name: str
    values: dict[str, str]
    asked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, text: str) -> Options:
        """Return the options of a descriptor.

        Raises
        ------
        GapfitError
            A brace or a quote is not closed, there is a tab or no word, or several types
            of descriptors.
        """
        pairs = entries(text)
        if not pairs:
            raise GapfitError("an empty string of options")
        true = [key.lower() for key, value in pairs if (value or "").upper() in _TRUE]
        names = [key for key in dict.fromkeys(true) if key in _KINDS]
        if len(names) > 1:
            raise GapfitError(f"{' and '.join(names[:3])} in one descriptor: keep one")
        name = names[0] if names else pairs[0][0].lower()
        values: dict[str, str] = {}
        for key, value in pairs:
            # A stray brace is a key without effect in QUIP.
            if key.lower() != name and key.strip("{} "):
                values.pop(key.lower(), None)
                values[key.lower()] = value or ""
        return cls(name, values)

    def text(self, *keys: str, default: str | None = None) -> str | None:
        """Return the last given value of a key and its other names."""
        small = [key.lower() for key in keys]
        self.asked.update(small)
        given = (self.values[key] for key in reversed(self.values) if key in small)
        return next(given, default)

    def real(self, *keys: str, default: float) -> float:
        """Return a number."""
        value = self.text(*keys)
        try:
            return default if value is None else real(value)
        except ValueError:
            raise GapfitError(self._message(keys[0], value, "not a number")) from None

    def integer(self, *keys: str, default: int) -> int:
        """Return a whole number."""
        value = self.text(*keys)
        try:
            return default if value is None else whole(value)
        except ValueError:
            raise GapfitError(
                self._message(keys[0], value, "not a whole number")
            ) from None

    def integers(self, *keys: str) -> list[int]:
        """Return whole numbers; an empty list without the key."""
        value = self.text(*keys)
        try:
            return wholes(value)
        except ValueError:
            raise GapfitError(
                self._message(keys[0], value, "not whole numbers")
            ) from None

    def logical(self, *keys: str, default: bool) -> bool:
        """Return a truth value; a key alone is true."""
        value = self.text(*keys)
        if value is None:
            return default
        if value.upper() not in _TRUE | _FALSE:
            raise GapfitError(self._message(keys[0], value, "neither T nor F"))
        return value.upper() in _TRUE

    def _message(self, key: str, value: str | None, problem: str) -> str:
        return f"{shortened(self.name)}: {key} = {shortened(value or '')}: {problem}"

    @property
    def unknown(self) -> list[str]:
        """Keys that were not looked up."""
        return sorted(set(self.values) - self.asked)


def entries(text: str) -> list[tuple[str, str | None]]:
    """Return the keys and values of a string; None for a key alone.

    Blanks, commas and newlines separate outside of braces and quotes, of which values
    lose one level. ``key = value`` and ``key =value`` are one entry.

    Raises
    ------
    GapfitError
        A brace or a quote is not closed, there is a tab, or a sign of equality without a
        key.
    """
    if "\t" in text:
        raise GapfitError(
            f"a tab in {shortened(text.lstrip())!r}: QUIP does not separate options at "
            "tabs; write blanks"
        )
    joined: list[str] = []
    words = _words(text, _SEPARATORS)
    for number, word in enumerate(words):
        after = number and words[number - 1] == "="
        if joined and (word.startswith("=") or after) and "=" not in joined[-1][:-1]:
            joined[-1] += word
        else:
            joined.append(word)
    pairs = [strip(word) if word[0] in _BRACES else word for word in joined]
    parts = [pair.partition("=") for pair in pairs]
    if alone := [value for key, _, value in parts if not key.strip()]:
        raise GapfitError(
            f"{shortened('=' + alone[0])!r}: a value without a key before it"
        )
    return [(strip(k), strip(value) if equals else None) for k, equals, value in parts]


def repeated(keys: list[str]) -> list[str]:
    """Return the keys, in lower case, that are given more than once, by any name."""
    small = [key.lower() for key in keys]
    counts = Counter(_OTHER_NAMES.get(key, key) for key in small)
    last = {_OTHER_NAMES.get(key, key): key for key in small}
    return [last[name] for name, n in counts.items() if n > 1 and name.strip("{} ")]


def strip(value: str) -> str:
    """Return a value without the braces or quotes that enclose it, one level."""
    value = value.strip()
    if value[:1] in _BRACES and len(value) > 1 and _closing(value) == len(value) - 1:
        return value[1:-1].strip()
    return value


def _closing(text: str) -> int:
    """Return the place of the brace or quote that closes the first letter's."""
    if text[0] != "{":
        return text.find(text[0], 1)
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return place
    return -1


def _words(text: str, separators: str) -> list[str]:
    """Return the words between separators outside of braces and quotes.

    Raises
    ------
    GapfitError
        A brace or a quote is not closed.
    """
    return [word for word in split_parts(text, separators) if word.strip()]


def split_parts(text: str, separators: str) -> list[str]:
    """Return the same as `_words` with parts that are empty.

    Raises
    ------
    GapfitError
        A brace or a quote is not closed.
    """
    parts: list[str] = []
    begin, depth, quote = 0, 0, ""
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "{":
            depth += 1
        elif letter == "}":
            depth = max(depth - 1, 0)
        elif depth == 0 and letter in separators:
            parts.append(text[begin:place])
            begin = place + 1
    if depth or quote:
        sign = "brace" if depth else "quote"
        raise GapfitError(f"a {sign} is not closed: {shortened(text, 80)}")
    return [*parts, text[begin:]]
