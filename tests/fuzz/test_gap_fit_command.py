"""Commands of gap_fit that are damaged in seeded ways: a configuration, or one error."""

from __future__ import annotations

import math
import time

import pytest
from builders import ROOT
from mutations import MOST_LETTERS, Refused, mutants, read_or_refused

from gapfit.cli import main
from gapfit.config.toml import load_config
from gapfit.quip.gap_fit_command import Translation, translate

SCRIPT = b"""#!/bin/bash
#SBATCH --ntasks=1
export OMP_NUM_THREADS=32
/opt/quip/bin/gap_fit at_file=carbon.xyz \\
  gap="{distance_2b n_sparse=15 theta_uniform=1.0 sparse_method=uniform \\
        covariance_type=ard_se cutoff=4.5 delta=2.0 : \\
      distance_Nb order=2 compact_clusters=F n_sparse=15 lengthscale_uniform=1.0 \\
        covariance_type=ard_se cutoff=4.5 energy_scale=2.0 Z={{6 6}} add_species=F : \\
      angle_3b n_sparse=200 theta_fac=1.2 cutoff=2.5 delta=0.05 covariance_type=ard_se : \\
      soap n_max=12 l_max=4 atom_sigma=0.5 zeta=4.0 cutoff=4.5 delta=0.2 n_species=2 \\
        config_type_n_sparse={{a:3:b:4}} species_Z={{6 1}} Z=6 add_species=F }" \\
  default_sigma={0.001 0.04 0.05 0.0} e0={C:-1.5:H:-13.6} sparse_jitter=1.0e-8 \\
  'config_type_sigma={Liquid:0.050:0.5:0.5:0.0:Dimer:0.002:0.1:0.2:0.0}' rnd_seed=999 \\
  energy_parameter_name=energy gp_file=gap.xml > fit.log 2>&1 # done
"""
OPTIONS = b"""at_file=gp.xyz default_kernel_regularisation={0.001 0.1 0.05 0.0} e0=-158.5
gap={soap l_max=12 n_max=10 atom_sigma=0.5 zeta=4 cutoff=5.0 n_sparse=9000 delta=3
     covariance_type=dot_product sparse_method=cur_points}
config_type_kernel_regularisation={a:0.0001:0.04:0.01:0.0:default:0.002:0.2:0.1:0.0}
energy_parameter_name = dft_energy rnd_seed=5 verbosity="VERBOSE"
"""
LISTED = (ROOT / "tests" / "quip_models" / "GST" / "cmd.json").read_bytes()
#: Most time of one command, s.
PATIENCE = 10
SOUND = (SCRIPT, OPTIONS, LISTED)
TOKENS = (
    *(
        b" : ",
        b"=",
        b" = ",
        b"{{",
        b"}}",
        b"$X",
        b"${X}",
        b"$(cat x)",
        b"`x`",
        b"<<EOF",
    ),
    *(
        b"\\\n",
        b"\\ \n",
        b" #",
        b" | ",
        b" && gap_fit a=b",
        b"config_file=x ",
        b"{1,2}",
    ),
    *(b"compact_clusters=F ", b"tail_exponent=-2 ", b"order=3 ", b"soap ", b"Z=999 "),
    *(b"delta=1 delta=2 ", b"theta_fac=1 ", b"gap=", b"at_file=", b"gap_fit ", b"\t"),
)


def translated(content: bytes) -> Translation | Refused:
    text = content.decode("utf-8", "replace")
    return read_or_refused(lambda: translate(text, species=["C", "H"]))


def fuzz(n: int, seed: int) -> None:
    assert not any(isinstance(translated(text), Refused) for text in SOUND)
    read = 0
    for k, content in enumerate(mutants(SOUND, n, seed=seed, tokens=TOKENS)):
        try:
            translation = translated(content)
            if isinstance(translation, Translation):
                read += 1
                assert all(math.isfinite(t.delta) for t in translation.config.terms)
                assert all(len(str(r)) < MOST_LETTERS for r in translation.remarks)
        except Exception as error:
            error.add_note(f"mutant {k} of seed {seed}: {content[:3000]!r}")
            raise
    assert 0 < read < n


def test_damaged_commands_are_one_short_error_or_a_configuration():
    fuzz(400, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_damaged_commands(seed):
    fuzz(10_000, seed=100 + seed)


@pytest.mark.parametrize("word", ["1 ", "$a ", "soap ", "'' ", "a=1 ", "$a gap_fit=1 "])
def test_long_texts_end_soon(word):
    before = time.process_time()
    assert isinstance(translated(word.encode() * 10_000), Refused)
    assert time.process_time() - before < PATIENCE


def test_convert_writes_a_configuration_or_says_why_not(tmp_path, capsys):
    """The command line adds the file's name, and what it writes can be read again."""
    source, target = tmp_path / "run.sh", tmp_path / "fit.toml"
    written = 0
    for content in mutants(SOUND, 40, seed=11, tokens=TOKENS):
        source.write_bytes(content)
        status = main(["convert", str(source), str(target), "--force"])
        said = capsys.readouterr().err
        assert "unexpected" not in said
        assert len(said.splitlines()) <= 11
        assert (status == 0) == (not said)
        if status == 0:
            load_config(target)
            written += 1
    assert 0 < written < 40
