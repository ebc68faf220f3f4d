"""Forces over a socket: ASE is the server. examples/09_ipi.py has i-PI."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from threading import Timer

import ase.io
import numpy as np
import pytest
from ase.calculators.socketio import (
    IPIProtocol,
    SocketIOCalculator,
    actualunixsocketname,
)
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from builders import cluster, config, labelled_frames, silicon, three_species
from helpers.ipi import init, listening, posdata, said, with_calculator

import gapfit
from gapfit.cli import main
from gapfit.serving import serve
from gapfit.testing import REORDERED_SUMS, SAME_POTENTIAL

IPI = """<simulation verbosity="low">
  <output prefix="run"><properties filename="out">[ step, potential ]</properties></output>
  <total_steps>3</total_steps>
  <ffsocket name="forces" mode="unix"><address>{name}</address></ffsocket>
  <system>
    <initialize nbeads="1"><file mode="ase">start.extxyz</file></initialize>
    <forces><force forcefield="forces"/></forces>
    <ensemble><temperature units="kelvin">300</temperature></ensemble>
    <motion mode="dynamics">
      <dynamics mode="nve"><timestep units="femtosecond">1</timestep></dynamics>
    </motion>
  </system>
</simulation>
"""


RUN_IPI = """
from ipi.engine.simulation import Simulation
from ipi.utils.softexit import softexit

softexit.hard_exit = True
simulation = Simulation.load_from_xml(open("input.xml"))
simulation.run()
softexit.trigger(status=simulation.exit_status, message=simulation.exit_message)
"""


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
            REORDERED_SUMS.check(
                atoms.get_potential_energy(), direct.get_potential_energy()
            )
            for quantity in ("forces", "stress") if direct.pbc.all() else ("forces",):
                one, other = (x.calc.get_property(quantity, x) for x in (atoms, direct))
                REORDERED_SUMS.check(one, other)
        assert not future.done()
        atoms.calc.close()
        assert future.result(30) == (3, False)


def test_a_baseline_of_long_range_is_served(name):
    charges = {"Ge": 0.4, "Sb": 0.4, "Te": -0.4}
    settings = config(n_sparse=10) | {"baseline": {"charges": charges}}
    model = gapfit.fit(labelled_frames(three_species, 2), settings)
    own = with_calculator(three_species(), model)
    atoms = three_species()
    atoms.rattle(0.05, seed=3)
    expected = model.predict(atoms)
    with served(lambda: serve(own, unix=name, patience=30), unixsocket=name) as found:
        atoms.calc, _ = found
        REORDERED_SUMS.check(atoms.get_potential_energy(), expected.energy)
        REORDERED_SUMS.check(atoms.get_forces(), expected.forces)
        REORDERED_SUMS.check(atoms.get_stress(), expected.stress)


def test_standard_deviations_are_extras(si_model, name):
    own = with_calculator(silicon(), si_model, uncertainty=["energies", "novelty"])
    with served(lambda: serve(own, unix=name, patience=30), unixsocket=name) as found:
        atoms = silicon(5)
        atoms.calc, _ = found
        atoms.get_forces()
        extras = json.loads(atoms.calc.results["morebytes"].tobytes())
    expected = si_model.predict(silicon(5), std="energies", novelty=True)
    assert extras.keys() == {"energies_std", "extrapolation", "novelty"}
    SAME_POTENTIAL.check(extras["energies_std"], expected.energies_std)
    SAME_POTENTIAL.check(extras["novelty"], expected.novelty)


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
    assert f"The server closed the connection; {n_steps + 1} evaluations" in printed


def test_a_server_with_other_atoms_is_refused(si_model, name):
    own = with_calculator(silicon(), si_model)
    with served(lambda: serve(own, unix=name, patience=30), unixsocket=name) as found:
        atoms = silicon() * (2, 1, 1)
        atoms.calc, future = found
        with pytest.raises(OSError, match=r".*"):
            atoms.get_forces()
        with pytest.raises(gapfit.GapfitError, match=r"sent 16 atoms, the .* has 8"):
            future.result(30)


def test_a_server_that_says_so_is_done(si_model, name):
    own = with_calculator(silicon(), si_model)
    with listening(name, lambda connection: connection.sendall(b"EXIT        ")):
        assert serve(own, unix=name, patience=30) == (0, True)


def between(connection: socket.socket) -> None:
    """Close between two messages."""
    connection.sendall(b"STATUS      ")
    assert connection.recv(12) == b"READY       "


def after_the_next_request(connection: socket.socket) -> None:
    """Ask the state, as i-PI does when it has forces, and close."""
    protocol, atoms = IPIProtocol(connection), silicon()
    protocol.calculate(atoms.positions, atoms.cell)
    between(connection)


def reset(connection: socket.socket) -> None:
    """Close with an answer unread."""
    connection.sendall(b"STATUS      " * 2)
    connection.recv(12)
    time.sleep(0.2)


def cut(connection: socket.socket) -> None:
    """Close in the middle of a message."""
    connection.sendall(b"POSDATA     " + bytes(100))


@pytest.mark.parametrize("talk", [between, after_the_next_request, reset, cut])
def test_a_server_that_breaks_off_is_told(si_model, name, talk):
    own, count = with_calculator(silicon(), si_model), talk is after_the_next_request
    with (
        listening(name, talk),
        pytest.raises(
            gapfit.GapfitError,
            match=f"closed the connection after {count:d} evaluations",
        ),
    ):
        serve(own, unix=name, patience=30)


@pytest.mark.parametrize("talk", [between, after_the_next_request, reset, cut])
def test_a_server_that_breaks_off_is_no_success(
    model_file, tmp_path, name, talk, capsys
):
    ase.io.write(tmp_path / "start.extxyz", silicon())
    command = ["serve", str(model_file), "--structure", str(tmp_path / "start.extxyz")]
    with listening(name, talk):
        assert main([*command, "--wait", "30", "--unix", name]) == 1
    printed = capsys.readouterr()
    assert "without sending EXIT" in printed.err
    assert "The server is done" not in printed.out


@pytest.mark.parametrize("overlap", [False, True])
def test_a_server_survives_what_cannot_be_computed(si_model, name, overlap):
    """A request that lies unread when the client leaves must not reset the connection."""
    own, sent = with_calculator(silicon(), si_model), silicon()
    if overlap:
        sent.positions[1] = sent.positions[0]
    else:
        sent *= (2, 1, 1)

    def talk(connection: socket.socket) -> list[bytes]:
        IPIProtocol(connection).sendposdata(
            sent.cell[:], np.linalg.inv(sent.cell), sent.positions
        )
        connection.sendall(b"GETFORCE    ")
        connection.settimeout(30)
        answers = [connection.recv(12)]
        connection.sendall(b"EXIT        ")
        return answers

    reason = "are 0.000 Å apart" if overlap else "sent 16 atoms, the structure has 8"
    with listening(name, talk) as server:
        with pytest.raises(gapfit.GapfitError, match=reason):
            serve(own, unix=name, patience=30)
        assert server.result(30) == [b""]


@pytest.mark.skipif(find_spec("ipi") is None, reason="needs i-PI")
def test_ipi_goes_on_after_a_client_with_other_atoms(model_file, tmp_path, capsys):
    name = f"gapfit_{os.getpid()}_{tmp_path.name[-20:]}"
    ase.io.write(tmp_path / "start.extxyz", silicon())
    ase.io.write(tmp_path / "other.extxyz", silicon() * (2, 1, 1))
    (tmp_path / "input.xml").write_text(IPI.format(name=name))
    found = []
    with (
        (tmp_path / "ipi.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", RUN_IPI], cwd=tmp_path, stdout=log, stderr=log
        ) as server,
    ):
        # A server that serves nobody any more must not keep its client for ever.
        deadline = Timer(60, server.kill)
        deadline.start()
        try:
            for structure in ("other", "start"):
                words = ["--structure", str(tmp_path / f"{structure}.extxyz")]
                words += ["--unix", name, "--wait", "60"]
                found.append(main(["serve", str(model_file), *words]))
            assert server.wait(60) == 0
        finally:
            deadline.cancel()
            server.kill()
    assert found == [1, 0]
    printed = capsys.readouterr()
    assert "sent 8 atoms, the structure has 16" in printed.err
    assert "The server is done; 4 evaluations" in printed.out


@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1",
        b"GETFORCE    ",
        b"\xff\xfe" * 6,
        b"STATUS\0\0\0\0\0\0",
        b"status".ljust(12),
    ],
)
def test_another_protocol_is_told(si_model, name, message):
    own = with_calculator(silicon(), si_model)
    with (
        listening(name, lambda connection: connection.sendall(message)),
        pytest.raises(gapfit.GapfitError, match="to a client that is READY"),
    ):
        serve(own, unix=name, patience=30)


def error_of(si_model, name, sent: bytes, pbc=True) -> str:
    """Return the error of the client, one line that begins with the address."""
    own = with_calculator(silicon(), si_model)
    own.pbc = pbc
    with listening(name, lambda connection: said(connection, sent)) as server:
        with pytest.raises(gapfit.GapfitError) as caught:
            serve(own, unix=name, patience=30)
        server.result(30)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"/tmp/ipi_{name}: ")
    return message


@pytest.mark.parametrize("n_atoms", [-1, 0, 7, 2**31 - 1])
def test_an_announced_number_of_atoms_is_not_believed(si_model, name, n_atoms):
    message = error_of(si_model, name, posdata(silicon(), n_atoms))
    assert f"sent {n_atoms} atoms, the structure has 8" in message


@pytest.mark.parametrize("n_bytes", [-1, -(2**31), 2**20 + 1, 2**31 - 1])
def test_an_announced_length_is_not_believed(si_model, name, n_bytes):
    message = error_of(si_model, name, init(n_bytes))
    assert f"an initialisation string of {n_bytes} bytes; 0 to 1048576" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("part", ["cell", "positions"])
def test_lengths_that_cannot_be_are_refused(si_model, name, part, value):
    atoms = silicon()
    getattr(atoms, part)[2, 1] = value
    message = error_of(si_model, name, posdata(atoms))
    assert ("sent atom 2 at (" if part == "positions" else "sent the cell (") in message


@pytest.mark.parametrize("cell", [np.zeros((3, 3)), np.ones((3, 3)), 0.1 * np.eye(3)])
@pytest.mark.parametrize(
    ("pbc", "unit"), [((1, 1, 1), "Å³"), ((1, 1, 0), "Å²"), ((0, 0, 1), "Å")]
)
def test_periodic_directions_need_a_cell(si_model, name, cell, pbc, unit):
    atoms = silicon()
    atoms.cell[:] = 0.5 * cell if sum(pbc) == 1 and cell[0, 1] == 0 else cell
    if sum(pbc) == 1 and cell[0, 1]:
        atoms.cell[2] = 0.0
    message = error_of(si_model, name, posdata(atoms), pbc=pbc)
    assert f" {unit} for 8 atoms" in message


def test_cells_of_denormal_numbers_are_refused(si_model, name):
    atoms = silicon()
    atoms.cell[:] = [[1e-308, 1e-200, 1e-200], [1, 1e-308, 1e-162], [5, 0, 1e-320]]
    assert " Å³ for 8 atoms" in error_of(si_model, name, posdata(atoms))


@pytest.mark.parametrize("length", [0.0, 1e-12])
@pytest.mark.parametrize("pbc", [(1, 1, 0), (0, 1, 1), (0, 0, 1)])
def test_open_directions_need_no_cell_vector(si_model, name, pbc, length):
    """A slab as ase.build.graphene makes it: forces, and no virial."""
    own = with_calculator(silicon(), si_model, uncertainty=["stress", "energies"])
    own.pbc = pbc
    own.cell[~own.pbc] = length * np.eye(3)[~own.pbc]
    atoms = own.copy()
    atoms.rattle(0.02, seed=3)
    expected = si_model.predict(atoms)

    def talk(connection: socket.socket) -> dict:
        return IPIProtocol(connection).calculate(atoms.positions, atoms.cell)

    with listening(name, talk) as server:
        assert serve(own, unix=name, patience=30) == (1, False)
        found = server.result(30)
    REORDERED_SUMS.check(found["energy"], expected.energy)
    REORDERED_SUMS.check(found["forces"], expected.forces)
    assert found["virial"].shape == (3, 3)
    assert not found["virial"].any()
    extras = json.loads(found["morebytes"].tobytes())
    assert extras.keys() == {"energies_std", "extrapolation"}


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        (b"STAT", "in the middle of a header"),
        (b"INIT        " + bytes(5), "in the middle of INIT"),
        (init(9, b"8 bytes."), "in the middle of INIT"),
        (posdata(silicon())[:-1], "in the middle of POSDATA"),
    ],
)
def test_a_message_cut_short_is_told(si_model, name, sent, where):
    assert where in error_of(si_model, name, sent)


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


def test_addresses_and_patience_that_cannot_be_are_refused(si_model, name):
    own = with_calculator(silicon(), si_model)
    with pytest.raises(gapfit.GapfitError, match="port 65536: give a number from 1"):
        serve(own, port=65536)
    with pytest.raises(gapfit.GapfitError, match=r"patience = -1.0 s: give 0 or more"):
        serve(own, unix=name, patience=-1.0)


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
    assert "has no Ge; give another model" in error(foreign, "--unix", name)
    assert "--pbc none for a molecule" in error(molecule, "--unix", name)
    assert "no server answers" in error(molecule, "--unix", name, "--pbc", "none")
    assert "no server answers" in error(molecule, "--unix", name, "--pbc", "ab")
    assert "--pbc xy: give letters" in error(molecule, "--pbc", "xy")
    assert "give one" in error(silicon(), "--unix", name, "--port", "3")
    assert "without a folder" in error(silicon(), "--unix", "/tmp/ipi_x")
    for port in ("99999", "0", "-1"):
        message = error(silicon(), "--port", port)
        assert f"port {port}: give a number from 1 to 65535" in message
    assert "--wait -3: give seconds, 0 or more" in error(silicon(), "--wait", "-3")
    assert "--wait nan: give seconds" in error(silicon(), "--wait", "nan")
    bare = replace(si_model, posterior=None)
    bare.save(tmp_path / "bare.npz")
    without = error(silicon(), "--std-of", "energies", model=tmp_path / "bare.npz")
    assert "saved without its posterior" in without
