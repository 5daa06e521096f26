"""The 166 British nominal accounts of the package uk-chart-of-accounts (MIT), the extra `journal`."""

from __future__ import annotations

from importlib import import_module

from moola_data.catalogue import Account, Catalogue


def uk_chart() -> Catalogue:
    """Returns the British chart as a catalogue, ordered by code.

    Returns:
        166 accounts with names, descriptions and types; no account has a parent, the digits of the codes
        tell which are related. A name may stand twice (depreciation on the balance sheet and as an expense):
        only codes are unique.

    Raises:
        ImportError: The extra is not installed.
    """
    try:
        chart = import_module("uk_coa")
    except ImportError as error:
        raise ImportError(
            'uk_chart: want uk-chart-of-accounts installed (pip install "moola-data[journal]"), got none'
        ) from error
    return Catalogue.of(
        [
            Account(
                code=str(account.code),
                name=account.name,
                nature="debit" if account.debit_increase else "credit",
                description=account.description or "",
                type=account.type.value,
            )
            for account in chart.ChartOfAccounts()
        ]
    )
