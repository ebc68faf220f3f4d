"""Models in LAMMPS: export of a model, and the plugin that reads it."""
