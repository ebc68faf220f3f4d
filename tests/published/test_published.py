"""Data sets and potentials by name: the registry, copies, and downloads from a server."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import socket
import subprocess
import tarfile
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import ase.io
import pytest
from builders import DATA
from helpers.commands import error_of

from gapfit.cli import main
from gapfit.errors import GapfitError
from gapfit.published import Entry, download, entries, fetch, get
from gapfit.published.unpack import unpack

CONTENT = b"8\nLattice and so on\n" * 5000
SUM = hashlib.sha256(CONTENT).hexdigest()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/potential/gap.xml", "<GAP/>")
        archive.writestr("a/potential/gap.xml.sparseX.1", "1.0\n")
        archive.writestr("a/data/train.xyz", CONTENT)
        archive.writestr("a/../../outside.xml", "<GAP/>")
        archive.writestr("__MACOSX/a/potential/._gap.xml", "x")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        info = tarfile.TarInfo("set/train.extxyz")
        info.size = len(CONTENT)
        archive.addfile(info, io.BytesIO(CONTENT))
        link = tarfile.TarInfo("set/link.extxyz")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return file.getvalue()


FILES = {"/train.xyz": CONTENT, "/all.zip": zipped(), "/all.tgz": tarred()}


class Handler(BaseHTTPRequestHandler):
    """Serves `FILES`; ``/cut/...`` ends in the middle, and ``/stalled/...`` does not
    go on; ``/moved/...`` leads elsewhere.
    """

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()
            return
        content = FILES.get(self.path.removeprefix("/cut").removeprefix("/stalled"))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = self.path.startswith(("/cut/", "/stalled/"))
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if self.path.startswith("/stalled/"):
            self.server.over.wait(10)

    def log_message(self, *_):
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.over = [], threading.Event()
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def entry(server, path="/train.xyz", **facts) -> Entry:
    url = f"http://127.0.0.1:{server.server_port}{path}"
    return Entry("a-set", "a title", "Si", "MIT", url=url, checksum_from="me", **facts)


def test_facts_of_the_registry_have_their_forms():
    names = [e.name for e in entries()]
    assert len(names) == len(set(names)) >= 10
    for e in entries():
        assert re.fullmatch(r"[a-z0-9-]+", e.name)
        assert e.title
        assert e.licence
        if e.shipped:
            assert e.url == e.sha256 == ""
            continue
        assert e.url.startswith("https://")
        assert re.fullmatch(r"10\.\d{4,5}/\S+", e.doi)
        assert re.fullmatch(r"10\.\d{4,5}/\S+", e.paper.doi)
        assert re.fullmatch("[0-9a-f]{12,64}|", e.sha256)
        assert bool(e.sha256) == bool(e.checksum_from)
        assert e.file_name.endswith((".xyz", ".extxyz")) or e.members


@pytest.mark.parametrize("name", [e.name for e in entries() if e.shipped])
def test_sets_that_come_with_gapfit_are_copied_without_a_network(
    name, tmp_path, monkeypatch
):
    monkeypatch.setattr(socket, "socket", None)
    copy = get(name, tmp_path / "new" / "folder")
    assert not copy.was_there
    for path in copy.files:
        assert path.read_bytes() == (DATA / name / path.name).read_bytes()
    symbols = {
        s for path in copy.structures for a in ase.io.read(path, ":") for s in a.symbols
    }
    assert " ".join(sorted(symbols)) == copy.entry.species
    assert get(name, copy.folder).was_there


def test_a_copied_file_that_was_changed_is_not_replaced_unasked(tmp_path):
    changed = tmp_path / "test.extxyz"
    get("tungsten", tmp_path)
    changed.write_text("mine")
    with pytest.raises(GapfitError, match=r"test\.extxyz: exists and differs"):
        get("tungsten", tmp_path)
    assert changed.read_text() == "mine"
    assert not get("tungsten", tmp_path, overwrite=True).was_there
    assert get("tungsten", tmp_path).was_there


def test_an_installation_without_data_says_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "__file__", str(tmp_path / "a" / "b" / "c" / "fetch.py"))
    with pytest.raises(GapfitError, match="data/silicon of the repository"):
        get("silicon", tmp_path)


@pytest.mark.parametrize("path", ["/train.xyz", "/moved/train.xyz"])
@pytest.mark.parametrize("digits", [12, 64])
def test_a_download_is_checked_and_not_repeated(server, path, digits, tmp_path):
    seen = []
    published = entry(server, path, sha256=SUM[:digits])
    copy = get(published, tmp_path, progress=lambda *step: seen.append(step))
    assert copy.files == (tmp_path / "train.xyz",) == copy.structures
    assert copy.files[0].read_bytes() == CONTENT
    assert seen[-1] == ("download", len(CONTENT), len(CONTENT))
    asked = len(server.asked)
    assert get(published, tmp_path).was_there
    assert len(server.asked) == asked


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="sha256sum is not installed")
def test_checksums_are_kept_as_sha256sum_reads_them(server, tmp_path):
    get(entry(server), tmp_path)
    done = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0


def test_another_checksum_is_an_error_and_leaves_nothing(server, tmp_path):
    wrong = entry(server, sha256="0123456789ab")
    with pytest.raises(GapfitError, match=f"{SUM[:12]}.*instead of 0123456789ab"):
        get(wrong, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_recorded_checksum_the_first_download_counts(server, tmp_path):
    published = entry(server)
    assert "not recorded" in published.checksum
    get(published, tmp_path)
    assert get(published, tmp_path).was_there
    (tmp_path / "train.xyz").write_bytes(CONTENT + b"more")
    with pytest.raises(GapfitError, match="differs from what is to be downloaded"):
        get(published, tmp_path)
    assert not get(published, tmp_path, overwrite=True).was_there
    assert (tmp_path / "train.xyz").read_bytes() == CONTENT
    asked = len(server.asked)
    assert get(published, tmp_path, overwrite=True).was_there
    assert len(server.asked) == asked


def test_a_second_download_is_compared_with_the_first(server, tmp_path, monkeypatch):
    get(entry(server), tmp_path)
    (tmp_path / "train.xyz").unlink()
    monkeypatch.setitem(FILES, "/train.xyz", b"another file")
    with pytest.raises(GapfitError, match=f"instead of {SUM}"):
        get(entry(server), tmp_path)
    assert not (tmp_path / "train.xyz").exists()
    assert not get(entry(server), tmp_path, overwrite=True).was_there


def test_a_file_that_was_put_there_by_hand_is_taken(server, tmp_path):
    (tmp_path / "train.xyz").write_bytes(CONTENT)
    assert get(entry(server, sha256=SUM), tmp_path).was_there
    assert not server.asked
    (tmp_path / "train.xyz").write_bytes(b"another")
    with pytest.raises(GapfitError, match="differs"):
        get(entry(server, sha256=SUM), tmp_path)


def test_an_interrupted_download_is_an_error_and_leaves_nothing(server, tmp_path):
    with pytest.raises(GapfitError, match=r"the download stopped .* try again later"):
        get(entry(server, "/cut/train.xyz", sha256=SUM), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_download_that_stalls_is_no_error_of_the_disk(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_PATIENCE", 0.2)
    with pytest.raises(GapfitError, match=r"the download stopped \(timed out\); try"):
        get(entry(server, "/stalled/train.xyz"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_answer_without_encryption_is_taken_for_one_with_it(tmp_path, monkeypatch):
    answer = io.BytesIO(CONTENT)
    answer.url, answer.headers = "http://example.org/a.xyz", {}
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: answer)
    url = "https://example.org/a.xyz"
    with pytest.raises(GapfitError, match=r"leads to http://.* is not encrypted"):
        get(Entry("x", "t", "Si", "MIT", url=url), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_names_the_answer(server, tmp_path):
    with pytest.raises(
        GapfitError, match=r"answered 404 Not Found; look .* at its DOI"
    ):
        get(entry(server, "/gone.xyz"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_network_the_message_says_so(server, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        nobody = Entry("x", "t", "Si", "MIT", url=f"http://127.0.0.1:{port}/a.xyz")
        with pytest.raises(GapfitError, match=rf"{nobody.url}: .* is there a network"):
            get(nobody, tmp_path)


def test_the_chosen_files_of_an_archive_are_unpacked(server, tmp_path):
    folder = tmp_path / "here"
    members = ("*/data/train.xyz", "*.xml*")
    published = entry(server, "/all.zip", members=members)
    copy = get(published, folder)
    names = ["gap.xml", "gap.xml.sparseX.1", "train.xyz", "outside.xml"]
    assert [path.name for path in copy.files] == names
    assert {path.parent for path in copy.files} == {folder}
    assert not (tmp_path / "outside.xml").exists()
    assert copy.potentials[0].read_text() == "<GAP/>"
    assert copy.structures == (folder / "train.xyz",)
    assert get(published, folder).was_there
    (folder / "gap.xml").unlink()
    assert not get(published, folder).was_there
    assert (folder / "gap.xml").exists()
    assert len(server.asked) == 1


def test_an_unpacked_file_that_was_changed_is_not_replaced_unasked(server, tmp_path):
    published = entry(server, "/all.zip", members=("*.xml", "*.xyz"))
    get(published, tmp_path)
    (tmp_path / "train.xyz").write_text("mine")
    (tmp_path / "gap.xml").unlink()
    with pytest.raises(
        GapfitError, match=r"train\.xyz: exists and differs .* all\.zip"
    ):
        get(published, tmp_path)
    assert (tmp_path / "train.xyz").read_text() == "mine"
    assert not (tmp_path / "gap.xml").exists()
    get(published, tmp_path, overwrite=True)
    assert (tmp_path / "train.xyz").read_bytes() == CONTENT
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"all.zip", "gap.xml", "outside.xml", "train.xyz", "SHA256SUMS"}


def test_two_files_of_one_name_in_an_archive_are_an_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a/gap.xml", "1")
        archive.writestr("b/gap.xml", "2")
    with pytest.raises(
        GapfitError, match=r"a/gap\.xml and b/gap\.xml have the same name"
    ):
        unpack(tmp_path / "two.zip", ("*.xml",), tmp_path)


def test_names_of_windows_lead_to_no_other_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a\\..\\..\\gap.xml", "1")
        archive.writestr("C:other.xml", "2")
    found = unpack(tmp_path / "a.zip", ("*.xml",), tmp_path)
    assert [path.name for path in found] == ["gap.xml", "other.xml"]


def test_a_locked_archive_is_an_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("gap.xml", "1")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1  # says that a password is needed
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(GapfitError, match=r"a\.zip: is no sound archive .* encrypted"):
        unpack(tmp_path / "a.zip", ("*.xml",), tmp_path)


def test_links_in_a_tar_archive_are_not_followed(server, tmp_path):
    copy = get(entry(server, "/all.tgz", members=("*.extxyz",)), tmp_path)
    assert [path.name for path in copy.files] == ["train.extxyz"]
    assert copy.files[0].read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "message"),
    [("/train.xyz", "is no sound archive"), ("/all.zip", r"has no file \*\.cfg")],
)
def test_archives_that_cannot_be_used_are_errors(server, path, message, tmp_path):
    with pytest.raises(GapfitError, match=message):
        get(entry(server, path, members=("*.cfg",)), tmp_path)


def test_the_command_lists_and_gets(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {e.name} " in listed for e in entries())
    assert main(["data", "list", "p-gap-20", "--json"]) == 0
    assert '"doi": "10.5281/zenodo.4003703"' in capsys.readouterr().out
    assert main(["data", "get", "phosphorus"]) == 0
    assert "gapfit check data/phosphorus/train.extxyz" in capsys.readouterr().out
    assert main(["data", "get", "phosphorus"]) == 0
    assert "There already" in capsys.readouterr().out


def test_an_unknown_name_gets_the_nearest_one(capsys):
    assert "did you mean silicon?" in error_of(capsys, "data", "get", "silicone")
