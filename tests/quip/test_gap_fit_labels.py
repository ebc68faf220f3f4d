"""Which options of a command of gap_fit make another fit, given the labels in the data."""

from __future__ import annotations

import pytest

from gapfit.quip import translate

PAIRS = "distance_2b cutoff=4 delta=0.5 theta_uniform=1 n_sparse=7"
SOAP = "soap cutoff=4 n_max=4 l_max=3 atom_sigma=0.5 zeta=2 delta=0.1 n_sparse=9"
TRIPLETS = "distance_Nb order=3 cutoff=3 delta=0.5 theta_uniform=1 n_sparse=7"
USUAL = ("energy", "force", "virial")
SIGMA = "default_sigma={0.1 0.1 0.1 0}"


def translated(more: str = "", gap: str = PAIRS, labels=USUAL, **options):
    sigma = "" if "default_sigma" in more else SIGMA
    text = f"gap_fit at_file=a.xyz {sigma} gap={{{gap}}} {more}"
    return translate(text, labels=labels, **{"species": ["Si"]} | options)


def changes(*arguments, **options) -> list[str]:
    """Return the options that make another fit."""
    remarks = translated(*arguments, **options).remarks
    return [remark.option for remark in remarks if remark.changes]


@pytest.mark.parametrize(
    "gap",
    [
        PAIRS,
        f"{SOAP} sparse_method=cur_points",
        f"{SOAP} add_species=F",
        f"{PAIRS} sparse_method=covariance",
        f"{PAIRS} cuttof=5",
        f"{PAIRS} f0=0.0 has_tail=F",
        TRIPLETS,
    ],
)
def test_descriptors_that_are_fitted_as_they_are_or_nearly(gap):
    assert not changes(gap=gap)


@pytest.mark.parametrize(
    ("gap", "option"),
    [
        (f"{PAIRS} f0=0.1", "gap 1 (distance_2b) f0"),
        (f"{PAIRS} covariance_type=pp", "gap 1 (distance_2b) covariance_type"),
        (
            PAIRS.replace("theta_uniform", "theta_fac"),
            "gap 1 (distance_2b) theta_fac",
        ),
        (f"{PAIRS} sparse_method=file", "gap 1 (distance_2b) sparse_method"),
        (f"{PAIRS} sparse_method=none", "gap 1 (distance_2b) sparse_method"),
        (f"{SOAP} average=T", "gap 1 (soap) average"),
        (f"{PAIRS} : coordination cutoff=3", "gap 2 (coordination)"),
        (
            f"{PAIRS} : {TRIPLETS} compact_clusters=F",
            "gap 2 (distance_nb) compact_clusters",
        ),
        (
            f"{PAIRS} cutoff_transition_width=0",
            "gap 1 (distance_2b) cutoff_transition_width",
        ),
    ],
)
def test_descriptors_that_are_not(gap, option):
    assert changes(gap=gap) == [option]


def test_centres_that_share_sparse_points_are_another_fit_for_several_species():
    gap = f"{SOAP} add_species=F"
    assert changes(gap=gap, species=["O", "Si"]) == ["gap 1 (soap) add_species"]


@pytest.mark.parametrize(
    "more",
    [
        "verbosity=VERBOSE mpi_blocksize_rows=10 do_copy_at_file=F rnd_seed=3",
        "hessian_parameter_name=REF_hessian hessian_delta=0.01",
        "local_property0=1 dryrun=F sparsify_only_no_fit=F e0_offset=0.0",
        "core_param_file=pairs.xml",
        "config_type_sigma={none:0.1:0.1:0.1:0.1} sigma_per_atom=T",
    ],
)
def test_options_without_effect_on_these_data(more):
    assert not changes(more)


@pytest.mark.parametrize(
    ("more", "labels", "option"),
    [
        ("hessian_parameter_name=h", (*USUAL, "h1", "h2"), "hessian_parameter_name"),
        ("local_property0=1", (*USUAL, "local_property"), "local_property0"),
        ("", (*USUAL, "force_component_sigma"), "sigma_parameter_name"),
        ("foo=1", USUAL, "foo"),
        ("sparsify_only_no_fit=T", USUAL, "sparsify_only_no_fit"),
        ("core_ip_args={IP LJ}", USUAL, "core_ip_args"),
    ],
)
def test_options_with_an_effect_that_gapfit_does_not_have(more, labels, option):
    assert changes(more, labels=labels) == [option]


@pytest.mark.parametrize(
    ("more", "labels", "option"),
    [
        # gap_fit reads energy, force and virial, and fits no others.
        ("", ("energy", "forces", "virial"), "force_parameter_name"),
        ("", ("REF_energy", "force", "virial"), "energy_parameter_name"),
        ("energy_parameter_name=e", USUAL, "energy_parameter_name"),
        ("virial_parameter_name=v", USUAL, "virial_parameter_name"),
    ],
)
def test_labels_that_gap_fit_would_not_find_and_gapfit_would(more, labels, option):
    assert changes(more, labels=labels) == [option]


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        ("", ("energy",)),
        ("energy_parameter_name=e", ("force", "virial")),
        ("", ("energy", "force", "stress")),
        ("", ("energy", "force", "dft_virial")),
        ("virial_parameter_name=v", ("energy", "force", "stress")),
        ("virial_parameter_name=v", ("energy", "force")),
        ("default_sigma={0.1 0.1 0 0}", ("energy", "force", "dft_virial")),
        ("default_sigma={0.1 0 0.1 0}", ("energy", "forces", "virial")),
    ],
)
def test_labels_that_neither_finds_or_neither_fits(more, labels):
    assert not changes(more, labels=labels)


def test_virials_of_another_name_are_not_fitted_as_by_gap_fit():
    found = translated("", labels=("energy", "force", "dft_virial"))
    assert not found.config.data.use_stress
    (remark,) = found.remarks
    assert "so dft_virial is not fitted, either" in str(remark)


def test_the_stress_is_taken_where_the_virial_that_is_named_is_missing():
    labels = ("energy", "force", "stress", "virial")
    data = translated("virial_parameter_name=dummy", labels=labels).config.data
    assert (data.stress_key, data.virial_key) == ("stress", None)
    data = translated("virial_parameter_name=dummy").config.data
    assert not data.use_stress


def test_an_average_e0_is_that_of_gap_fit():
    energies = {"dft": -3.5}
    options = {"species": ["C", "Si"], "labels": (*USUAL, "dft")}
    more = "energy_parameter_name=dft e0_method=average e0_offset=1.0"
    translation = translated(more, average_energy=energies.get, **options)
    assert translation.config.e0.given == {"C": -2.5, "Si": -2.5}
    assert not any(remark.changes for remark in translation.remarks)
    assert "e0_method" in changes(more, **options)


def test_a_table_stands_for_the_potential_underneath():
    translation = translated(
        "core_ip_args={IP Glue} core_param_file=g.xml", core_table="t"
    )
    assert translation.config.baseline.table == "t"
    assert not translation.remarks


def test_words_of_a_command_line_need_no_quotes_and_no_name():
    words = ["at_file=/data/gap_fit", SIGMA, f"gap={{{PAIRS}", "f0=0.0", "}"]
    config = translate(words).config
    assert config.data.train == ["/data/gap_fit"]
    assert config.terms[0].n_sparse == 7
