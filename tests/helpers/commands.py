"""Commands run in this process, with a little silicon."""

from __future__ import annotations

import ase.io
from builders import DATA

from gapfit.cli import main

SILICON = DATA / "silicon" / "train.extxyz"
CONFIG = """\
[data]
train = "train.xyz"
test = "test.xyz"
check_labels = false
[[terms]]
r_cut = 4.0
n_max = 4
l_max = 3
n_sparse = 12
"""


def frames_of(config_type, count):
    every = ase.io.read(SILICON, ":")
    return [a for a in every if a.info["config_type"] == config_type][:count]


def error_of(capsys, *argv):
    """Run a command that fails with bad input and return its message."""
    assert main(list(argv)) == 1
    message = capsys.readouterr().err
    assert message.startswith("gapfit: error: ")
    assert "Traceback" not in message
    return message.removeprefix("gapfit: error: ").strip()
