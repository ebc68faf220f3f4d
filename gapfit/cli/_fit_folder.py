"""The output folder of `gapfit fit`: its files, and checks that nothing is lost in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.execution.checkpoint import CheckpointFolder

__all__ = [
    "MARK",
    "RESULTS",
    "held",
    "holds",
    "is_finished",
    "prepare",
    "require_same",
    "without_checkpoint",
]

#: The files that a fit writes.
RESULTS = ("model.npz", "metrics.json", "fit.log", "fit.toml")
#: First line of the configuration that a fit writes.
MARK = "# Written by gapfit fit: every value as it was used.\n"
# Folder of an unfinished fit.
_CHECKPOINT = "checkpoint"


@contextmanager
def held(folder: Path) -> Iterator[CheckpointFolder]:
    """Make the output folder, keep other fits out of it, and yield its checkpoint.

    Raises
    ------
    GapfitError
        It cannot be made, or another fit is running there.
    """
    from gapfit._support.disk import writing
    from gapfit.execution.checkpoint import CheckpointFolder

    try:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except GapfitError as error:
        if isinstance(error.__cause__, FileExistsError | NotADirectoryError):
            raise GapfitError(
                f"{folder}: is a file where the output folder should be; choose another "
                "with --output"
            ) from None
        raise
    checkpoint = CheckpointFolder((folder / _CHECKPOINT).absolute())
    with checkpoint.held():
        yield checkpoint


def prepare(
    folder: Path,
    config: Path,
    checkpoint: CheckpointFolder,
    *,
    resume: bool,
    force: bool,
) -> None:
    """Refuse a folder where the results cannot be written or would replace others.

    Refused are a folder with a fit.toml of the user, and without `force` one with a
    model or with an unfinished fit that is not resumed.

    Parameters
    ----------
    folder : Path
        Folder for the results.
    config : Path
        Configuration of the fit, which may lie in the folder.
    checkpoint : CheckpointFolder
        The unfinished fit in the folder, if there is one.
    resume : bool
        Whether to continue the unfinished fit.
    force : bool
        Whether to replace the results of another fit.
    """
    for name in RESULTS:
        if (folder / name).is_dir():
            raise GapfitError(
                f"{folder / name}: is a folder where a file is to be written; remove it, "
                "or choose another folder with --output"
            )
    resolved = folder / "fit.toml"
    if resolved.exists() and not holds(folder, config) and not _is_marked(resolved):
        raise GapfitError(
            f"{resolved}: was not written by `gapfit fit` and would be "
            "replaced; choose another folder with --output"
        )
    if force or (resume and checkpoint.exists):
        return
    if checkpoint.spans():
        raise GapfitError(
            f"{checkpoint.path} contains an unfinished fit: continue it with --resume, or "
            "start again with --force"
        )
    if (folder / "model.npz").exists():
        raise GapfitError(
            f"{folder / 'model.npz'}: exists already; choose another folder with "
            "--output, or --force to replace its fit"
        )


def is_finished(folder: Path, checkpoint: CheckpointFolder) -> bool:
    """Return whether the folder contains all results of a fit, and no unfinished one."""
    written = (folder / name for name in RESULTS if name != "fit.log")
    return not checkpoint.exists and all(path.is_file() for path in written)


def require_same(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of a finished fit; refuse those of another one.

    Parameters
    ----------
    folder : Path
        Folder with the results.
    identity : mapping
        Facts about the fit that is asked for, as in its metrics.

    Raises
    ------
    GapfitError
        The fit in the folder was another one, or its files are damaged.
    """
    from gapfit._support.disk import in_short
    from gapfit._support.foreign import json_file
    from gapfit._support.identity import differences
    from gapfit.model.storage import load

    path, advice = folder / "metrics.json", "choose another folder, or fit with --force"
    record = load(folder / "model.npz").record
    try:
        metrics: dict[str, Any] = json_file(path)
        stored = metrics["identity"]
        belongs = all(
            metrics["fit"][key] == getattr(record, key)
            for key in ("data_digest", "log_marginal_likelihood")
        )
    except Exception as error:  # damage shows in as many ways as there are bytes
        raise GapfitError(
            f"{path}: does not say of which fit it is ({in_short(error)}); {advice}"
        ) from error
    if not belongs:
        raise GapfitError(f"{path}: belongs to another fit than model.npz; {advice}")
    # A model stays finished when gapfit is upgraded.
    if lines := differences(stored | {"gapfit": ""}, {**identity, "gapfit": ""}):
        raise GapfitError(
            f"{folder} contains the finished fit of another configuration or other "
            "data:\n  " + "\n  ".join(lines) + f"\n{advice}"
        )
    return metrics


def _is_marked(path: Path) -> bool:
    """Return whether a file begins with the line that a fit writes."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(len(MARK) + 1) == MARK


def holds(folder: Path, config: Path) -> bool:
    """Return whether the configuration is the file that the fit would write."""
    resolved = folder / "fit.toml"
    return resolved.exists() and resolved.samefile(config)


def without_checkpoint(checkpoint: CheckpointFolder) -> list[str]:
    """Remove the checkpoint of a fit whose results are written.

    Returns
    -------
    list of str
        Warnings if it cannot be removed, which does not make the fit fail.
    """
    try:
        checkpoint.remove()
    except (GapfitError, OSError) as error:
        return [
            f"the checkpoint, which is no longer needed, could not be removed: {error}"
        ]
    return []
