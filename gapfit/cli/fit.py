"""Fit a potential; write it with its errors, log and configuration.

Writes DIR/model.npz, DIR/metrics.json (errors on training and test data, timings),
DIR/fit.log (all output, and more), DIR/fit.toml (every value as it was used; fitting
it again gives the same model) and DIR/report.html (a page with figures, which are also
in DIR/report as PNG; see `gapfit report`).
"""

from __future__ import annotations

import argparse
import logging
import shlex
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit._support.resources import in_words, peak_bytes
from gapfit.cli._console import Console, duration, roughly, to_json
from gapfit.cli._data import check_test_data, print_contents, print_labels
from gapfit.cli._fit_folder import (
    MARK,
    RESULTS,
    held,
    holds,
    is_finished,
    prepare,
    require_same,
    without_checkpoint,
)
from gapfit.cli._fit_plan import log_header, print_plan
from gapfit.cli._fit_report import FitReport

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from gapfit.config.sections import FitConfig
    from gapfit.data.dataset import Dataset
    from gapfit.execution.checkpoint import CheckpointFolder
    from gapfit.execution.plan import Plan
    from gapfit.model.gap_model import GAPModel

__all__ = ["add_arguments", "run"]

_REPORT = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="usually fit.toml")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the results, made if missing (default: beside CONFIG and "
        "named after it: fit-model for fit.toml)",
    )
    parser.add_argument(
        "--plan",
        action="store_true",
        help="print rows, memory and an estimate of the time, but do not fit",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--resume",
        action="store_true",
        help="continue the unfinished fit of the same data and configuration in DIR; "
        "start it if there is none, do nothing if it is finished",
    )
    start.add_argument(
        "--force",
        action="store_true",
        help="replace a fit in DIR, finished or not",
    )
    parser.add_argument(
        "--workers",
        type=_number_of_workers,
        metavar="N",
        help="processes on this machine (default: run.workers of CONFIG)",
    )
    parser.add_argument(
        "--executor",
        choices=("local", "mpi", "dask"),
        help="where kernel rows are computed (default: run.executor of CONFIG); with mpi, "
        "start gapfit itself with mpiexec",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask scheduler address or scheduler file (default: run.scheduler of CONFIG)",
    )
    parser.add_argument(
        "--no-report",
        dest="report",
        action="store_false",
        help="do not write DIR/report.html and DIR/report",
    )
    parser.add_argument(
        "--stress-test",
        action="store_true",
        help="then run `gapfit stress-test --quick`, for the report, too",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the errors as JSON on standard output, the log on standard error",
    )


def _number_of_workers(text: str) -> int:
    """Return the number; it must be within the bounds of ``run.workers``."""
    if not text.isdecimal() or not 1 <= int(text) <= 4096:
        raise argparse.ArgumentTypeError(f"{text}: give a number from 1 to 4096")
    return int(text)


def run(args: argparse.Namespace, console: Console) -> int:
    """Fit, with a copy of all output in the log."""
    from gapfit.execution.ranks import agreed

    config = agreed(lambda: _configured(args), mpi=args.executor == "mpi")

    from gapfit.execution.executors import leading

    with leading(config.run) as (leads, executor):
        if leads:
            _lead(args, config, console, executor)
    return 0


def _configured(args: argparse.Namespace) -> FitConfig:
    """Return the configuration changed by the arguments; check that its files exist."""
    from gapfit.config.paths import named_files
    from gapfit.config.toml import load_config
    from gapfit.data.files import require_files
    from gapfit.execution.executors import refuse_separate

    config = load_config(args.config)
    given = {name: getattr(args, name) for name in ("workers", "executor", "scheduler")}
    changes = {name: value for name, value in given.items() if value is not None}
    config = config.model_copy(update={"run": config.run.model_copy(update=changes)})
    refuse_separate(config.run)
    require_files(named_files(config), args.config.parent)
    return config


def _lead(
    args: argparse.Namespace,
    config: FitConfig,
    console: Console,
    executor: Executor | None,
) -> None:
    """Do the work of the leading process, with the executor if there is one."""
    from gapfit.execution.accumulate import require_device

    path: Path = args.config
    folder = args.output or path.parent / f"{path.stem}-model"
    report = FitReport(
        folder / _REPORT, console, wanted=args.report, stress_test=args.stress_test
    )
    fit = _Run(config, path, folder, console, executor, report)
    if args.plan:
        fit.print_plan(with_time=True)
        return
    require_device(config.run.device)
    with held(folder) as checkpoint:
        if args.resume and is_finished(folder, checkpoint):
            metrics = fit.finished()
            checkpoint.remove()  # what a process killed at its very end left
        else:
            prepare(folder, path, checkpoint, resume=args.resume, force=args.force)
            metrics = _logged(fit, checkpoint, resume=args.resume)
    if args.json:
        console.result(metrics)


def _logged(fit: _Run, checkpoint: CheckpointFolder, *, resume: bool) -> dict[str, Any]:
    """Fit with a log in the folder, and return the metrics."""
    console = fit.console
    # Warnings of the library are part of the model and printed at the end.
    logging.getLogger("gapfit").addHandler(logging.NullHandler())
    goes_on = resume and checkpoint.exists
    with console.logging_to(fit.folder / "fit.log", append=goes_on):
        log_header(console, fit.path)
        try:
            return fit.run(checkpoint, resume=resume)
        except Exception:
            console.log(traceback.format_exc())
            raise
        except BaseException as stop:
            console.log(f"stopped: {str(stop) or type(stop).__name__}")
            raise


@dataclass
class _Run:
    """One fit, with the settings and results that its steps share."""

    config: FitConfig
    path: Path
    folder: Path
    console: Console
    executor: Executor | None
    report: FitReport
    timings: dict[str, float] = field(default_factory=dict)
    test_warnings: list[str] = field(default_factory=list)
    peaks: dict[str, int] = field(default_factory=dict)

    def finished(self) -> dict[str, Any]:
        """Return the metrics of the finished fit in the folder; refuse another one."""
        from gapfit.fitting.identity import fit_identity

        train, test = self._read()
        identity = fit_identity(train, self.config, self.path.parent)
        metrics = require_same(self.folder, self._identity(identity, test))
        self.console.say(f"\n{self.folder}: this fit is finished, nothing to do")
        return metrics

    def _identity(
        self, identity: Mapping[str, Any], test: Dataset | None
    ) -> dict[str, Any]:
        """Return the identity of the fit with that of the test data."""
        from gapfit.data.digest import data_digest

        digest = data_digest(test.frames) if test else None
        return {**identity, "SHA-256 of the test data": digest}

    def run(self, checkpoint: CheckpointFolder, *, resume: bool) -> dict[str, Any]:
        """Do all steps and return the contents of metrics.json."""
        from gapfit.config.toml import resolved_toml

        started = time.perf_counter()
        train, test, planned = self.print_plan()
        model = self._fit(train, planned, checkpoint, resume=resume)
        model_path = self.folder / "model.npz"
        model.save(model_path)
        metrics: dict[str, Any] = self._errors(model, train, test)
        self.timings["total"] = time.perf_counter() - started
        metrics["timings"] = {name: round(t, 3) for name, t in self.timings.items()}
        metrics["memory"] = {
            "peak_bytes": peak_bytes(),
            "planned_bytes": planned.memory_bytes,
            "stages": self.peaks,
        }
        metrics["fit"] = {
            k: v for k, v in model.record.plain().items() if k != "warnings"
        }
        metrics["identity"] = self._identity(checkpoint.identity, test)
        self._write("metrics.json", to_json(metrics) + "\n")
        if not holds(self.folder, self.path):
            self._write(
                "fit.toml", MARK + resolved_toml(model.config, self.path.parent)
            )
        test_warnings = [f"test data: {text}" for text in test.warnings] if test else []
        warnings = list(
            dict.fromkeys([*model.record.warnings, *self.test_warnings, *test_warnings])
        )
        data, base = self.config.data, self.path.parent
        sets = {"train": (data.train, train)} | (
            {"test": (data.test, test)} if test else {}
        )
        begun = time.perf_counter()
        warnings += self.report.write(model, base, sets, metrics, warnings)
        self.timings["report"] = time.perf_counter() - begun
        warnings += without_checkpoint(checkpoint)
        self.console.warnings(warnings)
        self._print_end(model_path, planned)
        return metrics

    def print_plan(
        self, *, with_time: bool = False
    ) -> tuple[Dataset, Dataset | None, Plan]:
        """Read the data and print the plan of the fit; return data and plan."""
        from gapfit.execution.plan import plan

        train, test = self._read()
        workers = self.executor is not None or None
        planned = plan(train, self.config, self.path.parent, workers=workers)
        expected = ""
        if with_time:
            from gapfit.execution.time_estimate import estimated_seconds

            expected = roughly(estimated_seconds(train, self.config, planned, test))
            if self.config.run.executor != "local":
                expected += ", with a single worker"
        print_plan(
            self.console,
            planned,
            self.config,
            self.folder,
            test=test,
            expected=expected,
        )
        planned.sizes.require()
        return train, test, planned

    def _read(self) -> tuple[Dataset, Dataset | None]:
        from gapfit.data.dataset import read

        started = time.perf_counter()
        data, base = self.config.data, self.path.parent
        train = read(data.train, data, base=base)
        test = read(data.test, data, base=base) if data.test else None
        if test is not None:
            self.test_warnings = check_test_data(train, test)
        self.timings["read"] = time.perf_counter() - started
        print_contents(self.console, f"Training data: {', '.join(data.train)}", train)
        print_labels(self.console, train)
        if test is not None:
            print_contents(self.console, f"Test data: {', '.join(data.test)}", test)
        return train, test

    def _fit(
        self,
        train: Dataset,
        planned: Plan,
        checkpoint: CheckpointFolder,
        *,
        resume: bool,
    ) -> GAPModel:
        from gapfit.fitting.fit import fit

        self.console.title("Fit")
        with self.console.progress() as progress:
            model = fit(
                train,
                self.config,
                progress=progress,
                base=self.path.parent,
                checkpoint=checkpoint,
                resume=resume,
                executor=self.executor,
                plan=planned,
            )
        self.timings |= progress.seconds
        self.peaks |= progress.peak_bytes
        if model.calibration:
            from gapfit.model.calibration import format_calibration

            self.console.say(f"\n{format_calibration(model.calibration)}")
        if tuning := model.record.tuning:
            from gapfit.fitting.trials import format_trials

            self.console.title("Tuned: errors of held-out frames")
            self.console.say(format_trials(tuning))
        return model

    def _errors(
        self, model: GAPModel, train: Dataset, test: Dataset | None
    ) -> dict[str, Any]:
        from gapfit.evaluation.evaluate import evaluate, format_table
        from gapfit.threads import use_threads

        metrics = {}
        started = time.perf_counter()
        n_threads = self.config.run.threads or None
        with use_threads(n_threads), self.console.progress() as progress:
            for name, data in (("train", train), ("test", test)):
                if data is not None:
                    # Errors of fitted structures are too small to judge error bars.
                    metrics[name] = evaluate(
                        model,
                        data,
                        uncertainty=name == "test",
                        progress=progress,
                        observer=self.report.observer(name, model),
                    )
        self.timings["evaluate"] = time.perf_counter() - started
        self.peaks |= progress.peak_bytes
        for name, errors in metrics.items():
            self.console.say(f"\n{format_table(errors, f'Errors, {name} data')}")
        return metrics

    def _write(self, name: str, text: str) -> None:
        from gapfit._support.archive import atomic_write

        with atomic_write(self.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _print_end(self, model_path: Path, planned: Plan) -> None:
        seconds = self.timings["total"] + self.timings["report"]
        self.console.title(f"Written in {duration(seconds)}")
        for path in (self.folder / name for name in RESULTS):
            if path.exists():
                self.console.say(f"  {path}  {in_words(path.stat().st_size)}")
        for line in self.report.written():
            self.console.say(f"  {line}")
        self.console.title("Next")
        model = shlex.quote(str(model_path))
        self.console.say(f"  gapfit info {model}")
        self.console.say(f"  gapfit predict {model} structures.xyz --output out.extxyz")
        self.console.log(f"\ntimings, s: {self.timings}")
        peaks = {name: in_words(n) for name, n in self.peaks.items()}
        self.console.log(
            f"peak memory: {in_words(peak_bytes())}, planned "
            f"{in_words(planned.memory_bytes)}; at the end of each stage: {peaks}"
        )
