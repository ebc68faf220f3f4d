"""Configurations with fewer sparse points."""

from __future__ import annotations

from helpers.tuning import PAIR, SOAP, settings

from gapfit.config.toml import config_from_dict
from gapfit.fitting.fewer_points import refined, with_fewer_points

MANY = {"n_sparse": 900, "species_n_sparse": {"Si": 600, "C": 100}}
LISTED = {"sparse_method": "file", "sparse_file": "points.txt"}
ACE = {"type": "ace", "orders": [3], "n_max": [2], "l_max": [1]}


def test_numbers_of_points_fall_to_a_share_but_not_below_the_least():
    quotas = {"config_type_n_sparse": {"even": 90}}
    config = config_from_dict(
        settings(terms=[PAIR, SOAP | MANY | quotas, SOAP | LISTED, ACE])
    )
    pairs, soap, listed, ace = with_fewer_points(config, 0.25, 200).terms
    assert pairs == config.terms[0]
    assert (soap.n_sparse, soap.species_n_sparse) == (225, {"Si": 200, "C": 100})
    assert not soap.config_type_n_sparse
    assert (listed, ace) == (config.terms[2], config.terms[3])
    assert with_fewer_points(config, 1, 200) == config


def test_choices_go_back_to_all_points():
    config = config_from_dict(settings(terms=[PAIR, SOAP | MANY]))
    fewer = with_fewer_points(config, 0.5, 10)
    chosen = fewer.model_copy(
        update={
            "terms": [term.model_copy(update={"delta": 7.0}) for term in fewer.terms],
            "sigma": fewer.sigma.model_copy(update={"forces": 0.3}),
        }
    )
    whole = refined(config, chosen)
    assert [term.delta for term in whole.terms] == [7.0, 7.0]
    assert whole.sigma.forces == 0.3
    assert [term.n_sparse for term in whole.terms] == [15, 900]
    assert whole.terms[1].species_n_sparse == MANY["species_n_sparse"]
    assert refined(config, None) is config
