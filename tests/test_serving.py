"""Forces over a socket: ASE is the server. examples/09_ipi.py has i-PI."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.socketio import SocketIOCalculator, actualunixsocketname
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from conftest import cluster, silicon

import gapfit
from gapfit.cli import main
from gapfit.serving import serve


@pytest.fixture
def name(tmp_path) -> str:
    """Return the name of a socket that no other test has."""
    return f"gapfit_{tmp_path.parent.name}_{tmp_path.name}"


@pytest.fixture
def model_file(si_model, tmp_path) -> Path:
    si_model.save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


@contextmanager
def served(client, **address):
    """Give a calculator whose results come over a socket, and the client's future."""
    with ThreadPoolExecutor(1) as pool:
        server = SocketIOCalculator(timeout=60, **address)
        try:
            yield server, pool.submit(client)
        finally:
            server.close()


def with_calculator(atoms, model, **options):
    out = atoms.copy()
    out.calc = gapfit.GAPCalculator(model, **{"uncertainty": False} | options)
    return out


@pytest.mark.parametrize("build", [silicon, cluster])
def test_results_are_those_of_the_calculator(si_model, name, build):
    atoms, direct = build(), with_calculator(build(), si_model)
    own = with_calculator(build(), si_model)
    own.rattle(0.3)  # positions are the server's
    with served(lambda: serve(own, unix=name, patience=30), unixsocket=name) as found:
        atoms.calc, future = found
        for seed in range(3):
            for moving in (atoms, direct):
                moving.rattle(0.02, seed=seed)
                moving.set_cell(moving.cell * 1.01, scale_atoms=True)
            assert atoms.get_potential_energy() == pytest.approx(
                direct.get_potential_energy(), abs=1e-10
            )
            for quantity in ("forces", "stress") if direct.pbc.all() else ("forces",):
                one, other = (x.calc.get_property(quantity, x) for x in (atoms, direct))
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
        assert not future.done()
        atoms.calc.close()
        assert future.result(30) == 3


def test_standard_deviations_are_extras(si_model, name):
    own = with_calculator(silicon(), si_model, uncertainty=["energies", "novelty"])
    with served(lambda: serve(own, unix=name, patience=30), unixsocket=name) as found:
        atoms = silicon(5)
        atoms.calc, _ = found
        atoms.get_forces()
        extras = json.loads(atoms.calc.results["morebytes"].tobytes())
    expected = si_model.predict(silicon(5), std="energies", novelty=True)
    assert extras.keys() == {"energies_std", "novelty"}
    np.testing.assert_allclose(extras["energies_std"], expected.energies_std, atol=1e-9)
    np.testing.assert_allclose(extras["novelty"], expected.novelty, atol=1e-9)


def test_a_cell_relaxes_over_tcp(model_file, si_model, tmp_path, capsys):
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    atoms = silicon()
    ase.io.write(tmp_path / "start.extxyz", atoms)
    command = ["serve", str(model_file), "--structure", str(tmp_path / "start.extxyz")]
    command += ["--port", str(port), "--wait", "30"]
    with served(lambda: main(command), port=port) as (calculator, future):
        atoms.calc = calculator
        with BFGS(FrechetCellFilter(atoms), logfile=None) as run:
            run.run(fmax=0.05, steps=12)
        n_steps = run.nsteps
        calculator.close()
        assert future.result(30) == 0
    direct = with_calculator(silicon(), si_model)
    with BFGS(FrechetCellFilter(direct), logfile=None) as run:
        run.run(fmax=0.05, steps=12)
    np.testing.assert_allclose(atoms.positions, direct.positions, rtol=0, atol=1e-5)
    np.testing.assert_allclose(atoms.cell, direct.cell, rtol=0, atol=1e-5)
    printed = capsys.readouterr().out
    assert "periodic   abc" in printed
    assert f"localhost:{port}" in printed
    assert f"The server is done; {n_steps + 1} evaluations" in printed


def test_a_server_with_other_atoms_is_refused(si_model, name):
    own = with_calculator(silicon(), si_model)
    with served(lambda: serve(own, unix=name, patience=30), unixsocket=name) as found:
        atoms = silicon() * (2, 1, 1)
        atoms.calc, future = found
        with pytest.raises(OSError, match=r".*"):
            atoms.get_forces()
        with pytest.raises(gapfit.GapfitError, match=r"sent 16 atoms, the .* has 8"):
            future.result(30)


@contextmanager
def listening(name: str, talk):
    """Let a function talk to the client that connects; close the connection then."""
    with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor(1) as pool:
        server.bind(actualunixsocketname(name))
        server.listen()

        def accept() -> None:
            with server.accept()[0] as connection:
                talk(connection)

        try:
            yield pool.submit(accept)
        finally:
            Path(actualunixsocketname(name)).unlink()


@pytest.mark.parametrize("message", [b"EXIT        ", b""])
def test_a_server_that_leaves_is_done(si_model, name, message):
    own = with_calculator(silicon(), si_model)
    with listening(name, lambda connection: connection.sendall(message)):
        assert serve(own, unix=name, patience=30) == 0


def reset(connection: socket.socket) -> None:
    """Close with an answer unread."""
    connection.sendall(b"STATUS      " * 2)
    connection.recv(12)
    time.sleep(0.2)


def cut(connection: socket.socket) -> None:
    """Close in the middle of a message."""
    connection.sendall(b"POSDATA     " + bytes(100))


@pytest.mark.parametrize("talk", [reset, cut])
def test_a_server_that_breaks_off_is_told(si_model, name, talk):
    own = with_calculator(silicon(), si_model)
    with (
        listening(name, talk),
        pytest.raises(gapfit.GapfitError, match="broke the connection off after 0"),
    ):
        serve(own, unix=name, patience=30)


@pytest.mark.parametrize("message", [b"GET / HTTP/1", b"GETFORCE    "])
def test_another_protocol_is_told(si_model, name, message):
    own = with_calculator(silicon(), si_model)
    with (
        listening(name, lambda connection: connection.sendall(message)),
        pytest.raises(gapfit.GapfitError, match="to a client that is READY"),
    ):
        serve(own, unix=name, patience=30)


def test_a_server_that_is_not_there_is_told(model_file, tmp_path, name, capsys):
    ase.io.write(tmp_path / "start.extxyz", silicon())
    command = ["serve", str(model_file), "--structure", str(tmp_path / "start.extxyz")]
    command += ["--wait", "0.2", "--unix", name]
    assert main(command) == 1
    message = capsys.readouterr().err
    assert f"/tmp/ipi_{name}: no server answers (No such file or directory)" in message
    assert "start the server first" in message
    left_over = actualunixsocketname(name)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(left_over)
    try:
        assert main(command) == 1
        assert "(Connection refused); the file is left over" in capsys.readouterr().err
    finally:
        Path(left_over).unlink()


def test_what_cannot_be_served_is_told_before_the_server_waits(
    model_file, si_model, tmp_path, name, capsys
):
    def error(atoms, *options, model=model_file) -> str:
        ase.io.write(tmp_path / "start.extxyz", atoms)
        structure = ["--structure", str(tmp_path / "start.extxyz")]
        command = ["serve", str(model), *structure, "--wait", "0", *options]
        assert main(command) == 1
        return capsys.readouterr().err

    foreign, molecule = silicon(), cluster()
    foreign.numbers[2] = 32
    assert "knows no Ge; give a model" in error(foreign, "--unix", name)
    assert "--pbc none for a molecule" in error(molecule, "--unix", name)
    assert "no server answers" in error(molecule, "--unix", name, "--pbc", "none")
    assert "no server answers" in error(molecule, "--unix", name, "--pbc", "ab")
    assert "--pbc xy: give letters" in error(molecule, "--pbc", "xy")
    assert "give one" in error(silicon(), "--unix", name, "--port", "3")
    assert "without a folder" in error(silicon(), "--unix", "/tmp/ipi_x")
    bare = replace(si_model, posterior=None)
    bare.save(tmp_path / "bare.npz")
    without = error(silicon(), "--std-of", "energies", model=tmp_path / "bare.npz")
    assert "saved without its posterior" in without
