"""The arguments that are worked out say what slow and simple code says, and every claim finds its numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from moola_train.recipes.argument_chains import best_path, chains, marginals
from moola_train.recipes.argument_figures import learning_curve
from moola_train.recipes.argument_gradients import head_under_adam, reduction_bias
from moola_train.recipes.argument_labels import (
    Drawn,
    best_constant,
    clipped,
    huber,
    position_prior,
    raw_countdown,
    window_f1,
)
from moola_train.recipes.argument_markings import operating_point, second_sigmoid, tree_on_position
from moola_train.recipes.argument_sigmas import clock, shares
from moola_train.recipes.argument_trial import ARGUMENTS, argument_trial, drawn_for
from moola_train.recipes.study import load_study, parse_study
from moola_train.recipes.study_data import OneExpansionSource

STUDIES = ("arguments", "figures")
SOURCE = OneExpansionSource(base=30, fresh=20, split="row")


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return drawn_for(SOURCE, seed=0)


def test_every_claim_finds_its_numbers_in_the_argument_that_it_names(drawn: Drawn) -> None:
    variants = {v.name: v.run["argument"] for name in STUDIES for v in load_study(name).variant}
    assert set(variants.values()) == set(ARGUMENTS)
    found = {name: ARGUMENTS[argument](drawn, 1) for name, argument in variants.items()}
    for claim in (claim for name in STUDIES for claim in load_study(name).claim):
        for condition in (*claim.expects, *claim.unless):
            for name in (condition.metric, condition.less_metric, condition.over):
                if name is not None:
                    assert math.isfinite(found[condition.of][name]), (claim.id, name)


def test_a_trial_tells_the_numbers_of_its_argument_and_the_same_ones_again(drawn: Drawn) -> None:
    source = {"kind": "one_expansion", "base": 30, "fresh": 20, "split": "row"}
    found = argument_trial(source=source, run={"argument": "countdown levels"}, seed=0)
    assert found == ARGUMENTS["countdown levels"](drawn, 0)


def test_the_quoted_gradient_ratio_has_its_closed_form(drawn: Drawn) -> None:
    density = stats.norm(scale=math.sqrt(2)).pdf

    def mean_slope(delta: float) -> float:
        return 2 * integrate.quad(lambda r: min(r, delta) * density(r), 0, 12, points=[delta])[0]

    found = reduction_bias(drawn, 5)
    assert found["per_output"] == pytest.approx(mean_slope(1.0) / 840 / (mean_slope(0.08) / 16), rel=0.02)
    assert found["per_output_equal_deltas"] == pytest.approx(2 / 105, rel=0.02)


def test_adam_does_not_see_a_constant_and_plain_descent_would(drawn: Drawn) -> None:
    assert head_under_adam(drawn, 3)["movement"] == pytest.approx(1, abs=0.01)


def test_the_best_constant_is_no_worse_than_any_on_a_grid(drawn: Drawn) -> None:
    values = clipped(drawn)
    found = huber(values - best_constant(values, delta=1.0), delta=1.0).mean()
    assert found <= min(huber(values - at, delta=1.0).mean() for at in np.linspace(-20, 20, 401)) + 1e-6
    places = huber(values - best_constant(values, delta=1.0, axis=0), delta=1.0).mean(axis=0)
    grid = np.stack([huber(values - at, delta=1.0).mean(axis=0) for at in np.linspace(-20, 20, 401)])
    assert (places <= grid.min(axis=0) + 0.02).all()


def test_the_countdown_is_nought_on_the_first_marked_bar() -> None:
    mask = np.array([[0.0, 0, 1, 1, 0]])
    assert raw_countdown(mask).tolist() == [[2, 1, 0, -1, -2]]


def test_window_f1_is_that_of_a_loop(drawn: Drawn) -> None:
    mask = drawn.mask(0)
    marked = np.random.default_rng(0).random(mask.shape) < 0.3
    each = []
    for said, true in zip(marked, mask > 0.5, strict=True):
        hit = sum(a and b for a, b in zip(said, true, strict=True))
        each.append(2 * hit / (sum(said) + sum(true)))
    assert window_f1(marked, mask) == pytest.approx(np.mean(each), rel=1e-12)


def test_best_path_and_marginals_are_those_of_enumeration() -> None:
    draw = np.random.default_rng(1)
    emission, start, step = draw.normal(size=(5, 3)), draw.normal(size=3), draw.normal(size=(3, 3))
    paths = list(itertools.product(range(3), repeat=5))
    scores = np.array(
        [
            start[p[0]] + emission[range(5), p].sum() + sum(step[a, b] for a, b in itertools.pairwise(p))
            for p in paths
        ]
    )
    assert best_path(emission, start, step).tolist() == list(paths[scores.argmax()])
    chance = np.exp(scores - np.logaddexp.reduce(scores))
    slow = np.array([[chance[[p[t] == tag for p in paths]].sum() for tag in range(3)] for t in range(5)])
    assert np.allclose(marginals(emission, start, step), slow, atol=1e-12)


def test_only_the_chain_that_may_not_return_gives_one_span(drawn: Drawn) -> None:
    found = chains(drawn, 2)
    assert found["spans_best_three_most"] == 1 == found["spans_best_three"]
    assert found["spans_best_two"] > 2
    assert 0 < found["memory"] < found["entropy"]


def test_sigma_moves_by_a_rate_a_step_whatever_the_loss(drawn: Drawn) -> None:
    found = clock(drawn, 4)
    for epochs in (20, 50, 100):
        assert found[f"sigma_{epochs}"] == pytest.approx(found[f"formula_{epochs}"], rel=0.01)
    assert found["optimum_over_root"] == pytest.approx(1, abs=1e-3)


def test_shares_of_every_kind_sum_to_one(drawn: Drawn) -> None:
    sums: dict[str, float] = {}
    for name, value in shares(drawn, 0).items():
        kind = name.rpartition("/")[0]
        sums[kind] = sums.get(kind, 0.0) + value
    del sums["coefficient"]
    assert all(total == pytest.approx(1) for total in sums.values())
    assert len(sums) == 8


def test_the_balanced_constant_has_its_closed_form(drawn: Drawn) -> None:
    found = operating_point(drawn, 0)
    pi, w = 0.0721, 13.1
    assert found["balanced"] == pytest.approx(w * pi / (w * pi + 1 - pi), abs=1e-4)
    assert abs(found["auroc_change"]) < 0.1


def test_a_second_sigmoid_leaves_nothing_below_one_half(drawn: Drawn) -> None:
    found = second_sigmoid(drawn, 0)
    assert found["lowest"] >= 0.5
    assert 1 / (1 + math.exp(-found["means_60"])) == pytest.approx(0.6)


def test_the_place_tells_where_windows_are_centred_and_not_where_they_are_cut_anywhere() -> None:
    found = position_prior(drawn_for(OneExpansionSource(base=60, fresh=150, split="row"), seed=1), 1)
    assert found["prior_base"] > found["all_base"] + 0.05
    assert abs(found["prior_anywhere"] - found["all_anywhere"]) < 0.04


def test_importances_are_shares(drawn: Drawn) -> None:
    assert all(0 <= value <= 1 for value in tree_on_position(drawn, 0).values())


def test_the_line_through_the_learning_curve_is_the_least_squares_one(drawn: Drawn) -> None:
    found = learning_curve(drawn, 0)
    line = stats.linregress(np.log([98, 174, 210]), [0.16, 0.19, 0.22])
    assert found["slope"] == pytest.approx(line.slope)
    assert found["at_420"] == pytest.approx(line.intercept + line.slope * math.log(420))


def test_an_argument_that_is_not_known_and_a_source_of_another_kind_are_refused() -> None:
    text = """
name = "one"
title = "t"
question = "q"
function = "argument_trial"
columns = []
picture = []
source = { kind = "one_expansion" }
[[variant]]
name = "a"
run = { argument = "clock" }
"""
    assert parse_study(text).picture == ()
    with pytest.raises(ValueError, match="variant 'a': argument: Input should be"):
        parse_study(text.replace('"clock"', '"cloak"'))
    with pytest.raises(ValueError, match="want 'one_expansion', got 'benchmark'"):
        argument_trial(source={"kind": "benchmark"}, run={"argument": "clock"}, seed=0)
