"""Which claims decide which line of the first system's record: a checked list, so that none is left out."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FILE = "coverage.toml"


class Line(BaseModel):
    """One line of the record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: str
    """Section, and number of the row or of the fix."""
    says: str
    claims: tuple[str, ...] = ()
    """Ids of claims in the studies."""
    untestable: str = ""
    """Why it, or what the claims leave of it, cannot be tested here."""

    @model_validator(mode="after")
    def _is_answered(self) -> Self:
        if not self.claims and not self.untestable:
            raise ValueError(f"claims: want an id or a reason in untestable, got neither for {self.says!r}")
        if len(set(self.claims)) < len(self.claims):
            raise ValueError(f"claims: want different ids, got {self.claims}")
        return self


class Coverage(BaseModel):
    """The whole list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: Annotated[tuple[Line, ...], Field(min_length=1)]


def parse_coverage(text: str) -> tuple[Line, ...]:
    """Reads lines from TOML.

    Raises:
        ValueError: It is no TOML, a key is unknown, or a line has neither claims nor a reason.
    """
    try:
        return Coverage.model_validate(tomllib.loads(text)).line
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"coverage: want TOML, got {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError("coverage: " + "; ".join(lines)) from error


def coverage() -> tuple[Line, ...]:
    """Reads the package's list.

    >>> coverage()[0].where
    '5.2'
    """
    return parse_coverage(files("moola_train").joinpath("studies").joinpath(FILE).read_text(encoding="utf-8"))


def coverage_table(verdicts: Mapping[str, str]) -> list[str]:
    """Writes a Markdown table: a row a line, with the verdict on each of its claims.

    Args:
        verdicts: Words by id; an id that has none is said to be not run.

    Returns:
        Lines of text.
    """
    table = ["| line | about | decided by |", "|---|---|---|"]
    for line in coverage():
        said = [
            f"[{claim}]({claim.partition('.')[0]}.md) {verdicts[claim]}"
            if claim in verdicts
            else f"{claim} not run"
            for claim in line.claims
        ]
        if line.untestable:
            said.append(("the rest " if said else "") + f"cannot be tested: {line.untestable}")
        table.append(f"| {line.where} | {line.says.replace('|', '/')} | {'; '.join(said)} |")
    return table
