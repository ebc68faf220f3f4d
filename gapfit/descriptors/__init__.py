"""Descriptors: local environments as numbers, and their kernels."""
