"""Points of parity plots are the data, and lie where they should."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from helpers.reports import marks_of, svg_of

import gapfit
from gapfit.data.frame import GPA

FACTOR = {"energy": 1000.0, "forces": 1.0, "stress": 1.0}
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")


@pytest.fixture(scope="module")
def recomputed(fitted):
    """Return the model, and all values and errors of the data by place, afresh."""
    model = gapfit.load(fitted / "model.npz")
    found = {}
    for part in ("train", "test"):
        every = ase.io.read(fitted.parent / f"{part}.xyz", ":")
        for n, atoms in enumerate(every):
            own = model.predict(atoms)
            known = atoms.calc.results
            apart = sum(model.e0[z] for z in atoms.numbers)
            source = f"{part}.xyz, frame {n}"
            pair = (known["energy"] - apart, own.energy - apart)
            found[source, "energy", None] = np.array(pair) / len(atoms)
            for k, symbol in enumerate(atoms.get_chemical_symbols()):
                for x in range(3):
                    pair = (known["forces"][k, x], own.forces[k, x])
                    found[source, "forces", f"atom {k} ({symbol}), {'xyz'[x]}"] = pair
            if "stress" in known:
                for x, name in enumerate(VOIGT):
                    pair = (GPA * known["stress"][x], GPA * own.stress[x])
                    found[source, "stress", name] = pair
    return model, found


def test_every_point_is_one_of_the_data(reported, recomputed):
    _, expected = recomputed
    seen = set()
    for own in marks_of(reported)["parity"]:
        where = own.get("i", [None] * len(own["x"]))
        for n, place in enumerate(
            zip(own["f"], [own["k"]] * len(where), where, strict=True)
        ):
            reference, predicted = expected[place]
            assert own["r"][n] == pytest.approx(reference, rel=1e-5, abs=1e-9)
            assert own["p"][n] == pytest.approx(predicted, rel=1e-5, abs=1e-6)
            error = FACTOR[own["k"]] * (predicted - reference)
            assert own["e"][n] == pytest.approx(error, rel=1e-3, abs=1e-4)
            assert place not in seen
            seen.add(place)
    assert seen == set(expected)


def test_standard_deviations_of_points_are_those_of_observations(fitted, reported):
    model = gapfit.load(fitted / "model.npz")
    expected = {}
    for n, atoms in enumerate(ase.io.read(fitted.parent / "test.xyz", ":")):
        own = model.predict(atoms, std=True)
        source = f"test.xyz, frame {n}"
        expected[source, "energy", None] = 1000 * own.energy_std / len(atoms)
        for k, symbol in enumerate(atoms.get_chemical_symbols()):
            for x in range(3):
                place = (source, "forces", f"atom {k} ({symbol}), {'xyz'[x]}")
                expected[place] = own.forces_std[k, x]
        for x, name in enumerate(VOIGT):
            expected[source, "stress", name] = GPA * own.stress_std[x]
    figures = marks_of(reported)
    for figure in ("parity", "calibration"):
        seen = set()
        for own in figures[figure]:
            where = own.get("i", [None] * len(own["x"]))
            for n, std in enumerate(own.get("s", [])):
                place = (own["f"][n], own["k"], where[n])
                assert std is None or place[0].startswith("test")
                if std is not None:
                    assert std == pytest.approx(expected[place], rel=1e-2)
                    seen.add(place)
        assert seen == set(expected)


@pytest.mark.parametrize("name", ["parity", "calibration", "dimers", "learning"])
def test_marks_are_where_the_drawing_has_them(reported, name):
    svg = svg_of(reported, name)
    groups = {
        element.attrib["id"]: element
        for element in svg.iter("g")
        if f"{name}-marks." in element.attrib.get("id", "")
    }
    marks = marks_of(reported)[name]
    drawn = 0
    for n, own in enumerate(marks):
        group = next((g for key, g in groups.items() if key.endswith(f".{n}")), None)
        if group is None:  # points of a curve have no marks of their own
            continue
        uses = list(group.iter("use"))
        at = np.array([[float(use.attrib[k]) for k in "xy"] for use in uses])
        assert np.abs(at - np.column_stack([own["x"], own["y"]])).max() < 0.06
        drawn += len(uses)
    assert drawn >= (3 if name == "dimers" else 10)
    if name == "parity":
        assert drawn == sum(len(own["x"]) for own in marks)


def test_pixels_are_linear_in_the_values(reported):
    for own in marks_of(reported)["parity"]:
        if len(set(own["r"])) > 3:
            slope, offset = np.polyfit(own["r"], own["x"], 1)
            assert slope > 0
            assert (
                np.abs(np.array(own["x"]) - slope * np.array(own["r"]) - offset).max()
                < 0.1
            )
            slope, _ = np.polyfit(own["p"], own["y"], 1)
            assert slope < 0
