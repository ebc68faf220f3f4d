"""``python -m gapfit`` is ``gapfit``."""

from gapfit.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
