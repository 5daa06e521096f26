"""A page of sections as one HTML file: no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from moola_eval._stylesheet import STYLESHEET
from moola_eval.section import Cell, Drawing, Grid, Listing, Part, Section, Words
from moola_eval.svg import legend


def page_html(sections: Sequence[Section], *, title: str, lead: Sequence[str] = ()) -> str:
    """Writes sections as a self-contained page that follows light, dark and paper.

    Args:
        sections: From top to bottom.
        title: Heading of the page.
        lead: Sentences below it.

    Returns:
        The HTML document; every word is escaped.
    """
    words = "".join(f"<p>{escape(line)}</p>" for line in lead)
    header = f"<header><h1>{escape(title)}</h1>{words}</header>"
    return framed(title, header, [(section.name, section_body(section)) for section in sections])


def framed(title: str, header: str, sections: Iterable[tuple[str, str]]) -> str:
    """Puts a header and named bodies, HTML already, into a document with a list of its sections."""
    listed = list(sections)
    links = "".join(f'<a href="#s{i}">{escape(name)}</a>' for i, (name, _) in enumerate(listed))
    bodies = "\n".join(
        f'<section id="s{i}"><h2>{escape(name)}</h2>{body}</section>' for i, (name, body) in enumerate(listed)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLESHEET}</style></head>\n<body>\n"
        f'{header}\n<nav aria-label="Sections">{links}</nav>\n<main>\n{bodies}\n</main>\n</body></html>\n'
    )


def section_body(section: Section) -> str:
    """Writes what stands below a section's heading; drawings that follow each other stand side by side."""
    pieces: list[str] = []
    beside: list[str] = []
    for part in section.parts:
        if isinstance(part, Drawing) and not part.wide:
            beside.append(_part(part))
            continue
        pieces += _side_by_side(beside)
        beside = []
        pieces.append(_part(part))
    return "".join(pieces + _side_by_side(beside))


def figure(name: str, words: str, drawing: str, *, css: str = "") -> str:
    """Writes a drawing, HTML already, with its name and what it shows."""
    place = f' class="{css}"' if css else ""
    return f"<figure{place}><figcaption><b>{escape(name)}</b>: {escape(words)}</figcaption>{drawing}</figure>"


def table(
    head: Iterable[str], rows: Iterable[Sequence[str]], *, classes: dict[int, str] | None = None
) -> str:
    """Writes a table of cells that are HTML already; `classes` are those of columns."""
    marks = classes or {}
    names = "".join(
        f'<th scope="col" class="{marks[i]}">{name}</th>' if i in marks else f'<th scope="col">{name}</th>'
        for i, name in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{marks[i]}">{cell}</td>' if i in marks else f"<td>{cell}</td>"
            for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


def _side_by_side(figures: list[str]) -> list[str]:
    return [f'<div class="figures">{"".join(figures)}</div>'] if figures else []


def _part(part: Part) -> str:
    if isinstance(part, Words):
        mark = "" if part.tone == "plain" else f' class="{part.tone}"'
        return f"<p{mark}>{escape(part.text)}</p>"
    if isinstance(part, Listing):
        return f'<ul class="notes">{"".join(f"<li>{escape(item)}</li>" for item in part.items)}</ul>'
    if isinstance(part, Grid):
        rows = [[_cell(cell) for cell in row] for row in part.rows]
        return table(
            [escape(name) for name in part.head], rows, classes=dict.fromkeys(part.sentences, "words")
        )
    drawing = part.svg + (legend(part.legend) if part.legend else "")
    return figure(part.name, part.words, drawing, css="wide" if part.wide else "")


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    words = escape(cell.text)
    return words if cell.tone == "plain" else f'<span class="{cell.tone}">{words}</span>'
