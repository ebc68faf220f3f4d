"""QUIP's strings of options: ``soap l_max=8 Z=14 species_Z={14 8}``."""

from __future__ import annotations

from dataclasses import dataclass, field

from gapfit.errors import GapfitError

__all__ = ["Options"]

_FALSE = frozenset({"F", "FALSE", ".FALSE.", "NO", "0"})
_TRUE = frozenset({"T", "TRUE", ".TRUE.", "YES", "1", ""})


@dataclass
class Options:
    """Keys with values, and the keys that were looked up.

    QUIP ignores case: names and keys are in lower case here.

    Attributes
    ----------
    name : str
        The first word.
    values : dict of str to str
        Keys and values, without braces and quotes.
    asked : set of str
        Keys that were looked up.
    """

    name: str
    values: dict[str, str]
    asked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, text: str) -> Options:
        """Return the options of a string.

        Raises
        ------
        GapfitError
            A brace or a quote is not closed, or there is no word.
        """
        words = split_words(text)
        if not words:
            raise GapfitError("an empty string of options")
        pairs = (word.partition("=") for word in words[1:])
        # gap_fit writes strings with single braces.
        values = {
            key.lower(): strip(value) for key, _, value in pairs if key.strip("{} ")
        }
        return cls(words[0].lower(), values)

    def text(self, *keys: str, default: str | None = None) -> str | None:
        """Return a value by its key or one of its other names."""
        small = [key.lower() for key in keys]
        self.asked.update(small)
        return next((self.values[key] for key in small if key in self.values), default)

    def real(self, *keys: str, default: float) -> float:
        """Return a number."""
        return self._number(keys, float, default)

    def integer(self, *keys: str, default: int) -> int:
        """Return a whole number."""
        return int(self._number(keys, int, default))

    def _number(self, keys: tuple[str, ...], kind: type, default: float) -> float:
        value = self.text(*keys)
        if value is None:
            return default
        try:
            return kind(value.replace("d", "e").replace("D", "e"))
        except ValueError:
            raise GapfitError(
                f"{self.name}: {keys[0]} = {value}: not a number"
            ) from None

    def integers(self, *keys: str) -> list[int]:
        """Return whole numbers; an empty list without the key."""
        value = self.text(*keys)
        try:
            return [int(word) for word in (value or "").split()]
        except ValueError:
            raise GapfitError(
                f"{self.name}: {keys[0]} = {value}: not whole numbers"
            ) from None

    def logical(self, *keys: str, default: bool) -> bool:
        """Return a truth value; a key alone is true."""
        value = self.text(*keys)
        if value is None:
            return default
        if value.upper() not in _TRUE | _FALSE:
            raise GapfitError(f"{self.name}: {keys[0]} = {value}: neither T nor F")
        return value.upper() in _TRUE

    @property
    def unknown(self) -> list[str]:
        """Keys that were not looked up."""
        return sorted(set(self.values) - self.asked)


def strip(value: str) -> str:
    """Return a value without enclosing braces and quotes."""
    value = value.strip()
    for begin, end in ("{}", '""', "''"):
        if len(value) > 1 and value[0] == begin and value[-1] == end:
            return strip(value[1:-1])
    return value


def split_words(text: str, separators: str = " \t\n\r") -> list[str]:
    """Return the words between separators outside of braces and quotes.

    Raises
    ------
    GapfitError
        A brace or a quote is not closed.
    """
    words, word, depth, quote = [], "", 0, ""
    for letter in text:
        if not quote and depth == 0 and letter in separators:
            words.append(word)
            word = ""
            continue
        word += letter
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "{":
            depth += 1
        elif letter == "}" and depth:
            depth -= 1
    if depth or quote:
        sign = "brace" if depth else "quote"
        raise GapfitError(f"a {sign} is not closed: {text.strip()[:80]}")
    return [word for word in [*words, word] if word.strip()]
