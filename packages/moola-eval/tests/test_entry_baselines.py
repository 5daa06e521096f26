import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_eval.comparison import compare
from moola_eval.entries import Lines, entry_f1, exact_entry
from moola_eval.entry_baselines import Lookup, NearestNeighbour, text_features

quick = settings(deadline=None, max_examples=60)
D, C = 0, 1
RENT, TEA, FUEL = [(7, D), (1, C)], [(8, D), (1, C)], [(9, D), (2, D), (1, C)]


def rows_of(lines):
    rows = [[] for _ in range(lines.n_entries)]
    for entry, account, side in zip(lines.entry, lines.account, lines.side, strict=True):
        rows[entry].append((int(account), int(side)))
    return rows


def test_the_table_books_what_was_booked_most_often():
    table = Lookup.fit(["a", "a", "a", "b"], Lines.from_lists([RENT, TEA, TEA[::-1], FUEL]))
    assert [sorted(row) for row in rows_of(table.predict(["a", "b", "c"]))] == [
        sorted(TEA),
        sorted(FUEL),
        sorted(TEA),
    ]
    assert table.knows(["a", "c"]).tolist() == [True, False]


texts = st.lists(st.text("ab ", max_size=6), min_size=1, max_size=8)


@quick
@given(texts, texts, st.sampled_from(["words", "trigrams"]))
def test_the_neighbour_is_the_nearest_by_trying_all(train, test, what):
    def share(a, b):
        return len(a & b) / len(a | b) if a | b else 1.0

    booked = [[(i % 3, D)] for i in range(len(train))]
    seen = [text_features(text, what=what) for text in train]
    asked = [text_features(text, what=what) for text in test]
    memory = NearestNeighbour.fit(seen, Lines.from_lists(booked))
    rows, shares = memory.nearest(asked)
    for i, features in enumerate(asked):
        best = max(share(features, other) for other in seen)
        assert shares[i] == pytest.approx(best)
        fitting = [j for j, other in enumerate(seen) if share(features, other) == pytest.approx(best)]
        assert memory.booked[rows[i]] in [tuple(booked[j]) for j in fitting]


def test_a_text_seen_is_its_own_neighbour_and_the_majority_counts():
    features = [text_features(text, what="words") for text in ("big rent", "rent big", "rent big", "tea")]
    memory = NearestNeighbour.fit(features, Lines.from_lists([RENT, TEA, TEA, FUEL]))
    assert len(memory.booked) == 2
    found = memory.predict([features[0], frozenset({"tea", "time"}), frozenset({"never"})])
    assert [sorted(row) for row in rows_of(found)] == [sorted(TEA), sorted(FUEL), sorted(TEA)]


def test_numbers_of_a_bag_are_features_too():
    bags = [np.array([3, 5, 5]), np.array([4])]
    memory = NearestNeighbour.fit([bag.tolist() for bag in bags], Lines.from_lists([RENT, TEA]))
    assert memory.nearest([[3]])[1].tolist() == [0.5]


def test_a_rule_can_be_compared_with_a_decoder_by_clusters_of_texts():
    true = Lines.from_lists([RENT, TEA] * 20)
    rule = Lookup.fit(["x"] * 40, true).predict(["x"] * 40)
    account = np.array([[7, 1], [8, 1]] * 20)
    stop = np.zeros((40, 2), bool)
    stop[:, 1] = True
    decoded = Lines.until_stop(account, np.array([[D, C]] * 40), stop)
    groups = np.arange(40) // 2
    for score in (entry_f1, exact_entry):
        found = compare(score(true, decoded), score(true, rule), groups=groups, seed=0, resamples=200)
        assert found.delta == pytest.approx({entry_f1: 0.25, exact_entry: 0.5}[score])
        assert found.interval.low > 0


def test_each_side_has_its_own_f1():
    true, pred = Lines.from_lists([FUEL]), Lines.from_lists([[(9, D), (3, D), (1, C)]])
    assert [entry_f1(true.of_side(side), pred.of_side(side)).value for side in (D, C)] == [0.5, 1.0]


@pytest.mark.parametrize("rule", [Lookup, NearestNeighbour])
def test_texts_and_entries_go_together(rule):
    with pytest.raises(ValueError, match="texts: want 1 or more, got none"):
        rule.fit([], Lines.from_lists([]))
    with pytest.raises(ValueError, match="lines: want 1 entries, got 2"):
        rule.fit(["a"], Lines.from_lists([RENT, TEA]))


def test_an_unknown_kind_of_feature_is_refused():
    with pytest.raises(ValueError, match='what: want "words" or "trigrams"'):
        text_features("a", what="letters")
