"""Baselines: energies subtracted before the fit and added to predictions."""
