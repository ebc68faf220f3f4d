"""Settings of soap_turbo that do not go together are refused in words."""

from __future__ import annotations

import pytest

from gapfit.config.toml import config_from_dict
from gapfit.errors import ConfigError

REFUSED = {
    "basis": (
        {"turbo": {"r_soft": 3.0}},
        'turbo is for rbf = "poly3" and "poly3gauss"',
    ),
    "many functions": ({"rbf": "poly3", "n_max": 11}, "needs 1 to 10 radial functions"),
    "one function": (
        {"rbf": "poly3gauss", "n_max": 1},
        "needs 2 to 11 radial functions",
    ),
    "more for a species": (
        {"rbf": "poly3", "turbo": {"species": {"H": {"n_max": 9}}}},
        "n_max = 9 of a species is more than n_max = 8 of the term",
    ),
    "no species": (
        {"rbf": "poly3", "turbo": {"species": {"Xy": {"n_max": 5}}}},
        "not a chemical symbol: Xy",
    ),
    "no neighbour": (
        {"rbf": "poly3", "turbo": {"neighbours": ["Xy"]}},
        "not a chemical symbol: Xy",
    ),
    "soft cutoff": (
        {"rbf": "poly3", "turbo": {"r_soft": 5.0}},
        "turbo.r_soft = 5.0 Å: it must be less than r_cut = 5.0 Å",
    ),
    "options of dscribe": (
        {"rbf": "poly3", "weighting": {"m": 2}, "compression": "mu2", "channels": 4},
        'weighting, compression, channels: not for rbf = "poly3"; remove them',
    ),
    "options of QUIP": (
        {"rbf": "poly3", "quip": {"width": 1.0}},
        'quip is for rbf = "equispaced_gaussians"',
    ),
    "width": (
        {"rbf": "poly3", "turbo": {"sigma_t": 0.0}},
        "[terms.turbo]: `sigma_t` = 0.0 must be",
    ),
    "compression": (
        {"rbf": "poly3", "turbo": {"compression": "linear"}},
        '"off" or "trivial"',
    ),
    "mistyped": (
        {"rbf": "poly3", "turbo": {"species": {"H": {"sigma_r": 0.4}}}},
        "`sigma_r`",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_refused(name):
    term, message = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        config_from_dict({"data": {"train": "a.xyz"}, "terms": [term]})
    assert message in str(caught.value)


def test_settings_of_species_are_kept():
    species = {"H": {"n_max": 5, "sigma_t": 0.3}}
    config = config_from_dict(
        {
            "data": {"train": "a.xyz"},
            "terms": [{"rbf": "poly3gauss", "turbo": {"species": species}}],
        }
    )
    turbo = config.terms[0].turbo
    assert turbo.species["H"].model_dump(exclude_none=True) == species["H"]
    assert turbo.species["H"].atom_sigma is None
