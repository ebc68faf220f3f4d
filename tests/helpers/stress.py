"""Settings of small fits to the shipped silicon, and what is close in its data."""

from __future__ import annotations

SETTINGS = {
    "sigma": {"config_types": {"dimer": {"energy": 0.2, "forces": 2.0}}},
    "terms": [
        {"type": "distance_2b", "r_cut": 5.0},
        {"type": "soap", "r_cut": 5.0, "n_max": 5, "l_max": 4, "n_sparse": 200},
    ],
    "calibration": {"method": "none"},
    "data": {"train": ["in memory"]},
}
#: config_types with close contacts.
NEAR = ("dimer", "random", "liquid", "amorphous", "interstitial")
