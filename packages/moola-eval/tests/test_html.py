import re
from html.parser import HTMLParser
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from moola_eval import Baseline, EvalInput, Spans, Truth, choose_threshold, decode, evaluate
from moola_eval.charts import anatomy_bars, border_histogram, iou_histogram, sweep
from moola_eval.decoding import PLAIN, Decoder
from moola_eval.detection import span_f1
from moola_eval.forecast import Forecast
from moola_eval.html import report_html, write_html
from moola_eval.markdown import number
from moola_eval.matching import Overlap, match
from moola_eval.schema import TrueSpans
from moola_eval.svg import Plot, steps
from moola_eval.targets import Targets
from moola_eval.timeline import chosen_windows, window_timeline

K = 40
NASTY = "</style><script>alert('1')</script> & \"x\""


def truth_of(seed, n, *, first=0, names=("consolidation", "retracement"), bars=K):
    rng = np.random.default_rng(seed)
    mask = np.zeros((n, bars), dtype=bool)
    for i, row in enumerate(mask):
        if i % 5:
            start = rng.integers(0, bars - 8)
            row[start : start + rng.integers(3, 8)] = True
    spans = Spans.from_mask(mask)
    table = TrueSpans(
        window=spans.sequence, start=spans.start, end=spans.end, type=rng.integers(0, len(names), len(spans))
    )
    truth = Truth(
        starts=(first + np.arange(n)) * bars,
        length=bars,
        group=first + np.arange(n) // 2,
        spans=table,
        type_names=names,
    )
    return truth, mask


def scored(mask, seed):
    rng = np.random.default_rng(seed)
    return np.clip(0.5 * mask + 0.6 * rng.random(mask.shape), 0, 1).astype(np.float32)


def adopt(truth, probability, spans, **extra):
    table = SimpleNamespace(
        window=spans.sequence,
        start=spans.start,
        end=spans.end,
        score=spans.score.astype(np.float32),
        type=np.full(len(spans), -1),
    )
    fields = {"pointers": None, "countdown": None, "type_probability": None} | extra
    model = SimpleNamespace(
        probability=probability, spans=table, starts=truth.starts, group=truth.group, **fields
    )
    return EvalInput(prediction=model, truth=truth)


@pytest.fixture(scope="module")
def made():
    inner, inner_mask = truth_of(1, 30, first=100)
    truth, mask = truth_of(2, 40)
    threshold = choose_threshold(scored(inner_mask, 3), inner)
    p = scored(mask, 4)
    data = adopt(truth, p, decode(p, threshold=threshold.threshold))
    rule = Baseline.fit(scored(mask, 5), inner_values=scored(inner_mask, 6), inner_truth=inner, meaning=NASTY)
    report = evaluate(
        data, seed=0, baselines={NASTY: rule}, threshold=threshold, resamples=50, train_truth=inner
    )
    return report, data


class Page(HTMLParser):
    VOID = ("meta", "br", "hr")

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_well_formed_and_loads_nothing(made):
    text = report_html(*made)
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(page.tags)
    assert not {"src", "xlink:href", "onload", "onclick", "style"} & {name for name, _ in page.attributes}
    places = {value for name, value in page.attributes if name == "id"}
    assert {value[1:] for name, value in page.attributes if name == "href"} == places
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text
    assert len(text.encode()) < 2_000_000


def test_every_plot_is_there_and_is_xml(made):
    drawings = re.findall(r"<svg.*?</svg>", report_html(*made), flags=re.DOTALL)
    titles = [ElementTree.fromstring(d)[0].text for d in drawings]
    for words in (
        "Precision against recall",
        "F1 against threshold",
        "Intersection over union",
        "onset errors",
        "offset errors",
        "Frequency against probability",
        "What became of spans",
    ):
        assert sum(words in t for t in titles) == 1, words
    assert sum(t.startswith("Window ") for t in titles) == 9
    assert not any("nan" in d for d in drawings)


def test_every_metric_has_its_definition_counts_interval_and_skill(made):
    report, data = made
    words = " ".join(Page(report_html(report, data)).words)
    for metric in report.metrics:
        assert metric.definition in words
        for name, count in metric.counts.items():
            assert f"{name} {count:g}" in words
        assert number(metric.value) in words
        assert number(metric.skill, 3) in words
    for name, meaning in report.nulls.items():
        assert name in words
        assert meaning in words
    assert report.data.fingerprint in words


def test_words_from_outside_are_escaped(made):
    text = report_html(*made, title=NASTY)
    page = Page(text)
    assert page.tags.count("script") == 0
    assert text.count("</style>") == 1
    assert any(NASTY in words for words in page.words)
    assert page.tags.count("h1") == 1


def test_the_page_is_the_same_every_time(made):
    assert report_html(*made) == report_html(*made)


def test_light_dark_and_paper_each_have_colours(made):
    text = report_html(*made)
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text


def test_without_data_all_numbers_but_no_windows(made):
    report, _ = made
    text = report_html(report)
    assert "Window 0" not in text
    assert all(m.definition in " ".join(Page(text).words) for m in report.metrics)


def test_other_data_are_refused(made):
    report, data = made
    other, mask = truth_of(9, 40)
    p = scored(mask, 4)
    with pytest.raises(ValueError, match=r"data: want the windows sha256:.*, got sha256:"):
        report_html(report, adopt(other, p, decode(p, threshold=0.5)))
    fewer = adopt(data.truth, data.prediction.probability, decode(data.prediction.probability, threshold=1.1))
    with pytest.raises(ValueError, match="predicted spans, got 0"):
        report_html(report, fewer)


def test_in_sample_is_a_banner(made):
    _, data = made
    threshold = choose_threshold(data.prediction.probability, data.truth)
    report = evaluate(data, seed=0, threshold=threshold, resamples=0)
    assert '<p class="alarm">IN-SAMPLE' in report_html(report, data)
    assert '<p class="alarm">' not in report_html(*made)


@pytest.mark.parametrize("everything", [True, False])
def test_nothing_predicted_or_all_true_still_makes_a_page(everything):
    truth, _ = truth_of(3, 6)
    p = np.full((6, K), 1.0 if everything else 0.0, dtype=np.float32)
    data = adopt(truth, p, decode(p, threshold=0.5))
    report = evaluate(data, seed=0, resamples=20)
    Page(report_html(report, data))


def test_one_window_without_spans_makes_a_page():
    empty = np.zeros(0, dtype=np.int64)
    truth = Truth(
        starts=np.zeros(1, np.int64),
        length=K,
        group=np.zeros(1, np.int64),
        spans=TrueSpans(window=empty, start=empty, end=empty, type=empty),
        type_names=(),
    )
    p = np.zeros((1, K), dtype=np.float32)
    data = adopt(truth, p, decode(p, threshold=0.5))
    Page(report_html(evaluate(data, seed=0, resamples=0), data))


def test_long_windows_are_shown_in_part_and_stay_small():
    truth, mask = truth_of(4, 6, bars=5000)
    p = scored(mask, 1)
    data = adopt(truth, p, decode(p, threshold=0.8))
    text = report_html(evaluate(data, seed=0, resamples=0), data)
    assert len(text.encode()) < 2_000_000
    targets, forecast = Targets.of(truth), Forecast.of(data.prediction)
    drawing = window_timeline(targets, forecast, window=1, threshold=None)
    assert f"true {targets.start[1]}" in drawing.replace("truth ", "true ")


def test_the_file_is_whole_or_absent(made, tmp_path):
    write_html(tmp_path / "report.html", *made)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report_html(*made)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(FileNotFoundError, match="path: want a file in a folder that exists"):
        write_html(tmp_path / "no" / "report.html", *made)


def test_windows_are_ranked_and_none_is_shown_twice(made):
    _, data = made
    targets, forecast = Targets.of(data.truth), Forecast.of(data.prediction)
    chosen = chosen_windows(targets, forecast)
    assert [c.rank for c in chosen] == ["best"] * 3 + ["median"] * 3 + ["worst"] * 3
    f1 = [c.f1 for c in chosen]
    assert f1 == sorted(f1, reverse=True)
    assert len({c.window for c in chosen}) == 9
    few = chosen_windows(Targets.of(truth_of(2, 3)[0]), forecast.take(np.arange(3)))
    assert len({c.window for c in few}) == len(few) <= 3


def test_the_sweep_scores_each_threshold_as_decode_does(made):
    _, data = made
    targets, p = Targets.of(data.truth), data.prediction.probability
    levels, spans, bars = sweep(p, targets.spans, targets.mask, decoder=PLAIN)
    for i in (0, 37, 60, 100):
        found = decode(p, threshold=float(levels[i]))
        assert spans[i].value == span_f1(targets.spans, found, labels="ignored").value
        assert bars[i].counts["n_pred"] == (p >= np.float32(levels[i])).sum()
    levels, _, _ = sweep(p, targets.spans, targets.mask, decoder=Decoder(low=0.4))
    assert levels.min() == pytest.approx(0.4)


def heights(drawing, words):
    found = []
    for box in ElementTree.fromstring(drawing.split("</svg>")[0] + "</svg>").iter("rect"):
        tip = box.find("title")
        if tip is not None and words in tip.text:
            found.append(int(tip.text.split()[0]))
    return found


def test_histograms_hold_every_pair(made):
    _, data = made
    targets, forecast = Targets.of(data.truth), Forecast.of(data.prediction)
    pairs = match(targets.spans, forecast.spans, criterion=Overlap(), labels="ignored")
    assert sum(heights(iou_histogram(pairs), "IoU")) == len(pairs)
    assert heights(iou_histogram(pairs), "true spans") == [len(pairs.true) - len(pairs)]
    assert sum(heights(border_histogram(pairs.onset_error, of="onset"), "onset")) == len(pairs)
    far = border_histogram(np.array([-500, 500, 0]), of="onset")
    assert sum(heights(far, "onset")) == 3


def test_the_anatomy_bars_add_up(made):
    report, _ = made
    drawing = anatomy_bars(report.true_anatomy, report.pred_anatomy)
    assert sum(heights(drawing, "true:")) == report.data.n_true
    assert sum(heights(drawing, "predicted:")) == report.data.n_pred


def test_a_plot_puts_values_where_its_scales_say():
    plot = Plot("t", (0, 10), (0, 1), width=110, height=60, margins=(5, 5, 5, 5))
    assert [plot.across(v) for v in (0, 5, 10)] == [5, 55, 105]
    assert [plot.up(v) for v in (0, 0.5, 1)] == [55, 30, 5]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 7), (-3, 240), (0, 1e-6), (12.5, 13.5)])
def test_ticks_are_round_and_inside(low, high):
    ticks = steps(low, high)
    assert 3 <= len(ticks) <= 8
    assert min(ticks) >= low - 1e-12
    assert max(ticks) <= high + 1e-12
    gaps = np.diff(ticks)
    np.testing.assert_allclose(gaps, gaps[0])
