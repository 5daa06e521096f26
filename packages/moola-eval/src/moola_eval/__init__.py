"""Metrics of spans, pointers, countdowns and types that say what they computed and what chance scores.

>>> from moola_eval import Spans, span_f1
>>> true = Spans.from_lists([[(40, 49)], []], lengths=[105, 105])
>>> pred = Spans.from_lists([[(42, 51)], [(3, 9)]], lengths=[105, 105])
>>> score = span_f1(true, pred)
>>> round(score.value, 3), score.counts["tp"], score.definition
(0.667, 1.0, 'F1 of spans, pooled; iou>=0.5; one-to-one optimal; labels strict')
"""

from importlib.metadata import version

from moola_eval.bars import bar_f1
from moola_eval.baseline import Baseline
from moola_eval.bootstrap import interval
from moola_eval.decoding import Decoder, decode
from moola_eval.detection import span_f1
from moola_eval.evaluation import evaluate
from moola_eval.matching import match
from moola_eval.schema import EvalInput, Report, Threshold, Truth
from moola_eval.spans import Spans
from moola_eval.threshold import choose_threshold

__version__ = version("moola-eval")
__all__ = [
    "Baseline",
    "Decoder",
    "EvalInput",
    "Report",
    "Spans",
    "Threshold",
    "Truth",
    "bar_f1",
    "choose_threshold",
    "decode",
    "evaluate",
    "interval",
    "match",
    "span_f1",
]
