"""The output folder of `gapfit fit`: its files, and checks that nothing is lost in it."""

from __future__ import annotations

from pathlib import Path

from gapfit.errors import GapfitError

__all__ = ["CHECKPOINT", "MARK", "RESULTS", "holds", "prepare", "without_checkpoint"]

#: The files that a fit writes.
RESULTS = ("model.npz", "metrics.json", "fit.log", "fit.toml")
#: Folder of an unfinished fit.
CHECKPOINT = "checkpoint"
#: First line of the configuration that a fit writes.
MARK = "# Written by gapfit fit: every value as it was used.\n"


def prepare(folder: Path, config: Path, *, resume: bool) -> None:
    """Make the folder, and refuse one where the results cannot be written.

    Refused, too, is a folder with a fit.toml of the user, or with an unfinished fit.

    Parameters
    ----------
    folder : Path
        Folder for the results.
    config : Path
        Configuration of the fit, which may lie in the folder.
    resume : bool
        Whether to continue the unfinished fit in the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise GapfitError(
            f"{folder}: is a file where the output folder should be; choose another "
            "with --output"
        ) from None
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
    if not resume:
        _refuse_unfinished(folder / CHECKPOINT)


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


def without_checkpoint(folder: Path) -> list[str]:
    """Remove the checkpoint of a fit whose results are written.

    Returns
    -------
    list of str
        Warnings if it cannot be removed, which does not make the fit fail.
    """
    from gapfit.execution.checkpoint import remove_checkpoint

    try:
        remove_checkpoint(folder / CHECKPOINT)
    except (GapfitError, OSError) as error:
        return [
            f"the checkpoint, which is no longer needed, could not be removed: {error}"
        ]
    return []


def _refuse_unfinished(path: Path) -> None:
    """Refuse to replace the work of a killed fit by mistake."""
    from gapfit.execution.checkpoint import CheckpointFolder

    if CheckpointFolder(path).spans():
        raise GapfitError(
            f"{path} contains an unfinished fit: continue it with --resume, or remove the "
            "folder to start again"
        )
