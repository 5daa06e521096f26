"""Two models on the same windows, by every metric that can be paired."""

from __future__ import annotations

from typing import Literal

from moola_eval.comparison import compare, holm
from moola_eval.fingerprint import fingerprint
from moola_eval.forecast import Forecast
from moola_eval.headline import headline_scores
from moola_eval.schema import Comparison, EvalInput, Number, Result
from moola_eval.score import Score
from moola_eval.targets import Targets


class Paired(Result):
    """Two models by one metric."""

    comparison: Comparison
    higher_is_better: bool
    p_adjusted: Number
    """Over all metrics (Holm)."""

    @property
    def better(self) -> Literal["a", "b"] | None:
        """The model that the interval of the difference speaks for; None where it holds 0 or is undefined."""
        low, high = self.comparison.interval.low, self.comparison.interval.high
        if low > 0:
            return "a" if self.higher_is_better else "b"
        if high < 0:
            return "b" if self.higher_is_better else "a"
        return None


def compare_predictions(
    a: EvalInput,
    b: EvalInput,
    *,
    seed: int,
    resamples: int = 2000,
    permutations: int = 10_000,
    level: float = 0.95,
) -> tuple[Paired, ...]:
    """Compares two models by every headline metric that is a sum over windows.

    Rankings (AUROC, average precision) are no such sums and are left out, as is what one model does not
    predict.

    Args:
        a: Predictions of one model, and the truth.
        b: Of the other, and the truth of the same windows.
        seed: Of resamples and exchanges.
        resamples: Of the intervals, over blocks, the same for both models.
        permutations: Exchanges of the models within blocks.
        level: Of the intervals.

    Returns:
        The metrics in the order of a report.

    Raises:
        ValueError: The windows or their labels differ, or there are fewer than two blocks.
    """
    same_windows(a, b)
    targets = Targets.of(a.truth)
    first, second = (headline_scores(Forecast.of(one.prediction), targets) for one in (a, b))
    found: dict[str, tuple[Comparison, bool]] = {}
    for name, score in first.items():
        other = second.get(name)
        if not isinstance(score, Score) or not isinstance(other, Score):
            continue
        if score.definition != other.definition:
            continue
        made = compare(
            score,
            other,
            groups=a.truth.group,
            seed=seed,
            resamples=resamples,
            permutations=permutations,
            level=level,
        )
        found[name] = made, score.higher_is_better
    adjusted = holm({name: made.p_value for name, (made, _) in found.items()})
    return tuple(
        Paired(comparison=made, higher_is_better=higher, p_adjusted=adjusted[name])
        for name, (made, higher) in found.items()
    )


def same_windows(a: EvalInput, b: EvalInput) -> None:
    """Raises ValueError, with what differs, unless both are of the same labelled windows."""
    if fingerprint(a.truth) == fingerprint(b.truth):
        return
    for what, one, other in (
        ("bars a window", a.truth.length, b.truth.length),
        ("windows", len(a.truth.starts), len(b.truth.starts)),
        ("true spans", len(a.truth.spans.window), len(b.truth.spans.window)),
        ("types", a.truth.type_names, b.truth.type_names),
    ):
        if one != other:
            raise ValueError(f"b: want the windows of a, with {one} {what}, got {other}")
    for name in ("starts", "group"):
        bad = (getattr(a.truth, name) != getattr(b.truth, name)).nonzero()[0]
        if bad.size:
            raise ValueError(f"b: want the windows of a, got other {name} first in row {bad[0]}")
    raise ValueError("b: want the labels of a on the same windows, got others")
