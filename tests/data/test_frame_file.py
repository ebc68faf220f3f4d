"""Frames in a file: the same values, indices, processes, lifetimes; and memory."""

from __future__ import annotations

import gc
import gzip
import os
import pickle
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from builders import config, labelled_frames, silicon
from helpers.damage import damaged

import gapfit
from gapfit.config.sections import DataConfig, SigmaConfig
from gapfit.data.dataset import Dataset, read
from gapfit.data.files import RawFrame
from gapfit.data.frame import Frame
from gapfit.data.frame_file import (
    FrameFile,
    config_types,
    frame_sizes,
    species_counts,
    temporary_frames,
    write_frames,
)
from gapfit.data.sigmas import with_automatic_sigmas
from gapfit.data.spool import RawSpool
from gapfit.errors import DataError, GapfitError

LABELS = DataConfig(train=["-"])


def frame(n: int = 4, seed: int = 0, **fields: object) -> Frame:
    rng = np.random.default_rng(seed)
    return Frame(
        numbers=rng.integers(1, 100, n),
        positions=rng.normal(size=(n, 3)),
        cell=rng.normal(size=(3, 3)),
        pbc=np.array([True, False, True]),
        **fields,
    )


def full(seed: int = 0) -> Frame:
    """Return a frame with all labels; some forces are masked."""
    rng = np.random.default_rng(seed + 100)
    forces = rng.normal(size=(5, 3))
    forces[2] = np.nan
    return frame(
        5,
        seed,
        config_type="flüssig, 液体",
        source="trän.extxyz, frame 3",
        energy=-1.0 / 3.0,
        forces=forces,
        virial=rng.normal(size=6),
        energy_sigma=1e-3,
        force_sigma=rng.uniform(size=5),
        virial_sigma=5e-324,
    )


VARIANTS = {
    "full": full(),
    "bare": frame(),
    "molecule": replace(frame(), cell=np.zeros((3, 3)), pbc=np.zeros(3, dtype=bool)),
    "no energy": replace(full(), energy=None, energy_sigma=None),
    "no forces": replace(full(), forces=None),
    "no virial": replace(full(), virial=None, virial_sigma=None),
    "one atom": frame(1, energy=float("inf")),
    "other order": replace(
        frame(), positions=np.asfortranarray(frame().positions), source=""
    ),
    "name that is no UTF-8": frame(source="caf\udce9.xyz, frame 0"),
}


def assert_same(one: Frame, other: Frame) -> None:
    for field in fields(Frame):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert type(a) is type(b), field.name
        if isinstance(a, np.ndarray):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            assert a.tobytes() == b.tobytes(), field.name
            assert b.flags.writeable
        else:
            assert a == b, field.name


def many(count: int = 11) -> list[Frame]:
    return [
        frame(1 + n % 4, n, energy=float(n), config_type="ab"[n % 2])
        for n in range(count)
    ]


@pytest.fixture
def stored(tmp_path: Path) -> FrameFile:
    return write_frames(many(), tmp_path / "some.frames")


# Values and indices --------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_values_come_back_to_the_last_bit(name: str) -> None:
    assert_same(VARIANTS[name], temporary_frames([full(1), VARIANTS[name]])[1])


def test_indices_and_slices(stored: FrameFile) -> None:
    frames = many()
    assert len(stored) == len(frames) == 11
    for part in (slice(2, 5), slice(None, None, 4), slice(-3, 99), slice(5, 2)):
        some = stored[part]
        assert len(some) == len(frames[part])
        for one, other in zip(frames[part], some, strict=True):
            assert_same(one, other)
    assert_same(frames[-1], stored[-1])
    assert_same(frames[3], stored[np.int64(3)])
    assert [f.energy for f in stored] == [f.energy for f in frames]
    for index in (11, -12):
        with pytest.raises(IndexError, match=f"no frame {index}; there are 11"):
            stored[index]


def test_summaries_are_those_of_the_frames(stored: FrameFile) -> None:
    frames = many()
    np.testing.assert_array_equal(frame_sizes(stored), frame_sizes(frames))
    assert frame_sizes(stored).tolist() == [f.n_atoms for f in frames]
    assert config_types(stored) == config_types(frames) == list("ab" * 5 + "a")
    numbers = np.concatenate([f.numbers for f in frames])
    species, counts = np.unique(numbers, return_counts=True)
    expected = dict(zip(species.tolist(), counts.tolist(), strict=True))
    assert species_counts(stored) == species_counts(frames) == expected
    assert list(species_counts(stored)) == list(species_counts(frames))
    assert Dataset(frames).species == Dataset(stored).species == tuple(expected)


def test_no_frames() -> None:
    empty = temporary_frames([])
    assert len(empty) == 0
    assert list(empty) == empty[:] == []
    assert frame_sizes(empty).shape == (0,)


def test_a_label_of_another_shape_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reshape"):
        write_frames([frame(virial=np.zeros(5))], tmp_path / "some.frames")
    assert not list(tmp_path.iterdir())


# Files ---------------------------------------------------------------------------------


def test_a_file_that_is_cut_short_or_foreign_is_refused(
    tmp_path: Path, stored: FrameFile
) -> None:
    whole = Path(stored.path).read_bytes()
    assert len(FrameFile.open(stored.path)) == 11
    broken = {
        "cut": whole[:-1],
        "half": whole[: len(whole) // 2],
        "no middle": whole[:200] + whole[208:],
        "longer": whole + b"more",
        "empty": b"",
        "foreign": b"PK\3\4" + bytes(500),
        "newer": whole.replace(b"frames 2\n", b"frames 3\n"),
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(
            DataError, match=f"{name}: is not a complete file of gapfit"
        ):
            FrameFile.open(tmp_path / name)
    with pytest.raises(DataError, match=r"nowhere: cannot be opened \(No such file"):
        FrameFile.open(tmp_path / "nowhere")


def test_a_file_that_changed_is_refused_or_gives_the_same_frames(
    tmp_path: Path, stored: FrameFile
) -> None:
    """Whatever happens to the bytes, no other frame comes out, and no other error."""
    whole, frames = Path(stored.path).read_bytes(), many()
    path, rng, n_refused = tmp_path / "damaged", np.random.default_rng(3), 0
    for _ in range(1000):
        path.write_bytes(damaged(whole, rng))
        try:
            read_again = FrameFile.open(path)[:]
        except DataError as caught:
            message = str(caught)
        else:
            assert len(read_again) == len(frames)
            for one, other in zip(frames, read_again, strict=True):
                assert_same(one, other)
            continue
        n_refused += 1
        assert message.startswith(f"{path}: ")
        assert "write a new one" in message
    assert n_refused > 900


def test_files_know_the_fit_that_they_are_part_of(tmp_path: Path) -> None:
    path = tmp_path / "frames.bin"
    write_frames(many(), path, part_of="one fit")
    assert len(FrameFile.open(path, part_of="one fit")) == 11
    with pytest.raises(DataError, match=r"frames\.bin: belongs to another fit"):
        FrameFile.open(path, part_of="another")
    write_frames(many(), path)
    with pytest.raises(DataError, match="belongs to another fit"):
        FrameFile.open(path, part_of="one fit")


def test_structures_put_aside_on_a_bad_disk_are_refused() -> None:
    with RawSpool(most_atoms=1) as spool:
        for n in range(3):
            spool.add(RawFrame(frame(4, n), {}))
        assert len(list(spool)) == 3
        os.pwrite(spool._file.fileno(), b"\1", 200)
        with pytest.raises(DataError, match="damaged on its disk; set TMPDIR"):
            list(spool)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(GapfitError, match=r"none.*cannot be written there \(No such"):
        temporary_frames(many(), tmp_path / "none")
    with pytest.raises(GapfitError, match=r"x: the frames cannot be written there"):
        write_frames(many(), tmp_path / "none" / "x")


def test_a_temporary_file_lives_as_long_as_its_frames(tmp_path: Path) -> None:
    frames = temporary_frames(many(), tmp_path)
    copy = pickle.loads(pickle.dumps(frames))
    assert not list(tmp_path.iterdir())
    path, last = Path(frames.path), frames[-1]
    assert path.stat().st_nlink == 0
    del frames
    gc.collect()
    assert not path.exists()
    assert copy[-1].energy == last.energy == 10.0


def test_a_temporary_file_is_removed_when_the_frames_fail(tmp_path: Path) -> None:
    def failing():
        yield frame()
        raise DataError("bad")

    with pytest.raises(DataError, match="bad"):
        temporary_frames(failing(), tmp_path)
    assert not list(tmp_path.iterdir())


def run(code: str, *args: object, data: bytes = b"") -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code, *map(str, args)],
        input=data,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def test_another_process_reads_a_pickled_file(stored: FrameFile) -> None:
    code = (
        "import pickle, sys\n"
        "frames = pickle.load(sys.stdin.buffer)\n"
        "print(len(frames), [f.energy for f in frames[7:9]])"
    )
    assert run(code, data=pickle.dumps(stored)) == "11 [7.0, 8.0]"
    assert Path(stored.path).exists()


def test_a_forked_process_reads_and_leaves_the_file_to_its_maker(
    tmp_path: Path, stored: FrameFile
) -> None:
    code = """
import os, sys
from gapfit.data.frame_file import FrameFile, temporary_frames
frames = temporary_frames(FrameFile.open(sys.argv[1]), sys.argv[2])
child = os.fork()
order = range(11) if child else range(10, -1, -1)
for _ in range(50):
    assert [frames[n].energy for n in order] == [float(n) for n in order]
if not child:
    sys.exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
print(frames[4].energy)
"""
    folder = tmp_path / "temporary"
    folder.mkdir()
    assert run(code, stored.path, folder) == "4.0"
    assert not list(folder.iterdir())


# Reading and what is made of it --------------------------------------------------------


def write_cells(path: Path, count: int) -> None:
    """Write cells of 64 atoms with energies and forces."""
    rng = np.random.default_rng(0)
    sites = 2.5 * np.indices((4, 4, 4)).reshape(3, -1).T
    head = (
        '64\nLattice="10 0 0 0 10 0 0 0 10" pbc="T T T" '
        "Properties=species:S:1:pos:R:3:forces:R:3 energy={}\n"
    )
    with path.open("w") as stream:
        for n in range(count):
            forces = rng.normal(size=(64, 3))
            rows = np.hstack(
                [sites + rng.normal(scale=0.05, size=(64, 3)), forces - forces.mean(0)]
            )
            lines = ["Si " + " ".join(map("{:.6f}".format, row)) for row in rows]
            stream.write(head.format(-300 + 0.01 * (n % 7)) + "\n".join(lines) + "\n")


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    code = """
import resource, sys
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read
data = read(sys.argv[1], DataConfig(train=["-"]))
assert not data.warnings
print(len(data.frames), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks = []
    for count in (300, 3000):
        path = tmp_path / f"{count}.xyz"
        write_cells(path, count)
        found, peak = map(int, run(code, path).split())
        assert found == count
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0]


def test_compressed_files_give_the_same_frames(tmp_path: Path) -> None:
    write_cells(tmp_path / "a.xyz", 5)
    packed = gzip.compress((tmp_path / "a.xyz").read_bytes())
    (tmp_path / "a.xyz.gz").write_bytes(packed)
    plain = read("a.xyz", LABELS, base=tmp_path).frames
    unpacked = read("a.xyz.gz", LABELS, base=tmp_path).frames
    for one, other in zip(plain, unpacked, strict=True):
        assert_same(replace(one, source=one.source.replace(".xyz", ".xyz.gz")), other)


def test_what_was_read_is_put_aside_and_comes_back() -> None:
    raws = [RawFrame(f, {"energy": f.energy, "n": n}) for n, f in enumerate(many())]
    raws[3].labels["strange"] = lambda: 0
    with RawSpool(most_atoms=120) as spool:
        for raw in raws:
            spool.add(raw)
        for _ in range(2):
            found = list(spool)
            assert len(spool) == len(found) == 11
            for one, other in zip(raws, found, strict=True):
                assert_same(one.frame, other.frame)
                assert other.labels.keys() == one.labels.keys()
                assert other.labels["n"] == one.labels["n"]
    assert found[3].labels["strange"] == str(raws[3].labels["strange"])


def test_reading_is_the_same_however_little_is_held() -> None:
    atoms = [a for a in labelled_frames(silicon, 6) for _ in range(2)]
    atoms[4].info["remark"] = lambda: 0
    held = read(atoms, LABELS)
    stored = read(atoms, LABELS, most_atoms=0)
    assert held.warnings == stored.warnings
    assert "are identical and count several times" in held.warnings[0]
    assert held.report == stored.report
    for one, other in zip(held.frames, stored.frames, strict=True):
        assert_same(one, other)


def test_frames_that_do_not_change_are_not_copied(stored: FrameFile) -> None:
    assert with_automatic_sigmas(stored, stored, SigmaConfig()) is stored
    grown = with_automatic_sigmas(stored, stored, SigmaConfig(energy_relative=0.1))
    assert isinstance(grown, FrameFile)
    assert config_types(grown) == config_types(stored)


def test_a_fit_is_the_same_from_frames_in_memory() -> None:
    data = read(labelled_frames(silicon, 6), LABELS)
    assert isinstance(data.frames, FrameFile)
    settings = config() | {
        "sigma": {"energy_relative": 0.1, "forces_relative": 0.1},
        "baseline": {"repulsion": "zbl"},
    }
    one, other = (
        gapfit.fit(replace(data, frames=frames), settings)
        for frames in (data.frames, tuple(data.frames))
    )
    assert one.record.data_digest == other.record.data_digest
    expected = one.predict(silicon())
    np.testing.assert_array_equal(other.predict(silicon()).forces, expected.forces)
    metrics = gapfit.evaluate(one, data)
    assert metrics == gapfit.evaluate(other, replace(data, frames=list(data.frames)))
