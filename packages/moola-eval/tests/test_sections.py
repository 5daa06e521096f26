from html import escape
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from pydantic import ValidationError

from moola_eval import EvalInput, Spans, Truth, decode, evaluate
from moola_eval.candles import Candles, candle_window
from moola_eval.html import report_html
from moola_eval.html_page import page_html
from moola_eval.schema import PredictedSpans, Prediction, TrueSpans
from moola_eval.section import Cell, Drawing, Grid, Listing, Section, Words
from moola_eval.svg import SERIES, Plot

NASTY = "</style><script>alert(1)</script> & \"x\" <img src=x onerror='y'>"
K = 12


def plot(words: str = "") -> Plot:
    made = Plot(NASTY, (0, 2), (0, 1), words=words)
    made.axes(x_ticks=[0, 1, 2], y_ticks=[0, 1], x_label=NASTY, y_label=NASTY)
    made.line([0, 1, 2], [0, 1, 0], SERIES[0], tip=NASTY)
    made.bars([0, 1], [0, 0.5], [1, 0.5], "up", width=3)
    return made


def everything() -> Section:
    return Section(
        name=NASTY,
        parts=(
            Words(text=NASTY, tone="alarm"),
            Listing(items=(NASTY, "second")),
            Grid(head=(NASTY, "b"), rows=(("x", Cell(text=NASTY, tone="met")),), sentences=(1,)),
            Drawing(name=NASTY, words=NASTY, svg=plot(NASTY).svg(), legend=((SERIES[0], NASTY),)),
            Drawing(name="broad", words="", svg=plot().svg(), wide=True),
        ),
    )


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_a_page_of_sections_is_well_formed_and_every_word_is_escaped():
    text = page_html([everything()], title=NASTY, lead=[NASTY])
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert text.count("</style>") == 1
    assert sum(NASTY in words for words in page.words) == 21
    assert page.tags.count("figure") == 2
    assert page.tags.count("desc") == 1
    assert text == page_html([everything()], title=NASTY, lead=[NASTY])


@pytest.mark.parametrize(
    ("svg", "wanted"),
    [
        ("<svg><title>t</title><script>alert(1)</script></svg>", "'script'"),
        ("<svg><title>t</title><path d='M0 0' onclick='x()'/></svg>", "'onclick'"),
        ("<svg><title>t</title><path style='fill:url(a)'/></svg>", "'style'"),
        ("<svg><title>t</title><a href='x'/></svg>", "'a'"),
        ("<svg><title>t</title><path d='M0 0'></svg>", "well-formed"),
        ("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg><title>&a;</title></svg>", "declaration"),
        ("<svg><path d='M0 0'/></svg>", "title"),
        ("<p>words</p>", "'p'"),
    ],
)
def test_a_foreign_drawing_can_be_nothing_but_a_drawing(svg, wanted):
    with pytest.raises(ValidationError, match=wanted):
        Drawing(name="a", words="b", svg=svg)


def test_a_row_that_is_too_short_and_an_unknown_colour_are_refused():
    with pytest.raises(ValidationError, match="want 2 cells, got 1 in row 1"):
        Grid(head=("a", "b"), rows=(("1", "2"), ("3",)))
    with pytest.raises(ValidationError, match="legend: want a class"):
        Drawing(name="a", words="b", svg=plot().svg(), legend=(("pink", "b"),))


def candles(n: int = 4, bars: int = K) -> Candles:
    rng = np.random.default_rng(0)
    middle = 100 + rng.normal(size=(n, bars, 2)).cumsum(axis=1)
    low, high = middle.min(axis=2) - 0.5, middle.max(axis=2) + 0.5
    prices = np.stack([middle[..., 0], high, low, middle[..., 1]], axis=2)
    return Candles(prices, tuple(f"of {NASTY} {i}" for i in range(n)))


def made(n: int = 4, bars: int = K) -> tuple:
    mask = np.zeros((n, bars), bool)
    mask[:, 3:6] = True
    mask[1] = False
    true = Spans.from_mask(mask)
    table = TrueSpans(
        window=true.sequence, start=true.start, end=true.end, type=np.full(len(true), -1, np.int64)
    )
    starts, group = np.arange(n) * bars, np.arange(n)
    p = np.clip(0.7 * mask + 0.5 * np.random.default_rng(1).random(mask.shape), 0, 1).astype(np.float32)
    found = decode(p, threshold=0.45)
    assert found.score is not None
    spans = PredictedSpans(
        window=found.sequence,
        start=found.start,
        end=found.end,
        score=found.score.astype(np.float32),
        type=np.full(len(found), -1, np.int64),
    )
    data = EvalInput(
        prediction=Prediction(probability=p, spans=spans, starts=starts, group=group),
        truth=Truth(starts=starts, length=bars, group=group, spans=table, type_names=()),
    )
    return evaluate(data, seed=0, resamples=10, ceiling={"span_f1": 0.8}), data


def test_a_report_shows_what_others_supply_and_its_windows_on_candles():
    report, data = made()
    text = report_html(report, data, lead=[NASTY], sections=[everything()], candles=candles())
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    words = " ".join(page.words)
    names = ("Chance levels", NASTY, "Every metric in full")
    places = [text.index(f"<h2>{escape(name)}</h2>") for name in names]
    assert places == sorted(places)
    assert "prices, true and predicted spans, probability" in words
    assert "ceiling 0.8" in words
    assert f"of {NASTY} 0" in words
    assert len(text) > len(report_html(report, data))


def test_candles_stand_where_their_prices_are():
    prices = np.array([[[1.0, 4.0, 1.0, 3.0], [3.0, 3.0, 2.0, 2.0], [2.0, 2.0, 2.0, 2.0]]])
    spans = Spans.from_lists([[(0, 1)]], lengths=[3])
    drawing = candle_window(Candles(prices), {"true": spans, "other": spans}, window=0, view=(0, 2))
    root = ElementTree.fromstring(drawing)
    assert root.find("desc").text == "true: bars 0 to 1; other: bars 0 to 1"
    strokes = [node for node in root.iter("path") if node.get("class", "").startswith("bars")]
    by_class: dict[str, list] = {}
    for stroke in strokes:
        pieces = [piece.replace("V", " ").split() for piece in stroke.get("d").split("M")[1:]]
        by_class.setdefault(stroke.get("class"), []).append(np.array(pieces, float))
    (up_wick, up_body), (down_wick, down_body) = by_class["bars up"], by_class["bars down"]
    assert len(up_wick) == len(up_body) == 2
    assert len(down_wick) == len(down_body) == 1
    # Pixels grow downwards: price 4 is one third of the way from 1 above price 3.
    scale = (up_wick[0, 1] - up_wick[0, 2]) / 3
    assert up_body[0, 1] - up_body[0, 2] == pytest.approx(2 * scale, abs=0.2)
    assert down_wick[0, 1] - down_wick[0, 2] == pytest.approx(scale, abs=0.2)
    assert up_body[1, 1] - up_body[1, 2] == pytest.approx(0.8, abs=0.11)  # a bar of no height is seen


def test_windows_that_never_move_and_long_ones_are_drawn():
    flat = Candles(np.full((1, 5000, 4), 7.0))
    spans = Spans.from_lists([[(4000, 4400)]], lengths=[5000])
    drawing = candle_window(
        flat, {"true": spans}, window=0, view=(3900, 4299), probability={"p": np.ones(5000)}
    )
    assert "nan" not in drawing
    assert len(drawing) < 40_000


def test_prices_of_other_windows_are_refused():
    report, data = made()
    with pytest.raises(ValueError, match="candles: want prices of 4 windows of 12 bars, got shape"):
        report_html(report, data, candles=candles(3))
    with pytest.raises(ValueError, match="candles: want the data"):
        report_html(report, candles=candles())
    good = candles().prices
    bad = good.copy()
    bad[1, 2, 1] = bad[1, 2].min()
    with pytest.raises(ValueError, match=r"prices: want open and close .* in row \(1, 2\)"):
        Candles(bad)
    with pytest.raises(ValueError, match="words: want 4"):
        Candles(good, ("one",))
    with pytest.raises(ValueError, match="prices: want shape"):
        Candles(good[0])
