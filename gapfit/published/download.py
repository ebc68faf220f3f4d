"""Download a file, and check that it arrived as a whole and is the right one."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from gapfit._support.archive import atomic_write
from gapfit._support.progress import Progress
from gapfit.errors import GapfitError

__all__ = ["checksum", "download"]

#: Seconds without an answer after which a server is given up.
_PATIENCE = 30.0
_PIECE = 1 << 20


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, target: Path, sha256: str, progress: Progress) -> str:
    """Download a file; it appears complete and checked, or not at all.

    Parameters
    ----------
    url : str
        Its address.
    target : Path
        Where to write it; the folder must exist.
    sha256 : str
        Beginning of its checksum in hexadecimal; empty to take what comes.
    progress : callable
        Called as ``progress("download", done, total)`` in bytes, if the server says how
        many there are.

    Returns
    -------
    str
        SHA-256 of the file in hexadecimal.

    Raises
    ------
    GapfitError
        The server is not reached, refuses or stops, or leads from https to an address
        without encryption; or the checksum is another one.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "gapfit"})
    by_hand = f"try again later, or download it by hand to {target} and repeat this"
    try:
        with (
            urllib.request.urlopen(request, timeout=_PATIENCE) as answer,
            atomic_write(target) as temporary,
            temporary.open("wb") as file,
        ):
            _require_encryption(url, answer.url)
            got = _copied(answer, file, progress)
            if not got.startswith(sha256):
                raise GapfitError(
                    f"{url}: the checksum (SHA-256) is {got[: len(sha256)]}... instead of "
                    f"{sha256}...: the file was changed or damaged, and is not kept; "
                    "compare with the page of the record before you use it"
                )
    except urllib.error.HTTPError as error:
        raise GapfitError(
            f"{url}: the server answered {error.code} {error.reason}; look for the file "
            f"at its DOI (gapfit data list NAME), download it to {target} and repeat this"
        ) from error
    except urllib.error.URLError as error:
        raise GapfitError(
            f"{url}: the server is not reached ({error.reason}); is there a network? "
            f"{by_hand[:1].upper()}{by_hand[1:]}"
        ) from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise GapfitError(
            f"{url}: the download stopped ({error}); {by_hand}"
        ) from error
    return got


def _require_encryption(asked: str, answered: str) -> None:
    """Refuse an answer that could have been changed on its way, unlike what was asked."""
    if urlsplit(asked).scheme == "https" and urlsplit(answered).scheme != "https":
        raise GapfitError(
            f"{asked}: the server leads to {answered}, which is not encrypted; look for "
            "the file at its DOI (gapfit data list NAME)"
        )


def _copied(
    answer: http.client.HTTPResponse, file: BinaryIO, progress: Progress
) -> str:
    """Copy an answer to a file, and return its SHA-256 in hexadecimal.

    Raises
    ------
    http.client.HTTPException
        The answer stops, or has fewer bytes than the server announced.
    """
    total = int(answer.headers.get("Content-Length") or 0)
    digest, done = hashlib.sha256(), 0
    while piece := _piece(answer):
        digest.update(piece)
        file.write(piece)
        done += len(piece)
        if total:
            progress("download", done, total)
    if total and done != total:
        raise http.client.IncompleteRead(b"", total - done)
    return digest.hexdigest()


def _piece(answer: http.client.HTTPResponse) -> bytes:
    """Return the next bytes; errors of the network are told from those of the disk."""
    try:
        return answer.read(_PIECE)
    except OSError as error:
        raise http.client.HTTPException(str(error)) from error
