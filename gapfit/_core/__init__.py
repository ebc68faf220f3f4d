"""The compiled core: plain arrays in, plain arrays out."""

try:
    from gapfit._core._native import solid_harmonics
except ImportError as error:  # pragma: no cover - depends on the installation
    raise ImportError(
        "gapfit's compiled core is missing. Run `pip install .` in the source folder; "
        "if gapfit is installed, start Python outside the source folder."
    ) from error

__all__ = ["solid_harmonics"]
