"""Models in LAMMPS: export of a model, and the plugin that reads it.

`export_lammps` writes the data of predictions (tables of radial functions and pair
potentials, projected sparse points, coefficients, factors of the variance) to one file
with a checksum; the plugin evaluates it with the core of gapfit, so both give the same
numbers. `save_eam` writes models of pairs and of a density as tables for LAMMPS's own
``pair_style eam/fs``, `save_tabgap` those with triplets for ``pair_style tabgap``. ::

    units metal
    plugin load ./gapfitplugin.so
    pair_style gapfit
    pair_coeff * * potential.gapfit Ge Sb Te
    fix std all pair 10 gapfit std 1

The last line makes the standard deviation of each atom's energy available as ``f_std``, for
dumps, ``fix halt`` and the like. A file that was exported with what `force_factor` returns
also has ``forces_std``, those of the components of forces.

`LammpsRun` is for learning on the fly: it runs a script of LAMMPS in parts.

If the baseline has dispersion or point charges, LAMMPS must add them: `lammps_commands`
returns the lines from ``pair_style`` on that do.

The plugin depends on no other library. The BLAS of liblammps is a slow reference
implementation, and that of SciPy would tie runs to a Python environment, so the matrix
products are those of gapfit; for these sizes they are as fast as OpenBLAS on one thread
(`plugin/matrix_products.hpp`). LAMMPS is under the GPL; a compiled plugin inherits it.
"""

from gapfit.lammps.build import build_plugin
from gapfit.lammps.commands import lammps_commands
from gapfit.lammps.eam_file import save_eam
from gapfit.lammps.export import export_lammps
from gapfit.lammps.simulation import LammpsRun
from gapfit.lammps.tabgap_file import save_tabgap
from gapfit.model.force_factor import force_factor

__all__ = [
    "LammpsRun",
    "build_plugin",
    "export_lammps",
    "force_factor",
    "lammps_commands",
    "save_eam",
    "save_tabgap",
]
