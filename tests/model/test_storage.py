"""The model file: exact, deterministic, and clear about what it refuses."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import STRUCTURES, config, labelled_frames, silicon
from helpers.model_files import header_of, rewritten

import gapfit
from gapfit._support.archive import atomic_write
from gapfit.errors import GapfitError, ModelFileError
from gapfit.model.file_header import SCHEMA


@pytest.fixture(scope="module")
def saved(tmp_path_factory, si_model) -> Path:
    path = tmp_path_factory.mktemp("models") / "model.npz"
    si_model.save(path)
    return path


@pytest.mark.parametrize("name", ["silicon", "slab", "cluster"])
def test_loaded_model_predicts_the_same_bits(saved, si_model, name):
    atoms = STRUCTURES[name]()
    a = si_model.predict(atoms, std=True)
    b = gapfit.load(saved).predict(atoms, std=True)
    assert a.energy == b.energy
    np.testing.assert_array_equal(a.forces, b.forces)
    np.testing.assert_array_equal(a.energies, b.energies)
    np.testing.assert_array_equal(a.energies_std, b.energies_std)
    if a.stress is not None:
        np.testing.assert_array_equal(a.stress, b.stress)


def test_three_species_round_trip(tmp_path, gst_model):
    gst_model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz")
    atoms = STRUCTURES["three_species"]()
    a, b = (m.predict(atoms, std=True) for m in (gst_model, loaded))
    np.testing.assert_array_equal(a.forces, b.forces)
    np.testing.assert_array_equal(a.energies_std, b.energies_std)
    assert loaded.config == gst_model.config
    assert loaded.e0 == gst_model.e0
    assert loaded.record == gst_model.record


def test_equal_models_give_equal_bytes(tmp_path, saved, si_model):
    si_model.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == saved.read_bytes()
    gapfit.load(saved, training_sums=True).save(tmp_path / "loaded.npz")
    assert (tmp_path / "loaded.npz").read_bytes() == saved.read_bytes()


def test_equal_fits_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        gapfit.fit(labelled_frames(silicon, 3), config()).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_header_is_plain_json_with_units_and_versions(saved):
    header = header_of(saved)
    assert header["format"] == "gapfit-model"
    assert header["schema"] == SCHEMA
    assert header["units"]["forces"] == "eV/Å"
    assert header["info"]["versions"]["gapfit"] == gapfit.__version__
    assert len(header["info"]["data_digest"]) == 64
    assert header["config"]["terms"][0]["r_cut"] == 4.5


def test_without_posterior_there_is_no_uncertainty(tmp_path):
    settings = config() | {"run": {"store_posterior": False}}
    gapfit.fit(labelled_frames(silicon, 2), settings).save(tmp_path / "m.npz")
    model = gapfit.load(tmp_path / "m.npz")
    assert model.predict(silicon()).energies_std is None
    with pytest.raises(GapfitError, match="store_posterior = true"):
        model.predict(silicon(), std=True)


def test_missing_file(tmp_path):
    with pytest.raises(ModelFileError, match="no such model file"):
        gapfit.load(tmp_path / "nothing.npz")


def test_foreign_files(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a model")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("notes.txt", "other.npz", "empty.npz"):
        with pytest.raises(ModelFileError, match="not a gapfit model"):
            gapfit.load(tmp_path / name)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file(tmp_path, saved, fraction):
    data = saved.read_bytes()
    path = tmp_path / "short.npz"
    path.write_bytes(data[: int(fraction * len(data))])
    with pytest.raises(ModelFileError, match="damaged or truncated"):
        gapfit.load(path)


def structural_bytes(path: Path) -> list[int]:
    """Return the offsets of all zip headers, and of some of the arrays' bytes."""
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members, central = archive.infolist(), archive.start_dir
    offsets = list(range(central, len(data)))
    for member in members:
        offsets += range(member.header_offset, member.header_offset + 30)
    return [*offsets, *range(0, central, central // 50)]


def loaded_or_refused(path: Path) -> gapfit.GAPModel | None:
    try:
        return gapfit.load(path)
    except ModelFileError:
        return None


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path, saved):
    """Fields that no reader uses (dates, attributes) may change; nothing else."""
    data = saved.read_bytes()
    atoms = silicon()
    expected = gapfit.load(saved).predict(atoms, std=True)
    path = tmp_path / "flipped.npz"
    refused = 0
    for n, offset in enumerate(structural_bytes(saved)[::3]):
        flipped = bytearray(data)
        flipped[offset] ^= 1 << (n % 8)
        path.write_bytes(bytes(flipped))
        model = loaded_or_refused(path)
        if model is None:
            refused += 1
        else:
            found = model.predict(atoms, std=True)
            assert found.energy == expected.energy
            np.testing.assert_array_equal(found.energies_std, expected.energies_std)
    assert refused > 100


def test_a_compressed_archive_is_refused_before_it_fills_the_memory(tmp_path):
    with zipfile.ZipFile(
        tmp_path / "bomb.npz", "w", compression=zipfile.ZIP_DEFLATED
    ) as archive:
        archive.writestr("header.json", " " * 10_000_000)
    with pytest.raises(ModelFileError, match="compressed or encrypted"):
        gapfit.load(tmp_path / "bomb.npz")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"species": []}, "species"),
        ({"species": [10**12]}, "species"),
        ({"e0": {}}, "e0"),
        ({"e0": [1.0]}, "damaged"),
        ({"blocks": []}, "blocks"),
        ({"jitter": []}, "jitter"),
        ({"schema": 0}, "schema"),
        ({"schema": True}, "schema"),
        ({"config": {}}, "damaged"),
        ({"arrays": {}}, "damaged"),
    ],
)
def test_inconsistent_header(tmp_path, saved, change, what):
    header = header_of(saved) | change
    path = rewritten(saved, tmp_path / "bad.npz", header=json.dumps(header).encode())
    with pytest.raises(ModelFileError, match=what):
        gapfit.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none(tmp_path, si_model, value):
    term = si_model.terms[0]
    broken = replace(
        term, coefficients={14: np.full_like(term.coefficients[14], value)}
    )
    replace(si_model, terms=(broken,)).save(tmp_path / "nan.npz")
    with pytest.raises(ModelFileError, match=r"coefficients.*not finite"):
        gapfit.load(tmp_path / "nan.npz")


@pytest.mark.parametrize("word", ["nan", "inf"])
@pytest.mark.parametrize("name", ["log_marginal_likelihood", "closest", "reach"])
def test_words_for_numbers_that_are_none(tmp_path, saved, name, word):
    """Where a number is expected, "nan" would be read as one."""
    header = header_of(saved)
    part = header["info"] if name in header["info"] else header["info"]["pairs"][0]
    assert part[name] is not None
    part[name] = word
    path = rewritten(saved, tmp_path / "words.npz", header=json.dumps(header))
    with pytest.raises(ModelFileError, match="damaged"):
        gapfit.load(path)


def test_a_type_of_several_lines_is_told_in_one(tmp_path, saved):
    header = header_of(saved)
    header["config"]["terms"][0]["type"] = "a\nb\x1b" + 500 * "c"
    path = rewritten(saved, tmp_path / "lines.npz", header=json.dumps(header))
    with pytest.raises(ModelFileError, match=r'type = "a\\nb.*unknown here') as caught:
        gapfit.load(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


def test_missing_folder(tmp_path, si_model):
    with pytest.raises(GapfitError, match="there is no folder"):
        si_model.save(tmp_path / "nowhere" / "model.npz")


def test_newer_schema(tmp_path, saved):
    header = header_of(saved) | {"schema": SCHEMA + 1}
    path = rewritten(saved, tmp_path / "new.npz", header=json.dumps(header).encode())
    with pytest.raises(ModelFileError, match=f"schema {SCHEMA + 1}.*upgrade gapfit"):
        gapfit.load(path)


def test_missing_array(tmp_path, saved):
    path = rewritten(saved, tmp_path / "less.npz", term0_14_coefficients=None)
    with pytest.raises(ModelFileError, match="coefficients"):
        gapfit.load(path)


def test_array_of_another_shape(tmp_path, saved):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    path = rewritten(
        saved, tmp_path / "shape.npz", term0_14_coefficients=buffer.getvalue()
    )
    with pytest.raises(ModelFileError, match="not as announced"):
        gapfit.load(path)


def test_pickled_arrays_are_never_loaded(tmp_path, saved):
    class Trap:
        def __reduce__(self):
            return (Path(tmp_path / "sprung").touch, ())

    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    path = rewritten(
        saved, tmp_path / "trap.npz", term0_14_coefficients=buffer.getvalue()
    )
    with pytest.raises(ModelFileError, match="damaged"):
        gapfit.load(path)
    assert not (tmp_path / "sprung").exists()


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "model.npz"
    target.write_text("old")

    def write_half() -> None:
        with atomic_write(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_named(tmp_path):
    target = tmp_path / "model.npz"
    full = r"model\.npz: cannot be written \(No space"
    with pytest.raises(GapfitError, match=full), atomic_write(target):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named_without_a_temporary_file(
    tmp_path, monkeypatch
):
    target = tmp_path / "model.npz"

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / ".model.x7.npz"))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(GapfitError) as raised, atomic_write(target):
        pass
    told = (
        f"{target}: cannot be written (Permission denied); change the permissions, or "
    )
    told += "choose another place"
    assert str(raised.value) == told
    monkeypatch.undo()
    target.mkdir()
    (target / "file").touch()
    with pytest.raises(GapfitError) as raised, atomic_write(target):
        pass
    assert str(raised.value).startswith(f"{target}: cannot be written (")
    assert ".npz." not in str(raised.value)


def test_folders_and_models_of_quip_get_a_hint(tmp_path, saved):
    folder = tmp_path / "fit-model"
    folder.mkdir()
    with pytest.raises(
        ModelFileError, match=r"is a folder; give a model file, usually"
    ):
        gapfit.load(folder)
    (folder / "model.npz").write_bytes(saved.read_bytes())
    with pytest.raises(ModelFileError, match=r"is a folder; give .*model\.npz$"):
        gapfit.load(folder)
    (tmp_path / "gap.xml").write_text("<GAP_params/>")
    with pytest.raises(ModelFileError, match=r"not a gapfit model.*gapfit convert"):
        gapfit.load(tmp_path / "gap.xml")
