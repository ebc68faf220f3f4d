"""What the golden record holds: commands, models and predictions of small systems."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _golden_config import (
    GAP_FIT,
    MISTAKES,
    NEW_SIGMAS,
    ROOT,
    SYSTEMS,
    TUNING,
    VARIANTS,
    example,
    frames,
    learn_example,
    merged,
    subset,
    toml,
    variant,
)
from _golden_record import Record
from ase.build import bulk
from ase.io import read, write

import gapfit

#: Attributes of a prediction that are kept, where they are given.
_PREDICTED = (
    *("energy", "energies", "forces", "stress", "novelty", "atom_virials"),
    *("energy_std", "energies_std", "forces_std", "stress_std"),
)


class CommandError(Exception):
    """A command ended with another exit status than it should."""


@dataclass
class Session:
    """A folder in which commands run, and the record of what they give."""

    work: Path
    record: Record

    def gapfit(self, name: str, *arguments: str, status: int = 0) -> None:
        """Run a command in the work folder, and keep what it prints."""
        command = [sys.executable, "-m", "gapfit", *arguments]
        done = subprocess.run(command, cwd=self.work, capture_output=True, text=True)
        if done.returncode != status:
            raise CommandError(
                f"gapfit {' '.join(arguments)}: exit status {done.returncode}, "
                f"not {status}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        self.record.add(f"{name}/stdout", done.stdout)
        self.record.add(f"{name}/stderr", done.stderr)

    def fit(self, name: str, config: str, *options: str) -> None:
        """Fit, and keep the model and all files beside it, and what it predicts."""
        self.gapfit(name, "fit", config, "--output", name, *options)
        for file in ("metrics.json", "fit.log", "fit.toml"):
            self.record.add_file(f"{name}/{file}", self.work / name / file)
        self.model(name, f"{name}/model.npz", f"{Path(config).parent}/test.extxyz")

    def model(self, name: str, file: str, structures: str) -> None:
        """Keep a model file, and what it predicts with standard deviations."""
        self.record.add_model(f"{name}/model", self.work / file)
        model = gapfit.load(self.work / file)
        atoms = read(self.work / structures, ":")
        predictions = model.predict(
            atoms, std=True, novelty=True, atom_virials=True, n_threads=1
        )
        self.predictions(name, predictions)

    def predictions(self, name: str, predictions: Sequence[Any]) -> None:
        """Keep predictions, those of all structures in one array for each quantity."""
        for quantity in _PREDICTED:
            values = [getattr(item, quantity) for item in predictions]
            present = [np.ravel(value) for value in values if value is not None]
            if present:
                name_of_item = f"{name}/predicted/{quantity}"
                self.record.add(name_of_item, np.concatenate(present))

    def write(self, path: str, content: str) -> None:
        """Write a file of the work folder."""
        target = self.work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")

    def keep(self, name: str, file: str) -> None:
        """Keep a file of the work folder."""
        self.record.add_file(name, self.work / file)


def systems(session: Session) -> None:
    """Fit each shipped system, made small; one with its report."""
    for system, per_type in SYSTEMS.items():
        data = ROOT / "data" / system
        for part, number in (("train", per_type), ("test", 1)):
            chosen = subset(data / f"{part}.extxyz", number)
            session.write(f"{system}/{part}.extxyz", "".join(chosen))
        session.write(f"{system}/fit.toml", toml(example(system)))
        with_report = system == "silicon"
        options = () if with_report else ("--no-report",)
        session.fit(f"fit_{system}", f"{system}/fit.toml", *options)
        session.gapfit(f"info_{system}", "info", f"fit_{system}/model.npz")
    session.keep("report/report.html", "fit_silicon/report.html")


def variants(session: Session) -> None:
    """Fit with other settings: workers, solver, terms."""
    for name in VARIANTS:
        system, config = variant(name)
        session.write(f"{system}/{name}.toml", toml(config))
        session.fit(f"fit_{name}", f"{system}/{name}.toml", "--no-report")


def plans(session: Session) -> None:
    """Print plans of fits without fitting."""
    for system in ("silicon", "ge2sb2te5"):
        config = f"{system}/fit.toml"
        session.gapfit(f"plan_{system}", "fit", config, "--plan", "--output", "unused")


def python_fit(session: Session) -> None:
    """Fit in Python: the bits of the command."""
    model = gapfit.fit(config=session.work / "tungsten" / "fit.toml")
    model.save(session.work / "python.npz")
    session.model("python_fit", "python.npz", "tungsten/test.extxyz")


def changed_models(session: Session) -> None:
    """Append data, refit with other sigmas, calibrate."""
    texts = frames(ROOT / "data" / "silicon" / "train.extxyz")[1::60]
    session.write("new.extxyz", "".join(texts))
    model, test = "fit_silicon/model.npz", "silicon/test.extxyz"
    commands = {
        "append": ("append", model, "new.extxyz"),
        "append_sparse": ("append", model, "new.extxyz", "--new-sparse", "5"),
        "append_qr": ("append", "fit_qr/model.npz", "new.extxyz"),
        "refit": ("refit", model, *NEW_SIGMAS),
        "refit_qr": ("refit", "fit_qr/model.npz", *NEW_SIGMAS),
        "calibrate": ("calibrate", model, test),
    }
    for name, command in commands.items():
        session.gapfit(name, *command, "--output", f"{name}.npz")
        session.model(name, f"{name}.npz", test)


def tuned(session: Session) -> None:
    """Choose deltas and sigmas, and scan a key."""
    session.write("phosphorus/tune.toml", toml(merged(example("phosphorus"), TUNING)))
    session.gapfit("tune", "tune", "phosphorus/tune.toml", "--json")
    session.keep("tune/tuned.toml", "phosphorus/tune-tuned.toml")


def selected(session: Session) -> None:
    """Choose structures of a pool by each score, on the command line and in Python."""
    pool = frames(ROOT / "data" / "carbon" / "train.extxyz")[::8]
    session.write("pool.extxyz", "".join(pool))
    model = "fit_carbon/model.npz"
    for by in ("std", "novelty", "d-optimal"):
        name = f"select_{by}"
        options = ("-n", "5", "--by", by, "--output", f"{name}.extxyz")
        session.gapfit(name, "select", model, "pool.extxyz", *options)
        session.keep(f"{name}/chosen", f"{name}.extxyz")
    selection = gapfit.select(
        session.work / model, session.work / "pool.extxyz", 6, per="structure"
    )
    session.record.add("select_python/indices", selection.indices)
    session.record.add("select_python/scores", selection.scores)


def learned(session: Session) -> None:
    """Learn on the fly, the example shortened."""
    source = ROOT / "examples" / "onthefly_silicon"
    session.write("learn/learn.toml", toml(learn_example()))
    shutil.copy(source / "silicon_tersoff.py", session.work / "learn")
    write(session.work / "learn" / "crystal.extxyz", bulk("Si", cubic=True))
    session.gapfit("learn", "learn", "learn/learn.toml", "--output", "learned")
    for file in ("labelled.extxyz", "log.jsonl", "trajectory.extxyz"):
        session.keep(f"learn/{file}", f"learned/{file}")
    session.model("learn", "learned/model.npz", "learned/labelled.extxyz")


def evaluated(session: Session) -> None:
    """Compare models with data, also with each structure left out."""
    for system in ("silicon", "ge2sb2te5"):
        model, test = f"fit_{system}/model.npz", f"{system}/test.extxyz"
        session.gapfit(f"evaluate_{system}", "evaluate", model, test)
        session.gapfit(f"evaluate_{system}_json", "evaluate", model, test, "--json")
    model, train = "fit_tungsten/model.npz", "tungsten/train.extxyz"
    options = (model, train, "--leave-one-out", "--json")
    session.gapfit("leave_one_out", "evaluate", *options)


def predicted(session: Session) -> None:
    """Write predictions to files, with standard deviations and intervals."""
    for system in ("silicon", "fe7cr2ni"):
        model, test = f"fit_{system}/model.npz", f"{system}/test.extxyz"
        for name, options in {
            "plain": (),
            "std": ("--std",),
            "interval": ("--std", "--function", "--interval", "0.9"),
            "uncalibrated": ("--std", "--uncalibrated"),
        }.items():
            item = f"predict_{system}_{name}"
            to = f"{item}.extxyz"
            session.gapfit(item, "predict", model, test, *options, "--output", to)
            session.keep(f"{item}/file", to)


def calculator(session: Session) -> None:
    """Run models as calculators of ASE, and draw potentials."""
    for system in ("silicon", "phosphorus", "fe7cr2ni"):
        model = gapfit.load(session.work / f"fit_{system}" / "model.npz")
        atoms = read(session.work / system / "test.extxyz", "0")
        atoms.calc = gapfit.GAPCalculator(model, n_threads=1)
        name = f"calculator_{system}"
        for step in range(3):
            for kind in ("energy", "forces", "stress", "energies_std", "forces_std"):
                value = atoms.calc.get_property(kind, atoms)
                session.record.add(f"{name}/{step}/{kind}", value)
            atoms.rattle(0.01 + 0.2 * step, seed=step)
        samples = model.sample(3, seed=1).predict(atoms)
        session.record.add(f"{name}/sampled energies", samples.energies)
        session.record.add(f"{name}/sampled forces", samples.forces)


def checked(session: Session) -> None:
    """Check data, write a configuration for them, and be refused."""
    session.gapfit("check_fit", "check", "ge2sb2te5/fit.toml")
    session.gapfit("check_data", "check", "silicon/train.extxyz", "silicon/test.extxyz")
    for system in ("silicon", "fe7cr2ni"):
        train, test = f"{system}/train.extxyz", f"{system}/test.extxyz"
        to = f"{system}/init.toml"
        session.gapfit(f"init_{system}", "init", train, "--test", test, "--output", to)
        session.keep(f"init_{system}/file", to)
    session.write("mistakes.toml", toml(merged(example("silicon"), MISTAKES)))
    session.gapfit("refused_config", "fit", "mistakes.toml", status=1)
    session.gapfit("refused_model", "info", "silicon/train.extxyz", status=1)
    model, other = "fit_silicon/model.npz", "carbon/test.extxyz"
    options = (model, other, "--output", "unused.extxyz")
    session.gapfit("refused_species", "predict", *options, status=1)


def converted(session: Session) -> None:
    """Write a model for QUIP, read it back, read others, translate a command."""
    session.gapfit("to_quip", "convert", "fit_quip/model.npz", "gap.xml")
    for n, path in enumerate(sorted(session.work.glob("gap.xml*"))):
        session.keep(f"to_quip/file {n}", path.name)
    session.gapfit(
        "to_quip_refused", "convert", "fit_silicon/model.npz", "no.xml", status=1
    )
    sources = {"back": ("gap.xml", "phosphorus/test.extxyz")}
    for name, system in (("P", "phosphorus"), ("GST", "ge2sb2te5")):
        file = next((ROOT / "tests" / "quip_models" / name).glob("gap.xml"))
        sources[name] = (str(file), f"{system}/test.extxyz")
    for name, (file, structures) in sources.items():
        session.gapfit(f"from_quip_{name}", "convert", file, f"{name}.npz")
        session.record.add_model(
            f"from_quip_{name}/model", session.work / f"{name}.npz"
        )
        model = gapfit.load(session.work / f"{name}.npz")
        atoms = read(session.work / structures, ":")
        session.predictions(f"from_quip_{name}", model.predict(atoms, n_threads=1))
    session.write("gap_fit.cmd", GAP_FIT)
    session.gapfit("gap_fit", "convert", "gap_fit.cmd", "translated.toml")
    session.keep("gap_fit/file", "translated.toml")


def exported(session: Session) -> None:
    """Write models for LAMMPS."""
    for system in SYSTEMS:
        to, model = f"{system}.gapfit", f"fit_{system}/model.npz"
        session.gapfit(f"lammps_{system}", "export-lammps", model, "--output", to)
        session.keep(f"lammps_{system}/file", to)
    options = ("fit_angle/model.npz", "--no-std", "--output", "angle.gapfit")
    session.gapfit("lammps_angle", "export-lammps", *options)
    session.keep("lammps_angle/file", "angle.gapfit")


def properties(session: Session) -> None:
    """Compute properties of a crystal, with error bars."""
    options = ("--prototype", "diamond", "--only", "structure,eos,elastic,vacancy")
    few = ("--samples", "3", "--width", "7", "--json")
    model = "fit_silicon/model.npz"
    session.gapfit("properties", "properties", model, *options, *few)


def described(session: Session) -> None:
    """Print what models are made of, and what to cite."""
    session.gapfit("info_json", "info", "fit_fe7cr2ni/model.npz", "--json")
    session.gapfit("info_variant", "info", "fit_compressed/model.npz")
    session.gapfit("info_appended", "info", "append_sparse.npz")
    session.gapfit("info_quip", "info", "back.npz")
    session.gapfit("cite", "cite", "fit_silicon/model.npz")
    session.gapfit("cite_bibtex", "cite", "fit_quip/model.npz", "--bibtex")
    session.gapfit("help", "--help")


#: The cases; later ones use models of earlier ones.
CASES: tuple[Callable[[Session], None], ...] = (
    systems,
    variants,
    plans,
    python_fit,
    changed_models,
    tuned,
    selected,
    learned,
    evaluated,
    predicted,
    calculator,
    checked,
    converted,
    exported,
    properties,
    described,
)
