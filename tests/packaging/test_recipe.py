"""The draft for conda-forge says what pyproject.toml says."""

from __future__ import annotations

import re
import tomllib

from builders import ROOT

RECIPE = (ROOT / ".github" / "conda" / "recipe.yaml").read_text("utf-8")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def listed(heading):
    """Return the packages below a heading of the requirements, without blanks."""
    lines = RECIPE.partition(f"\n  {heading}:\n")[2].split("\n")
    items = []
    for line in lines:
        if not line.startswith("    - "):
            break
        items.append(line.removeprefix("    - ").replace(" ", ""))
    return set(items)


def test_the_version_is_that_of_the_package():
    version = re.search(r'version: "(.*)"', RECIPE)
    assert version
    assert version[1] == SETTINGS["project"]["version"]


def test_the_requirements_are_those_of_the_package():
    dependencies = SETTINGS["project"]["dependencies"]
    assert listed("run") == {"python", *(d for d in dependencies if ";" not in d)}
    built_with = SETTINGS["build-system"]["requires"]
    assert listed("host") == {"python", "pip", *built_with}


def test_the_wheels_are_for_the_pythons_of_the_package():
    builds = SETTINGS["tool"]["cibuildwheel"]["build"]
    oldest = SETTINGS["project"]["requires-python"].removeprefix(">=")
    assert builds[0] == f"cp{oldest.replace('.', '')}-*"
    assert SETTINGS["tool"]["scikit-build"]["wheel"]["py-api"] + "-*" in builds
