"""Stress test of the potential that the choice of `gapfit tune` leads to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit.cli._console import Console
from gapfit.cli._outputs import make_output_folder
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.config.sections import FitConfig

__all__ = ["add_stress_test_argument", "stress_test_folder", "stress_tested"]


def add_stress_test_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --stress-test."""
    parser.add_argument(
        "--stress-test",
        action="store_true",
        help="then fit the choice and run `gapfit stress-test --quick`; the exit status "
        "is 1 if a test failed",
    )


def stress_test_folder(output: Path) -> Path:
    """Return the folder of the results, NAME-stress-test beside the file of the choice.

    Raises
    ------
    GapfitError
        There is a file of this name.
    """
    from gapfit.robustness.files import default_folder

    folder = default_folder(output.with_suffix(".npz"))
    if folder.exists() and not folder.is_dir():
        raise GapfitError(
            f"{folder}: is a file; results of the stress test go into a folder of this "
            "name: move the file, or give another --output"
        )
    return folder


def stress_tested(config: FitConfig, base: Path, output: Path, console: Console) -> int:
    """Fit a choice, test the potential and print the verdicts.

    Parameters
    ----------
    config : FitConfig
        The choice.
    base : Path
        Folder that relative paths of the configuration refer to.
    output : Path
        File of the choice; see `stress_test_folder`.
    console : Console
        Where progress and verdicts are shown.

    Returns
    -------
    int
        Exit status: 1 if a test failed.
    """
    from gapfit.cli.stress_test import print_results
    from gapfit.data.dataset import as_dataset
    from gapfit.fitting.fit import fit
    from gapfit.robustness import StressSettings, stress_test
    from gapfit.robustness.files import RESULTS, write_results
    from gapfit.robustness.results import QUICK

    folder = stress_test_folder(output)
    make_output_folder(folder, RESULTS)
    with console.progress() as progress:
        dataset = as_dataset(None, config, base)
        model = fit(dataset, config, progress=progress, base=base)
        settings = StressSettings(steps=QUICK)
        report = stress_test(model, data=dataset, settings=settings, progress=progress)
    paths = write_results(report, folder)
    print_results(console, report)
    if not report.passed:
        console.warnings(
            [
                f"the potential of {output} failed the stress test; before it is used: "
                "disordered or compressed structures in the data, a repulsion under "
                "[baseline], a smaller delta or larger sigmas"
            ]
        )
    console.title("Written")
    for path in paths:
        console.say(f"  {path}")
    return 0 if report.passed else 1
