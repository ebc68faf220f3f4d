"""Commands of gap_fit as configurations, and `gapfit convert`."""

from __future__ import annotations

import json

import ase.io
import pytest
from builders import DATA, ROOT, labelled_frames, three_species

import gapfit
from gapfit.cli import main
from gapfit.config.sections import SoapConfig
from gapfit.config.toml import load_config
from gapfit.errors import GapfitError
from gapfit.lammps.export import export_lammps
from gapfit.quip import load
from gapfit.quip.gap_fit_command import translate
from gapfit.testing import FORCE_SLOPE, SAME_POTENTIAL, forces_error

SMALL = ROOT / "tests" / "quip_models"

CARBON = """#!/bin/bash
#SBATCH --ntasks=1
export OMP_NUM_THREADS=32
# gap_fit at_file=old.xyz
/opt/quip/bin/gap_fit at_file=carbon.xyz \\
  gap="{distance_2b n_sparse=15 theta_uniform=1.0 sparse_method=uniform \\
        covariance_type=ard_se cutoff=4.5 delta=2.0 : \\
      angle_3b n_sparse=200 theta_uniform=1.2 sparse_method=uniform \\
        covariance_type=ard_se cutoff=2.5 delta=0.05 : \\
      soap n_max=12 l_max=4 atom_sigma=0.5 zeta=4.0 cutoff=4.5 \\
        cutoff_transition_width=1.0 central_weight=1.0 n_sparse=9000 delta=0.2 \\
        covariance_type=dot_product sparse_method=cur_points radial_decay=-0.5 }" \\
  default_sigma={0.001 0.04 0.05 0.0} \\
  config_type_sigma={Liquid:0.050:0.5:0.5:0.0:Dimer:0.002:0.1:0.2:0.0} \\
  core_param_file=r6_innercut.xml core_ip_args={IP Glue} sparse_jitter=1.0e-8 \\
  energy_parameter_name=energy force_parameter_name=force \\
  virial_parameter_name=virial do_copy_at_file=F gp_file=Carbon_GAP_20.xml rnd_seed=999 \\
  > fit.log 2>&1
echo done
"""
SILICON = """
at_file=gp_iter6_sparse9k.xml.xyz
gap={soap l_max=12 n_max=10 atom_sigma=0.5 zeta=4 cutoff=5.0
     cutoff_transition_width=1.0 n_sparse=9000 delta=3 f0=0.0
     covariance_type=dot_product sparse_method=cur_points
     config_type_n_sparse={{dia:4000:liq:5000}}}
default_kernel_regularisation={0.001 0.1 0.05 0.0} e0=-158.54496821
config_type_kernel_regularisation={isolated_atom:0.0001:0.04:0.01:0.0:funky:0.001:0.1:0.05:0.0
:default:0.002:0.2:0.1:0.0}
energy_parameter_name=dft_energy force_parameter_name=dft_force
virial_parameter_name=dft_virial
"""
SILICA = (
    "gap_fit at_file=silica.xyz default_sigma={0.002 0.1 0 0} e0={Si:-0.8:O:-1.9} gap={"
    + " : ".join(
        f"distance_2b Z1={a} Z2={b} cutoff=4.0 delta=1.0 theta_uniform=0.8 n_sparse={n} "
        "add_species=F sparse_method=uniform"
        for a, b, n in ((14, 14, 15), (14, 8, 20), (8, 8, 15))
    )
    + " : "
    + " : ".join(
        "soap cutoff=5.0 n_max=8 l_max=6 atom_sigma=0.6 zeta=4 delta=0.2 add_species=F "
        f"n_species=2 species_Z={{{{8 14}}}} Z={z} n_sparse=500 sparse_method=kmeans"
        for z in (14, 8)
    )
    + "} e0_method=isolated"
)


def remarks(translation) -> dict[str, str]:
    return {remark.option: remark.text for remark in translation.remarks}


def test_a_command_for_carbon_in_a_script():
    found = translate(CARBON)
    config = found.config
    pairs, triplets, soap = config.terms
    assert (pairs.type, triplets.type, soap.type) == ("distance_2b", "angle_3b", "soap")
    # QUIP counts pairs and triplets twice.
    assert (pairs.delta, triplets.delta, soap.delta) == (4.0, 0.1, 0.2)
    assert (pairs.r_cut, pairs.width, pairs.switch) == (4.5, 0.5, "cosine")
    assert (pairs.theta, pairs.n_sparse) == (1.0, 15)
    assert triplets.theta == [1.2, 1.2, 1.2]
    assert (soap.rbf, soap.n_max, soap.l_max) == ("equispaced_gaussians", 12, 4)
    assert (soap.atom_sigma, soap.quip.width, soap.zeta) == (0.5, 1.0, 4.0)
    assert (soap.sparse_method, soap.n_sparse, soap.centres) == ("cur", 9000, [])
    assert config.data.train == ["carbon.xyz"]
    assert (config.data.energy_key, config.data.forces_key) == ("energy", "force")
    sigma = config.sigma
    assert (sigma.energy, sigma.forces, sigma.virial) == (0.001, 0.04, 0.05)
    assert sigma.config_types["Liquid"].forces == 0.5
    assert sigma.config_types["Dimer"].virial == 0.2
    assert config.e0.method == "isolated"
    assert not config.e0.given
    assert config.run.seed == 999
    # Relative to the largest kernel: delta = 2 of QUIP's pairs.
    assert config.solver.jitter == pytest.approx(1e-8 / 4)
    notes = remarks(found)
    assert set(notes) == {
        "gap 3 (soap) radial_decay",
        "core_param_file",
        "core_ip_args",
        "do_copy_at_file",
        "gp_file",
    }
    assert "unknown to gap_fit" in notes["gap 3 (soap) radial_decay"]
    assert "[baseline]" in notes["core_param_file"]


def test_options_of_a_config_file_with_one_e0_for_all():
    with pytest.raises(GapfitError, match="no species is named"):
        translate(SILICON)
    found = translate(SILICON, species=["Si"])
    config = found.config
    assert config.e0.given == {"Si": -158.54496821}
    assert config.terms[0].config_type_n_sparse == {"dia": 4000, "liq": 5000}
    assert config.terms[0].n_sparse == 9000
    # `default` is for frames of all types without sigmas of their own.
    assert (config.sigma.energy, config.sigma.forces) == (0.002, 0.2)
    assert set(config.sigma.config_types) == {"isolated_atom", "funky"}
    assert config.data.virial_key == "dft_virial"
    assert not found.remarks


def test_expanded_descriptors_are_one_term_again():
    config = translate(SILICA).config
    pairs, soap = config.terms
    assert (pairs.n_sparse, pairs.species_n_sparse) == (20, {"O-O": 15, "Si-Si": 15})
    assert soap.centres == ["Si", "O"]
    assert soap.quip.neighbours == ["O", "Si"]
    assert soap.compression == "off"
    assert soap.sparse_method == "kmeans"
    assert config.e0.given == {"Si": -0.8, "O": -1.9}
    # gap_fit stops where data have a sigma of 0: they have no virials.
    assert not config.data.use_stress
    assert config.data.use_forces


def simple(gap: str, more: str = "", **options) -> object:
    text = f"gap_fit at_file=a.xyz default_sigma={{0.1 0.1 0.1 0}} gap={{{gap}}} {more}"
    return translate(text, **options)


SOAP = "soap cutoff=4 n_max=4 l_max=3 atom_sigma=0.5 zeta=2 delta=0.1 n_sparse=9"
PAIRS = "distance_2b cutoff=4 delta=0.5 theta_uniform=1 n_sparse=7"
TRIPLETS = "angle_3b cutoff=4 delta=0.5 theta_uniform=1 n_sparse=7"


def test_blanks_separate_config_types_as_colons_do():
    """The command inside a published GAP of nanoparticles has both, and "gap={ ... }}"."""
    text = (
        "gap_fit atoms_filename=train.xyz gap={ soap l_max=4 n_max=4 atom_sigma=0.5 "
        "cutoff=3.0 cutoff_transition_width=1.0 n_sparse=200 delta=0.2 "
        "covariance_type=dot_product zeta=4 sparse_method=cur_points }} "
        "default_sigma={ 0.01 0.1 0.2 0.0 } config_type_sigma={ cluster:0.02:0.1:0.2:0.0 "
        "bulk:0.001:0.01:0.2:0.0 } e0=-0.8 sparse_separate_file=F gp_file=gap_model.xml"
    )
    config = translate(text, species=["Si"]).config
    found = {
        name: (own.energy, own.forces)
        for name, own in config.sigma.config_types.items()
    }
    assert found == {"cluster": (0.02, 0.1), "bulk": (0.001, 0.01)}


@pytest.mark.parametrize(
    ("gap", "changes"),
    [
        (SOAP, {}),
        (f"{SOAP} add_species=F", {"compression": "mu2"}),
        (f"{SOAP} Z=14 add_species=F", {"compression": "mu2", "centres": ["Si"]}),
        (
            f"{SOAP} Z=8 n_species=1 species_Z=14 add_species=F",
            {
                "centres": ["O"],
                "quip": {"neighbours": ["Si"], "central_in_all": True},
            },
        ),
        (
            f"{SOAP} central_reference_all_species=T central_weight=0.5",
            {"quip": {"central_in_all": True, "central_weight": 0.5}},
        ),
        (f"{SOAP} sparse_method=cur_points", {"sparse_method": "cur"}),
    ],
)
def test_channels_and_centres_of_soap(gap, changes):
    expected = {
        "rbf": "equispaced_gaussians",
        "r_cut": 4.0,
        "n_max": 4,
        "l_max": 3,
        "atom_sigma": 0.5,
        "zeta": 2.0,
        "delta": 0.1,
        "n_sparse": 9,
        "sparse_method": "random",
    }
    assert simple(gap).config.terms == [SoapConfig.model_validate(expected | changes)]


@pytest.mark.parametrize(
    ("gap", "more", "option", "text"),
    [
        (f"{SOAP} cuttof=5", "", "gap 1 (soap) cuttof", "did you mean cutoff"),
        (f"{SOAP} average=T", "", "gap 1 (soap) average", "no counterpart"),
        (f"{SOAP} sparse_method=file", "", "gap 1 (soap) sparse_method", "sparse_file"),
        (f"{SOAP} sparse_method=uniform", "", "gap 1 (soap) sparse_method", '"cur"'),
        (f"{PAIRS} f0=1.0", "", "gap 1 (distance_2b) f0", "no counterpart"),
        (
            PAIRS.replace("theta_uniform=1", "theta_fac=0.5"),
            "",
            "gap 1 (distance_2b) theta_fac",
            "data",
        ),
        (
            f"{PAIRS} covariance_type=pp",
            "",
            "gap 1 (distance_2b) covariance_type",
            "ard",
        ),
        (f"{PAIRS} : coordination cutoff=3", "", "gap 2 (coordination)", "left out"),
        (f"{PAIRS} zeta=3", "", "gap 1 (distance_2b) zeta", "refuses it"),
        (f"{PAIRS} Cutoff=5", "", "gap 1 (distance_2b) cutoff", "last one is used"),
        (PAIRS, "AT_FILE=b.xyz", "at_file", "last one is used"),
        (f"{PAIRS} Z1=1", "", "gap 1 (distance_2b) Z1", "add_species=F"),
        (f"{SOAP} Z=8", "", "gap 1 (soap) Z", "replaced by all species"),
        (
            f"{PAIRS} cutoff_transition_width=0",
            "",
            "gap 1 (distance_2b) cutoff_transition_width",
            "0.06 is taken",
        ),
        (
            f"{SOAP} cutoff_transition_width=4.5",
            "",
            "gap 1 (soap) cutoff_transition_width",
            "3.99 is taken",
        ),
        (
            f"{SOAP[:-1]}2 config_type_n_sparse={{{{a:1:a:2}}}}",
            "",
            "gap 1 (soap) config_type_n_sparse",
            "last one is used",
        ),
        (
            PAIRS,
            "config_type_sigma={a:1:1:1:1:a:2:2:2:2}",
            "config_type_sigma",
            "last one is used",
        ),
        (PAIRS, "e0={Si:-1:Si:-2}", "e0", "last one is used"),
        (f"{PAIRS} Z1=1 Z2=8 add_species=F", "", "gap", "other than H, O"),
        (
            PAIRS,
            "energy_paramter_name=e",
            "energy_paramter_name",
            "energy_parameter_name",
        ),
        (PAIRS, "sigma_per_atom=F", "sigma_per_atom", "sqrt"),
        (PAIRS, "e0_method=average", "e0_method", "least_squares"),
        (PAIRS, "local_property0=1", "local_property0", "energies alone"),
        (PAIRS, "force_parameter_name=dummy", "force_parameter_name", "not fitted"),
    ],
)
def test_whatever_has_no_counterpart_is_named(gap, more, option, text):
    found = remarks(simple(gap, more))
    assert text in found.pop(option)
    assert not found


def test_settings_of_pairs_follow_the_command():
    other = "distance_Nb order=2 cutoff=6 delta=0.1 theta_uniform=1 n_sparse=7"
    config = simple(f"{PAIRS} : {other}").config
    assert [term.r_cut for term in config.terms] == [4.0, 6.0]
    assert [term.delta for term in config.terms] == [1.0, 0.2]
    quiet = simple(PAIRS, "virial_parameter_name=none force_parameter_name=None")
    assert not quiet.config.data.use_forces
    prefixed = simple(PAIRS, "parameter_name_prefix=dft_").config.data
    assert (prefixed.energy_key, prefixed.forces_key) == ("dft_energy", "dft_force")


def test_keys_are_the_same_in_any_case():
    text = (
        f"gap_fit AT_FILE=a.xyz Default_Sigma={{0.1 0.2 0.3 0}} E0_METHOD=average "
        f"GAP={{{SOAP.upper()} : Distance_2b CUTOFF=4 Delta=0.5 Theta_Uniform=2 "
        "N_SPARSE=7}"
    )
    config = translate(text).config
    soap, pairs = config.terms
    assert (soap.type, soap.n_max, soap.l_max) == ("soap", 4, 3)
    assert (pairs.type, pairs.delta, pairs.theta) == ("distance_2b", 1.0, 2.0)
    assert config.data.train == ["a.xyz"]
    assert config.e0.method == "least_squares"
    assert config.sigma.forces == 0.2


@pytest.mark.parametrize("gap", [f"'{{{PAIRS}}}'", f'"{{{PAIRS} }}"', f"{{{PAIRS}}}"])
def test_a_comment_ends_the_line(gap):
    text = (
        f"echo a#b # gap_fit isn't run yet\ngap_fit at_file=a#1.xyz gap={gap} \\\n"
        "default_sigma={0.002 0.1 0.1 0} # it's {4 eV\necho done\n"
    )
    found = translate(text)
    assert found.config.data.train == ["a#1.xyz"]
    assert found.config.sigma.energy == 0.002
    assert not found.remarks


@pytest.mark.parametrize(
    ("gap", "zeros"),
    [
        (f"{PAIRS} Z1=29 Z2=13 add_species=F", [{"Al-Al", "Cu-Cu"}]),
        (f"{PAIRS} Z2=29 add_species=F", [{"Al-Al"}]),
        (f"{PAIRS} Z1=29 Z2=13", [set()]),
        (f"{PAIRS} add_species=F", [set()]),
        (f"{PAIRS} Z1=29 Z2=29 add_species=F : {PAIRS}", [{"Al-Al", "Al-Cu"}, set()]),
        (
            f"{PAIRS} Z1=29 Z2=29 add_species=F : {PAIRS}0 Z1=13 Z2=13 add_species=F",
            [{"Al-Cu"}],
        ),
        (
            f"{PAIRS} Z1=29 Z2=29 add_species=F : "
            f"{PAIRS.replace('=4', '=5')} Z1=13 Z2=13 add_species=F",
            [{"Al-Al", "Al-Cu"}, {"Cu-Cu", "Al-Cu"}],
        ),
        (
            f"{TRIPLETS} Z=29 Z1=29 Z2=13 add_species=F",
            [{"Al-Al-Al", "Al-Al-Cu", "Al-Cu-Cu", "Cu-Al-Al", "Cu-Cu-Cu"}],
        ),
        (f"{TRIPLETS} Z=13 add_species=F", [{"Cu-Al-Al", "Cu-Al-Cu", "Cu-Cu-Cu"}]),
        (
            f"{TRIPLETS} Z1=29 Z2=29 add_species=F",
            [{"Al-Al-Al", "Al-Al-Cu", "Cu-Al-Al", "Cu-Al-Cu"}],
        ),
        (
            "distance_Nb order=2 cutoff=4 delta=1 theta_uniform=1 n_sparse=7 "
            "Z={{29 13}} add_species=F",
            [{"Al-Al", "Cu-Cu"}],
        ),
    ],
)
def test_descriptors_of_some_species_are_for_no_others(gap, zeros):
    found = simple(gap, species=["Cu", "Al"])
    none = [
        {name for name, n in term.species_n_sparse.items() if n == 0}
        for term in found.config.terms
    ]
    assert none == zeros


def test_descriptors_of_one_species_have_settings_of_their_own():
    gap = f"{PAIRS} Z1=1 Z2=1 add_species=F : {PAIRS}5 Z1=1 Z2=8 add_species=F"
    (same,) = simple(gap, species=["O", "H"]).config.terms
    assert (same.n_sparse, same.species_n_sparse) == (75, {"H-H": 7, "O-O": 0})
    one, other = simple(f"{gap} cutoff=5", species=["O", "H"]).config.terms
    assert (one.r_cut, one.n_sparse) == (4.0, 7)
    assert (other.r_cut, other.n_sparse) == (5.0, 75)


def test_labels_that_the_data_lack_are_left_out():
    names = (
        "energy_parameter_name=dft force_parameter_name=force sigma_parameter_name=s"
    )
    found = simple(PAIRS, names, labels=["dft", "forces", "energy_s"])
    assert (found.config.data.energy_key, found.config.data.forces_key) == ("dft", None)
    assert found.config.data.energy_sigma_key == "energy_s"
    assert found.config.data.force_sigma_key == "force_sigma"
    assert "no such label" in remarks(found)["force_parameter_name"]
    assert found.config.data.frame_sigmas == "total"
    of_atoms = simple(PAIRS, labels=["energy", "force", "force_atom_sigma"])
    assert of_atoms.config.data.force_sigma_key == "force_atom_sigma"
    assert of_atoms.config.data.frame_sigmas is None
    assert not of_atoms.remarks
    assert (
        "gap_fit reads force"
        in remarks(simple(PAIRS, labels=["forces"]))["force_parameter_name"]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no options"),
        ("once upon a time", "not a command of gap_fit"),
        ("gap_fit at_file=a.xyz default_sigma={1 1 1 1}", "gap=.* is missing"),
        ("gap_fit gap={soap} default_sigma={1 1 1 1}", "at_file"),
        (f"gap_fit at_file=a gap={{{PAIRS}}}", "default_sigma"),
        (f"gap_fit at_file=a gap={{{PAIRS}}} default_sigma={{1 1}}", "four numbers"),
        (
            f"gap_fit at_file=a gap={{{PAIRS}}} default_sigma={{1 x 1 1}}",
            "not a number",
        ),
        (f"gap_fit at_file=$DATA gap={{{PAIRS}}} default_sigma={{1 1 1 1}}", "shell"),
        (f"gap_fit at_file=a gap={{{PAIRS} default_sigma={{1 1 1 1}}", "not closed"),
        ("gap_fit at_file=a\ngap_fit at_file=b\n", "2 commands"),
        ('["gap_fit", 3]', "JSON"),
        ('["gap_fit", ', "JSON"),
        ("gap_fit config_file=x.conf", "x.conf is given: translate that file"),
        ("gap_fit at_file=a default_sigma={1 1 1 1} gap={", "not closed"),
        (
            "gap_fit at_file=a default_sigma={1 1 1 1} "
            "gap={distance_Nb order=1000000000 cutoff=3 delta=1}",
            "no descriptor",
        ),
        (
            "gap_fit at_file=a default_sigma={1 1 1 1} "
            f"gap={{{PAIRS.replace('delta=0.5', 'delta=0')}}} sparse_jitter=1e-8",
            "distance_2b .*delta = 0: it must be a number > 0",
        ),
        (
            "gap_fit at_file=a default_sigma={1 1 1 1} "
            f"gap={{{SOAP.replace('l_max=3', 'l_max=3.7')}}}",
            "soap .*l_max = 3.7: it must be a whole number",
        ),
        (
            f"gap_fit at_file=a default_sigma={{1 1 1 1}} gap={{{SOAP} "
            "config_type_n_sparse={{a:2.5}}}",
            "config_type_n_sparse: a = 2.5: it must be a whole number",
        ),
        (
            "gap_fit at_file=a default_sigma={1 1 1 1} gap={soap cutoff=3}",
            "n_max is missing",
        ),
        (
            "gap_fit at_file=a default_sigma={1 1 1 1} gap={coordination cutoff=3}",
            "no descriptor",
        ),
        (
            f"gap_fit at_file=a default_sigma={{1 1 1 1}} gap={{{PAIRS}}} "
            "config_type_sigma={a:1:1:1}",
            "needs 4 values",
        ),
        (
            f"gap_fit at_file=a default_sigma={{1 1 1 1}} gap={{{PAIRS} Z1=999 Z2=1}}",
            "not an atomic number",
        ),
        (
            "gap_fit at_file=a default_sigma={1 1 1 1} "
            f"gap={{{SOAP.replace('n_max=4', 'n_max=40')}}}",
            "n_max",
        ),
    ],
)
def test_broken_commands_are_one_clear_error(text, message):
    with pytest.raises(GapfitError, match=message):
        translate(text)


def test_a_fit_has_the_pairs_and_triplets_of_the_command(tmp_path):
    frames = labelled_frames(three_species, 8)
    ase.io.write(tmp_path / "gst.xyz", frames, format="extxyz")
    (tmp_path / "run.sh").write_text(
        f"gap_fit at_file=gst.xyz default_sigma={{0.01 0.1 0 0}} e0=0 "
        f"gap={{{PAIRS} Z1=52 Z2=32 add_species=F : "
        f"{TRIPLETS} Z=32 Z1=51 Z2=52 add_species=F : {SOAP} Z=52 n_species=2 "
        "species_Z={{32 52}} add_species=F}\n"
    )
    target = tmp_path / "fit.toml"
    assert main(["convert", str(tmp_path / "run.sh"), str(target)]) == 0
    assert main(["fit", str(target)]) == 0
    path = tmp_path / "fit-model" / "model.npz"
    model = gapfit.load(path)
    present = [
        {term.descriptor.label(b) for b, points in term.sparse.items() if len(points)}
        for term in model.terms
    ]
    assert present == [{"Ge-Te"}, {"Ge-Sb-Te"}, {"Te"}]
    exact = model.without_projections()
    FORCE_SLOPE.check(forces_error(exact, frames[0]))
    # A model of QUIP has these descriptors, and no others.
    document = tmp_path / "gap.xml"
    assert main(["convert", str(path), str(document)]) == 0
    assert document.read_text().count("<gpCoordinates ") == 3
    back = load(document, species=["Ge", "Sb", "Te"])
    for frame in frames[:2]:
        one, two = exact.predict(frame), back.predict(frame)
        SAME_POTENTIAL.check(two.energy, one.energy)
        SAME_POTENTIAL.check(two.forces, one.forces)
    export_lammps(model, tmp_path / "gap.gapfit")


@pytest.mark.parametrize(
    "name", ["P", "GST", pytest.param("FeCrNi", marks=pytest.mark.slow), "CuAl"]
)
def test_translated_commands_can_be_planned(name, tmp_path, capsys):
    (tmp_path / "new").mkdir()
    for file in ("cmd.json", "train.xyz"):
        (tmp_path / file).write_bytes((SMALL / name / file).read_bytes())
    target = tmp_path / "new" / "fit.toml"
    assert main(["convert", str(tmp_path / "cmd.json"), str(target)]) == 0
    printed = capsys.readouterr().out
    assert "gp_file = gap.xml" in printed
    command = json.loads((SMALL / name / "cmd.json").read_text())
    config = load_config(target)
    assert config.data.train == ["../train.xyz"]
    # Each of the 18 triplets of FeCrNi has its own lengths.
    n_terms = {"FeCrNi": 20}.get(name, command[2].count(" : ") + 1)
    assert len(config.terms) == n_terms
    assert "# - gp_file = gap.xml" in target.read_text()
    assert main(["fit", str(target), "--plan"]) == 0
    assert "rows" in capsys.readouterr().out


def test_a_translated_fit_gives_a_model_that_goes_to_quip(tmp_path, capsys):
    frames = [
        a for a in ase.io.read(DATA / "silicon" / "train.extxyz", ":") if len(a) > 1
    ]
    ase.io.write(tmp_path / "si.xyz", frames[:: len(frames) // 4])
    (tmp_path / "run.sh").write_text(
        f"gap_fit at_file=si.xyz e0=-0.8 default_sigma={{0.002 0.1 0.1 0}} "
        f"gap='{{{PAIRS} : {SOAP} }}' | tee fit.log\n"
    )
    files = {
        n: str(tmp_path / n) for n in ("run.sh", "fit.toml", "gap.xml", "back.npz")
    }
    assert main(["convert", files["run.sh"], files["fit.toml"]]) == 0
    assert load_config(files["fit.toml"]).e0.given == {"Si": -0.8}
    assert main(["fit", files["fit.toml"]]) == 0
    model = tmp_path / "fit-model" / "model.npz"
    assert main(["convert", str(model), files["gap.xml"]]) == 0
    printed = capsys.readouterr().out
    assert "keep all of these files together" in printed
    assert "uncertainties" in printed
    assert main(["convert", files["gap.xml"], files["back.npz"]]) == 0
    assert "label" in capsys.readouterr().out
    one = gapfit.load(model).without_projections().predict(frames[3])
    two = gapfit.load(files["back.npz"]).predict(frames[3])
    SAME_POTENTIAL.check(two.energy, one.energy)
    SAME_POTENTIAL.check(two.forces, one.forces)


def test_convert_says_what_it_cannot_do(tmp_path, capsys):
    gap = str(SMALL / "P" / "gap.xml")
    existing = tmp_path / "model.npz"
    load(gap).save(existing)
    before = existing.read_bytes()
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "text").write_text("no options")
    cases = [
        (["no.xml", "a.npz"], "no such file"),
        ([gap, str(tmp_path / "a.toml")], "*.npz"),
        ([str(existing), str(tmp_path / "a.npz")], "*.xml"),
        ([gap, str(existing)], "exists already"),
        ([gap, str(tmp_path / "no" / "a.npz")], "no folder"),
        ([gap, str(tmp_path / "a.npz"), "--species", "Xx"], "not a chemical symbol"),
        ([str(existing), str(tmp_path / "a.xml"), "--species", "P"], "leave it out"),
        ([str(tmp_path / "binary"), str(tmp_path / "a.toml")], "not text"),
        (
            [str(tmp_path / "text"), str(tmp_path / "a.toml")],
            "not a command of gap_fit",
        ),
    ]
    for arguments, message in cases:
        assert main(["convert", *arguments]) == 1
        assert message in capsys.readouterr().err
    assert existing.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["binary", "model.npz", "text"]
    assert main(["convert", gap, str(existing), "--force"]) == 0
