"""Errors and error bars against reference data."""
