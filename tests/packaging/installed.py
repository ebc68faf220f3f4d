"""Check an installed gapfit from outside its source: ``installed.py REPOSITORY``.

The first command of the README, with the example and the data of the repository, which are
not in the wheel; then the model in this process, with every instruction set of the wheel.
Needs nothing but gapfit. Its folder has a blank and a letter beyond ASCII in its name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

# Test RMSE of forces of the example, eV/Å, on Linux x86_64, and the part of it that other
# libraries and processors may change by choosing other sparse points.
FORCE_ERROR, TOLERANCE = 0.2112, 0.05
# Energies of one model with vectors of other widths, eV: other orders of the same sums.
MOST_DIFFERENCE = 1e-6

ENERGY = """\
import sys, gapfit, gapfit._core
from ase.build import bulk
atoms = bulk("Si", cubic=True)
atoms.rattle(0.1, seed=1)
atoms.calc = gapfit.GAPCalculator(sys.argv[1])
print(gapfit._core.instruction_set, repr(float(atoms.get_potential_energy())))
"""


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Run Python with arguments in a folder and return what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        sys.exit(f"{command[:3]} failed\n{done.stdout!a}\n{done.stderr!a}")
    return done.stdout


def main(repository: Path) -> None:
    """Check the gapfit that this Python has."""
    import gapfit

    package = Path(gapfit.__file__).resolve().parent
    if package == repository / "gapfit":
        sys.exit("this is the source, not an installed gapfit")
    print(f"gapfit {metadata.version('gapfit')} in {package}")
    print("core:", *sorted(p.name for p in (package / "_core").glob("_native*")))
    with tempfile.TemporaryDirectory(suffix=" größer") as name:
        folder = Path(name)
        print(run("-m", "gapfit", "--version", cwd=folder).strip())
        config = repository / "examples" / "silicon" / "fit.toml"
        output = folder / "silicon-model"
        run(
            *("-m", "gapfit", "fit", str(config), "--output", str(output)),
            cwd=folder,
            PYTHONIOENCODING="utf-8",
        )
        metrics = json.loads((output / "metrics.json").read_text("utf-8"))
        error = metrics["test"]["all"]["forces"]["rmse"]
        print(f"silicon: test RMSE of forces {error:.4f} eV/Å")
        assert abs(error / FORCE_ERROR - 1) < TOLERANCE
        energies = []
        for bits in ("128", "256", "512"):
            model = str(output / "model.npz")
            words = run(
                *("-c", ENERGY, model), cwd=folder, GAPFIT_INSTRUCTION_SET=bits
            ).split()
            print(f"asked for {bits} bits, used {words[0]}: {words[1]} eV")
            energies.append(float(words[1]))
        assert max(energies) - min(energies) < MOST_DIFFERENCE


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
