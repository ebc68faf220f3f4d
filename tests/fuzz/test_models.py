"""Damaged and forged model files end in one short error, or predict finite numbers."""

from __future__ import annotations

import copy
import json
import os
import resource
import struct
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import config, labelled_frames, silicon
from helpers.foreign_archives import rewrapped
from helpers.model_files import header_of, rewritten

import gapfit
from gapfit._support.archive import read_arrays, read_header, write_archive
from gapfit.cli import main
from gapfit.errors import GapfitError, ModelFileError
from gapfit.model.file_header import SCHEMA

#: Tries of each kind, and of the slow run.
TRIES, MANY = 100, 100_000
#: Most time of one try, s, and memory of all, bytes.
PATIENCE, MEMORY = 10, 1 << 30

NUMBERS = [
    *(
        0,
        -1,
        1,
        2,
        0.5,
        5e-324,
        1e-300,
        1e8,
        1e150,
        1e300,
        -1.7e308,
        10**6,
        2**31,
        2**53,
    ),
    *(float("nan"), float("inf"), 119),
]
OTHERS: list[Any] = [
    *(
        None,
        True,
        "",
        "x",
        "<script>alert(1)</script>",
        "a\nb\x1b",
        "../../x",
        "/dev/zero",
    ),
    *(
        [],
        {},
        [1],
        [[1]],
        {"a": 1},
        [None],
        {"x": {}},
        "nan",
        "file",
        2**80,
        "9" * 5000,
    ),
]
TERMS = [
    {"type": "soap", "n_max": 3, "l_max": 2, "zeta": 2, "n_sparse": 6, "r_cut": 4.5},
    {"type": "distance_2b", "n_sparse": 5},
    {"type": "angle_3b", "n_sparse": 5},
]
SMALL = {"type": "soap", "n_max": 3, "l_max": 2, "n_sparse": 6, "components": 5}
Parts = tuple[dict[str, Any], dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> list[Path]:
    """Return the files of models that together have all parts a file can have."""
    folder = tmp_path_factory.mktemp("models")
    grid = "\n".join(f"{r / 10} {20 / r:.6f}" for r in range(10, 50))
    (folder / "pairs.txt").write_text(f"Si-Si\n{grid}\n")
    baseline = {"repulsion": "zbl", "r_cut": 2.0, "table": "pairs.txt"}
    paths = []
    for changes in ({"terms": TERMS, "baseline": baseline}, {"terms": [SMALL]}):
        frames = labelled_frames(silicon, 4)
        paths.append(folder / f"{len(paths)}.npz")
        gapfit.fit(frames, config() | changes, base=folder).save(paths[-1])
    return paths


def parts_of(path: Path) -> Parts:
    with zipfile.ZipFile(path) as archive:
        header = read_header(archive)
        return header, read_arrays(archive, header.pop("arrays"))


def places(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in nested tables and lists."""
    items: Any = ()
    if isinstance(values, dict):
        items = values.items()
    elif isinstance(values, list):
        items = enumerate(values)
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def forged(rng: np.random.Generator, parts: Parts) -> Parts:
    """Return sound archives of other contents: one or two numbers, texts or arrays."""
    header, arrays = copy.deepcopy(parts[0]), dict(parts[1])
    for _ in range(rng.integers(1, 3)):
        if rng.integers(2):
            known = list(places(header))
            *path, key = known[rng.integers(len(known))]
            table = header
            for part in path:
                table = table[part]
            pool = OTHERS if rng.integers(3) == 0 else NUMBERS
            table[key] = pool[rng.integers(len(pool))]
        else:
            name = list(arrays)[rng.integers(len(arrays))]
            arrays[name] = altered(rng, arrays[name])
    return header, arrays


def altered(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    number, kind = NUMBERS[rng.integers(len(NUMBERS))], rng.integers(6)
    array = array.copy()
    with np.errstate(all="ignore"):
        if kind == 0 and array.size:
            array.flat[rng.integers(array.size)] = np.array(number).astype(array.dtype)
        elif kind == 1:
            array = array * number
        elif kind == 2:
            array = array[: rng.integers(len(array) + 1)]
        elif kind == 3:
            array = np.concatenate([array, array])
        elif kind == 4:
            array = np.nan_to_num(array).astype(
                ("<f4", "<i8", "?", ">f8")[rng.integers(4)]
            )
        else:
            array[...] = np.array(number).astype(array.dtype)
    return array


def use(path: Path, folder: Path) -> bool:
    """Return whether a model is read; then it predicts finite numbers, or refuses to."""
    try:
        model = gapfit.load(path, training_sums=True)
    except ModelFileError as error:
        require_short(str(error))
        return False
    for std in (False, True):
        try:
            prediction = model.predict(silicon(), std=std)
        except GapfitError as error:
            require_short(str(error))
            continue
        for values in vars(prediction).values():
            assert values is None or np.isfinite(values).all()
    model.save(folder / "again.npz")
    assert {main(["info", str(path)]), main(["info", str(path), "--json"])} <= {0, 1}
    return True


def require_short(said: str) -> None:
    assert "\n" not in said
    assert len(said) < 1500
    assert said.isprintable()


@pytest.fixture
def bounded_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert taken * 1024 < MEMORY


def run(models: list[Path], folder: Path, capsys: Any, tries: range) -> int:
    """Return how many forged models were read."""
    path, sources = folder / "model.npz", [parts_of(model) for model in models]
    n_read = 0
    for number in tries:
        header, arrays = forged(np.random.default_rng(number), sources[number % 2])
        before = time.process_time()
        try:
            write_archive(path, header, arrays)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                n_read += use(path, folder)
            assert "unexpected" not in capsys.readouterr().err
        except Exception as error:
            raise AssertionError(f"try {number}: {error!r}") from error
        assert time.process_time() - before < PATIENCE
    names = {entry.name for entry in folder.iterdir()}
    assert names <= {"model.npz", "again.npz"}
    return n_read


@pytest.mark.usefixtures("bounded_memory")
def test_forged_models(models, tmp_path, capsys):
    assert run(models, tmp_path, capsys, range(TRIES)) > TRIES // 20


@pytest.mark.slow
def test_many_forged_models(models, tmp_path, capsys):
    run(models, tmp_path, capsys, range(TRIES, MANY))


def run_rewrapped(models: list[Path], folder: Path, tries: range) -> int:
    """Return how many files of other programs were read: those with the same numbers."""
    path, n_read = folder / "model.npz", 0
    expected = [gapfit.load(model).predict(silicon()).forces for model in models]
    for number in tries:
        rewrapped(models[number % 2], path, np.random.default_rng(number))
        before = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                forces = gapfit.load(path, training_sums=True).predict(silicon()).forces
            np.testing.assert_allclose(forces, expected[number % 2], rtol=0, atol=1e-9)
            n_read += 1
        except ModelFileError as error:
            require_short(str(error))
        except Exception as error:
            raise AssertionError(f"try {number}: {error!r}") from error
        assert time.process_time() - before < PATIENCE
    return n_read


@pytest.mark.usefixtures("bounded_memory")
def test_models_that_other_programs_wrote(models, tmp_path):
    assert 0 < run_rewrapped(models, tmp_path, range(TRIES)) < TRIES // 2


@pytest.mark.slow
def test_many_models_that_other_programs_wrote(models, tmp_path):
    run_rewrapped(models, tmp_path, range(TRIES, MANY))


@pytest.mark.usefixtures("bounded_memory")
def test_damaged_models(models, tmp_path):
    data, path = models[1].read_bytes(), tmp_path / "model.npz"
    n_refused = 0
    for number in range(TRIES):
        rng = np.random.default_rng(number)
        changed = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            # The directory of the archive is at its end.
            near_end = rng.integers(2) * int(0.8 * len(changed))
            at = int(rng.integers(near_end, len(changed)))
            end = at + int(rng.integers(1, 60))
            kind = rng.integers(3)
            changed[at:end] = (b"", rng.bytes(8), b"\xff" * (end - at))[kind]
        path.write_bytes(bytes(changed))
        try:
            gapfit.load(path, training_sums=True)
        except ModelFileError as error:
            require_short(str(error))
            n_refused += 1
    assert n_refused > 0.9 * TRIES


def array_header(shape: str, kind: str = "<f8") -> bytes:
    """Return an array in NumPy's format that announces a shape and has no numbers."""
    text = (
        f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    )
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ("(1000000000000,)", "<f8"),
        ("(100000000, 100000000)", "<f8"),
        ("(0, 10000000000)", "<f8"),
        ("(-1,)", "<f8"),
        ("(6,)", "|O"),
        ("(6,)", "<U1000000000"),
        ("(6,)", "|V1000000000"),
    ],
)
def test_announced_sizes_are_compared_with_the_file(models, tmp_path, shape, kind):
    header = header_of(models[1])
    header["arrays"]["term0/14/coefficients"] = {
        "shape": json.loads(f"[{shape.strip('(),')}]"),
        "dtype": kind,
    }
    path = rewritten(
        models[1],
        tmp_path / "bomb.npz",
        header=json.dumps(header).encode(),
        term0_14_coefficients=array_header(shape, kind),
    )
    with pytest.raises(ModelFileError) as raised:
        gapfit.load(path)
    require_short(str(raised.value))


def test_members_that_occur_twice_are_refused(models, tmp_path):
    path = rewritten(models[1], tmp_path / "twice.npz")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Dupl"):
        archive.writestr("header.json", b"{}")
    with pytest.raises(ModelFileError, match=r"'header\.json' occurs twice"):
        gapfit.load(path)


def test_members_that_overlap_are_refused(tmp_path):
    path = tmp_path / "overlap.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in "ab":
            archive.writestr(name, b"0" * 1000)
        archive.filelist[0].file_size = archive.filelist[0].compress_size = 10**12
        archive.filelist[1].header_offset = 0
    with pytest.raises(ModelFileError, match="larger than the file"):
        gapfit.load(path)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"[" * 10**6, "nested more than 32 deep"),
        (b'{"format": "gapfit-model", "format": 1}', "occurs twice"),
        (b'{"schema": ' + b"9" * 10**5 + b"}", "more than 400 digits"),
        (b'{"schema": NaN}', "not a finite number"),
        (b'{"schema": 1e999}', "not a finite number"),
        (b"\xff\xfe\xfd", "damaged or truncated"),
    ],
)
def test_headers_that_are_none(models, tmp_path, header, words):
    path = rewritten(models[1], tmp_path / "bad.npz", header=header)
    with pytest.raises(ModelFileError, match=words) as raised:
        gapfit.load(path)
    require_short(str(raised.value))


def test_places_that_are_no_models(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    for path, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.npz", "is a pipe"),
        (Path("/dev/zero"), "is a device"),
        (tmp_path / ("x" * 2000), "File name too long"),
    ):
        with pytest.raises(ModelFileError, match=words):
            gapfit.load(path)


def test_models_of_other_versions_are_named(models, tmp_path):
    header = header_of(models[1])
    header["info"]["versions"]["gapfit"] = "9.8"
    header["config"]["terms"][0]["fancy"] = 1
    path = rewritten(models[1], tmp_path / "m.npz", header=json.dumps(header).encode())
    told = (
        rf"made by gapfit 9\.8, and this is gapfit {gapfit.__version__}, which does not "
        r"read 'terms\..*fancy' in its configuration"
    )
    with pytest.raises(ModelFileError, match=told) as raised:
        gapfit.load(path)
    assert "damaged" not in str(raised.value)
    require_short(str(raised.value))
    header |= {"schema": SCHEMA + 1, "info": "x\n" * 1000}
    path = rewritten(models[1], tmp_path / "m.npz", header=json.dumps(header).encode())
    with pytest.raises(ModelFileError, match="by gapfit of another version") as raised:
        gapfit.load(path)
    require_short(str(raised.value))


@pytest.mark.parametrize("rank", [1e-300, {"x": 1}, {"119": 1}, {"14": None}])
def test_records_that_none_has_are_refused(models, tmp_path, rank):
    header, arrays = parts_of(models[0])
    header["info"]["projections"][0]["rank"] = rank
    write_archive(tmp_path / "m.npz", header, arrays)
    with pytest.raises(ModelFileError, match="damaged"):
        gapfit.load(tmp_path / "m.npz")


def test_overflowing_predictions_are_errors(models, tmp_path):
    header, arrays = parts_of(models[0])
    arrays["term0/14/coefficients"] = np.full(6, 1.7e308)
    write_archive(tmp_path / "m.npz", header, arrays)
    with pytest.raises(
        GapfitError, match="structure 0: the energy predicted by the model"
    ):
        gapfit.load(tmp_path / "m.npz").predict(silicon())
