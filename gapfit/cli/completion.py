"""Print a script by which bash or zsh completes commands and options.

For bash, once for all shells, or in this shell alone:

  gapfit completion bash > ~/.local/share/bash-completion/completions/gapfit
  source <(gapfit completion bash)

For zsh, into a folder of $fpath, or after compinit in ~/.zshrc:

  gapfit completion zsh > ~/.zfunc/_gapfit
  source <(gapfit completion zsh)

Other words are completed as files. Run it again after an update of gapfit.
"""

from __future__ import annotations

import argparse

from gapfit.cli._console import Console
from gapfit.cli._shells import SCRIPTS

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="bash or zsh")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the script."""
    from gapfit.cli import command_parser

    console.say(SCRIPTS[args.shell](command_parser()).rstrip())
    return 0
