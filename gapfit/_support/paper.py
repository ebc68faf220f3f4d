"""Publications to cite."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Paper"]


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes
    ----------
    key : str
        Key of the BibTeX entry.
    authors, title, where : str
        Authors as in BibTeX (``and`` between them), title, and journal with volume and
        page, or publisher.
    year : int
        Year of publication.
    doi : str
        DOI; empty if there is none.
    """

    key: str
    authors: str
    title: str
    where: str
    year: int
    doi: str = ""

    @property
    def text(self) -> str:
        """The reference on one line."""
        names = self.authors.split(" and ")
        authors = ", ".join(names) if len(names) < 4 else f"{names[0]} et al."
        doi = f", doi:{self.doi}" if self.doi else ""
        return f"{authors}, {self.title}, {self.where} ({self.year}){doi}"

    @property
    def bibtex(self) -> str:
        """The reference as a BibTeX entry."""
        fields = {
            "author": self.authors,
            "title": f"{{{self.title}}}",
            "journal": self.where,
            "year": str(self.year),
            **({"doi": self.doi} if self.doi else {}),
        }
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@article{{{self.key},\n{body}\n}}"
