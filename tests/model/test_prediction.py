"""Standard deviations that are asked for, and the quantities that they are of."""

from __future__ import annotations

from argparse import ArgumentParser

import pytest

from gapfit.cli import predict, serve
from gapfit.data.observations import Quantity
from gapfit.model.prediction import PredictionRequest, StdKind, std_kinds


def request(std, **multipliers):
    wanted = dict.fromkeys(("forces", "stress", "atom_virials", "novelty"), False)
    return PredictionRequest(
        **wanted,
        std=std_kinds(std),
        observation=False,
        calibrated=True,
        form="sor",
        multipliers={Quantity(name): x for name, x in multipliers.items()},
    )


def test_each_quantity_has_one_standard_deviation():
    kinds = [kind for kind in StdKind if kind.quantity]
    assert [kind.quantity for kind in kinds] == list(Quantity)
    assert set(StdKind) - set(kinds) == {"energies"}


@pytest.mark.parametrize(
    ("std", "multipliers", "quantities"),
    [
        (False, {}, set()),
        ("energies", {}, set()),
        (("energy", "energies"), {}, {Quantity.ENERGY}),
        ("stress", {}, {Quantity.VIRIAL}),
        ("stress", {"virial": 2.0}, {Quantity.VIRIAL}),
        ("energies", {"forces": 2.0, "virial": 2.0}, {*Quantity} - {Quantity.ENERGY}),
        (True, {}, set(Quantity)),
    ],
)
def test_rows_are_needed_for_quantities(std, multipliers, quantities):
    wanted = request(std, **multipliers)
    assert wanted.row_quantities == quantities
    assert wanted.rows == bool(quantities)


@pytest.mark.parametrize("command", [predict, serve])
def test_commands_offer_all_standard_deviations(command):
    parser = ArgumentParser()
    command.add_arguments(parser)
    choices = next(a.choices for a in parser._actions if "--std-of" in a.option_strings)
    assert {*StdKind, "novelty"} <= set(choices)
