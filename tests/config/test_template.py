"""The commented template says everything about every key, and can be read back."""

import pytest

from gapfit.config.describe import all_tables, is_table, toml_value, unit
from gapfit.config.sections import FitConfig, SigmaOverride
from gapfit.config.template import template_toml
from gapfit.config.toml import config_from_dict, load_config


@pytest.fixture
def config():
    return config_from_dict(
        {
            "data": {"train": ["a.xyz", "b.xyz"], "test": "c.xyz"},
            "e0": {"Si": -0.81, "method": "least_squares"},
            "sigma": {"config_types": {"hot liquid": {"energy": 0.02}}},
            "baseline": {"dispersion": "d3", "d3": {"functional": "pbe"}},
            "terms": [
                {"r_cut": 4.7, "n_sparse": 320},
                {"zeta": 2},
                {"rbf": "equispaced_gaussians", "full_kernel": True},
                {
                    "rbf": "poly3",
                    "turbo": {"species": {"Si": {"n_max": 6, "sigma_t": 0.4}}},
                },
                {"type": "distance_2b"},
                {"type": "angle_3b"},
                {"type": "ace"},
                {"type": "eam_density"},
            ],
        }
    )


def test_reads_back_as_the_same_configuration(config, tmp_path):
    path = tmp_path / "fit.toml"
    text = template_toml(
        config, {"": ["top"], "e0": ["why"]}, {"dimer": SigmaOverride(energy=0.01)}
    )
    path.write_text(text, encoding="utf-8")
    assert load_config(path) == config


def test_every_key_has_a_line_with_value_help_and_unit(config):
    lines = template_toml(config).splitlines()
    for path, model in all_tables(FitConfig):
        for name, field in model.model_fields.items():
            if is_table(field):
                continue
            shown = [
                line
                for line in lines
                if line.removeprefix("# ").startswith(f"{name} =")
                and (field.description or "") in line
                and unit(field) in line
            ]
            assert shown, f"{path}: {name}"


def test_tables_of_other_bases_are_left_out(config):
    text = template_toml(config)
    assert text.count("[terms.quip]") == text.count("[terms.turbo]") == 1
    assert text.count("[terms.weighting]") == 2


def test_values_comments_and_alignment(config):
    lines = template_toml(config).splitlines()
    assert "r_cut = 4.7                # cutoff radius, Å" in lines
    assert "n_sparse = 320             # sparse points of each central species" in lines
    assert 'method = "cholesky"  # qr is twice as slow, for ill-conditioned fits ' in (
        "\n".join(lines)
    )
    assert "(cholesky | qr)" in "\n".join(lines)
    first = lines.index("[[terms]]")
    block = lines[first + 1 : lines.index("", first)]
    assert len({line.index("  # ") for line in block}) == 1


def test_keys_without_value_are_commented_out(config):
    text = template_toml(config)
    assert "\n# energy_key = " in text
    assert "\n# w0 = " in text
    assert "\nw0" not in text


def test_comments_and_suggestions(config):
    text = template_toml(
        config,
        {"": ["made by hand"], "e0": ["no isolated atom"]},
        {"liquid": SigmaOverride(energy=0.01, forces=0.2)},
    )
    assert text.startswith("# made by hand\n\n# Files of the reference data")
    assert "# no isolated atom\n[e0]\n" in text
    assert (
        "# [sigma.config_types.liquid]\n"
        "# energy = 0.01  # of the energy, eV/atom\n"
        "# forces = 0.2   # of a force component, eV/Å\n\n"
        '[sigma.config_types."hot liquid"]\n'
    ) in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1e-8, "1e-8"),
        (1e16, "1e+16"),
        (4, "4"),
        (4.0, "4.0"),
        ('a"b\\', '"a\\"b\\\\"'),
        (["a", "b"], '["a", "b"]'),
        (float("-inf"), "-inf"),
        ({"a": 1, "b c": [2]}, '{a = 1, "b c" = [2]}'),
    ],
)
def test_values_as_toml(value, text):
    assert toml_value(value) == text
