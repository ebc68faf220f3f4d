"""Small versions of the shipped systems for the golden record, and all that they change.

Names of keys that the record writes into configurations stand here and nowhere else;
all others are read from the configurations in ``examples``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Table = dict[str, Any]

#: Frames of each config_type in the small training set of a system.
SYSTEMS = {
    "silicon": 3,
    "carbon": 2,
    "tungsten": 3,
    "phosphorus": 4,
    "ge2sb2te5": 4,
    "fe7cr2ni": 12,
}

# Sparse points of each block, by the type of the term.
_N_SPARSE = {"distance_2b": 12, "soap": 30, "angle_3b": 20}
_RUN = {"run": {"threads": 1}}
_DATA = {"data": {"train": "train.extxyz", "test": "test.extxyz"}}

#: Other fits of a system: its configuration, these tables, and terms instead of its own.
VARIANTS: dict[str, tuple[str, Table]] = {
    "workers": ("carbon", {"run": {"workers": 2}}),
    "qr": ("silicon", {"solver": {"method": "qr"}}),
    "angle": (
        "silicon",
        {
            "sigma": {"forces_relative": 0.1, "energy_relative": 0.01},
            "terms": [
                {"type": "distance_2b", "r_cut": 4.5, "sparse_method": "cur"},
                {"type": "angle_3b", "r_cut": 3.2},
            ],
        },
    ),
    "compressed": (
        "ge2sb2te5",
        {
            "e0": {"method": "least_squares"},
            "prediction": {"project": False},
            "terms": [
                {"type": "distance_2b", "r_cut": 5.0},
                {
                    "type": "soap",
                    "n_max": 5,
                    "l_max": 4,
                    "zeta": 2,
                    "rbf": "polynomial",
                    "compression": "mu1nu1",
                    "components": 20,
                    "sparse_method": "kmeans",
                    "weighting": {"function": "poly", "r0": 6.0, "m": 2.0},
                },
            ],
        },
    ),
    "quip": (
        "phosphorus",
        {
            "baseline": {"repulsion": "none"},
            "terms": [
                {"type": "distance_2b", "r_cut": 5.0, "switch": "cosine"},
                {"type": "angle_3b", "r_cut": 3.0, "switch": "cosine"},
                {
                    "type": "soap",
                    "n_max": 5,
                    "l_max": 4,
                    "rbf": "equispaced_gaussians",
                    "full_kernel": True,
                    "sparse_method": "fps",
                },
            ],
        },
    ),
}
#: For `gapfit tune`: what is searched, in few trials.
TUNING = {"tune": {"folds": 3, "scan": {"soap.atom_sigma": [0.4, 0.6]}}}
#: For a fit that must be refused: a misspelt key, and a value out of range.
MISTAKES = {"sigma": {"enregy": 0.003, "forces": -1.0}}
#: Options of `gapfit refit`.
NEW_SIGMAS = [
    *("--sigma-energy", "0.004", "--sigma-forces", "0.15"),
    *("--config-type", "dimer:energy=0.3,forces=3.0"),
]
#: Learning on the fly, shortened.
LEARNING = {
    "threshold": {"forces": 0.12, "every": 10},
    "learning": {"bootstrap": 3, "max_calls": 40},
    "runs": [
        {
            "name": "heating",
            "start": "crystal.extxyz",
            "steps": 120,
            "timestep": 2.0,
            "temperature": 900.0,
            "final_temperature": 3000.0,
        }
    ],
}
#: A command of gap_fit, to translate.
GAP_FIT = """#!/bin/bash
gap_fit at_file=train.extxyz gap="{distance_2b n_sparse=15 theta_uniform=1.0 \\
    sparse_method=uniform covariance_type=ard_se cutoff=4.5 delta=2.0 : \\
  soap n_max=8 l_max=4 atom_sigma=0.5 zeta=4.0 cutoff=4.5 n_sparse=90 delta=0.2 \\
    cutoff_transition_width=1.0 covariance_type=dot_product sparse_method=cur_points}" \\
  default_sigma={0.001 0.04 0.05 0.0} e0={Si:-0.81} gp_file=Si.xml rnd_seed=9 \\
  config_type_sigma={liquid:0.05:0.5:0.5:0.0} energy_parameter_name=energy \\
  force_parameter_name=forces virial_parameter_name=virial sparse_jitter=1.0e-8
"""


def example(system: str) -> Table:
    """Return the configuration of a shipped system, made small."""
    text = (ROOT / "examples" / system / "fit.toml").read_text(encoding="utf-8")
    return small(tomllib.loads(text), _DATA)


def learn_example() -> Table:
    """Return the configuration of learning on the fly, made small and short."""
    path = ROOT / "examples" / "onthefly_silicon" / "learn.toml"
    return small(tomllib.loads(path.read_text(encoding="utf-8")), LEARNING)


def small(config: Table, changes: Table) -> Table:
    """Return a configuration with changes, few sparse points and one thread."""
    out = merged(merged(config, changes), _RUN)
    terms = [{**term, "n_sparse": _N_SPARSE[term["type"]]} for term in out["terms"]]
    return {**out, "terms": terms}


def variant(name: str) -> tuple[str, Table]:
    """Return the system of a variant, and its configuration."""
    system, changes = VARIANTS[name]
    return system, small(example(system), changes)


def merged(config: Table, changes: Table) -> Table:
    """Return a table with changes; inner tables are merged, all else is replaced."""
    out = dict(config)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def toml(config: Mapping[str, Any]) -> str:
    """Return a configuration as TOML: a table for each key of the top level."""
    lines = []
    for name, content in config.items():
        several = isinstance(content, list)
        for table in content if several else [content]:
            lines.append(f"[[{name}]]" if several else f"[{name}]")
            lines += [f"{_key(key)} = {_value(item)}" for key, item in table.items()]
            lines.append("")
    return "\n".join(lines)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)


def frames(path: Path) -> list[str]:
    """Return the frames of an extended XYZ file, as they are written."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    out, first = [], 0
    while first < len(lines):
        end = first + int(lines[first]) + 2
        out.append("".join(lines[first:end]))
        first = end
    return out


def subset(path: Path, per_type: int) -> list[str]:
    """Return evenly spaced frames of each config_type, and all isolated atoms."""
    kinds: dict[str, list[int]] = {}
    texts = frames(path)
    for n, text in enumerate(texts):
        label = re.search(r"config_type=(\S+)", text)
        kinds.setdefault(label[1] if label else "", []).append(n)
    chosen = []
    for kind, numbers in kinds.items():
        wanted = len(numbers) if kind == "isolated_atom" else per_type
        chosen += _spread(numbers, wanted)
    return [texts[n] for n in sorted(chosen)]


def _spread(numbers: Sequence[int], wanted: int) -> list[int]:
    n = len(numbers)
    return (
        [numbers[k * n // wanted] for k in range(wanted)] if n > wanted else [*numbers]
    )
