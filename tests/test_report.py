"""Reports: their numbers, where points are, what may be in names, and the browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import ase.io
import numpy as np
import pytest
from ase import Atoms
from browser import Browser, find_chromium
from conftest import ROOT, config, label, labelled_frames, silicon, three_species
from PIL import Image

import gapfit
from gapfit.cli import main
from gapfit.data.dataset import Dataset, read
from gapfit.data.frame import GPA, Frame
from gapfit.errors import GapfitError
from gapfit.evaluation.evaluate import evaluate
from gapfit.model.prediction import Prediction
from gapfit.model.provenance import e0_origin
from gapfit.quip import load
from gapfit.report import ReportOptions, collector, gather, learning_curve, write
from gapfit.report.drawing import Drawing, Marks, new_figure, render, style
from gapfit.report.learning import subset_models
from gapfit.report.palette import COLOURS, Palette
from gapfit.report.points import BIN_EDGES, Collector
from gapfit.report.tables import number

CONFIG = """\
[data]
train = "train.xyz"
test = "test.xyz"
check_stress = false
[baseline]
repulsion = "zbl"
r_cut = 1.5
width = 0.7
[[terms]]
type = "distance_2b"
r_cut = 4.0
n_sparse = 5
[[terms]]
r_cut = 4.0
n_max = 4
l_max = 3
n_sparse = 6
"""
KINDS = ("energy", "forces", "stress")
FACTOR = {"energy": 1000.0, "forces": 1.0, "stress": 1.0}
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
HOSTILE = [
    "</script><script>window.pwned=1</script>",
    '"\'><img src=x onerror="window.pwned=2">',
    "_$\\frac{1}{$ & \u4e2d\u6587 <b>" + 30 * "long ",
]


def structures(hostile=False):
    """Return training and test structures of three species, with dimers."""
    frames = labelled_frames(three_species, 12)
    isolated = [label(Atoms(s), config_type="atom") for s in ("Ge", "Sb", "Te")]
    dimers = [
        label(Atoms(pair, [[0, 0, 0], [0, 0, d]]), config_type="dimer")
        for pair, d in (("GeTe", 2.4), ("TeGe", 3.1), ("SbSb", 2.7))
    ]
    if hostile:
        for n, atoms in enumerate(frames):
            atoms.info["config_type"] = HOSTILE[n % len(HOSTILE)]
    return [*isolated, *dimers, *frames[:8]], frames[8:]


def folder_of_a_fit(path, *, hostile=False, text=CONFIG, options=()):
    train, test = structures(hostile)
    ase.io.write(path / "train.xyz", train, format="extxyz")
    ase.io.write(path / "test.xyz", test, format="extxyz")
    (path / "fit.toml").write_text(text, encoding="utf-8")
    assert main(["fit", str(path / "fit.toml"), *options]) == 0
    return path / "fit-model"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return the folder of a fit, with the report that the fit wrote."""
    return folder_of_a_fit(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def reported(fitted, tmp_path_factory):
    """Return the page of `gapfit report`."""
    page = tmp_path_factory.mktemp("page") / "page.html"
    assert main(["report", str(fitted), "--output", str(page)]) == 0
    return page


@pytest.fixture
def copied(fitted, tmp_path):
    """Return a copy of the fit and its data that may be changed."""
    shutil.copytree(fitted.parent, tmp_path / "copy")
    text = (fitted / "fit.toml").read_text(encoding="utf-8")
    moved = text.replace(str(fitted.parent), str(tmp_path / "copy"))
    (tmp_path / "copy/fit-model/fit.toml").write_text(moved, encoding="utf-8")
    return tmp_path / "copy" / "fit-model"


class _Page(HTMLParser):
    """What a page holds: tables by caption, attributes, scripts, and its text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tables, self.attributes, self.scripts = {}, [], []
        self.text, self.tags = "", []
        self._caption = self._rows = None
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]
        self._inside = tag
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append([own.get("data-value"), ""])
        elif tag == "script":
            self.scripts.append([own.get("type"), ""])

    def handle_endtag(self, tag):
        if tag == "table":
            self.tables.setdefault(self._caption, self._rows)
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "caption":
            self._caption += data
        elif self._inside in ("td", "th"):
            self._rows[-1][-1][1] += data
        elif self._inside == "script":
            self.scripts[-1][1] += data
        if self._inside not in ("script", "style"):
            self.text += data + "\n"


def read_page(path):
    return _Page(path.read_text(encoding="utf-8"))


def marks_of(page):
    """Return the table of the marks, with texts in their places."""
    (text,) = [text for kind, text in read_page(page).scripts if kind]
    data = json.loads(text)
    for figure in data["figures"].values():
        for own in figure:
            for key, value in own.items():
                if isinstance(value, dict):
                    own[key] = [data["texts"][n] for n in value["texts"]]
    return data["figures"]


def svg_of(page, name):
    text = page.read_text(encoding="utf-8")
    found = re.search(rf'data-figure="{name}".*?(<svg.*?</svg>)', text, re.S)
    return ElementTree.fromstring(found[1])


# numbers -------------------------------------------------------------------------------


def test_tables_hold_the_numbers_of_metrics_json(fitted, reported):
    metrics = json.loads((fitted / "metrics.json").read_text(encoding="utf-8"))
    for page in (fitted / "report.html", reported):
        tables = read_page(page).tables
        for part, title in (("train", "Training data"), ("test", "Test data")):
            body = {row[0][1]: row[1:] for row in tables[title][2:]}
            assert set(body) == set(metrics[part])
            for group, kinds in metrics[part].items():
                shown = [None if v is None else float(v) for v, _ in body[group]]
                expected = [
                    kinds[kind][key] if kind in kinds else None
                    for kind in KINDS
                    for key in ("n", "mae", "rmse", "max")
                ]
                assert shown == expected


def test_scores_of_standard_deviations_are_those_of_metrics_json(fitted, reported):
    scores = json.loads((fitted / "metrics.json").read_text(encoding="utf-8"))["test"]
    # The first table with this caption holds the errors.
    text = reported.read_text(encoding="utf-8")
    section = text[text.index('<section id="uncertainty"') :]
    rows = _Page(section).tables["Test data"][2:]
    assert len(rows) == 3
    for kind, (title, *cells) in zip(KINDS, rows, strict=True):
        own = scores["all"][kind]["uncertainty"]
        assert title[1].startswith(kind)
        values = [float(v) for v, _ in cells[:3]]
        assert values == [own["n"], own["coverage_68"], own["coverage_95"]]
        assert float(cells[-1][0]) == own["crps"]
        assert cells[1][1] == f"{100 * own['coverage_68']:.0f}"


def test_numbers_keep_their_digits():
    assert number(-0.004567) == "\N{MINUS SIGN}0.00457"
    assert number(float("nan")) == "-"
    assert number(99999.0) == "99999"


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
        own = model.predict(atoms, std=True, observation=True)
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


def test_ids_and_references_of_a_figure_are_its_own():
    with style():
        out = []
        for name in ("one", "two"):
            figure = new_figure(3, 2)
            ax = figure.subplots()
            (line,) = ax.plot([1, 2], [3, 4], "o")
            line.set_gid("marks.0.0")
            marks = [Marks(ax, np.array([1, 2]), np.array([3, 4]), 0, {})]
            out.append(render(Drawing(name, figure, 'a "text" <b>', marks)))
    for one in out:
        svg = ElementTree.fromstring(one.svg)
        assert svg.attrib["aria-label"] == 'a "text" <b>'
        ids = [own.attrib["id"] for own in svg.iter() if "id" in own.attrib]
        assert len(ids) == len(set(ids))
        assert all(own.startswith(f"{one.name}-") for own in ids)
        used = re.findall(r'(?:href="|url\()#([^")]*)', one.svg)
        assert used
        assert set(used) <= set(ids)
        assert "<style" not in one.svg


# what is kept --------------------------------------------------------------------------


def made_up(n_frames, n_atoms, seed=3):
    """Yield structures with random forces and predictions of them."""
    rng = np.random.default_rng(seed)
    for n in range(n_frames):
        frame = Frame(
            numbers=np.full(n_atoms, 14),
            positions=5.0 * np.arange(3.0 * n_atoms).reshape(-1, 3),
            cell=np.zeros((3, 3)),
            pbc=np.zeros(3, dtype=bool),
            config_type=f"kind {n % 30}",
            source=f"big.xyz, frame {n}",
            energy=float(rng.normal()),
            forces=rng.normal(size=(n_atoms, 3)),
        )
        predicted = Prediction(
            energy=frame.energy + 0.01 * rng.normal(),
            energies=np.zeros(n_atoms),
            forces=frame.forces + 0.1 * rng.standard_t(3, size=(n_atoms, 3)),
        )
        yield n, frame, predicted


def test_a_bounded_number_of_errors_is_kept_with_the_largest():
    kept = Collector({14: 0.0}, 3.0, most=100, seed=0)
    every = []
    for n, frame, prediction in made_up(300, 20):
        kept.predicted(n, frame, prediction)
        held = sum(len(part) for part in kept._points["forces"])
        assert held <= 800 + 60
        every.append(np.abs(prediction.forces - frame.forces).ravel())
    sizes = np.concatenate(every)
    points = kept.points["forces"]
    assert len(points) <= 100
    assert points.n_total == len(sizes) == 18_000
    found = np.sort(np.abs(points.predicted - points.reference))
    assert found[-10:] == pytest.approx(np.sort(sizes)[-10:])
    # Others are like all: a sample of the largest alone would have a larger median.
    assert np.median(found[:-10]) == pytest.approx(np.median(sizes), rel=0.4)
    counts, _ = np.histogram(np.log10(sizes), BIN_EDGES)
    assert (kept.histograms["forces"] == counts).all()
    assert np.unique(points.frame).size > 50


def test_what_is_kept_does_not_hang_on_when_it_was_thinned_out():
    both = [Collector({14: 0.0}, 3.0, most=40, seed=1) for _ in range(2)]
    for n, frame, prediction in made_up(60, 10):
        for k, own in enumerate(both):
            own.predicted(n, frame, prediction)
            if k:
                own._thin_out("forces")
    first, second = (own.points["forces"] for own in both)
    order = [np.lexsort((own.index, own.frame)) for own in (first, second)]
    for name in ("frame", "index", "predicted"):
        one, other = getattr(first, name)[order[0]], getattr(second, name)[order[1]]
        assert (one == other).all()


def test_masked_forces_and_dimers_are_told_apart():
    kept = Collector({14: -1.0, 32: -2.0}, 5.0, most=100, seed=0)
    frame = Frame(
        numbers=np.array([32, 14]),
        positions=np.array([[0.0, 0, 0], [0, 0, 2.5]]),
        cell=np.zeros((3, 3)),
        pbc=np.zeros(3, dtype=bool),
        energy=-5.0,
        forces=np.array([[np.nan] * 3, [0.0, 0, 1]]),
    )
    known = Prediction(energy=-4.0, energies=np.zeros(2), forces=np.ones((2, 3)))
    kept.predicted(7, frame, known)
    assert kept.points["forces"].index.tolist() == [3, 4, 5]
    (dimer,) = kept.dimers
    assert (dimer.species, dimer.frame) == ((14, 32), 7)
    assert (dimer.distance, dimer.energy) == (2.5, -2.0)
    assert kept.closest == {(14, 32): 2.5}
    assert kept.points["energy"].reference[0] == pytest.approx(-1.0)
    assert kept.points["energy"].predicted[0] == pytest.approx(-0.5)


def test_many_points_make_a_page_of_a_few_megabytes(si_model, tmp_path):
    from gapfit.report import EvaluatedData, of_fit
    from gapfit.report.collect import MOST_POINTS

    frames, kept = [], collector(si_model)
    for n, frame, prediction in made_up(2000, 40):
        kept.predicted(n, frame, prediction)
        frames.append(frame)
    errors = {"n": 240_000, "mae": 0.1, "rmse": 0.1, "max": 1.0}
    metrics = {
        "all": {
            "energy": errors | {"unit": "meV/atom"},
            "forces": errors | {"unit": "eV/Å"},
        }
    }
    parts = {
        name: EvaluatedData(("big.xyz",), metrics, frames, kept)
        for name in ("test", "train")
    }
    times = {"timings": {"rows": 1.0}, "memory": {}}
    contents = of_fit("big", si_model, tmp_path, parts, times, [])
    page, *_ = write(contents, tmp_path / "big.html")
    assert page.stat().st_size < 4e6
    for own in marks_of(page)["parity"]:
        assert len(own["x"]) <= MOST_POINTS
    text = read_page(page).text
    assert "240000, 1500 shown" in text
    # 30 kinds do not have an entry of the legend each.
    assert "7 other config_types" in text


def test_marks_of_the_legend_differ():
    palette = Palette.of({f"{n:02d}": 5 for n in range(24)})
    looks = {tuple(palette.style(n).values()) for n in range(24)}
    assert len(looks) == len(palette.labels) == 24
    assert {colour for colour, _ in looks} == set(COLOURS)
    # Those that share a colour have other shapes.
    for colour in COLOURS:
        own = [marker for shade, marker in looks if shade == colour]
        assert len(own) == len(set(own)) <= 3
    many = Palette.of({f"{n:02d}": n for n in range(40)})
    assert many.labels[-1] == "17 other config_types"
    # The most common ones keep their own.
    assert many.entry("39") != many.entry("00") == many.entry("16") == many.n_separate


# learning curve ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cholesky", "qr"])
@pytest.mark.parametrize("stored", [True, False])
def test_a_subset_is_solved_as_a_fit_of_it(method, stored, tmp_path):
    frames = labelled_frames(silicon, 10)
    listed, pairs = tmp_path / "points.txt", tmp_path / "pairs.txt"
    listed.write_text("".join(f"{n} {k}\n" for n in range(3) for k in range(0, 8, 2)))
    pairs.write_text("".join(f"Si-Si {d}\n" for d in (2.1, 2.4, 2.9, 3.5)))
    given = config(sparse_method="file", sparse_file=str(listed))
    del given["terms"][0]["n_sparse"]
    two = {"type": "distance_2b", "r_cut": 4.0, "sparse_method": "file"}
    given["terms"].append({**two, "sparse_file": str(pairs)})
    given |= {"e0": {"Si": -1.0}, "solver": {"method": method}}
    given["run"] = {"store_posterior": stored, "store_sums": stored}
    given["sigma"] = {"config_types": {"odd": {"forces": 0.2}}, "forces_relative": 0.1}
    whole = gapfit.fit(frames, given)
    train = read(frames, whole.config.data).frames
    parts = [np.arange(3), np.array([4, 3]), np.arange(5, 8)]
    models = subset_models(whole, train, parts)
    for n, found in zip((3, 5, 8), models, strict=True):
        direct = gapfit.fit(frames[:n], given)
        for own, other in zip(
            found.predict(frames), direct.predict(frames), strict=True
        ):
            assert own.energy == pytest.approx(other.energy, rel=1e-8)
            assert np.abs(own.forces - other.forces).max() < 1e-8
    # Not one and the same potential three times.
    assert (
        abs(models[0].predict(frames[9]).energy - models[2].predict(frames[9]).energy)
        > 1e-4
    )


def test_the_curve_ends_at_the_model_itself(si_model):
    train = read(labelled_frames(silicon, 40), si_model.config.data).frames
    test = read(labelled_frames(silicon, 3), si_model.config.data).frames
    curve = learning_curve(si_model, train, test)
    assert curve.n_frames == (5, 10, 20, 40)
    assert (curve.judged, curve.n_judged) == ("test", 3)
    errors = evaluate(si_model, Dataset(test), uncertainty=False)["all"]
    assert curve.rmse[-1] == {kind: own["rmse"] for kind, own in errors.items()}
    assert curve.mae[-1] == {kind: own["mae"] for kind, own in errors.items()}
    assert learning_curve(si_model, train, test) == curve


def test_without_test_data_what_is_left_out_is_predicted():
    frames = labelled_frames(silicon, 16)
    for n, atoms in enumerate(frames):
        atoms.info["config_type"] = f"{n}"
    model = gapfit.fit(frames, config())
    train = read(frames, model.config.data).frames
    curve = learning_curve(model, train)
    assert curve.n_frames == (4, 8, 16)
    assert (curve.judged, curve.n_judged) == ("left out", 8)
    # Each of all structures left out: the judged ones are eight of these.
    each = gapfit.leave_one_out(model, frames)
    squares = {n: each[f"{n}"]["energy"]["rmse"] ** 2 for n in range(16)}
    order = np.random.default_rng([model.config.run.seed, 8]).permutation(16)
    expected = np.sqrt(np.mean([squares[int(n)] for n in order[8:]]))
    assert curve.rmse[-1]["energy"] == pytest.approx(expected, rel=1e-6)
    assert learning_curve(model, train[:5]) is None


# what goes wrong -----------------------------------------------------------------------


def test_missing_data_leave_what_can_be_told(copied, capsys):
    (copied.parent / "train.xyz").unlink()
    assert main(["report", str(copied), "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert "train.xyz" in note
    assert "--train" in note
    page = read_page(copied / "report.html")
    metrics = json.loads((copied / "metrics.json").read_text(encoding="utf-8"))
    first = page.tables["Training data"][2]
    assert float(first[3][0]) == metrics["train"]["all"]["energy"]["rmse"]
    assert note in page.text
    assert {own["f"][0][:4] for own in marks_of(copied / "report.html")["parity"]} == {
        "test"
    }
    assert "learning" not in marks_of(copied / "report.html")
    # Named anew, nothing is missing.
    shutil.copy(copied.parent / "test.xyz", copied.parent / "other.xyz")
    train = structures()[0]
    ase.io.write(copied.parent / "moved.xyz", train, format="extxyz")
    where = ["--train", str(copied.parent / "moved.xyz")]
    assert main(["report", str(copied), "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []
    assert "learning" in marks_of(copied / "report.html")


def test_changed_data_are_said_to_be_others(copied):
    for part in ("train", "test"):
        every = ase.io.read(copied.parent / f"{part}.xyz", ":")
        ase.io.write(copied.parent / f"{part}.xyz", every[:-1], format="extxyz")
    found = gather(copied, ReportOptions())
    text = "\n".join(found.notes)
    assert "are not those that the model was fitted to" in text
    assert text.count("errors differ from those in metrics.json") == 2
    assert found.learning is None
    assert found.parts["test"].metrics["all"]["energy"]["n"] == 3


def test_data_that_cannot_be_predicted_are_a_note(copied):
    ase.io.write(
        copied.parent / "test.xyz", labelled_frames(silicon, 2), format="extxyz"
    )
    found = gather(copied, ReportOptions(learning_curve=False, dimers=False))
    (note,) = found.notes
    assert note.startswith("test data: ")
    assert "Si" in note
    assert found.parts["test"].collector is None
    assert found.parts["train"].collector is not None


def test_metrics_of_another_fit_are_left_out(copied):
    path = copied / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    metrics["fit"]["log_marginal_likelihood"] += 1
    path.write_text(json.dumps(metrics), encoding="utf-8")
    found = gather(copied, ReportOptions(learning_curve=False, dimers=False))
    assert "belongs to another fit" in found.notes[0]
    assert not found.timings
    path.write_text("{", encoding="utf-8")
    assert (
        "cannot be read" in gather(copied, ReportOptions(learning_curve=False)).notes[0]
    )
    path.unlink()
    assert "is missing" in gather(copied, ReportOptions(learning_curve=False)).notes[0]


def test_a_model_without_posterior_and_test_data_has_a_report(tmp_path):
    frames = labelled_frames(silicon, 16)
    for atoms in frames:
        del atoms.calc.results["stress"]
    ase.io.write(tmp_path / "data.xyz", frames, format="extxyz")
    given = config() | {"run": {"store_posterior": False}}
    given["data"] = {"train": "data.xyz", "check_stress": False}
    gapfit.fit(config=given, base=tmp_path).save(tmp_path / "bare.npz")
    found = gather(tmp_path / "bare.npz", ReportOptions())
    assert found.title == "bare.npz"
    assert found.dimers[0].curve.std is None
    # Nothing can be left out of the fit to all data.
    assert found.learning.n_frames == (4, 8)
    page, *figures = write(found, tmp_path / "bare.html")
    assert {path.stem for path in figures} == {
        "parity",
        "histograms",
        "learning",
        "dimers",
    }
    assert "Uncertainty" not in read_page(page).text


def test_forces_alone_are_enough(tmp_path):
    frames = labelled_frames(silicon, 6)
    for atoms in frames:
        atoms.calc.results = {"forces": atoms.get_forces()}
    given = config() | {"e0": {"Si": 0.0}}
    gapfit.fit(frames, given).save(tmp_path / "forces.npz")
    ase.io.write(tmp_path / "data.xyz", frames, format="extxyz")
    files = [str(tmp_path / "data.xyz")]
    found = gather(tmp_path / "forces.npz", ReportOptions(train=files, test=files))
    page, *_ = write(found, tmp_path / "forces.html")
    assert {own["k"] for own in marks_of(page)["parity"]} == {"forces"}


@pytest.mark.parametrize("where", ["write", "collect"])
def test_a_report_that_fails_does_not_fail_the_fit(
    where, tmp_path, monkeypatch, capsys
):
    def fail(*_, **__):
        raise RuntimeError("no ink")

    target = {
        "write": "gapfit.report.write",
        "collect": "gapfit.report.points.Collector.predicted",
    }
    monkeypatch.setattr(target[where], fail)
    out = folder_of_a_fit(tmp_path)
    assert (out / "model.npz").exists()
    printed = capsys.readouterr().out
    assert "there is no report (RuntimeError: no ink)" in printed
    assert not (out / "report.html").exists()
    assert "no ink" in (out / "fit.log").read_text(encoding="utf-8")


def test_a_fit_without_a_report_removes_that_of_another(copied):
    assert (copied / "report.html").exists()
    toml = str(copied.parent / "fit.toml")
    assert main(["fit", toml, "--no-report"]) == 0
    assert not (copied / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no such model"),
        (["{fit}", "--output", "a.txt"], "ends in .html"),
        (["{fit}", "--output", "none/a.html"], "there is no folder"),
        (["{fit}", "--test", "absent.xyz"], "absent.xyz"),
        (["{fit}", "--properties", "diamond"], "diamond:FORMULA"),
        (["{fit}", "--properties", "cube:Ge"], "cube"),
        (
            ["{fit}", "--properties", "rocksalt:GeTe:x"],
            "is not a chemical formula: give",
        ),
    ],
)
def test_bad_arguments_are_refused(
    arguments, message, fitted, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    quick = ["--no-learning-curve", "--no-dimers", "--no-uncertainty"]
    given = [str(fitted) if word == "{fit}" else word for word in arguments]
    if "--output" not in given:
        quick += ["--output", "page.html"]
    assert main(["report", *given, *quick]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


# what is not known ---------------------------------------------------------------------


@pytest.fixture
def from_quip(tmp_path):
    """Return a folder with a model of QUIP, and what could be taken for its data."""
    load(ROOT / "tests" / "quip_models" / "P" / "gap.xml").save(tmp_path / "p.npz")
    frames = ase.io.read(ROOT / "tests" / "quip_models" / "P" / "train.xyz", ":4")
    for name in ("gap.xml", "train.xyz"):
        ase.io.write(tmp_path / name, frames, format="extxyz")
    return tmp_path


def test_of_a_model_of_quip_only_what_its_file_holds_is_told(from_quip, capsys):
    argv = ["report", str(from_quip / "p.npz"), "--json"]
    assert main(argv) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note.startswith("uncertainty is missing: a model of QUIP holds no posterior")
    page = read_page(from_quip / "p-report.html")
    assert "gap.xml" in page.text
    assert "e0 of the file of QUIP" in page.text
    for invented in (
        *("Configuration", "fit.toml", "sparse_method", "all others", "Training data"),
        *("Fitted structures", "learning curve", "log marginal", "The band is"),
    ):
        assert invented not in page.text
    # Data that are given are looked at, and not taken for those of the fit.
    data = str(from_quip / "train.xyz")
    assert main([*argv, "--test", data, "--train", data]) == 0
    assert "it is unknown whether" in "".join(
        json.loads(capsys.readouterr().out)["notes"]
    )
    page = read_page(from_quip / "p-report.html")
    assert "There are no error bars: a model of QUIP holds no posterior" in page.text
    assert "Energies are relative to e0 of the file of QUIP." in page.text


def test_info_of_a_model_of_quip_invents_no_settings(from_quip, capsys):
    assert main(["info", str(from_quip / "p.npz")]) == 0
    text = capsys.readouterr().out
    assert re.search(r"read from QUIP +gap\.xml, .*, gap_version \d+", text)
    assert "eV: e0 of the file of QUIP" in text
    assert "none: models of QUIP have no posterior" in text
    for invented in ("Sigma", "Solver", "Prediction", "jitter", "frames fitted", "?"):
        assert invented not in text
    assert not re.search("sparse_method|n_sparse|weighting", text)
    assert main(["info", str(from_quip / "p.npz"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["config"]) == {"terms"}
    assert facts["config"]["terms"][0]["r_cut"] > 1


def test_the_configuration_of_another_fit_is_not_used(fitted, tmp_path):
    quick = ReportOptions(learning_curve=False, dimers=False, uncertainty=False)
    resolved = (fitted / "fit.toml").read_text(encoding="utf-8")
    data = str(fitted.parent)
    for name in ("train.xyz", "test.xyz"):
        shutil.copy(fitted.parent / name, tmp_path / name)
    shutil.copy(fitted / "model.npz", tmp_path / "mine.npz")
    other = resolved.replace("l_max = 3", "l_max = 2").replace("test.xyz", "x.xyz")
    assert other != resolved
    (tmp_path / "fit.toml").write_text(other, encoding="utf-8")
    found = gather(tmp_path / "mine.npz", quick)
    text = "\n".join(found.notes)
    assert "fit.toml is not the configuration that mine.npz was fitted with" in text
    assert "l_max = 3" in found.config_toml
    assert data not in found.config_toml
    assert found.parts["test"].files == ("test.xyz",)
    # Where files are and who computes does not make it another.
    moved = resolved.replace(data, "elsewhere").replace("workers = 1", "workers = 2")
    (tmp_path / "fit.toml").write_text(moved, encoding="utf-8")
    assert not any(
        "is not the conf" in text for text in gather(tmp_path / "mine.npz", quick).notes
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"e0": {"method": "least_squares"}}, "e0 by least squares"),
        ({"data": {"use_energies": False}}, "e0 (no energies were fitted)"),
        ({}, "isolated atoms"),
    ],
)
def test_the_zero_of_energies_is_named(changes, said, tmp_path):
    frames = labelled_frames(silicon, 6)
    lone = label(Atoms("Si", cell=[20] * 3, pbc=True))
    ase.io.write(tmp_path / "data.xyz", [*frames, lone], format="extxyz")
    given = config() | {"e0": changes.get("e0", {})}
    own = changes.get("data", {})
    given["data"] = {"train": "data.xyz", "check_stress": False, **own}
    model = gapfit.fit(config=given, base=tmp_path)
    assert e0_origin(model) == said
    model.save(tmp_path / "model.npz")
    found = gather(tmp_path / "model.npz", ReportOptions(learning_curve=False))
    page, *_ = write(found, tmp_path / "page.html")
    text = read_page(page).text
    assert f"({said})" in text
    assert ("isolated atoms" in text) == (said == "isolated atoms")
    if "energies" not in said:
        axis = f"energy above {said}, eV/atom"
        assert axis in "".join(svg_of(page, "parity").itertext())
        assert said in text[text.index("Predicted against") :]


# files that are not of this report -----------------------------------------------------


def test_a_fit_lists_its_report_and_the_figures(copied, capsys):
    assert main(["fit", str(copied.parent / "fit.toml")]) == 0
    written = capsys.readouterr().out.partition("Written in ")[2].splitlines()
    n = len(list((copied / "report").iterdir()))
    assert any(line.startswith(f"  {copied / 'report.html'}  ") for line in written)
    (line,) = [one for one in written if one.startswith(f"  {copied / 'report'}/  ")]
    assert f"  {n} figures, " in line


def test_figures_of_an_earlier_report_go_and_nothing_else(copied):
    folder = copied / "report"
    names = {file.name for file in folder.iterdir()}
    assert {"dimers.png", "calibration.png"} <= names
    (folder / "phonons-3.png").write_bytes(b"of a report with three crystals")
    quick = ["--no-learning-curve", "--no-dimers", "--no-uncertainty"]
    assert main(["report", str(copied), *quick]) == 0
    left = {file.name for file in folder.iterdir()}
    assert left == names - {"dimers.png", "calibration.png"}
    toml = str(copied.parent / "fit.toml")
    assert main(["fit", toml, "--no-report"]) == 0
    assert not folder.exists()


def test_a_folder_of_something_else_takes_no_figures(copied, capsys):
    page = copied.parent / "fit-model.html"
    before = {file.name for file in copied.iterdir()}
    assert main(["report", str(copied), "--output", str(page)]) == 1
    message = capsys.readouterr().err
    assert f"{copied}: the folder for figures contains fit.log" in message
    assert "--output" in message
    assert {file.name for file in copied.iterdir()} == before
    assert not page.exists()
    found = gather(copied, ReportOptions(learning_curve=False, dimers=False))
    with pytest.raises(GapfitError, match="which no report wrote"):
        write(found, page)


def test_a_crystal_that_fails_is_named_and_the_rest_is_there(copied, capsys):
    quick = ["--no-learning-curve", "--no-dimers", "--no-uncertainty", "--json"]
    crystals = ["--properties", "fcc:Si", "rocksalt:GeTe"]
    assert main(["report", str(copied), *quick, *crystals]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note.startswith("--properties fcc:Si: ")
    assert "unknown species Si" in note
    page = read_page(copied / "report.html")
    assert note in page.text
    assert "structure.a" in page.text
    assert (copied / "report" / "volumes-1.png").exists()


def test_outputs_are_tried_before_the_work(fitted, tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / "tmp-x7"))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("gapfit.report.gather", lambda *_: pytest.fail("too late"))
    page = tmp_path / "page.html"
    assert main(["report", str(fitted), "--output", str(page)]) == 1
    message = capsys.readouterr().err
    assert f"{page}: cannot be written (Permission denied)" in message
    assert "tmp-x7" not in message


# files ---------------------------------------------------------------------------------


def test_figures_are_written_as_png(reported):
    folder = reported.with_suffix("")
    names = {path.stem for path in folder.iterdir()}
    drawn = set(
        re.findall(r'data-figure="([^"]*)"', reported.read_text(encoding="utf-8"))
    )
    assert names == drawn
    assert names >= {
        "parity",
        "histograms",
        "calibration",
        "learning",
        "dimers",
        "resources",
    }
    for path in folder.iterdir():
        with Image.open(path) as image:
            assert image.width > 900
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_properties_computed_earlier_are_part_of_it(copied, capsys):
    folder = copied / "tellurides"
    name = ["--prototype", "rocksalt", "--element", "GeTe", "--samples", "3"]
    only = ["--only", "structure,eos", "--output", str(folder)]
    (copied / "props.toml").write_text("[structure]\na = 6.0\n", encoding="utf-8")
    reference = ["--reference", str(copied / "props.toml")]
    assert (
        main(["properties", str(copied / "model.npz"), *name, *only, *reference]) == 0
    )
    quick = ["--no-learning-curve", "--no-dimers", "--no-uncertainty"]
    assert main(["report", str(copied), *quick]) == 0
    page = read_page(copied / "report.html")
    assert "GeTe (tellurides/properties.json)" in page.text
    stored = json.loads((folder / "properties.json").read_text(encoding="utf-8"))
    values = [float(v) for _, key, v in page.attributes if key == "data-value"]
    assert stored["quantities"]["structure.a"]["value"] in values
    assert (
        f"{100 * stored['comparison']['structure.a']['relative']:+.1f} %" in page.text
    )
    assert (copied / "report" / "volumes-1.png").exists()
    # A newer model than the properties.
    (copied / "model.npz").touch()
    assert main(["report", str(copied), *quick]) == 0
    assert "older than the model" in capsys.readouterr().out


def test_crystals_are_computed_when_asked_for(fitted):
    quick = ReportOptions(learning_curve=False, dimers=False, uncertainty=False)
    assert not gather(fitted, quick).properties
    wanted = ReportOptions(
        learning_curve=False,
        dimers=False,
        uncertainty=False,
        prototypes=["rocksalt:GeTe"],
    )
    found = gather(fitted, wanted).properties["rocksalt:GeTe"]
    assert set(found["quantities"]) >= {
        "structure.a",
        "eos.bulk_modulus",
        "elastic.C11",
    }


def test_dimers_stand_beside_their_curves(reported):
    told = [text for own in marks_of(reported)["dimers"] for text in own["t"]]
    assert "train.xyz, frame 3\n2.4 Å" in "\n".join(told)
    texts = [t for t in told if t.startswith("train.xyz")]
    assert len(texts) == 3
    assert any(text.startswith("Ge-Te at ") for text in told)


# safety --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Return the page of a fit whose config_types try to be more than names."""
    out = folder_of_a_fit(tmp_path_factory.mktemp("hostile"), hostile=True)
    assert main(["report", str(out), "--no-dimers"]) == 0
    return out / "report.html"


def assert_nothing_is_loaded(path):
    """Reading for anything that a browser would fetch."""
    page = read_page(path)
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    for tag, key, value in page.attributes:
        if key in ("src", "srcset", "data", "action", "background", "poster"):
            raise AssertionError((tag, key, value))
        if key in ("href", "xlink:href"):
            link = tag == "a" and value.startswith("https://doi.org/")
            assert link or value.startswith("#"), (tag, value)
        if key == "style" or tag == "style":
            assert "url(" not in (value or "")
        assert not key.startswith("on"), (tag, key)
    text = path.read_text(encoding="utf-8")
    assert "@import" not in text
    css = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in css


def test_pages_load_nothing(reported, hostile, fitted):
    for page in (reported, hostile, fitted / "report.html"):
        assert_nothing_is_loaded(page)


def test_only_the_script_of_the_page_may_run(reported, hostile):
    for path in (reported, hostile):
        page = read_page(path)
        kinds = [kind for kind, _ in page.scripts]
        assert kinds == ["application/json", None]
        digest = hashlib.sha256(page.scripts[1][1].encode()).digest()
        (policy,) = [
            value
            for tag, key, value in page.attributes
            if tag == "meta" and key == "content" and "default-src" in value
        ]
        assert "default-src 'none'" in policy
        assert f"script-src 'sha256-{base64.b64encode(digest).decode()}';" in policy


def test_names_are_texts_and_nothing_else(hostile):
    page = read_page(hostile)
    # As they are in the file, which does not keep a backslash.
    data = ase.io.read(hostile.parent.parent / "train.xyz", ":")
    names = {atoms.info["config_type"] for atoms in data}
    assert names >= {"atom", "dimer", *HOSTILE[:2]}
    assert {row[0][1] for row in page.tables["Training data"][2:]} == names | {"all"}
    assert {c for own in marks_of(hostile)["parity"] for c in own["c"]} == names
    texts = [own.text or "" for own in svg_of(hostile, "parity").iter("text")]
    assert any(text.startswith("</script><script>") for text in texts)
    assert any(text.startswith("_$frac{1}{$ & \u4e2d") for text in texts)


def test_every_text_is_escaped(fitted, tmp_path):
    evil = "<x-evil>\"'&amp;"
    found = gather(fitted, ReportOptions(learning_curve=False, dimers=False))
    quantity = {"value": 1.0, "unit": f"{evil} unit", "std": None}
    properties = {
        f"{evil} crystal": {
            "quantities": {f"{evil} quantity": quantity},
            "warnings": [f"{evil} found"],
            "curves": {"volumes": [1.0, 2.0], "energies": [0.0, 1.0]},
        }
    }
    parts = {name: replace(part, files=(evil,)) for name, part in found.parts.items()}
    info = found.model.info | {
        "versions": {f"{evil} library": "1"},
        "data_digest": evil,
    }
    changed = replace(
        found,
        title=f"{evil} title",
        model=replace(found.model, info=info),
        config_toml=f"{evil} configuration",
        parts=parts,
        properties=properties,
        warnings=[f"{evil} warning"],
        notes=[f"{evil} note"],
    )
    path, *_ = write(changed, tmp_path / "evil.html")
    page = read_page(path)
    assert "x-evil" not in page.tags
    words = (
        "unit",
        "crystal",
        "quantity",
        "found",
        "title",
        "configuration",
        "warning",
    )
    for word in (*words, "note", "library 1"):
        assert f"{evil} {word}" in page.text, word


# browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    executable = find_chromium()
    if executable is None:
        pytest.skip("there is no Chromium; name one in $CHROMIUM")
    own = Browser(executable, tmp_path_factory.mktemp("profile"))
    yield own
    own.close()


def opened(browser, page, **size):
    browser.problems.clear()
    browser.requests.clear()
    browser.open(page, **size)


def place(browser, figure, mark, n):
    """Bring a mark into view and return where it is in the window."""
    return browser.run(
        f"""(() => {{
          const svg = document.querySelector('#figure-{figure} svg');
          const data = JSON.parse(document.getElementById('marks').textContent);
          const own = data.figures['{figure}'][{mark}];
          const at = () => new DOMPoint(own.x[{n}], own.y[{n}])
            .matrixTransform(svg.getScreenCTM());
          scrollBy(0, at().y - innerHeight / 2);
          return [at().x, at().y];
        }})()"""
    )


def tip(browser):
    return browser.run("tip.hidden ? null : tip.textContent")


def test_the_page_opens_without_errors(browser, reported, hostile, fitted):
    for page in (reported, hostile, fitted / "report.html"):
        opened(browser, page)
        assert browser.problems == []
        assert browser.requests == [page.absolute().as_uri()]
        assert browser.run("window.pwned") is None
        assert browser.run("document.querySelectorAll('figure svg').length") >= 4


def test_hovering_tells_the_right_point(browser, reported):
    opened(browser, reported)
    for figure, parts in marks_of(reported).items():
        mark, own = max(enumerate(parts), key=lambda pair: len(pair[1]["x"]))
        # A point without another on top of it.
        at = np.concatenate([np.column_stack([m["x"], m["y"]]) for m in parts])
        mine = np.column_stack([own["x"], own["y"]])
        apart = np.linalg.norm(mine[:, None] - at[None], axis=-1)
        n = int(np.argmax(np.sort(apart, axis=1)[:, 1]))
        x, y = place(browser, figure, mark, n)
        browser.mouse("mouseMoved", x + 1, y - 1)
        text = tip(browser)
        if "t" in own:
            assert text == own["t"][n]
        else:
            lines = text.split("\n")
            assert lines[:2] == [own["f"][n], own["c"][n]]
            assert ("i" not in own) or lines[2] == own["i"][n]
            assert any(line.startswith("error ") for line in lines)
        ring = browser.run(
            f"[...document.querySelectorAll('#figure-{figure} .ring')]"
            ".map(r => [r.style.display, Number(r.getAttribute('cx'))])[0]"
        )
        assert ring == ["", own["x"][n]]
        browser.mouse("mouseMoved", 5, 5)
        assert tip(browser) is None
    assert browser.problems == []


def test_the_legend_hides_a_config_type(browser, reported):
    opened(browser, reported)
    marks = marks_of(reported)["parity"]
    entry = marks[0]["entry"]
    where = f'[id^="parity-legend.{entry}.text"]'
    x, y = browser.run(
        f"""(() => {{ const own = document.querySelector('{where}');
        own.scrollIntoView({{block: 'center'}});
        const box = own.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
    )
    groups = f"[...document.querySelectorAll('[id^=\"parity-marks.{entry}.\"]')]"
    shown = f"{groups}.map(g => getComputedStyle(g).display)"
    assert set(browser.run(shown)) == {"inline"}
    browser.click(x, y)
    assert set(browser.run(shown)) == {"none"}
    assert browser.run(f"document.querySelector('{where}').ariaPressed") == "false"
    browser.mouse("mouseMoved", *place(browser, "parity", 0, 0))
    assert marks[0]["c"][0] not in (tip(browser) or "")
    browser.run(f"document.querySelector('{where}').focus()")
    browser.press("Enter")
    assert set(browser.run(shown)) == {"inline"}
    browser.mouse("mouseMoved", *place(browser, "parity", 0, 0))
    assert marks[0]["c"][0] in tip(browser)


def test_a_rectangle_enlarges_and_goes_back(browser, reported):
    opened(browser, reported)
    x, y = place(browser, "parity", 0, 0)
    box = "document.querySelector('#figure-parity svg').getAttribute('viewBox')"
    whole = browser.run(box)
    browser.mouse("mousePressed", x - 30, y - 20, button="left", clickCount=1)
    browser.mouse("mouseMoved", x + 30, y + 20, button="left", buttons=1)
    browser.mouse("mouseReleased", x + 30, y + 20, button="left", clickCount=1)
    part = [float(n) for n in browser.run(box).split()]
    assert part[2] < 0.2 * float(whole.split()[2])
    lines = (
        "getComputedStyle(document.querySelector('#figure-parity path')).vectorEffect"
    )
    assert browser.run(lines) == "non-scaling-stroke"
    own = marks_of(reported)["parity"][0]
    assert part[0] < own["x"][0] < part[0] + part[2]
    # Marks are told where they now are.
    browser.mouse("mouseMoved", *place(browser, "parity", 0, 0))
    assert own["f"][0] in tip(browser)
    browser.run("document.querySelector('#figure-parity .zoom').click()")
    assert browser.run(box) == whole
    assert browser.run(lines) == "none"
    assert browser.problems == []


def test_arrow_keys_begin_with_the_largest_error(browser, reported):
    opened(browser, reported)
    browser.run("document.getElementById('figure-parity').focus()")
    browser.press("ArrowRight")
    worst = [
        (own["f"][n], own["k"], own["e"][n])
        for own in marks_of(reported)["parity"]
        for n in [int(np.argmax(np.abs(own["e"])))]
    ]
    largest = {k: max(abs(e) for _, kind, e in worst if kind == k) for k in KINDS}
    files = [f for f, k, e in worst if abs(e) == largest[k]]
    assert tip(browser).split("\n")[0] in files
    first = tip(browser)
    browser.press("ArrowRight")
    assert tip(browser) != first
    browser.press("ArrowLeft")
    assert tip(browser) == first


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(browser, reported, hostile, width):
    for page in (reported, hostile):
        opened(browser, page, width=width)
        inner = browser.run("document.documentElement.scrollWidth")
        assert inner <= width
        assert browser.problems == []


def test_it_prints_on_several_pages_with_everything_open(browser, reported):
    opened(browser, reported)
    browser.run(
        "addEventListener('beforeprint', () => { window.closed_ = "
        "document.querySelectorAll('details:not([open])').length; })"
    )
    before = browser.run("document.querySelectorAll('details:not([open])').length")
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    pages = [int(n) for n in re.findall(rb"/Type /Pages\s*/Count (\d+)", pdf)]
    assert max(pages) >= 2
    assert before > 0
    assert browser.run("window.closed_") == 0
    assert (
        browser.run("document.querySelectorAll('details:not([open])').length") == before
    )
    assert browser.problems == []


def test_an_unknown_place_is_one_clear_error(tmp_path):
    with pytest.raises(GapfitError, match=r"give the folder that `gapfit fit` wrote"):
        gather(tmp_path, ReportOptions())
