"""Scripts of LAMMPS in parts: which commands are in them, and which scripts are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapfit.errors import GapfitError
from gapfit.lammps.part_files import Files
from gapfit.lammps.program import variables_of
from gapfit.lammps.script import LammpsScript, Segment, read_script

SCRIPT = """
units metal   # of a comment nothing stays
variable n equal 500
variable seed index 70 80
variable seed index 90
read_data copper.data
include potential.in
set type 1 charge 1.0
group low region box
group hot dynamic all var fast
velocity all create 300 &
  4
fix a all langevin 300 600 0.1 900000000
fix b all langevin 300 600 0.1 ${seed} zero yes  # noise
dump own all xyz 10 own.xyz
dump images all cfg 10 own.*.cfg
dump many all custom 10 own.*.txt id x
restart 100 own.restart
run ${n}
write_data end.data
"""
POTENTIAL = """
pair_style hybrid/overlay gapfit coul/long 10
pair_coeff * * gapfit anything.gapfit Cu O
pair_coeff * * coul/long
"""


def read(folder: Path, text: str = SCRIPT, potential: str = POTENTIAL) -> LammpsScript:
    (folder / "in.x").write_text(text)
    (folder / "potential.in").write_text(potential)
    return read_script(folder / "in.x", "in.x")


def test_the_first_part_is_the_script_without_its_run(tmp_path):
    script = read(tmp_path)
    assert (script.steps, script.elements) == (500, ("Cu", "O"))
    lines = script.first_part(Path("/m.gapfit"), Files(tmp_path)).splitlines()
    assert lines[:2] == [
        "units metal   # of a comment nothing stays",
        "variable n equal 500",
    ]
    assert "fix b all langevin 300 600 0.1 70 zero yes" in lines
    assert 'pair_coeff * * gapfit "/m.gapfit" Cu O' in lines
    assert "velocity all create 300    4" in lines
    assert "run 0" in lines
    assert "write_data end.data" not in lines


def test_other_parts_change_no_atoms(tmp_path):
    segment = Segment(40, 100, 20, 520)
    text = read(tmp_path).next_part(
        Path("/m.gapfit"), Files(tmp_path), segment, every=10, trajectory=25
    )
    lines = text.splitlines()
    before, after = (
        lines[: (run := lines.index("run 60 start 20 stop 520"))],
        lines[run:],
    )
    assert [
        line for line in before if "gapfit" not in line and "append" not in line
    ] == [
        "units metal   # of a comment nothing stays",
        "variable n equal 500",
        "variable seed index 70 80",
        "variable seed index 90",
        f'read_restart "{tmp_path / "40.restart"}"',
        "pair_coeff * * coul/long",
        "group hot dynamic all var fast",
        "fix a all langevin 300 600 0.1 41",
        "fix b all langevin 300 600 0.1 111 zero yes",
        "dump own all xyz 10 own.xyz",
        "dump images all cfg 10 own.*.cfg",
        "dump many all custom 10 own.*.txt id x",
        f'restart 10 "{tmp_path / "*.restart"}"',
    ]
    assert "dump_modify own append yes" in before
    # A step that is done again replaces its file.
    assert "dump_modify images append yes" not in before
    assert "dump_modify many append yes" not in before
    assert any(line.startswith("dump gapfit all custom 5 ") for line in before)
    assert after[-2:] == ['if "$(step) < 520" then quit', "write_data end.data"]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("run ${n}", "", "has 0 `run` commands, and needs one; give others a script"),
        ("run ${n}", "run 10\nrun ${n}", "has 2 `run` commands"),
        ("equal 500", "equal 500*2", r"`run \$\{n\}`: write `run N`"),
        ("equal 500", "equal 5e2", r"`run \$\{n\}`: write `run N`"),
        ("run ${n}", "run 500 upto", "and no other words"),
        (
            "index 70 80",
            "equal 7*v_n",
            "write the seed as a whole number, or a variable",
        ),
        ("run ${n}", 'if "1 > 0" then "run 5"\nrun ${n}', "`if` with `run` cannot be"),
        ("read_data", "if '1' then 'velocity all zero'\nread_data", "with `velocity`"),
        ("run ${n}", "run ${m}", r"`run \$\{m\}`: write `run N`"),
        ("run ${n}", "run 100 every 10 NULL", "and no other words"),
        ("run ${n}", "run 0", "`run 0`: write `run N` with the number of steps"),
        ("run ${n}", "label loop\nrun ${n}", "`label` cannot be followed"),
        ("read_data copper.data", "", "makes no system: it needs one of create_box"),
        ("include potential.in", "", "has no line `pair_style gapfit`"),
        ("include potential.in", "include no.in", r"no\.in: cannot be read"),
        ("include potential.in", "include in.x", "includes itself"),
    ],
)
def test_scripts_that_cannot_be_run_in_parts_are_refused(old, new, match, tmp_path):
    with pytest.raises(GapfitError, match=match):
        read(tmp_path, SCRIPT.replace(old, new))


def test_a_file_in_quotes_is_included(tmp_path):
    (tmp_path / "with blanks.in").write_text(POTENTIAL)
    script = SCRIPT.replace("potential.in", '"with blanks.in"')
    assert read(tmp_path, script).elements == ("Cu", "O")


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("gapfit anything.gapfit", "eam any", "has 0 lines `pair_coeff` of pair_style"),
        ("Cu O", "Cu NULL", "a type is NULL in pair_coeff"),
        ("Cu O", "Cu Xy", "pair_coeff: Xy is not an element"),
        ("Cu O", "", "pair_coeff: there is no element; write that of each"),
        ("gapfit coul", "gapfit extrapolation stop 2 coul", "remove `extrapolation`"),
    ],
)
def test_potentials_that_learning_cannot_use_are_refused(old, new, match, tmp_path):
    with pytest.raises(GapfitError, match=match):
        read(tmp_path, potential=POTENTIAL.replace(old, new))


def test_texts_in_triple_quotes_are_no_commands(tmp_path):
    """They have several lines, and # in quotes begins no comment."""
    quoted = 'print """first # line\nrun 7\n  label x"""'
    single = "fix say all print 10 'step # 3' screen no"
    script = read(
        tmp_path, SCRIPT.replace("run ${n}", f"{quoted}\n{single}\nrun ${{n}}")
    )
    assert script.steps == 500
    assert script.before[-2:] == (quoted, single)
    with pytest.raises(
        GapfitError, match=r'`print """a`: the text in triple quotes does'
    ):
        read(tmp_path, SCRIPT + 'print """a\n')


def test_variables_of_the_command_line_come_before_those_of_the_script(tmp_path):
    """A variable of the style index is what the command line says; LAMMPS does so."""
    text = SCRIPT.replace("equal 500", "index 500")
    (tmp_path / "in.x").write_text(text)
    (tmp_path / "potential.in").write_text(POTENTIAL)
    words = ("mpirun", "-np", "4", "lmp", "-var", "n", "40", "60", "-v", "seed", "-5")
    given = variables_of(words)
    assert given == {"n": ("40", "60"), "seed": ("-5",)}
    script = read_script(tmp_path / "in.x", "in.x", {**given, "seed": ("9",)})
    assert script.steps == 40
    assert any("0.1 9 zero yes" in line for line in script.before)
    assert variables_of(("lmp", "-sf", "gpu", "-var", "-np", "4", "-var", "x")) == {}
