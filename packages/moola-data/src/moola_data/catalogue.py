"""A catalogue of ledger accounts: ordered, fingerprinted, with its hierarchy.

An account's number is its place in the catalogue, from 0. Whatever is learnt about numbers holds for this
order only, which is why the fingerprint covers the order too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from moola_data._atomic_file import write_atomically

Nature = Literal["debit", "credit"]
SEPARATORS = re.compile(r"[-:./]")
"""What stands between the levels of a hierarchical code such as 105-01-003 or Assets:Bank."""


class Account(BaseModel):
    """One ledger account."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    code: str
    name: str
    nature: Nature
    """The side on which its balance grows."""
    parent_code: str | None = None
    """Code of the account above; None leaves that to the codes, see `Catalogue.parents`."""
    description: str = ""
    type: str = ""

    @field_validator("code", "name")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError(f"want a text that is not blank, got {value!r}")
        return value

    @property
    def text(self) -> str:
        """Name and description, for an encoder."""
        return f"{self.name}. {self.description}" if self.description else self.name


class Catalogue(BaseModel):
    """Accounts in a fixed order; the place of each is its number.

    Raises:
        ValueError: A code stands twice, a parent is not in the catalogue, or parents run in a circle.

    >>> rows = [("1", "Assets"), ("1-01", "Banks"), ("1-01-007", "Bank in euros")]
    >>> chart = Catalogue.of([Account(code=c, name=n, nature="debit") for c, n in rows])
    >>> chart.number("1-01-007"), chart.parents, chart.ancestors(2)
    (2, (-1, 0, 1), (0, 1))
    """

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    accounts: tuple[Account, ...]

    @classmethod
    def of(cls, accounts: Sequence[Account]) -> Self:
        """Makes a catalogue of accounts in the given order."""
        return cls(accounts=tuple(accounts))

    @model_validator(mode="after")
    def _is_a_forest_of_distinct_codes(self) -> Self:
        if not self.accounts:
            raise ValueError("accounts: want 1 or more, got none")
        first: dict[str, int] = {}
        for row, account in enumerate(self.accounts):
            if account.code in first:
                raise ValueError(
                    f"accounts: want each code once, got {account.code!r} in rows "
                    f"{first[account.code]} and {row}"
                )
            first[account.code] = row
        for row, account in enumerate(self.accounts):
            if account.parent_code is not None and account.parent_code not in first:
                raise ValueError(
                    f"accounts: want a parent in the catalogue, got {account.parent_code!r} in row {row}"
                )
        for row in range(len(self.accounts)):
            self.ancestors(row)
        return self

    def __len__(self) -> int:
        return len(self.accounts)

    @property
    def codes(self) -> tuple[str, ...]:
        """Code of every account, in order."""
        return tuple(account.code for account in self.accounts)

    @property
    def texts(self) -> tuple[str, ...]:
        """Name and description of every account, in order."""
        return tuple(account.text for account in self.accounts)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of every code."""
        return {code: number for number, code in enumerate(self.codes)}

    def number(self, code: str) -> int:
        """Returns the number of a code.

        Raises:
            ValueError: No account has it.
        """
        found = self.numbers.get(code)
        if found is None:
            raise ValueError(f"code: want one of the catalogue's {len(self)} codes, got {code!r}")
        return found

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """Number of the account above each, -1 where there is none.

        `parent_code` if it is given; else the longest beginning of the code, cut at a separator (- : . /),
        that is an account itself.
        """
        return tuple(self._parent(account) for account in self.accounts)

    def _parent(self, account: Account) -> int:
        if account.parent_code is not None:
            return self.numbers[account.parent_code]
        for prefix in reversed(code_prefixes(account.code)[:-1]):
            if prefix in self.numbers:
                return self.numbers[prefix]
        return -1

    def ancestors(self, number: int) -> tuple[int, ...]:
        """Returns the numbers of the accounts above one, from the root down.

        Raises:
            ValueError: The parents run in a circle.
        """
        above: list[int] = []
        at = self.parents[number]
        while at != -1:
            if at == number or at in above:
                raise ValueError(f"accounts: want parents without a circle, got one in row {number}")
            above.append(at)
            at = self.parents[at]
        return tuple(reversed(above))

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the canonical JSON: 64 hexadecimal digits, the same in every process."""
        return sha256(self._canonical().encode()).hexdigest()

    def _canonical(self) -> str:
        rows = [account.model_dump() for account in self.accounts]
        return json.dumps(rows, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def feature_words(self) -> tuple[tuple[str, ...], ...]:
        """Returns stable words about every account, to be hashed by an encoder.

        Of each its type, its nature, its depth, every beginning of its own code and of its ancestors' codes.
        Accounts of one branch share words; the same words come out in every process.

        >>> bank = Account(code="1-01", name="Bank", nature="debit", type="asset")
        >>> Catalogue.of([bank]).feature_words()[0]
        ('type=asset', 'nature=debit', 'depth=0', 'code=1', 'code=1-01')
        """
        words, codes = [], self.codes
        for number, account in enumerate(self.accounts):
            above = self.ancestors(number)
            line = [codes[i] for i in above] + [account.code]
            prefixes = dict.fromkeys(prefix for code in line for prefix in code_prefixes(code))
            traits = (f"type={account.type}", f"nature={account.nature}", f"depth={len(above)}")
            words.append((*traits, *(f"code={prefix}" for prefix in prefixes)))
        return tuple(words)


def code_prefixes(code: str) -> tuple[str, ...]:
    """Returns the beginnings of a code, the code itself last.

    Levels are what separators divide; a code of digits alone has a level a digit, as in decimal charts.

    >>> code_prefixes("105-01-003"), code_prefixes("7602")
    (('105', '105-01', '105-01-003'), ('7', '76', '760', '7602'))
    """
    ends = [found.start() for found in SEPARATORS.finditer(code)]
    if not ends and code.isdigit():
        ends = list(range(1, len(code)))
    return (*(code[:end] for end in ends if end), code)


def write_catalogue(path: str | os.PathLike[str], catalogue: Catalogue) -> None:
    """Writes a catalogue as JSON with its fingerprint, in one step."""
    content = {
        "schema_version": 1,
        "fingerprint": catalogue.fingerprint,
        "accounts": [account.model_dump() for account in catalogue.accounts],
    }
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_catalogue(path: str | os.PathLike[str], *, fingerprint: str | None = None) -> Catalogue:
    """Reads a catalogue that `write_catalogue` wrote.

    Args:
        path: The file.
        fingerprint: The one wanted, such as a checkpoint's; any unless given.

    Returns:
        The catalogue.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else, or its accounts, or their order, are not those of its own or the
            wanted fingerprint.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"catalogue: want a file, got {file}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"catalogue: want JSON, got {file}: {error}") from error
    if not isinstance(content, dict) or content.get("schema_version") != 1:
        raise ValueError(f"catalogue: want a file of schema_version 1, got {file}")
    catalogue = Catalogue.model_validate({"accounts": content.get("accounts")})
    for wanted in (content.get("fingerprint"), fingerprint):
        if wanted is not None and wanted != catalogue.fingerprint:
            raise ValueError(
                f"catalogue: want the accounts of fingerprint {wanted}, got {catalogue.fingerprint}"
            )
    return catalogue
