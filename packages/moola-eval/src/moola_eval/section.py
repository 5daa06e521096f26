"""Sections of a page that others supply: words, lists, tables and drawings, as plain data."""

from __future__ import annotations

from typing import Annotated, Literal
from xml.etree import ElementTree

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from moola_eval.svg import CLASSES

Tone = Literal["plain", "soft", "alarm", "met", "failed"]
TAGS = frozenset({"svg", "title", "desc", "g", "path", "rect", "circle", "text"})
PLACES = frozenset({"viewBox", "d", "x", "y", "cx", "cy", "r", "width", "height", "transform"})
ATTRIBUTES = PLACES | {"role", "class", "text-anchor", "stroke-width"}


def checked_svg(text: str) -> str:
    """Returns the drawing if it is one SVG element of shapes and words alone.

    Nothing in it can load, run or style: no script, link, image, style or handler, no entity.

    Raises:
        ValueError: It is no XML, or has an element or attribute that is not known to be harmless.
    """
    if "<!" in text or "<?" in text:
        raise ValueError("svg: want one element, got a declaration or comment")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"svg: want well-formed XML, got {text[:40]!r} ({error})") from error
    if root.tag != "svg":
        raise ValueError(f"svg: want an element svg, got {root.tag!r}")
    for node in root.iter():
        if node.tag not in TAGS:
            raise ValueError(f"svg: want elements of {sorted(TAGS)}, got {node.tag!r}")
        for name in node.attrib:
            if name not in ATTRIBUTES:
                raise ValueError(f"svg: want attributes of {sorted(ATTRIBUTES)}, got {name!r}")
    if root.find("title") is None:
        raise ValueError("svg: want a title, for those who do not see it, got none")
    return text


def _known_class(name: str) -> str:
    if name not in CLASSES:
        raise ValueError(f"legend: want a class of {sorted(CLASSES)}, got {name!r}")
    return name


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Words(_Part):
    """A paragraph."""

    kind: Literal["words"] = "words"
    text: str
    tone: Tone = "plain"


class Listing(_Part):
    """A list of sentences."""

    kind: Literal["listing"] = "listing"
    items: tuple[str, ...]


class Cell(_Part):
    """A table's cell that is more than its text."""

    text: str
    tone: Tone = "plain"


class Grid(_Part):
    """A table; the first column stands left, the others right."""

    kind: Literal["grid"] = "grid"
    head: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    sentences: tuple[int, ...] = ()
    """Columns that hold sentences: they break over lines and stand left."""

    @model_validator(mode="after")
    def _every_row_is_whole(self) -> Grid:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.head):
                raise ValueError(f"rows: want {len(self.head)} cells, got {len(row)} in row {number}")
        return self


class Drawing(_Part):
    """A plot with what it is called, what it shows, and its colours in words."""

    kind: Literal["drawing"] = "drawing"
    name: str
    words: str
    svg: Annotated[str, AfterValidator(checked_svg)]
    """As `moola_eval.svg.Plot.svg` gives it."""
    legend: tuple[tuple[Annotated[str, AfterValidator(_known_class)], str], ...] = ()
    """(colour, words); the colours are `moola_eval.svg.CLASSES`."""
    wide: bool = False
    """Over the whole page; others stand side by side."""


Part = Annotated[Words | Listing | Grid | Drawing, Field(discriminator="kind")]


class Section(_Part):
    """A heading with what stands below it.

    >>> Section(name="Data", parts=(Words(text="1 < 2"),)).parts[0].text
    '1 < 2'
    """

    name: str
    parts: tuple[Part, ...]
