"""Base of the configurations of terms, and the registry of their kinds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, SerializeAsAny, ValidationInfo, model_validator

from gapfit.config.base import LARGEST_DELTA, LEAST_DELTA, Section, described
from gapfit.config.checks import check_sparse

__all__ = [
    "STRICT",
    "AnyTerm",
    "SparseTermConfig",
    "TermConfig",
    "delta",
    "load_plugins",
    "members",
    "register_term",
    "term_model",
    "term_models",
]

#: Context of a strict validation, for its terms.
STRICT = {"strict": True}
#: Entry points of installed packages whose loading registers further kinds of terms.
_PLUGINS = "gapfit.descriptors"


def delta(default: float, text: str) -> Any:
    """Return the field of a prior standard deviation."""
    return described(default, text, "eV", ge=LEAST_DELTA, le=LARGEST_DELTA)


class TermConfig(Section):
    """A term of the potential: the keys that every kind has.

    A kind is a subclass under `register_term` that gives ``type`` its name as the default
    and adds further keys.

    Attributes
    ----------
    title : str
        Name of the kind in reports; its type unless given.
    shown : tuple of str
        Keys whose values reports show.
    symbols_per_block : int
        Chemical symbols in the name of a block.
    names_species : tuple of str
        Keys that name species, of the term or, as ``"turbo.species"``, of a table of it.
    needs_isolated : bool
        Whether the energy of an isolated atom is left to chance without one in the data.
    """

    title: ClassVar[str] = ""
    shown: ClassVar[tuple[str, ...]] = ()
    symbols_per_block: ClassVar[int] = 1
    names_species: ClassVar[tuple[str, ...]] = ()
    needs_isolated: ClassVar[bool] = False

    type: str = described(..., "kind of term")
    r_cut: float = described(5.0, "cutoff radius", "Å", gt=1.0, le=20.0)
    delta: float = delta(3.0, "prior standard deviation per atom")

    @property
    def points_method(self) -> str | None:
        """How sparse points are chosen; None: functions of the term stand for them."""
        return None

    @property
    def points_file(self) -> str | None:
        """The list that sparse points are read from; None: there is none."""
        return None

    def in_words(self) -> str:
        """Return the term and its settings as text of a paper."""
        return f"a term {self.type} (cutoff {self.r_cut:g} Å, delta {self.delta:g} eV)"


class SparseTermConfig(TermConfig):
    """A term whose sparse points are chosen among the environments of the data."""

    shown: ClassVar[tuple[str, ...]] = ("sparse_method",)
    names_species: ClassVar[tuple[str, ...]] = ("species_n_sparse",)

    n_sparse: int = described(100, "sparse points of each block", ge=1)
    species_n_sparse: dict[str, int] = described(
        {},
        'numbers that differ from n_sparse: { Ge = 500 } or { "Ge-Te" = 30 }; 0: none',
    )
    config_type_n_sparse: dict[str, int] = described(
        {}, "how many from frames of a config_type; the rest from all others"
    )
    sparse_method: Literal["uniform", "cur", "fps", "kmeans", "random", "file"] = (
        described("uniform", "evenly over the values, or as for soap")
    )
    sparse_file: str | None = described(
        None, "for file: the list of sparse points; n_sparse is then ignored"
    )

    @property
    def points_method(self) -> str | None:
        """How sparse points are chosen."""
        return self.sparse_method

    @property
    def points_file(self) -> str | None:
        """The list that sparse points are read from; None: there is none."""
        return self.sparse_file

    @model_validator(mode="after")
    def _sparse_points_agree(self) -> SparseTermConfig:
        check_sparse(self)
        return self


_Model = TypeVar("_Model", bound=TermConfig)
_MODELS: dict[str, type[TermConfig]] = {}


def register_term(model: type[_Model]) -> type[_Model]:
    """Let configurations have a kind of term; a decorator of its model.

    Parameters
    ----------
    model : type of TermConfig
        The default of its ``type`` is the name of the kind.

    Raises
    ------
    ValueError
        There is no such default, or another model has the name.
    """
    name = model.model_fields["type"].default
    if not isinstance(name, str):
        raise ValueError(f"{model.__name__}: give type a default, the name of the kind")
    other = _MODELS.get(name, model)
    # A module may be loaded more than once.
    if (other.__module__, other.__qualname__) != (model.__module__, model.__qualname__):
        raise ValueError(
            f'{model.__name__}: the type "{name}" is that of {other.__module__}.'
            f"{other.__qualname__}; choose another name"
        )
    _MODELS[name] = model
    return model


def members(terms: Iterable[TermConfig]) -> str:
    """Return the word for what coefficients belong to: sparse points, functions or both."""
    words = {
        "functions" if term.points_method is None else "sparse points" for term in terms
    }
    return " and ".join(sorted(words, reverse=True))


def term_models() -> dict[str, type[TermConfig]]:
    """Return the models of all registered kinds, by name."""
    return dict(_MODELS)


def term_model(name: Any) -> type[TermConfig] | None:
    """Return the model of a kind, also from installed packages; None if unknown."""
    if not isinstance(name, str):
        return None
    if name not in _MODELS:
        load_plugins()
    return _MODELS.get(name)


@cache
def load_plugins() -> None:
    """Register the kinds of terms of installed packages."""
    from importlib.metadata import entry_points

    for entry in entry_points(group=_PLUGINS):
        entry.load()


def _as_term(value: Any, info: ValidationInfo) -> TermConfig:
    """Return a term of the model that its ``type`` names; of the first by default.

    Unknown types are left to the first model, which refuses them.
    """
    if isinstance(value, TermConfig):
        return value
    name = value.get("type") if isinstance(value, dict) else None
    model = term_model(name) or next(iter(_MODELS.values()))
    return model.model_validate(value, strict=info.context == STRICT)


#: A term of any registered kind.
AnyTerm = Annotated[SerializeAsAny[TermConfig], BeforeValidator(_as_term)]
