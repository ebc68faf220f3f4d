"""Whether error bars hold on test sets that neither fit nor calibration has seen.

Usage: python tests/benchmarks/calibration.py [NAME|FOLDER ...] [--n-sparse 600]
       [--rows 10000] [--json FILE]
NAME is one of the examples (silicon, carbon, tungsten, ...), fitted with its fit.toml; a
FOLDER holds train.extxyz or train.extxyz.gz and test.extxyz, fitted with SOAP and pairs
at default sigmas. Calibrated by leave-one-out on the training data only. Of forces and
energies of each test set, and of all together: share inside ±1 and ±1.96 std, with one
scale and with that of each config_type, root mean square of error / std, miscalibration
area, rank correlation (forces: by atom), share inside conformal intervals of 68 and 95 %,
and the shares of single config_types.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import gapfit
from gapfit._support.progress import silent
from gapfit.baseline.baseline import targets
from gapfit.config.sections import DataConfig
from gapfit.config.toml import load_config
from gapfit.data.dataset import read
from gapfit.evaluation.residuals import Residuals, predicted_residuals
from gapfit.evaluation.scores import ScoreTally

_EXAMPLES = Path(__file__).parents[2] / "examples"
# Fewer observations say nothing about a config_type.
_LEAST = {"energy": 8, "forces": 60}


def fitted(name: str, n_sparse: int, rows: int) -> tuple[gapfit.GAPModel, Any]:
    """Return a model and its test data."""
    folder = Path(name)
    if (_EXAMPLES / name / "fit.toml").exists():
        base = _EXAMPLES / name
        config = load_config(base / "fit.toml")
        calibration = config.calibration.model_copy(update={"rows": rows})
        config = config.model_copy(update={"calibration": calibration})
        test = read(config.data.test, config.data, base=base)
        return gapfit.fit(config=config, base=base), test
    train = next(folder.glob("train.extxyz*"))
    settings = {
        "data": {"train": str(train), "check_stress": False},
        "e0": {"method": "least_squares"},
        "sigma": {"energy": 0.003, "forces": 0.1, "virial": 0.1},
        "calibration": {"rows": rows},
        "terms": [{"type": "distance_2b"}, {"r_cut": 5.5, "n_sparse": n_sparse}],
    }
    test = read(str(folder / "test.extxyz"), DataConfig(train=["x"]))
    return gapfit.fit(config=settings), test


def residuals(model: gapfit.GAPModel, test: Any) -> list[Residuals]:
    """Return all residuals of the test data."""
    frames = targets(test.frames, model.baseline, model.config.sigma, silent)
    return [own for frame in frames for own in predicted_residuals(model, frame)]


def line(name: str, kind: str, own: dict[str, Any]) -> str:
    """Return one line of the table."""
    typed = own["by_type"]
    rank = own.get("rank_atoms") or own["rank"]
    return (
        f"{name[:34]:<35}{kind:<7}{own['n']:>7}"
        f"{100 * own['coverage_68']:>6.0f}{100 * own['coverage_95']:>5.0f}"
        f"{own['rms_z']:>7.2f}{own['miscalibration_area']:>7.3f}"
        f"{'-' if rank is None else f'{rank:.2f}':>6}"
        f"{100 * typed['coverage_68']:>10.0f}{100 * typed['coverage_95']:>5.0f}"
        f"{typed['rms_z']:>7.2f}{typed['miscalibration_area']:>7.3f}"
        f"{100 * own.get('interval_68', np.nan):>9.0f}"
        f"{100 * own.get('interval_95', np.nan):>4.0f}"
    )


def by_type(scores: Any, kind: str) -> list[str]:
    """Return coverages of the config_types with enough observations, by their scale."""
    return [
        f"{group} {100 * own[kind]['by_type']['coverage_68']:.0f}/"
        f"{100 * own[kind]['by_type']['coverage_95']:.0f}"
        for group, own in sorted(scores.items())
        if group != "all" and kind in own and own[kind]["n"] >= _LEAST[kind]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=["silicon", "carbon", "tungsten"])
    parser.add_argument("--n-sparse", type=int, default=600)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    print(
        f"{'test set':<35}{'kind':<7}{'n':>7}{'68 %':>6}{'95 %':>5}{'rms z':>7}"
        f"{'area':>7}{'rank':>6}{'by type 68':>11}{'95':>4}{'rms z':>7}{'area':>7}"
        f"{'conf. 68':>9}{'95':>4}"
    )
    results = {}
    for name in args.names:
        with threadpool_limits(1):
            model, test = fitted(name, args.n_sparse, args.rows)
            tally, together = ScoreTally(model.calibration), residuals(model, test)
        for own in together:
            tally.add(own)
        scores = tally.scores()
        label = Path(name).name
        results[label] = scores
        for kind in ("forces", "energy"):
            if kind in scores["all"]:
                print(line(label, kind, scores["all"][kind]), flush=True)
                print("    " + ", ".join(by_type(scores, kind)))
    for kind in ("forces", "energy"):
        shares = np.array(
            [
                (
                    own[kind]["n"],
                    own[kind]["coverage_68"],
                    own[kind]["coverage_95"],
                    own[kind]["by_type"]["coverage_68"],
                    own[kind]["by_type"]["coverage_95"],
                    own[kind].get("interval_68", np.nan),
                    own[kind].get("interval_95", np.nan),
                )
                for own in (scores["all"] for scores in results.values())
                if kind in own
            ]
        )
        n = shares[:, 0]
        mean = 100 * (n @ shares[:, 1:]) / n.sum()
        print(
            f"{'together':<35}{kind:<7}{int(n.sum()):>7}{mean[0]:>6.0f}{mean[1]:>5.0f}"
            f"{mean[2]:>30.0f}{mean[3]:>5.0f}{mean[4]:>23.0f}{mean[5]:>4.0f}"
        )
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
