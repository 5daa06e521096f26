"""What else a small British company books: sales, money, staff, taxes, closings, and unclear words."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from moola_data.journal_world import Booking, Occasion, Suffix, Wording
from moola_data.uk_purchases import NET, TAX, VAT_IN, VAT_OUT, Shares, parties, purchases
from moola_data.uk_trades import CUSTOMERS, NAMES, NAMES_ABROAD, TRADES


class When(NamedTuple):
    """Days of the month, both included, in these months."""

    days: tuple[int, int] = (1, 31)
    months: tuple[int, ...] = tuple(range(1, 13))


ANY, PAYDAY, LATE, EARLY = When(), When((25, 28)), When((28, 31)), When((1, 3))
QUARTER = When((28, 31), (1, 4, 7, 10))
NOBODY = ("",)
SUPPLIERS = tuple(parties(trade, at)[0] for at, trade in enumerate(TRADES[:16]))

Row = tuple[str, float, str, tuple[str, ...], str, Suffix, When]
"""Type, weight, words with | between, parties, bookings with | between, suffix, days."""

SALES: tuple[Row, ...] = (
    ("sale", 1, "Credit note {party}", CUSTOMERS[:8], "4000+VAT / 1100", "none", ANY),
    ("general", 0.5, "Bad debt {party} written off", CUSTOMERS[12:18], "8100+OUT / 1100", "none", ANY),
    ("bank", 8, "Receipt {party}|BACS receipt {party}", CUSTOMERS[:16], "1200 / 1100", "none", ANY),
)
MONEY: tuple[Row, ...] = (
    ("bank", 7, "Payment to {party}|BACS {party}", SUPPLIERS, "2100 / 1200", "none", ANY),
    ("bank", 2, "SEPA {party}", NAMES_ABROAD[0][:6], "2100 / 1220", "none", ANY),
    ("bank", 1, "Credit card bill|Card statement settled", NOBODY, "1240 / 1200", "none", ANY),
    ("bank", 2, "Bank charges|Account fee|Kontoführung", NOBODY, "7901 / 1200", "none", ANY),
    ("bank", 0.7, "Currency fee|FX commission", NOBODY, "7902 / 1200", "none", ANY),
    ("bank", 1, "Overdraft interest", NOBODY, "7900 / 1200", "none", ANY),
    ("bank", 0.7, "Interest received on deposit", NOBODY, "1210 / 4900", "none", ANY),
    ("bank", 1, "Loan repayment|Loan instalment", NOBODY, "2300 .8, 7903 .2 / 1200", "none", ANY),
    ("bank", 1, "HP instalment van|Hire purchase van", NOBODY, "2310 .9, 7904 .1 / 1200", "none", ANY),
    ("bank", 1, "Petty cash float|Cash withdrawn", NOBODY, "1230 / 1200", "none", ANY),
    ("purchase", 1, "Laptops {party}|Server {party}", ("Penrose IT", "Kelham"), "30+VAT / 2100", "none", ANY),
    ("purchase", 0.7, "Desks {party}|Shelving {party}", ("Selwood", "Lindale"), "40+VAT / 2100", "none", ANY),
    ("purchase", 0.4, "Van purchase {party}", ("Rushden Motors",), "50+VAT / 2310", "none", ANY),
)
WAGES = "7003 .85, 7006 .1, 7007 .05 / 2220 .6, 2210 .17, 2211 .15, 2230 .08"
HEADS = "7001 .9, 7012 .1 / 2220 .65, 2210 .2, 2211 .15"
CLAIM = "75% 7400 .4, 7402 .4, 7406 .2 / 2301|25% 7306 / 2301"
STAFF: tuple[Row, ...] = (
    ("payroll", 3, "Payroll|Staff salaries|Lohn und Gehalt", NOBODY, WAGES, "period", PAYDAY),
    ("payroll", 2, "Directors payroll|Director salary", NOBODY, HEADS, "period", PAYDAY),
    ("payroll", 1, "Casual wages {party}", NAMES[30:36], "7005 / 1230", "none", ANY),
    ("bank", 2, "Net wages paid|Wages BACS", NOBODY, "2220 / 1200", "none", When((26, 31))),
    ("bank", 1, "Pension contributions paid", NOBODY, "2230 / 1200", "none", When((10, 20))),
    ("general", 2, "Expenses claim {party}", NAMES[34:38], CLAIM, "none", ANY),
)
VAT_MONTHS = When((5, 9), (2, 5, 8, 11))
TAXES: tuple[Row, ...] = (
    ("bank", 2, "HMRC PAYE|PAYE and NI paid", NOBODY, "2210 .5, 2211 .5 / 1200", "none", When((18, 22))),
    ("general", 1.5, "VAT return|VAT quarter", NOBODY, "2200 / 2201 .4, 2202 .6", "none", QUARTER),
    ("bank", 1, "VAT payment", NOBODY, "2202 / 1200", "none", VAT_MONTHS),
    # "HMRC" alone: the day says which tax, and where the days meet it does not.
    ("bank", 1, "HMRC|HMRC NDDS", NOBODY, "2210 .5, 2211 .5 / 1200", "none", When((15, 22))),
    ("bank", 1, "HMRC|HMRC NDDS", NOBODY, "2202 / 1200", "none", When((5, 17))),
    ("bank", 0.5, "Corporation tax paid", NOBODY, "2110 / 1200", "none", ANY),
    ("general", 0.5, "Corporation tax provision", NOBODY, "9001 / 2110", "none", LATE),
)
ALL_ASSETS = "8001 .4, 8002 .1, 8003 .3, 8004 .2 / 21 .4, 41 .1, 51 .3, 31 .2"
CLOSING: tuple[Row, ...] = (
    ("general", 1, "Depreciation plant|Depn plant", NOBODY, "8001 / 21", "period", LATE),
    ("general", 1, "Depreciation furniture|Depn furniture", NOBODY, "8002 / 41", "period", LATE),
    ("general", 1, "Depreciation vehicles|Depn vehicles", NOBODY, "8003 / 51", "period", LATE),
    ("general", 1, "Depreciation equipment|Depn equipment", NOBODY, "8004 / 31", "period", LATE),
    ("general", 1.5, "Monthly depreciation all assets", NOBODY, ALL_ASSETS, "period", LATE),
)
MIXED = "60% 7502+VAT / 1240|25% 8205+VAT / 1240|15% 7552+VAT / 1240"
UNCLEAR: tuple[Row, ...] = (
    ("bank", 1, "Transfer|Internal transfer", NOBODY, "70% 1210 / 1200|30% 1200 / 1210", "none", ANY),
    ("bank", 1, "Interest|INTEREST", NOBODY, "65% 7900 / 1200|35% 1200 / 4900", "none", ANY),
    ("bank", 3, "CARD PAYMENT {party}", ("BRIGHTMART", "NORDHAUS ONLINE"), MIXED, "none", ANY),
    ("general", 1, "Sundry|Misc|Adjustment", NOBODY, "60% 8250 / 1200|40% 9998 / 1200", "none", ANY),
)
ACCRUED = {
    "electricity": "7200",
    "gas": "7201",
    "accountancy": "7602",
    "audit fee": "7601",
    "telephone": "7550",
    "subcontractors": "6002",
}
PREPAID = {"insurance": "8204", "rent": "7100", "van insurance": "7303"}
PRODUCTS = {"doors": "4000", "windows": "4001", "fitting": "4002", "delivery charge": "4905"}


@cache
def uk_occasions() -> tuple[Occasion, ...]:
    """Lists everything that happens, with its chances."""
    rows = (*SALES, *MONEY, *STAFF, *TAXES, *CLOSING, *UNCLEAR, *_accruals(), *_prepayments())
    return (*purchases(), *_products(), *(_occasion(row) for row in rows))


def booking_of(text: str) -> Booking:
    """Reads a booking such as "75% 7400 .6, 7406 .4 / 2301": chance, debits, credits, shares.

    +VAT adds tax of a fifth that is reclaimed on a debit and owed on a credit, +OUT tax owed no longer.

    >>> booking_of("4000+VAT / 1100").key
    (('1100', 1), ('2200', 0), ('4000', 0))
    """
    chance, _, rest = text.rpartition("% ")
    debits, _, credits_ = rest.partition(" / ")
    return Booking(
        probability=float(chance or 100) / 100,
        debits=_shares(debits, tax=VAT_OUT if debits.startswith("4") else VAT_IN),
        credits=_shares(credits_, tax=VAT_OUT),
    )


def _shares(text: str, *, tax: str) -> Shares:
    code, sign, kind = text.partition("+")
    if sign:
        return ((code, NET), (VAT_OUT if kind == "OUT" else tax, TAX))
    pairs = [part.split() for part in text.split(", ")]
    return tuple((pair[0], float(pair[1]) if len(pair) > 1 else 1.0) for pair in pairs)


def _occasion(row: Row, *, currency: str = "GBP") -> Occasion:
    kind, weight, words, names, bookings, suffix, when = row
    return Occasion(
        name=f"{words}: {bookings}",
        weight=weight,
        wordings=tuple(Wording(pattern=pattern, suffix=suffix) for pattern in words.split("|")),
        parties=names,
        bookings=tuple(booking_of(text) for text in bookings.split("|")),
        type=kind,
        currency=currency,
        months=when.months,
        days=when.days,
    )


def _products() -> list[Occasion]:
    abroad = ("Türen Vogel", "Portes Duval", "Puertas Ruiz")
    found = []
    for what, code in PRODUCTS.items():
        words = f"Sales invoice {{party}} {what}|{{party}} {what}"
        home: Row = ("sale", 4, words, CUSTOMERS[:12], f"1100 / {code}+VAT", "reference", ANY)
        export: Row = ("sale", 1, f"Export sale {{party}} {what}", abroad, f"1100 / {code}", "none", ANY)
        found += [_occasion(home), _occasion(export, currency="EUR")]
    return found


def _accruals() -> list[Row]:
    """The same words book an accrual at the end of a month and take it back in its first days."""
    found: list[Row] = []
    for what, code in ACCRUED.items():
        made, back = f"Accrual {what}|Accrue {what}", f"Accrual {what}|Reverse accrual {what}"
        found.append(("general", 1, made, NOBODY, f"{code} / 2109", "period", LATE))
        found.append(("general", 0.8, back, NOBODY, f"2109 / {code}", "period", EARLY))
    return found


def _prepayments() -> list[Row]:
    found: list[Row] = []
    for what, code in PREPAID.items():
        words = f"Prepay {what}|Annual {what} in advance"
        found.append(("bank", 0.7, words, NOBODY, "1103 / 1200", "none", ANY))
        released = f"Release prepaid {what}"
        found.append(("general", 1, released, NOBODY, f"{code} / 1103", "period", LATE))
    return found
