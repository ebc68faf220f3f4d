"""The trials of a search in a file, from which it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gapfit._support.identity import differences
from gapfit._support.sealed import read_sealed, write_sealed
from gapfit.errors import GapfitError
from gapfit.search.halving import Task
from gapfit.search.loop import Record
from gapfit.search.trial import TrialResult

__all__ = ["read_state", "write_state"]

_FORMAT, _VERSION = "gapfit search", 1


def write_state(
    path: Path,
    identity: Mapping[str, Any],
    records: Mapping[Task, Record[TrialResult]],
) -> None:
    """Write all finished trials, and whose they are.

    Parameters
    ----------
    path : Path
        The file.
    identity : mapping
        Data and configuration, see `gapfit.fitting.identity.fit_identity`.
    records : mapping of Task to Record
        The trials.
    """
    trials = [
        {
            "rung": task.rung,
            "candidate": task.candidate,
            "result": record.outcome.plain() if record.outcome else None,
            "problem": record.problem,
            "work": record.work,
            "seconds": record.seconds,
        }
        for task, record in records.items()
    ]
    write_sealed(path, _FORMAT, _VERSION, {"identity": identity, "trials": trials})


def read_state(
    path: Path, identity: Mapping[str, Any]
) -> dict[Task, Record[TrialResult]]:
    """Return the trials of a file written by `write_state`.

    Raises
    ------
    GapfitError
        The file is missing, damaged, or of other data or another configuration.
    """
    state = read_sealed(path, _FORMAT, _VERSION, "start again without --resume")
    if lines := differences(state["identity"], identity):
        raise GapfitError(
            f"{path} is the state of another search:\n  "
            + "\n  ".join(lines)
            + "\nrestore these values to resume it, or start again without --resume"
        )
    return {
        Task(trial["rung"], trial["candidate"]): Record(
            TrialResult.from_plain(trial["result"]) if trial["result"] else None,
            trial["problem"],
            trial["work"],
            trial["seconds"],
        )
        for trial in state["trials"]
    }
