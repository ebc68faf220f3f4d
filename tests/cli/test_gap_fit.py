"""`gapfit gap_fit`: commands as workflows build them, and the files they expect."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from builders import label
from helpers.commands import error_of
from helpers.quippy_runs import by_quippy

from gapfit.cli import main
from gapfit.config.toml import load_config
from gapfit.model.storage import load as load_npz
from gapfit.quip import load
from gapfit.testing import OTHER_PROGRAM, REORDERED_SUMS

E0 = {"C": -2.0, "Si": -1.0}
GLUE = """<Glue><Glue_params n_types="2">
<per_type_data type="1" atomic_num="6"/><per_type_data type="2" atomic_num="14"/>
<per_pair_data type1="1" type2="2"><potential_pair num_points="4" y1="-20.0" yn="0.0">
<point r="1.0" E="9.0"/><point r="1.4" E="4.0"/><point r="1.9" E="1.0"/>
<point r="2.8" E="0.0"/></potential_pair></per_pair_data></Glue_params></Glue>
"""


def crystal(seed: int) -> Atoms:
    atoms = bulk("SiC", "zincblende", a=4.7, cubic=True)
    atoms.rattle(0.12, seed=seed)
    return atoms


def reference(atoms: Atoms, kind: str, config_type: str) -> Atoms:
    """Return a structure with labels as workflows write them: named REF_..."""
    results = label(atoms).calc.results
    stress = atoms.get_stress(voigt=False)
    atoms.calc = None
    shift = sum(E0[symbol] for symbol in atoms.symbols)
    atoms.info["REF_energy"] = results["energy"] + shift
    atoms.arrays["REF_forces"] = results["forces"]
    values = -stress * atoms.get_volume() if kind == "virial" else stress
    atoms.info[f"REF_{kind}"] = " ".join(map(str, values.ravel()))
    atoms.info["config_type"] = config_type
    return atoms


def training_data(path: Path, kind: str, isolated: str) -> None:
    frames = [reference(crystal(seed), kind, "bulk") for seed in range(4)]
    atoms = [Atoms(s, cell=[12.0] * 3, pbc=True) for s in E0]
    frames += [reference(atom, kind, isolated) for atom in atoms]
    ase.io.write(path, frames, format="extxyz")


def fit_here(folder: Path, monkeypatch, *words: str) -> None:
    monkeypatch.chdir(folder)
    assert main(["gap_fit", "--no-report", *words]) == 0


def same_numbers(folder: Path, xml: str, quippy_words: str = "") -> None:
    """Check that the XML file gives the numbers of the model, here and in quippy."""
    name = Path(xml).stem
    model, written = load_npz(folder / f"{name}-model/model.npz"), load(folder / xml)
    structures = [crystal(seed) for seed in (20, 21)]
    for atoms in structures:
        ours, read = model.predict(atoms), written.predict(atoms)
        REORDERED_SUMS.check(read.energies, ours.energies)
        REORDERED_SUMS.check(read.forces, ours.forces)
    for atoms in by_quippy(folder / xml, structures, folder, quippy_words):
        ours = model.predict(atoms)
        OTHER_PROGRAM.check(atoms.get_potential_energy(), ours.energy)
        OTHER_PROGRAM.check(atoms.get_forces(), ours.forces)
        OTHER_PROGRAM.check(atoms.get_stress(), ours.stress)


# autoplex gives a list of words to the program, each KEY=VALUE with blanks inside.
GENERAL = {
    "at_file": "train.extxyz",
    "default_sigma": "{0.001 0.05 0.05 0}",
    "energy_parameter_name": "REF_energy",
    "force_parameter_name": "REF_forces",
    "virial_parameter_name": "REF_virial",
    "sparse_jitter": 1e-08,
    "do_copy_at_file": "F",
    "openmp_chunk_size": 10000,
    "gp_file": "gap_file.xml",
    "e0_offset": 0.0,
}
TWO_BODY = (
    "distance_Nb order=2 f0=0.0 add_species=T cutoff=4.0 n_sparse=12 "
    "covariance_type=ard_se delta=1.5 theta_uniform=0.5 sparse_method=uniform "
    "compact_clusters=T"
)
THREE_BODY = (
    "distance_Nb order=3 f0=0.0 add_species=T cutoff=3.6 n_sparse=20 "
    "covariance_type=ard_se delta=0.3 theta_uniform=1.0 sparse_method=uniform "
    "compact_clusters=T"
)
SOAP = (
    "soap add_species=T l_max=3 n_max=4 atom_sigma=0.5 zeta=4 cutoff=4.0 "
    "cutoff_transition_width=1.0 central_weight=1.0 n_sparse=10 delta=1.0 f0=0.0 "
    "covariance_type=dot_product sparse_method=cur_points"
)


def autoplex(*descriptors: str, **general: object) -> list[str]:
    words = [f"{key}={value}" for key, value in (GENERAL | general).items()]
    return [*words, f"gap={{{' :'.join(descriptors)}}}"]


@pytest.fixture(scope="module")
def by_autoplex(tmp_path_factory):
    """A folder where autoplex' commands ran: pairs alone, then all terms."""
    folder = tmp_path_factory.mktemp("autoplex")
    training_data(folder / "train.extxyz", "virial", "IsolatedAtom")
    with pytest.MonkeyPatch.context() as patch:
        fit_here(folder, patch, *autoplex(TWO_BODY))
        (folder / "pairs.xml").write_bytes((folder / "gap_file.xml").read_bytes())
        fit_here(folder, patch, *autoplex(TWO_BODY, THREE_BODY, SOAP))
    return folder


def test_a_command_of_autoplex_fits_its_terms(by_autoplex):
    config = load_config(by_autoplex / "gap_file-model" / "fit.toml")
    assert [term.type for term in config.terms] == ["distance_2b", "angle_3b", "soap"]
    model = load(by_autoplex / "gap_file.xml")
    counts = [
        {block: len(points) for block, points in term.sparse.items()}
        for term in model.terms
    ]
    # The pairs Si-C are in fewer of the intervals.
    assert set(counts[0]) == {6006, 6014, 14014}
    assert max(counts[0].values()) == 12
    assert len(counts[1]) == 6
    assert counts[2] == {6: 10, 14: 10}
    assert model.e0 == pytest.approx({6: E0["C"], 14: E0["Si"]})


def test_autoplex_reads_the_potential_by_the_name_of_its_root(by_autoplex):
    root = re.match(r"<([^\s>]+)>", (by_autoplex / "gap_file.xml").read_text())[1]
    same_numbers(by_autoplex, "gap_file.xml", f"Potential xml_label={root}")


def test_later_commands_replace_the_files_of_earlier_ones(by_autoplex):
    earlier, later = load(by_autoplex / "pairs.xml"), load(by_autoplex / "gap_file.xml")
    assert len(earlier.terms) == 1
    assert len(later.terms) == 3
    names = {path.name for path in (by_autoplex / "gap_file-model").iterdir()}
    files = {"model.npz", "metrics.json", "fit.log", "fit.toml", "gap_fit.toml"}
    assert names == files


def test_the_configuration_tells_what_is_different(by_autoplex):
    text = (by_autoplex / "gap_file-model" / "gap_fit.toml").read_text()
    assert "order = 3: taken as angle_3b" in text
    assert "openmp_chunk_size = 10000" in text
    assert "gp_file" not in text


def test_its_help_tells_the_files(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["gap_fit", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: gapfit gap_fit [-h]")
    assert "GAP-model for GAP.xml" in text


def test_the_pair_potentials_that_autoplex_puts_underneath(tmp_path, monkeypatch):
    training_data(tmp_path / "train.extxyz", "virial", "IsolatedAtom")
    (tmp_path / "glue.xml").write_text(GLUE)
    words = {"core_param_file": "glue.xml", "core_ip_args": "{IP Glue}"}
    fit_here(tmp_path, monkeypatch, *autoplex(SOAP, gp_file="g.xml", **words))
    text = (tmp_path / "g.xml").read_text()
    assert "Sum init_args_pot1={IP Glue} init_args_pot2={IP GAP" in text
    model = load(tmp_path / "g.xml")
    dimer = Atoms("SiC", [[0, 0, 0], [1.4, 0, 0]])
    with_core = model.predict(dimer).energy
    assert model.baseline is not None
    assert 4.0 in model.baseline.points[6014][:, 1]
    assert np.isfinite(with_core)
    same_numbers(tmp_path, "g.xml")


# wfl gives one line to a shell: lists in double braces, T and F, quotes around blanks.
WFL = (
    "default_sigma={0.0025 0.0625 0.125 0.125} sparse_jitter=1e-08 do_copy_at_file=F "
    "sparse_separate_file=T energy_parameter_name=REF_energy "
    "force_parameter_name=REF_forces virial_parameter_name=REF_virial "
    "hessian_parameter_name=REF_hessian stress_parameter_name=REF_stress "
    "gap_file=run/GAP.stage_1.xml rnd_seed=1234 "
    "atoms_filename=run/fitting_database.combined.GAP.stage_1.extxyz gap={ "
    + " : ".join(
        "distance_Nb=T order=2 cutoff=4.0 cutoff_transition_width=0.8 "
        f"compact_clusters=T Z={{{{{a} {b}}}}} n_sparse=10 covariance_type=ard_se "
        f"theta_uniform={theta} sparse_method=uniform f0=0.0 delta=0.9 add_species=F"
        for a, b, theta in ((6, 6, 0.6), (6, 14, 0.75), (14, 14, 0.9))
    )
    + " : "
    + " : ".join(
        f"soap=T n_max=4 l_max=3 atom_sigma={sigma} cutoff=4.0 "
        f"cutoff_transition_width=0.5 central_weight=1.0 Z={z} n_species=2 "
        "species_Z={{6 14}} n_sparse=10 f0=0.0 covariance_type=dot_product zeta=4 "
        "sparse_method=cur_points print_sparse_index=T delta=0.7 add_species=F"
        for z, sigma in ((6, 0.4), (14, 0.5))
    )
    + " }"
)


def test_a_command_of_wfl(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    data = tmp_path / "run" / "fitting_database.combined.GAP.stage_1.extxyz"
    training_data(data, "stress", "isolated_atom")
    fit_here(tmp_path, monkeypatch, *shlex.split(WFL))
    config = load_config(tmp_path / "run" / "GAP.stage_1-model" / "fit.toml")
    pairs, (carbon, silicon) = config.terms[:3], config.terms[3:]
    assert [term.theta for term in pairs] == [0.6, 0.75, 0.9]
    assert (carbon.centres, silicon.centres) == (["C"], ["Si"])
    assert (carbon.atom_sigma, silicon.atom_sigma) == (0.4, 0.5)
    assert config.data.stress_key == "REF_stress"
    assert config.run.seed == 1234
    # wfl gives the potential another name: that of the root and of Potential.
    path = tmp_path / "run" / "GAP.stage_1.xml"
    root = re.match(r"<([^\s>]+)>", path.read_text())[1]
    text = re.sub(rf"(</?){root}>", r"\1GAP>", path.read_text())
    path.write_text(text.replace(f'Potential label="{root}"', 'Potential label="GAP"'))
    same_numbers(tmp_path / "run", "GAP.stage_1.xml")


# IPSuite gives a shell one line, which splits at the blanks inside of the braces; options
# as Python prints them, and names that no label has for what is not to be fitted.
IPSUITE = (
    " gap_fit e0_method=average at_file=nodes/GAP/train_atoms.extxyz gap={distance_Nb     "
    "order=2     cutoff=4.0     covariance_type=ard_se     delta=0.1     "
    "sparse_method=CUR_POINTS     add_species=True     n_sparse=8     theta_uniform=1.0"
    ":soap     l_max=3     n_max=4     cutoff=4.0     atom_sigma=0.5     zeta=4.0     "
    "cutoff_transition_width=0.5     delta=1.0     covariance_type=dot_product     "
    "n_sparse=10     sparse_method=CUR_POINTS     add_species=True} "
    "gp_file=nodes/GAP/model/model.xml default_sigma={0.0001 0.01 0.01 0.01} "
    "sparse_jitter=1e-10      energy_parameter_name=energy       "
    "force_parameter_name=forces       virial_parameter_name=DUMMY     "
    "stress_parameter_name=DUMMY"
)


def test_a_command_of_ipsuite(tmp_path, monkeypatch):
    (tmp_path / "nodes/GAP/model").mkdir(parents=True)
    frames = [label(crystal(seed)) for seed in range(4)]
    ase.io.write(tmp_path / "nodes/GAP/train_atoms.extxyz", frames, format="extxyz")
    fit_here(tmp_path, monkeypatch, *shlex.split(IPSUITE)[1:])
    folder = tmp_path / "nodes/GAP/model"
    config = load_config(folder / "model-model" / "fit.toml")
    pairs, soap = config.terms
    assert (pairs.type, pairs.delta, pairs.sparse_method) == ("distance_2b", 0.2, "cur")
    assert (soap.n_max, soap.zeta, soap.quip.neighbours) == (4, 4.0, [])
    # The stress in the file is not to be fitted.
    assert not config.data.use_stress
    same_numbers(folder, "model.xml")
    # IPSuite finds the label for LAMMPS in the second line.
    assert 'Potential label="' in (folder / "model.xml").read_text().splitlines()[1]


# maml gives a list of words to the program.
MAML = [
    "at_file=train.xyz",
    "gap={soap l_max=3 n_max=4 atom_sigma=0.5 zeta=4 cutoff=4.0 "
    "cutoff_transition_width=0.5 delta=1.0 f0=0.0 n_sparse=10 "
    "covariance_type=dot_product sparse_method=cur_points add_species=T}",
    "sparse_jitter=1e-08",
    "e0=0.0",
    "e0_offset=0.0",
    "default_sigma={0.0005 0.1 0.05 0.01}",
    "energy_parameter_name=dft_energy",
    "force_parameter_name=dft_force",
    "gp_file=train.xml",
]


def lines_of_maml(atoms: Atoms) -> list[str]:
    """Return a structure with labels as maml writes them."""
    stress = atoms.get_stress(voigt=False)
    virial = "\t".join(map(str, (-stress * atoms.get_volume()).ravel()))
    lattice = "     ".join(map(str, atoms.cell[:].ravel()))
    header = (
        f"dft_energy={atoms.get_potential_energy()} dft_virial={{{virial}}} "
        f'Lattice="{lattice}" Properties=species:S:1:pos:R:3:Z:I:1:dft_force:R:3'
    )
    rows = [
        f"{atom.symbol:<10s}{x:>16f}{y:>16f}{z:>16f}{atom.number:>8d}"
        f"{u:>16f}{v:>16f}{w:>16f}"
        for atom, (x, y, z), (u, v, w) in zip(
            atoms, atoms.positions, atoms.get_forces(), strict=True
        )
    ]
    return [str(len(atoms)), header, *rows]


@pytest.mark.parametrize("with_virial", [False, True])
def test_a_command_of_maml(tmp_path, monkeypatch, with_virial):
    frames = [label(crystal(seed)) for seed in range(4)]
    lines = [line for atoms in frames for line in lines_of_maml(atoms)]
    (tmp_path / "train.xyz").write_text("\n".join(lines))
    more = ["virial_parameter_name=dft_virial"] if with_virial else []
    fit_here(tmp_path, monkeypatch, *MAML[:-1], *more, MAML[-1])
    config = load_config(tmp_path / "train-model" / "fit.toml")
    # The virial is in the data, but gap_fit does not read it by this name.
    assert config.data.use_stress == with_virial
    assert load(tmp_path / "train.xml").e0 == {6: 0.0, 14: 0.0}
    same_numbers(tmp_path, "train.xml")
    # What maml finds in the file: the element of each descriptor, and its points.
    found = {}
    for part in (
        ElementTree.parse(tmp_path / "train.xml").getroot().iter("gpCoordinates")
    ):
        (z,) = re.findall(r" Z=(.*?) ", part.findtext("descriptor"))
        found[int(z)] = np.loadtxt(tmp_path / part.get("sparseX_filename")).size
    width = 8 * 9 // 2 * 4 + 1
    assert found == {6: 10 * width, 14: 10 * width}


# With a steep filter (nf) quippy's forces are the slopes of its energies.
TURBO = [
    "soap_turbo l_max=3 alpha_max={{4 3}} atom_sigma_r={{0.4 0.5}} "
    "atom_sigma_t={{0.4 0.5}} atom_sigma_r_scaling={{0.1 0.0}} "
    "atom_sigma_t_scaling={{0.1 0.0}} "
    "amplitude_scaling={{1.0 2.0}} central_weight={{1.0 0.5}} rcut_hard=4.0 rcut_soft=3.5 "
    "nf=8 basis=poly3gauss scaling_mode=polynomial radial_enhancement=1 zeta=4 delta=0.5 "
    "compress_mode=trivial n_species=2 species_Z={{6 14}} n_sparse=10 add_species=F "
    f"covariance_type=dot_product sparse_method=cur_points central_index={k}"
    for k in (1, 2)
]


def test_a_command_with_soap_turbo(tmp_path, monkeypatch, capsys):
    training_data(tmp_path / "train.extxyz", "virial", "IsolatedAtom")
    fit_here(tmp_path, monkeypatch, *autoplex(TWO_BODY, *TURBO))
    config = load_config(tmp_path / "gap_file-model" / "fit.toml")
    assert [term.type for term in config.terms] == ["distance_2b", "soap"]
    same_numbers(tmp_path, "gap_file.xml")
    one = [TURBO[0].replace("add_species=F", "add_species=T")]
    message = error_of(capsys, "gap_fit", *autoplex(TWO_BODY, *one))
    assert "add_species=F, and a descriptor for each central_index" in message


CONFIG_FILE = f"""at_file=train.xyz
gap={{distance_2b cutoff=4.0 delta=0.5 theta_uniform=1.0
     n_sparse=6 add_species=T {{covariance_type=ard_se}}}}
default_sigma = {{0.01 0.1 0.1 0}} e0={{Si:{E0["Si"]}:C:{E0["C"]}}}
energy_parameter_name=REF_energy force_parameter_name=REF_forces
virial_parameter_name=REF_virial e0_ofset=2.0 sparse_separate_file=F
"""


def test_a_config_file_counts_alone_as_for_gap_fit(tmp_path, monkeypatch, capsys):
    training_data(tmp_path / "train.xyz", "virial", "isolated_atom")
    (tmp_path / "config").write_text(CONFIG_FILE)
    words = ["config_file=config", "gp_file=other.xml"]
    monkeypatch.chdir(tmp_path)
    message = error_of(capsys, "gap_fit", *words)
    assert "e0_ofset = 2.0: left out: unknown to gap_fit; did you mean" in message
    assert not (tmp_path / "gap_new-model").exists()
    fit_here(tmp_path, monkeypatch, "--lenient", *words)
    printed = capsys.readouterr().out
    assert "e0_ofset = 2.0" in printed
    assert "sparse_separate_file = F: sparse points are always in sep" in printed
    assert not (tmp_path / "other.xml").exists()
    same_numbers(tmp_path, "gap_new.xml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma_per_atom": "F"}, "sigma_per_atom = F"),
        ({"energy_parameter_name": "energy_dft"}, "energy_parameter_name = energy_dft"),
        ({"core_ip_args": "{IP LJ}"}, "core_ip_args = IP LJ"),
        ({"dryrun": "T"}, "dryrun = T"),
        ({"e0_offset": 1.0}, "e0_offset = 1.0"),
    ],
)
def test_options_that_change_the_fit_are_errors(
    tmp_path, monkeypatch, capsys, change, message
):
    training_data(tmp_path / "train.extxyz", "virial", "IsolatedAtom")
    before = set(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    text = error_of(capsys, "gap_fit", *autoplex(TWO_BODY, **change))
    first, *lines = text.splitlines()
    assert first == "the fit would differ from that of gap_fit:"
    assert lines[0].strip().startswith(f"- {message}: ")
    assert "--lenient" in lines[-1]
    assert len(lines) == 2
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there are no options key=value"),
        (["at_file=x.xyz", "--lenient"], "--lenient: is no option of gap_fit"),
        (["config_file=nothing"], "config_file = nothing: there is no such file"),
        (autoplex(TWO_BODY), "at_file = train.extxyz: there is no such file"),
        (autoplex(TWO_BODY, gp_file="gap.pot"), "gap.pot: ends in '.pot'"),
        (autoplex(TWO_BODY, gp_file="no/gap.xml"), "there is no folder no"),
        (
            autoplex(TWO_BODY, core_ip_args="{IP Glue}"),
            "core_param_file = quip_params.xml: there is no such file",
        ),
    ],
)
def test_commands_that_cannot_run(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in error_of(capsys, "gap_fit", *words)
    assert not list(tmp_path.iterdir())
