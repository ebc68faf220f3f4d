"""Names, braces, blanks and quotes of commands of gap_fit: taken or refused as there.

Stored answers are those of gap_fit 0.10.3: what it takes, and the theta and delta that it
writes. Where gap_fit is installed, `test_gap_fit_takes_and_refuses_the_same` asks it.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import ase.io
import pytest
from ase import Atoms
from ase.build import bulk

from gapfit.errors import GapfitError
from gapfit.quip.gap_fit_command import translate

DATA = "at_file=s.xyz"
SIGMA = "default_sigma={0.002 0.1 0.1 0}"
KERNEL = "covariance_type=ard_se"
BASE = f"distance_2b cutoff=5.0 {KERNEL} n_sparse=5"
PAIRS = f"{BASE} delta=0.5 theta_uniform=2"
SOAP = (
    "soap l_max=2 n_max=2 cutoff=4 atom_sigma=0.5 zeta=2 n_sparse=4 delta=0.5 "
    "covariance_type=dot_product"
)
NB = f"distance_Nb cutoff=5.0 {KERNEL} delta=0.5 theta_uniform=1 n_sparse=5"


def quoted(gap: str) -> str:
    return f'gap_fit {DATA} "{SIGMA}" "gap={{{gap}}}"'


#: Descriptors with the theta and the delta of their terms in gapfit.
NAMES = [
    (f"{BASE} delta=0.5 theta_uniform=2.0", 2.0, 1.0),
    (f"{BASE} delta=0.5 lengthscale_uniform=2.0", 2.0, 1.0),
    (f"{BASE} energy_scale=0.5 LENGTHSCALE_UNIFORM=2d0", 2.0, 1.0),
    (f"{BASE} delta=0.5 lengthscale_uniform={{2.0}} tail_range=2.0", 2.0, 1.0),
    (f"{BASE} delta=0.5 theta_uniform=2 tail_exponent=0 tail_range=2.0", 2.0, 1.0),
    # The last one counts, under any of its names.
    (f"{BASE} delta=0.5 theta_uniform=2 lengthscale_uniform=3", 3.0, 1.0),
    (f"{BASE} delta=0.5 lengthscale_uniform=3 theta_uniform=2", 2.0, 1.0),
    (f"{BASE} delta=0.5 energy_scale=0.7 theta_uniform=2", 2.0, 1.4),
    (f"{BASE} energy_scale=0.7 delta=0.5 theta_uniform=2", 2.0, 1.0),
    (f"{NB} order=2", 1.0, 1.0),
    (f"{NB} order=2 compact_clusters=T", 1.0, 1.0),
    (f"{NB} order=2 compact_clusters", 1.0, 1.0),
    (f"{NB} order=2 compact_clusters=F", 1.0, 0.5),
    (f"{NB} order=2 compact_clusters=false", 1.0, 0.5),
    (f"{NB} order=2 COMPACT_CLUSTERS = f", 1.0, 0.5),
    (f"{NB} order=2 compact_clusters=T compact_clusters=F", 1.0, 0.5),
]


@pytest.mark.parametrize(("gap", "theta", "delta"), NAMES)
def test_lengths_and_deltas_by_all_their_names(gap, theta, delta):
    found = translate(quoted(gap), species=["Cu"])
    (term,) = found.config.terms
    assert (term.theta, term.delta) == (theta, delta)
    assert not any("unknown" in remark.text for remark in found.remarks)


@pytest.mark.parametrize(
    ("gap", "option", "text"),
    [
        (f"{PAIRS} tail_exponent=-2 tail_range=2", "tail_exponent", "no counterpart"),
        (f"{SOAP} normalize=F", "normalize", "no counterpart"),
        (
            f"{BASE} delta=0.5 lengthscale_factor=0.5",
            "lengthscale_factor",
            "depends on the data",
        ),
        (
            f"{BASE} delta=1 lengthscale_file=x",
            "lengthscale_file",
            "depends on the data",
        ),
        (
            f"{PAIRS} lengthscale_uniform=2",
            "lengthscale_uniform",
            "the last one is used",
        ),
        (f"{PAIRS} compact_clusters=F", "compact_clusters", "unknown to gap_fit"),
        (f"{PAIRS} : {NB} order=3 compact_clusters=F", "compact_clusters", "left out"),
    ],
)
def test_names_without_counterpart_are_remarks(gap, option, text):
    found = translate(quoted(gap), species=["Cu"])
    (remark,) = found.remarks
    assert remark.option.split()[-1] == option
    assert text in remark.text


#: Whole commands that gap_fit takes as two equal terms or as one.
TAKEN = {
    "quotes around options": quoted(PAIRS),
    "quotes around values": f"gap_fit {DATA} default_sigma='{{0.002 0.1 0.1 0}}' "
    f"gap='{{{PAIRS}}}'",
    "quotes around names": f'gap_fit {DATA} "{SIGMA}" "gap"={{{PAIRS}}}',
    "no quotes": f"gap_fit {DATA} {SIGMA} gap={{{PAIRS}}}",
    "no braces": f'gap_fit {DATA} "{SIGMA}" gap="{PAIRS}"',
    "escaped braces": f"gap_fit {DATA} {SIGMA[:-1]}\\}} gap=\\{{{PAIRS}\\}}",
    "two pairs of braces": quoted(f"{{{PAIRS}}}"),
    "braces around each": quoted(f"{{{PAIRS}}} : {{{PAIRS}}}"),
    "no blanks at the colon": quoted(f"{PAIRS}:{PAIRS}"),
    "a colon at the end": quoted(f"{PAIRS} :"),
    "a colon at the beginning": quoted(f": {PAIRS}"),
    "commas": quoted(PAIRS.replace(" ", ", ")),
    "blanks around equality": quoted(PAIRS.replace("cutoff=", "cutoff = ")),
    "a blank before equality": quoted(PAIRS.replace("cutoff=", "cutoff =")),
    "blanks around gap": f'gap_fit {DATA} "{SIGMA}" gap = {{{PAIRS}}}',
    "a newline in quotes": quoted(PAIRS.replace(" cutoff", "\n cutoff")),
    "a backslash in quotes": quoted(PAIRS.replace(" cutoff", " \\\n cutoff")),
    "backslashes": f'gap_fit \\\n {DATA} \\\n "{SIGMA}" "gap={{{PAIRS}}}"\\\n\n',
    "braces around numbers": quoted(PAIRS.replace("5.0", "{5.0}")),
    "two braces around numbers": quoted(PAIRS.replace("5.0", "{{5.0}}")),
    "quotes around numbers": quoted(PAIRS.replace("5.0", "'5.0'")),
    "the type at the end": quoted(f"{PAIRS[12:]} distance_2b"),
    "the type with a value": quoted(f"distance_2b=T {PAIRS[12:]} soap=F"),
    "capitals": quoted(PAIRS.upper()),
    "a stray brace": quoted(f"{PAIRS} }}"),
    "repetition": quoted(f"{PAIRS} DELTA=0.5"),
    "commas in sigmas": f'gap_fit {DATA} "default_sigma={{0.002, 0.1, 0.1, 0}}" '
    f'"gap={{{PAIRS}}}"',
    "lists in two braces": quoted(
        f"{NB} order=2 Z={{{{29 29}}}} add_species=F".replace("uniform=1", "uniform=2")
    ),
    "lists with commas": quoted(
        f"{NB} order=2 Z={{{{29, 29}}}} add_species=F".replace("uniform=1", "uniform=2")
    ),
    "a pipe and a comment": f"time {quoted(PAIRS)} | tee x.log # done",
    "redirections": f"{quoted(PAIRS)} >o.log 2>&1; cat o.log",
    "a list of commands": f"cd . && {quoted(PAIRS)} && echo gap_fit done",
    "in the background": f"{quoted(PAIRS)} & wait",
    "mentioned before": f"echo gap_fit at_file=x\n# gap_fit x=y\n{quoted(PAIRS)}",
    "a variable elsewhere": f'echo "$HOME `date`"\n{quoted(PAIRS)}',
    "a variable of the environment": f"OMP_NUM_THREADS=1 {quoted(PAIRS)}",
}
#: Commands that gap_fit does not take; the message of gapfit.
REFUSED = {
    "an empty descriptor": (quoted(f"{PAIRS} : : {PAIRS}"), "descriptor 2 is empty"),
    "a tab": (quoted(PAIRS.replace(" cutoff", "\tcutoff")), "a tab in"),
    "a blank after equality": (
        quoted(PAIRS.replace("cutoff=", "cutoff= ")),
        "cutoff = ",
    ),
    "three braces": (quoted(PAIRS.replace("5.0", "{{{5.0}}}")), "cutoff"),
    "two braces of sigmas": (
        f'gap_fit {DATA} "default_sigma={{{{1 1 1 1}}}}" "gap={{{PAIRS}}}"',
        "default_sigma = {1: not a number",
    ),
    "lists in single braces": (
        quoted(f"{SOAP} add_species=F n_species=2 species_Z={{13 29}}"),
        "species_Z={13 29} needs two pairs of braces",
    ),
    "a list of another length": (
        quoted(f"{SOAP} add_species=F n_species=2 species_Z={{{{29}}}}"),
        "does not agree with n_species",
    ),
    "an open brace": (quoted(PAIRS)[:-2] + '"', "brace is not closed"),
    "two types": (quoted(f"{PAIRS} soap"), "distance_2b and soap in one"),
    "no length": (quoted(f"{BASE} delta=0.5"), "exactly one of lengthscale_uniform"),
    "two lengths": (quoted(f"{PAIRS} theta_fac=1"), "exactly one of lengthscale_uni"),
    "no number of points": (
        quoted(PAIRS.replace("n_sparse=5", "")),
        "needs n_sparse",
    ),
    "0 points": (quoted(PAIRS.replace("n_sparse=5", "n_sparse=0")), "needs n_sparse"),
    "no order": (quoted(NB), "order is missing"),
    "Fortran's truth": (quoted(f"{PAIRS} add_species=.F."), "neither T nor F"),
    "yes": (quoted(f"{PAIRS} add_species=yes"), "neither T nor F"),
    "1": (f"{quoted(PAIRS)} sigma_per_atom=0", "neither T nor F"),
    "a fraction": (quoted(f"{PAIRS} n_sparse=5.0"), "a whole number"),
    "an underscore": (quoted(f"{PAIRS} cutoff=1_0"), "not a number"),
    "not a number": (quoted(f"{PAIRS} cutoff=nan"), "not a number"),
    "a comment in a value": (quoted(f"{PAIRS} cutoff=5.0#3"), "not a number"),
    "a word alone": (f"{quoted(PAIRS)} verbose", "'verbose' is not an option"),
    "an expansion": (
        f'gap_fit {DATA} default_sigma={{1,1,1,0}} "gap={{{PAIRS}}}"',
        "a shell makes several words of {1,1,1,0}",
    ),
    "blanks after a backslash": (
        f'gap_fit {DATA} \\ \n "{SIGMA}" "gap={{{PAIRS}}}"',
        "line 1 ends with blanks after the backslash",
    ),
    "a comment between lines": (
        f'gap_fit {DATA} \\\n # sigma \n "{SIGMA}" "gap={{{PAIRS}}}"',
        "is missing",
    ),
}
#: What gap_fit takes, or a shell makes of it, and gapfit does not: refused by name.
BEYOND = {
    "a colon inside braces": (quoted(f"{{{PAIRS} : {PAIRS}}}"), "colon inside"),
    "a variable": (f"X=s.xyz\n{quoted(PAIRS)} x=$X", "$X is a shell variable"),
    "in quotes": (quoted(PAIRS.replace("5.0", "$CUT")), "$CUT is a shell variable"),
    "with a default": (quoted(f"{PAIRS} a=${{X:-5}}"), "${X:-5} is a shell variable"),
    "arithmetic": (quoted(PAIRS.replace("5.0", "$((2+3))")), "$( is a shell variable"),
    "a command": (quoted(PAIRS.replace("5.0", "$(cat x)")), "$( is a shell variable"),
    "a command in ticks": (quoted(PAIRS.replace("5.0", "`cat x`")), "` is a shell"),
    "an argument": (quoted(PAIRS.replace("5.0", "$1")), "$1 is a shell variable"),
    "all of it": ('gap_fit "${args[@]}"', "${args[@]} is a shell variable"),
    "a whole option": (f'A=1\ngap_fit {DATA} "$A"', "$A is a shell variable"),
    "a here-document": (f"gap_fit {DATA} <<END\n{SIGMA}\nEND", "here-document"),
    "other quotes": (f"gap_fit {DATA} $'{SIGMA}'", "$ before a quote"),
    "a script without it": ("#!/bin/bash\necho a=b\n", "does not call it"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_gap_fit_takes(name):
    found = translate(TAKEN[name], species=["Cu"])
    assert found.config.data.train == ["s.xyz"]
    assert (found.config.sigma.energy, found.config.sigma.forces) == (0.002, 0.1)
    for term in found.config.terms:
        assert (term.type, term.r_cut, term.theta) == ("distance_2b", 5.0, 2.0)
        assert (term.delta, term.n_sparse) == (1.0, 5)


@pytest.mark.parametrize("name", [*REFUSED, *BEYOND])
def test_what_is_refused_by_name(name):
    text, message = (REFUSED | BEYOND)[name]
    with pytest.raises(GapfitError, match=re.escape(message)) as caught:
        translate(text, species=["Cu"])
    assert len(str(caught.value)) < 400


def test_a_program_in_a_variable_is_gap_fit():
    text = quoted(PAIRS).replace("gap_fit", 'mpirun -n 2 "$QUIP/gap_fit"', 1)
    assert translate(text).config.terms[0].theta == 2.0
    text = quoted(PAIRS).replace("gap_fit", "mpirun ${GAP_FIT}", 1)
    assert translate(text).config.terms[0].theta == 2.0


def test_options_in_a_file_have_no_shell():
    text = f"{DATA}\n{SIGMA}\ngap = {{{PAIRS}\n: {PAIRS}}}\n"
    assert len(translate(text).config.terms) == 2
    assert len(translate(text.replace("\n", "\r\n")).config.terms) == 2
    for more, message in (
        ("# a comment\n", "gap_fit has none in a config_file"),
        ("sparse_jitter=1e-9 # small\n", "gap_fit has none in a config_file"),
        ("verbosity\tNERD\n", "a tab in"),
        ("sparse_jitter=1e-9 \\\n", "'\\\\\\\\' is not an option"),
    ):
        with pytest.raises(GapfitError, match=message):
            translate(text + more)


def test_huge_texts_are_read_in_linear_time():
    word = "a" * 100_000
    for text in (
        f"gap_fit {DATA} {{{',' * 60_000}",
        f"gap_fit {DATA} x={word}$Y",
        f"gap_fit {DATA} {'{' * 60_000}",
        f"gap_fit {DATA} {SIGMA} gap={{{PAIRS} {word}={word}}} {'$X' * 40_000}",
        quoted(f"soap l_max={'1' * 5000}"),
    ):
        with pytest.raises(GapfitError) as caught:
            translate(text)
        assert len(str(caught.value)) < 400


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("gap_fit"), reason="gap_fit is not installed")
@pytest.mark.parametrize("name", [*TAKEN, *REFUSED])
def test_gap_fit_takes_and_refuses_the_same(tmp_path, name):
    """A dry run, and a fit where the kernel's length is what it refuses."""
    frames = [Atoms("Cu", cell=[15.0] * 3, pbc=True)]
    for seed in range(3):
        crystal = bulk("Cu", cubic=True)
        crystal.rattle(0.1, seed=seed)
        frames.append(crystal)
    for frame in frames:
        frame.info["energy"] = -3.0 * len(frame)
    ase.io.write(tmp_path / "s.xyz", frames, format="extxyz")
    text = TAKEN.get(name) or REFUSED[name][0]
    more = "do_copy_at_file=F gp_file=gap.xml " + DATA
    (tmp_path / "run.sh").write_text(text.replace(DATA, more))
    done = subprocess.run(
        ["bash", "run.sh"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    fitted = (tmp_path / "gap.xml").exists()
    assert fitted == (name in TAKEN), done.stdout[-500:] + done.stderr[-500:]


def test_endless_commands_are_refused():
    with pytest.raises(GapfitError, match="200008 characters"):
        translate("at_file=" + "x" * 200_000)
