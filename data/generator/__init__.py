"""First-principles training sets with GPAW: plans, calculations and the split.

Run from the folder that holds this package::

    python -m generator --system C --out out/C.extxyz      # compute frames
    python -m generator.split out/C.extxyz --output carbon # write train and test
    python -m generator.report                             # refresh README.md
"""
