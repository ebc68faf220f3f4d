"""XML files of QUIP that are damaged, hostile or of another kind: one clear error."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from builders import ROOT

from gapfit.errors import GapfitError, ModelFileError
from gapfit.quip import load
from gapfit.quip.xml_file import read_gap_xml

SMALL = ROOT / "tests" / "quip_models"

POINTS = '<sparseX i="1" alpha="0.5" sparseCutoff="1">2.5</sparseX>'
DESCRIPTOR = "distance_2b cutoff=4.0 covariance_type=ard_se Z1=14 Z2=14"


def document(
    points: str = POINTS,
    descriptor: str = DESCRIPTOR,
    attributes: str = 'dimensions="1" n_sparseX="1" covariance_type="1"',
    *,
    delta: str = "0.3",
    theta: str = "<theta> 1.0 </theta>",
    e0: str = '<e0 Z="14" value="-0.7"/>',
    version: str = "1686220958",
    n: str = "1",
    extra: str = "",
) -> str:
    return (
        f'<G><Potential label="G" init_args="IP GAP label=G"/>{extra}'
        f'<GAP_params label="G" gap_version="{version}"><GAP_data do_core="F">{e0}'
        f'</GAP_data><gpSparse label="G" n_coordinate="{n}"><gpCoordinates label="G1" '
        f'signal_variance="{delta}" {attributes}>{theta}'
        f"<descriptor>{descriptor}</descriptor>{points}</gpCoordinates></gpSparse>"
        "</GAP_params></G>"
    )


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "gap.xml") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_the_document_that_these_tests_damage_is_sound(write):
    model = load(write(document()))
    assert model.species == (14,)
    assert model.e0 == {14: -0.7}
    assert model.terms[0].coefficients[14014] == [0.25]
    assert load(write(on_glue("1.5", "1.5"))).baseline is not None


SOAP = "soap cutoff=4 n_max=2 l_max=1 atom_sigma=0.5 Z=14 n_species=1 species_Z={14}"
SOAP_POINT = POINTS.replace("2.5", "0.6 0.8 0 0 0 0 0")
SOAP_ATTRIBUTES = 'dimensions="7" n_sparseX="1" covariance_type="2" zeta="2"'


def soap(options: str) -> str:
    return document(SOAP_POINT, f"{SOAP} {options}", SOAP_ATTRIBUTES, theta="")


GLUE = """<Glue_params n_types="1"><per_type_data atomic_num="14" type="1"/>
<per_pair_data type1="1" type2="1"><potential_pair num_points="2" y1="0.0" yn="0.0">
<point r="1.5" E="2.0"/><point r="2.5" E="0.0"/></potential_pair></per_pair_data>
</Glue_params>"""


def on_glue(old: str, new: str) -> str:
    assert old in GLUE
    init = "Sum init_args_pot1={IP Glue} init_args_pot2={IP GAP label=G}"
    return document(extra=GLUE.replace(old, new)).replace("IP GAP label=G", init)


DAMAGED = {
    "nothing": ("", "not well-formed"),
    "no XML": ("gapfit", "not well-formed"),
    "truncated": (document()[:-40], "truncated"),
    "another kind": ("<a><b/></a>", "no GAP_params"),
    "no descriptors": ("<G><GAP_params><GAP_data/></GAP_params></G>", "gpSparse"),
    "more announced than there": (document(n="2"), "2 descriptors announced, 1 there"),
    "negative number of descriptors": (document(n="-1"), "announced"),
    "words for numbers": (document(delta="much"), "much"),
    "NaN of a coefficient": (document(POINTS.replace("0.5", "NaN")), "finite"),
    "infinite coefficient": (document(POINTS.replace("0.5", "1e999")), "finite"),
    "NaN of a point": (document(POINTS.replace("2.5", "nan")), "finite"),
    "NaN of e0": (document(e0='<e0 Z="14" value="NaN"/>'), "finite"),
    "NaN of delta": (document(delta="NaN"), "finite"),
    "NaN of theta": (document(theta="<theta>NaN</theta>"), "finite"),
    "no theta": (document(theta=""), "theta"),
    "no coefficient": (document(POINTS.replace("alpha", "beta")), "alpha"),
    "no value of e0": (document(e0='<e0 Z="14"/>'), "value"),
    "no points": (document(""), "announces 1 sparse points"),
    "points without numbers": (document(POINTS.replace("2.5", "")), "announces"),
    "points of other lengths": (document(POINTS.replace("2.5", "2 3")), "announces"),
    "other dimensions": (
        document(attributes='dimensions="3" n_sparseX="1" covariance_type="1"'),
        "announces",
    ),
    "huge dimensions": (
        document(attributes=f'dimensions="{10**18}" n_sparseX="1" covariance_type="1"'),
        "announces",
    ),
    "huge number of points": (
        document(attributes=f'dimensions="1" n_sparseX="{10**18}" covariance_type="1"'),
        "announces",
    ),
    "negative dimensions": (
        document(attributes='dimensions="-1" n_sparseX="-1" covariance_type="1"'),
        "announces",
    ),
    "no kernel": (
        document(attributes='dimensions="1" n_sparseX="1"'),
        "covariance_type",
    ),
    "permutations that are none": (
        document(
            '<permutation i="1">1</permutation><permutation i="2">2</permutation>'
            + POINTS,
            attributes='dimensions="1" n_sparseX="1" covariance_type="1" '
            'n_permutations="2"',
        ),
        "permutation",
    ),
    "missing permutations": (
        document(
            attributes='dimensions="1" n_sparseX="1" covariance_type="1" '
            'n_permutations="720"'
        ),
        "permutations",
    ),
    "turbo": (
        document(descriptor="soap_turbo l_max=8 rcut_hard=5 species_Z={14}"),
        "soap_turbo",
    ),
    "no descriptor": (document(descriptor=""), "empty"),
    "open brace": (document(descriptor=f"{DESCRIPTOR} Z={{14"), "brace is not closed"),
    "word for a cutoff": (
        document(descriptor=DESCRIPTOR.replace("4.0", "wide")),
        "cutoff = wide",
    ),
    "no cutoff": (document(descriptor="distance_2b Z1=14 Z2=14"), "r_cut|cutoff"),
    "tail": (
        document(descriptor=f"{DESCRIPTOR} has_tail=T"),
        "has_tail = T is not supported",
    ),
    "wrong Z": (document(descriptor=DESCRIPTOR.replace("14", "999")), "999"),
    "kernel of another kind": (
        document(attributes='dimensions="1" n_sparseX="1" covariance_type="3"'),
        "kernel bond_real_space is not supported",
    ),
    "mean": (
        document(
            attributes='dimensions="1" n_sparseX="1" covariance_type="1" '
            'signal_mean="1.0"'
        ),
        "f0 = 1 eV is not supported: it adds a constant to the covariance",
    ),
    "no zeta": (
        soap("").replace(' zeta="2"', ""),
        "zeta of the dot product is missing",
    ),
    "no delta": (document(delta="0.0"), "delta = 0.0 is not supported"),
    "average": (soap("average=T"), "average = T is not supported"),
    "compression": (soap("nu_R=3"), "nu_r = 3 is not supported"),
    "mixed sums": (soap("nu_R=1 Z_mix=T K=2"), "nu_R = 1 with Z_mix or R_mix"),
    "uncoupled sums": (soap("nu_S=1 coupling=F"), "QUIP has one or the other"),
    "mixing of nothing": (soap("R_mix=T"), "need K, the number of combinations"),
    "endless combinations": (soap(f"R_mix=T K={10**9}"), "n_mixed"),
    "random numbers of no seed": (soap("Z_mix=T K=2 mix_shift=-9"), "shift"),
    "elements in groups": (soap("Z_map={14}"), "Z_map"),
    "constant dot products": (
        soap("covariance_sigma0=0.3"),
        "covariance_sigma0 = 0.3 is not supported: it adds a constant",
    ),
    "radial basis": (soap("radial_basis=POLY"), "radial_basis = POLY is not supported"),
    "huge n_max": (soap("").replace("n_max=2", f"n_max={10**9}"), "n_max"),
    "huge l_max": (soap("").replace("l_max=1", f"l_max={10**9}"), "l_max"),
    "points of another descriptor": (soap("").replace("l_max=1", "l_max=2"), "7"),
    "on top of another potential": (
        document(extra='<LJ_params n_types="1"/>'),
        "LJ_params, which is not supported",
    ),
    "Glue of unknown types": (on_glue('type1="1"', 'type1="2"'), "Glue"),
    "Glue without species": (on_glue('atomic_num="14"', ""), "Glue"),
    "Glue without energy": (on_glue('E="2.0"', ""), "Glue"),
    "NaN of Glue": (on_glue('E="2.0"', 'E="NaN"'), "Glue"),
    "slope of Glue that is none": (on_glue('y1="0.0"', 'y1="inf"'), "Glue"),
    "Glue with words": (on_glue('r="1.5"', 'r="far"'), "Glue"),
    "Glue in disorder": (on_glue('r="1.5"', 'r="3.5"'), "ascending"),
    "doctype": (
        '<!DOCTYPE G [<!ENTITY a "b">]>' + document(),
        "document type or entities",
    ),
    "external entity": (
        '<!DOCTYPE G [<!ENTITY a SYSTEM "file:///etc/hostname">]><G>&a;</G>',
        "document type or entities",
    ),
    "unknown entity": (document(e0="&a;"), "not well-formed"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_named_with_the_file(write, name):
    text, message = DAMAGED[name]
    path = write(text)
    with pytest.raises(GapfitError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_compressed_files_that_are_broken(write):
    whole = gzip.compress(document().encode())
    assert load(write(whole, "gap.xml.gz")).species == (14,)
    for content in (whole[:-20], whole[:30], b"no gzip", document().encode()):
        with pytest.raises(ModelFileError, match="damaged or truncated"):
            load(write(content, "gap.xml.gz"))


def side_file(md5: str | None, name: str = "points.dat", n: int = 1) -> str:
    total = "" if md5 is None else f'sparseX_md5sum="{md5}"'
    return document(
        POINTS.replace("2.5", ""),
        attributes=f'dimensions="1" n_sparseX="{n}" covariance_type="1" '
        f'sparseX_filename="{name}" {total}',
    )


def test_side_files_must_be_there_and_be_what_they_were(write, tmp_path):
    text = b"2.5\n"
    md5 = hashlib.md5(text).hexdigest()
    path = write(side_file(md5))
    with pytest.raises(ModelFileError, match=r"points\.dat: the sparse points of"):
        load(path)
    write(text, "points.dat")
    assert load(path).terms[0].sparse[14014] == [[2.5]]
    # A folder in the name is where the file was written, not where it is.
    assert load(write(side_file(md5, "/somewhere/else/points.dat"))).n_sparse == 1
    write("2.6\n", "points.dat")
    with pytest.raises(ModelFileError, match="MD5 sum"):
        load(write(side_file(md5)))
    for content, message in (
        ("2.5 2.6\n", "1 sparse points of 1 numbers"),
        ("2.5 x\n", "not a list of numbers"),
        ("inf\n", "not a finite number"),
        (b"\xff\xfe", "not a list of numbers"),
    ):
        write(content, "points.dat")
        with pytest.raises(ModelFileError, match=message):
            load(write(side_file(None)))
    with pytest.raises(ModelFileError):
        load(write(side_file(None, "..")))


def test_bytes_damaged_at_random_never_give_another_error(tmp_path, write):
    """What is read in spite of it has finite numbers."""
    whole = (SMALL / "P" / "gap.xml").read_bytes()
    rng = random.Random(7)
    refused = 0
    for n in range(60):
        content = bytearray(whole)
        if n % 2:
            at = rng.randrange(len(content))
            content[at : at + rng.randrange(1, 400)] = b""
        else:
            for _ in range(5):
                content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            model = load(write(bytes(content)))
        except GapfitError:
            refused += 1
        else:
            for term in model.terms:
                for block, points in term.sparse.items():
                    assert np.isfinite(points).all()
                    assert np.isfinite(term.coefficients[block]).all()
    assert refused > 20


LIMIT = """
import resource, sys
from gapfit.errors import GapfitError
from gapfit.quip.xml_file import read_gap_xml
soft = 700_000_000
resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
try:
    read_gap_xml(sys.argv[1])
except GapfitError as error:
    print(error)
"""


def bomb() -> str:
    entities = ['<!ENTITY a0 "ha">']
    entities += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)]
    return f"<!DOCTYPE G [{''.join(entities)}]><G>&a11;</G>"


@pytest.mark.parametrize(
    "kind",
    ["entities", pytest.param("gzip", marks=pytest.mark.slow), "gzip of elements"],
)
def test_bombs_are_refused_within_little_memory(write, kind):
    if kind == "entities":
        path = write(bomb())
    else:
        unit = b" " if kind == "gzip" else b"<a/>"
        path = write(
            gzip.compress(b"<G>" + unit * (2_000_000_000 // len(unit) // 8), 9),
            "gap.xml.gz",
        )
        assert path.stat().st_size < 5_000_000
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIMIT, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert str(path) in done.stdout
    assert re.search("refused|grows to more than", done.stdout)


def test_training_data_in_the_file_take_no_memory(write):
    """gap_fit copies them into its models: megabytes that no prediction needs."""
    line = "<![CDATA[Si 0.0 0.0 0.0 0.1 0.2 0.3]]>\n"
    data = f"<XYZ_data>{line * 500_000}</XYZ_data>"
    path = write(document(extra=data))
    size = path.stat().st_size
    tracemalloc.start()
    try:
        file = read_gap_xml(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(file.coordinates) == 1
    assert size > 19_000_000
    assert peak < 0.5 * size
