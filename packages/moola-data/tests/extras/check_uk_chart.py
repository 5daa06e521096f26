"""Run by name where uk-chart-of-accounts is installed: pytest tests/extras/check_uk_chart.py."""

import sys

import pytest

from moola_data.uk_chart import uk_chart
from moola_data.uk_occasions import uk_occasions


def test_the_chart_is_the_one_that_was_meant():
    chart = uk_chart()
    assert len(chart) == 166
    assert chart.fingerprint == "0cde128913b5e8d6366b98f4a1bff0c6913f064932ae3e0d51ffd9ea22d6e9d8"
    codes = [int(code) for code in chart.codes]
    assert codes == sorted(codes)


def test_every_account_says_what_it_is():
    chart = uk_chart()
    assert all(account.description and account.type for account in chart.accounts)
    assert chart.accounts[chart.number("1200")].nature == "debit"
    assert chart.accounts[chart.number("4000")].nature == "credit"


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "uk_coa", None)
    with pytest.raises(ImportError, match=r'pip install "moola-data\[journal\]"'):
        uk_chart()


def test_every_code_that_the_generator_books_is_in_the_chart():
    codes = {c for o in uk_occasions() for b in o.bookings for c, _ in b.debits + b.credits}
    assert len(codes) > 80
    assert codes <= set(uk_chart().codes)
