"""Lines over a number of the data: what is drawn are the means of the variants' seeds."""

import pytest

from moola_train.recipes.study import load_study, parse_study
from moola_train.recipes.study_lines import points
from moola_train.recipes.study_plot import picture
from moola_train.recipes.study_verdict import mean_of

STUDY = load_study("curve")


def made(study):
    """A number for every trial that tells which one it is."""
    trials = {}
    for place, (name, seed, _) in enumerate(study.jobs(quick=False)):
        trials.setdefault(name, {})[seed] = dict.fromkeys(study.picture, place % 97 / 97)
    return trials


def test_a_point_is_the_mean_of_its_variant_under_its_crossing():
    trials = made(STUDY)
    found = points(STUDY, trials, over="windows")
    assert sum(len(line) for line in found.values()) == len(STUDY.variants()) * len(STUDY.picture)
    for name, by_seed in trials.items():
        rest, _, crossing = name.partition(" · ")
        line, windows = rest.removesuffix(" windows").split(", ")
        for metric in STUDY.picture:
            wanted = mean_of([numbers[metric] for numbers in by_seed.values()])
            assert found[metric, f"· {crossing}", line][float(windows)] == wanted


def test_what_was_not_run_yet_is_left_out():
    (first, seeds), *_ = made(STUDY).items()
    assert points(STUDY, {first: seeds}, over="windows").keys() == {
        (metric, "· snr .75", "origin recipe") for metric in STUDY.picture
    }


def test_the_picture_names_every_line_and_condition_and_is_the_same_again():
    svg = picture(STUDY, made(STUDY), quick=False)
    for word in ("origin recipe", "boosted trees a bar", "TCN a bar", "jade-best", "snr .75", "snr 1.25"):
        assert f"<!-- {word} -->" in svg
    assert svg == picture(STUDY, made(STUDY), quick=False)


def test_a_number_that_the_data_have_not_is_refused():
    text = """
name = "odd"
title = "T"
question = "Q"
source = { kind = "benchmark" }
columns = []
line_over = "windows"
[[variant]]
name = "ours, none"
"""
    study = parse_study(text)
    with pytest.raises(ValueError, match="with a number 'windows', got 'ours, none'"):
        points(study, {}, over="windows")
