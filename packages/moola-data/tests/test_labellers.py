"""Labellers by name: the package's own, and those that another package offers."""

import numpy as np
import pandas as pd
import pytest

from moola_data.__main__ import main
from moola_data.expansion_rule import label_expansions
from moola_data.labellers import label_bars, labeller
from moola_data.sample import load_sample
from moola_data.spans_file import read_spans

STRANGER = """
import numpy as np
from moola_data.schema import Spans

def first_bars(bars, start=(0, 10)):
    start = np.array(start, np.int64)
    ones = np.ones(len(start), np.float32)
    return Spans(
        start=start, end=start + 4, type=np.full(len(start), -1), weight=ones, type_names=(), annotator="x"
    )

def outside(bars):
    return first_bars(bars, start=(len(bars) - 2,))

def table(bars):
    return [(0, 4)]

number = 3
"""


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Puts a package on the path that offers `strangers:<target>` as the labeller "stranger"."""

    def offered(target):
        info = tmp_path / "stranger-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[moola_data.labellers]\nstranger = {target}\n")
        (tmp_path / "stranger_labellers.py").write_text(STRANGER)
        monkeypatch.syspath_prepend(tmp_path)

    return offered


@pytest.fixture(scope="module")
def bars():
    return load_sample()


def test_the_rule_of_the_package_is_called_expansion(bars):
    named, called = label_bars(bars, "expansion"), label_expansions(bars)
    assert np.array_equal(named.start, called.start)
    assert named.annotator == called.annotator


def test_another_package_offers_a_labeller(bars, offer):
    offer("stranger_labellers:first_bars")
    assert label_bars(bars, "stranger").start.tolist() == [0, 10]


def test_an_unknown_labeller_is_refused_with_those_that_are_known(offer):
    offer("stranger_labellers:first_bars")
    with pytest.raises(ValueError, match="labeller: want one of expansion, stranger, got 'magic'"):
        labeller("magic")


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("number", TypeError, r"entry point moola_data\.labellers:stranger: want a function .* got 3"),
        ("table", TypeError, "labeller 'stranger': want Spans, got list"),
        ("outside", ValueError, r"spans: .*11956\.\.11960"),
    ],
)
def test_what_is_no_labeller_or_gives_no_spans_of_these_bars_is_refused(bars, offer, target, error, message):
    offer(f"stranger_labellers:{target}")
    with pytest.raises(error, match=message):
        label_bars(bars, "stranger")


def test_the_command_writes_a_spans_file_that_is_read_back(tmp_path, bars, capsys):
    rows = {"time": bars.time, "open": bars.open, "high": bars.high, "low": bars.low, "close": bars.close}
    symbol = np.array(bars.symbols, object)[bars.symbol]
    pd.DataFrame({**rows, "symbol": symbol}).to_csv(tmp_path / "bars.csv", index=False)
    out = tmp_path / "spans.csv"
    assert main(["label", str(tmp_path / "bars.csv"), "--out", str(out)]) == 0
    wanted = label_expansions(bars)
    assert f"{len(wanted)} spans" in capsys.readouterr().out
    found = read_spans(out, bars)
    assert np.array_equal(found.start, wanted.start)
    assert np.array_equal(found.end, wanted.end)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "spans.csv", "--labeller", "magic"], "labeller: want one of expansion, got 'magic'"),
        (["--out", "spans.txt"], "path: want a name ending in .csv or .parquet, got 'spans.txt'"),
    ],
)
def test_a_bad_word_is_one_line_and_2(tmp_path, capsys, words, told):
    day = pd.date_range("2024-01-02", periods=60)
    pd.DataFrame({"time": day, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}).to_csv(
        tmp_path / "bars.csv", index=False
    )
    assert main(["label", str(tmp_path / "bars.csv"), *words]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
