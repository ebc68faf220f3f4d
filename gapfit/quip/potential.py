"""What QUIP's Potential sums up: a GAP, and perhaps Glue underneath."""

from __future__ import annotations

from collections.abc import Iterator

from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_options import entries
from gapfit.quip.xml_file import GapFile

__all__ = ["is_on_glue"]

_SUM = ("init_args_pot1", "init_args_pot2")
#: Sums of sums beyond this depth are no model.
_DEEPEST = 8
_ADVICE = "gapfit runs a GAP, alone or on top of Glue"


def is_on_glue(file: GapFile) -> bool:
    """Return whether the model has pair potentials of Glue underneath.

    Parameters
    ----------
    file : GapFile
        The model's file.

    Raises
    ------
    GapfitError
        The Potential has other parts, or leaves out what the file says is underneath.
    """
    if file.init_args is None:
        if file.glue is not None or file.on_core:
            raise GapfitError(
                "the file has no Potential, which says whether another potential "
                '(Glue_params, or do_core="T" of GAP_data) is underneath; add it, as in '
                '<Potential init_args="Sum init_args_pot1={IP Glue} '
                'init_args_pot2={IP GAP}"/>'
            )
        return False
    parts = list(_parts(file.init_args))
    kinds = sorted(kind for kind, _ in parts)
    if kinds not in (["gap"], ["gap", "glue"]):
        raise GapfitError(
            f"the Potential is the sum of {shortened(' and '.join(kinds))}, which is not "
            f"supported: {_ADVICE}"
        )
    labels = dict(parts)
    _check_label("GAP", labels["gap"], file.label)
    if len(kinds) == 1:
        _refuse_left_out(file)
        return False
    if file.glue is None:
        raise GapfitError("the model is on top of Glue, whose Glue_params are missing")
    _check_label("Glue", labels["glue"], file.glue.get("label", ""))
    return True


def _check_label(kind: str, named: str, there: str) -> None:
    if named and named != there:
        raise GapfitError(
            f"the Potential names {kind} label={shortened(named)}, but {kind}_params have "
            f"the label {shortened(there) or 'none'}; correct one of them"
        )


def _refuse_left_out(file: GapFile) -> None:
    """Refuse a file with a potential that the Potential does not sum up."""
    what = "Glue_params are in the file" if file.glue is not None else ""
    if file.on_core:
        what = 'GAP_data have do_core="T": the fit was on top of another potential'
    if what:
        raise GapfitError(
            f"{what}, but the Potential is {shortened(file.init_args or '')} alone; add "
            "what is underneath (Sum init_args_pot1={IP Glue} init_args_pot2={IP GAP "
            '...}), or remove Glue_params and set do_core="F"'
        )


def _parts(text: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield kind and label of each potential in a string of arguments."""
    values = {key.lower(): value for key, value in entries(text)}
    flags = {key for key, value in values.items() if value is None}
    settings = {key: value for key, value in values.items() if value is not None}
    if flags == {"sum"} and set(settings) == set(_SUM) and depth < _DEEPEST:
        for key in _SUM:
            yield from _parts(settings[key], depth + 1)
        return
    kind = flags - {"ip"}
    if "ip" not in flags or len(kind) != 1 or not set(settings) <= {"label"}:
        raise GapfitError(
            f"the Potential {shortened(text)!r} is not "
            f"supported{_reason(flags, settings)}: {_ADVICE}"
        )
    yield kind.pop(), settings.get("label", "")


def _reason(flags: set[str], settings: dict[str, str]) -> str:
    """Return which options of a potential are too many, if that is the reason."""
    if "ip" not in flags or len(flags) != 2:
        return ""
    return f" with {shortened(', '.join(sorted(set(settings) - {'label'})))}"
