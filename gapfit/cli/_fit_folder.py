"""The output folder of a fit: what is written there, and what must not be lost there."""

from __future__ import annotations

from pathlib import Path

from gapfit.errors import GapfitError

__all__ = ["CHECKPOINT", "MARK", "RESULTS", "prepare", "refuse_unfinished"]

#: The files that a fit writes.
RESULTS = ("model.npz", "metrics.json", "fit.log", "fit.toml")
#: Folder of an unfinished fit.
CHECKPOINT = "checkpoint"
MARK = "# Written by gapfit fit: every value as it was used.\n"


def refuse_unfinished(path: Path) -> None:
    """Keep the work of a fit that was killed from being lost by a slip."""
    from gapfit.work_folder import WorkFolder

    if WorkFolder(path).spans():
        raise GapfitError(
            f"{path} holds an unfinished fit: go on with it by --resume, or remove the "
            "folder to start again"
        )


def prepare(folder: Path, config: Path) -> None:
    """Make the output folder; refuse one where the results cannot be written.

    Nor must a file of the user be lost in it.
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
    if resolved.exists() and not resolved.samefile(config):
        with resolved.open(encoding="utf-8", errors="replace") as file:
            if file.readline() != MARK:
                raise GapfitError(
                    f"{resolved}: was not written by `gapfit fit` and would be "
                    "replaced; choose another folder with --output"
                )
