"""A model as a force client of i-PI and of ASE's socket."""

from gapfit.serving.client import DEFAULT_PORT, Served, address, serve

__all__ = ["DEFAULT_PORT", "Served", "address", "serve"]
