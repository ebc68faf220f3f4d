"""Models in LAMMPS: export of a model, and the plugin that reads it.

`export_lammps` writes what predictions are made of (tables of radial functions and pair
potentials, projected sparse points, coefficients, factors of the variance) into one file
with a checksum; the plugin evaluates it with the core of gapfit, so that both give the same
numbers. ::

    units metal
    plugin load ./gapfitplugin.so
    pair_style gapfit
    pair_coeff * * potential.gapfit Ge Sb Te
    fix std all pair 10 gapfit std 1

The last line makes the standard deviation of each atom's energy available as ``f_std``, for
dumps, ``fix halt`` and the like.

The plugin depends on no other library. The BLAS of liblammps is a slow reference
implementation, and that of SciPy would tie runs to a Python environment, so the matrix
products are gapfit's own; they are as fast as OpenBLAS on one thread for what is needed
here (`plugin/matrix_products.hpp`). LAMMPS is under the GPL; a compiled plugin inherits it.
"""

from gapfit.lammps.build import build_plugin
from gapfit.lammps.export import export_lammps

__all__ = ["build_plugin", "export_lammps"]
