"""Helpers that know nothing of atoms."""
