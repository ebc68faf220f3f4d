"""Sparse points: how they are chosen."""
