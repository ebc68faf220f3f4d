"""Everything in torch on a device that is not the CPU: the numbers of the core."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import (
    SOAP,
    STRUCTURES,
    TWO_BODY,
    random_term,
    three_species,
)
from descriptor_contract import term_for
from helpers.stand_in_device import Operation, stand_in, watched
from helpers.sums import fit
from helpers.torch_cases import SPECIAL_SOAP, TERMS
from helpers.torch_runs import arguments, assert_equal, import_or_skip

import gapfit
from gapfit.data.frame import as_frame
from gapfit.data.neighbours import pairs_of
from gapfit.model.gap_model import GAPModel
from gapfit.model.rows import DEVICE_CHUNK_BYTES
from gapfit.model.terms import FittedTerm
from gapfit.testing import Tolerance

torch = import_or_skip("torch")
from gapfit.torch.fit_rows import FitRows  # noqa: E402
from gapfit.torch.pairs import chunk_memory  # noqa: E402
from gapfit.torch.triplet_kernel import TripletKernel  # noqa: E402

FITTED = Tolerance("the same fit in another order, eV and eV/Å", atol=1e-7)


@pytest.fixture(scope="module")
def device():
    return stand_in()


def there(values, device):
    return [one.to(device) for one in values]


def here(found):
    assert {one.device.type for one in found.values()} == {stand_in().type}
    return {name: one.cpu() for name, one in found.items()}


def assert_term_runs(model: GAPModel, term: FittedTerm, device) -> None:
    """Compare predictions with those of the core, and rows with those on the CPU."""
    model, atoms = replace(model, terms=(term,), posterior=None), three_species()
    potential = gapfit.torch.torch_model(model).to(device)
    given = there(arguments([atoms], model.cutoff), device)
    assert_equal(here(potential(*given)), model, [atoms])
    if getattr(term.config, "coordinates", "angle") != "angle":
        return  # not for fits
    pairs = pairs_of([as_frame(atoms, "a structure")], model.cutoff)
    mine, wanted = (
        FitRows(model.terms, torch.device(where)).table(pairs, gradients=True).all
        for where in (device, "cpu")
    )
    assert mine.device.type == device.type
    torch.testing.assert_close(mine.cpu(), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("settings", TERMS.values(), ids=TERMS)
def test_terms(settings, gst_model, device):
    assert_term_runs(gst_model, term_for(settings, three_species()), device)


@pytest.mark.parametrize("settings", SPECIAL_SOAP.values(), ids=SPECIAL_SOAP)
def test_special_cases_of_soap(settings, gst_model, device):
    assert_term_runs(gst_model, random_term(three_species(), **settings), device)


def test_neighbours_and_a_baseline(si_full, device):
    structures = [build() for name, build in STRUCTURES.items() if name[:5] != "three"]
    given = arguments(structures, si_full.cutoff)[:4]
    pbc = torch.tensor(np.array([atoms.pbc for atoms in structures]))
    positions, cells, numbers, system, pbc = there([*given, pbc], device)
    pairs = gapfit.torch.neighbour_list(positions, cells, pbc, system, si_full.cutoff)
    potential = gapfit.torch.torch_model(si_full).to(device)
    found = potential(positions, cells, numbers, system, *pairs)
    assert_equal(here(found), si_full, structures)


def test_single_precision(gst_full, device):
    given = arguments([three_species()], gst_full.cutoff)
    single = [x.float() if x.is_floating_point() else x for x in given]
    potential = gapfit.torch.torch_model(gst_full).float()
    wanted = potential(*single)
    found = here(potential.to(device)(*there(single, device)))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", ["si_model", "gst_full"])
def test_error_bars_and_samples(name, request, device):
    model = request.getfixturevalue(name)
    structures = [STRUCTURES[name]() for name in ("silicon", "slab", "one_atom")]
    if name == "gst_full":
        structures = [three_species(), three_species()[[0, 3]]]
    given = arguments(structures, model.cutoff)
    potential = gapfit.torch.torch_model(model, std=True, novelty=True, samples=2)
    R = potential.vectors(*given[:2], *given[3:])
    wanted = potential(*given, std=True, novelty=True)
    samples = potential.sampled_energies(R, given[4], given[2])
    potential.to(device)
    found = here(potential(*there(given, device), std=True, novelty=True))
    torch.testing.assert_close(found, wanted, equal_nan=True, rtol=1e-6, atol=1e-7)
    own = potential.sampled_energies(*there((R, given[4], given[2]), device))
    torch.testing.assert_close(own.cpu(), samples)


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_fits(method, device):
    settings = {"terms": [{**term, "n_sparse": 12} for term in (TWO_BODY, SOAP)]}
    on_device = {**settings, "run": {"device": f"torch:{device.type}"}}
    found, wanted = (
        fit(method, settings=chosen).predict(three_species())
        for chosen in (on_device, settings)
    )
    FITTED.check(found.energies, wanted.energies)
    FITTED.check(found.forces, wanted.forces)


def count(potential, given) -> Counter[str]:
    """Return how often each operation runs for a prediction."""
    operations: Counter[str] = Counter()

    def add(operation: Operation) -> None:
        operations[operation.name] += 1

    with watched(add):
        potential(*given)
    return operations


def test_more_atoms_are_no_more_operations(gst_full, device):
    """A GPU takes some µs for each operation, however small."""
    potential = gapfit.torch.torch_model(gst_full).to(device)
    few, many = (
        count(
            potential,
            there(arguments([three_species()] * n, gst_full.cutoff), device),
        )
        for n in (2, 12)
    )
    assert few == many
    # Each of these waits for the device.
    waits = few["tolist"] + few["_local_scalar_dense"] + few["nonzero"]
    assert waits < 40


def test_many_sparse_points_of_triplets_are_no_larger_chunks(gst_full, device):
    n_sparse, chunk_bytes = 10_000, 4_000_000
    term = gapfit.torch.torch_model(gst_full, std=True).terms[2]
    kernel, term.chunk_bytes = term.kernels[0], chunk_bytes
    points = [torch.rand(n_sparse, 3).double() + 2.0 for _ in kernel.ends[1:]]
    many = TripletKernel(points, kernel.block, 1.0, kernel.theta.tolist())
    term.with_kernels([many])
    term.to(device)
    structures = [three_species()] * 5
    positions, cells, numbers, system, pairs, shifts = there(
        arguments(structures, gst_full.cutoff), device
    )
    potential = gapfit.torch.torch_model(gst_full).to(device)
    R = potential.vectors(positions, cells, system, pairs, shifts)
    near = potential._neighbours(R, pairs, numbers)
    sizes = []

    def add(operation: Operation) -> None:
        if operation.name == "exp_":
            sizes.extend(one.numel() * 8 for one in operation.outputs)

    with watched(add):
        k_m, _ = term.covariances(near)
    assert k_m.shape == (len(numbers), len(points) * n_sparse)
    assert max(sizes) < chunk_bytes < sum(sizes)


def test_atoms_without_neighbours_do_not_make_chunks_of_rows_larger(si_model, device):
    dense, lone = [STRUCTURES["silicon"]()] * 12, [Atoms("Si")]

    def most(structures: list) -> int:
        frames = [as_frame(atoms, "a structure") for atoms in structures]
        rows = FitRows(si_model.terms, device, 10_000_000)
        sizes = []

        def add(operation: Operation) -> None:
            if operation.name == "mm":
                sizes.extend(one.numel() for one in operation.outputs)

        with watched(add):
            rows.table(pairs_of(frames, si_model.cutoff), gradients=True)
        return max(sizes)

    assert most(dense + lone * 500) <= 1.1 * most(dense)


def test_the_device_refuses_tensors_of_the_cpu(device):
    ours = torch.ones(3, 3).to(device)
    with pytest.raises(RuntimeError, match=r"a tensor of the CPU, of shape \(3, 3\)"):
        ours @ torch.ones(3, 3)
    with pytest.raises(RuntimeError, match="no products of integers"):
        ours.long() @ ours.long()
    assert torch.equal((ours @ ours).cpu(), torch.full((3, 3), 3.0))


@pytest.mark.parametrize("name", ["density", "triplets"])
def test_memory_of_a_device_is_bounded_by_one_constant(
    name, gst_full, device, monkeypatch
):
    """With less of it there are more chunks, and the same numbers."""
    assert chunk_memory(0, False) == DEVICE_CHUNK_BYTES
    structures = [three_species()] * 12
    given = there(arguments(structures, gst_full.cutoff), device)
    potential = gapfit.torch.torch_model(gst_full).to(device)
    whole = count(potential, given).total()
    asked = []

    def least(given: int, on_cpu: bool) -> int:
        asked.append((given, on_cpu))
        return 1

    monkeypatch.setattr(f"gapfit.torch.{name}.chunk_memory", least)
    assert count(potential, given).total() > 1.2 * whole
    assert set(asked) == {(0, False)}
    assert_equal(here(potential(*given)), gst_full, structures)
