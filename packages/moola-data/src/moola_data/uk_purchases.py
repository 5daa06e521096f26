"""Purchases of a small British company, at home and abroad, in `moola_data.journal_world`'s terms."""

from __future__ import annotations

from moola_data.journal_world import Booking, Occasion, Suffix, Wording
from moola_data.uk_trades import NAMES, NAMES_ABROAD, TRADES, Trade

Shares = tuple[tuple[str, float], ...]
VAT_IN, VAT_OUT = "2201", "2200"
BANK, EURO_BANK, CARD, CASH, CREDITORS = "1200", "1220", "1240", "1230", "2100"
NET, TAX = 1 / 1.2, 0.2 / 1.2
HOME: tuple[tuple[str, str, float, tuple[str, ...], Suffix], ...] = (
    ("invoice", CREDITORS, 5.0, ("Invoice {party}", "Purchase invoice {party}"), "reference"),
    ("card", CARD, 3.0, ("CARD PAYMENT {party}",), "none"),
    ("debit", BANK, 2.0, ("Direct debit {party}", "DD {party}"), "period"),
    ("cash", CASH, 1.0, ("{party} paid in cash",), "none"),
)
"""How a purchase at home is paid: name, account, weight, words, suffix."""
ABROAD = (
    (("Rechnung {party}", CREDITORS), ("Kartenzahlung {party}", CARD), ("Lastschrift {party}", EURO_BANK)),
    (("Facture {party}", CREDITORS), ("Paiement carte {party}", CARD), ("Prélèvement {party}", EURO_BANK)),
    (
        ("Factura {party}", CREDITORS),
        ("Pago con tarjeta {party}", CARD),
        ("Domiciliación {party}", EURO_BANK),
    ),
)
"""The same in German, French and Spanish."""


def purchases() -> list[Occasion]:
    """Lists what is bought, in every way of paying it."""
    return [
        occasion for at, trade in enumerate(TRADES) for occasion in (*at_home(trade, at), *abroad(trade, at))
    ]


def parties(trade: Trade, at: int) -> tuple[str, ...]:
    """Gives the trade with number `at` 6 names of its own, ending in its words by turns."""
    return tuple(
        f"{NAMES[(5 * at + 7 * k) % len(NAMES)]} {trade.words[k % len(trade.words)]}" for k in range(6)
    )


def at_home(trade: Trade, at: int) -> list[Occasion]:
    """Lists purchases in pounds; the words tell which account is credited, the payee alone does not."""
    debits: Shares = ((trade.code, NET), (VAT_IN, TAX)) if trade.vat else ((trade.code, 1.0),)
    names = parties(trade, at)
    found = [
        Occasion(
            name=f"{trade.code} {method}",
            weight=trade.weight * weight / 11,
            wordings=tuple(Wording(pattern=pattern, suffix=suffix) for pattern in words),
            parties=tuple(name.upper() for name in names) if method == "card" else names,
            bookings=(Booking(probability=1.0, debits=debits, credits=((account, 1.0),)),),
            type="bank" if method in ("card", "debit") else "purchase",
        )
        for method, account, weight, words, suffix in HOME
    ]
    unsaid = Occasion(
        name=f"{trade.code} unsaid",
        weight=trade.weight / 12,
        wordings=(Wording(pattern="{party}"),),
        parties=names,
        bookings=(
            Booking(probability=0.8, debits=debits, credits=((CREDITORS, 1.0),)),
            Booking(probability=0.2, debits=debits, credits=((BANK, 1.0),)),
        ),
        type="purchase",
    )
    return [*found, unsaid]


def abroad(trade: Trade, at: int) -> list[Occasion]:
    """Lists purchases in euros, with the tax that the buyer owes and reclaims."""
    if not trade.abroad:
        return []
    debits: Shares = ((trade.code, NET), (VAT_IN, TAX))
    return [
        Occasion(
            name=f"{trade.code} {pattern}",
            weight=trade.weight / 25,
            wordings=(Wording(pattern=pattern),),
            parties=tuple(f"{word} {names[(at + 3 * k) % len(names)]}" for k in range(3)),
            bookings=(Booking(probability=1.0, debits=debits, credits=((VAT_OUT, TAX), (account, NET))),),
            type="purchase" if account == CREDITORS else "bank",
            currency="EUR",
        )
        for word, names, methods in zip(trade.abroad, NAMES_ABROAD, ABROAD, strict=True)
        for pattern, account in methods
    ]
