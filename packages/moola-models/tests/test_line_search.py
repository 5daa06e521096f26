import itertools
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_models.line_search import beam_search, greedy_search

SURE = 40.0


class Place(NamedTuple):
    """Which entry a row writes, and its last line."""

    entry: torch.Tensor
    line: int

    def select(self, rows):
        return Place(self.entry[rows], self.line)


class Told(NamedTuple):
    account: torch.Tensor
    line: torch.Tensor


class Oracle:
    """Knows the entries by heart; `line` carries (entry, line number)."""

    def __init__(self, entries, accounts):
        self.entries, self.accounts, self.begun = entries, accounts, 0

    def begin(self, inputs):
        self.begun += 1
        return Place(inputs[:, 0].long(), 0)

    def step(self, state, account, side):
        logits = torch.zeros(len(state.entry), 1, self.accounts)
        for row, entry in enumerate(state.entry.tolist()):
            lines = self.entries[entry]
            if state.line < len(lines):
                logits[row, 0, lines[state.line][0]] = SURE
        where = torch.stack([state.entry, torch.full_like(state.entry, state.line)], 1)[:, None]
        return Told(logits, where), state._replace(line=state.line + 1)

    def _line(self, where):
        entry, line = where
        lines = self.entries[entry]
        return lines[line] if line < len(lines) else (0, 0)

    def side_logits(self, line, account):
        sides = [[self._line(where)[1] for where in row] for row in line.tolist()]
        return SURE * torch.nn.functional.one_hot(torch.tensor(sides), 2)

    def stop_logits(self, line, account, side):
        last = [[where[1] >= len(self.entries[where[0]]) - 1 for where in row] for row in line.tolist()]
        return SURE * torch.nn.functional.one_hot(torch.tensor(last).long(), 2)


class Table:
    """A small random decoder whose next line depends on the number of the line and the line before."""

    def __init__(self, accounts, seed=0, sharpness=1.0):
        draw = torch.Generator().manual_seed(seed)
        self.account = sharpness * torch.randn(
            9, accounts + 1, 3, accounts, generator=draw, dtype=torch.float64
        )
        self.side = sharpness * torch.randn(9, accounts, 2, generator=draw, dtype=torch.float64)
        self.stop = sharpness * torch.randn(9, accounts, 2, 2, generator=draw, dtype=torch.float64)

    def begin(self, inputs):
        return Place(inputs[:, 0].long(), 0)

    def step(self, state, account, side):
        number = torch.full_like(account, state.line)
        own = torch.sin(state.entry[:, None, None] * (1 + torch.arange(self.account.shape[-1])))
        return Told(self.account[number, account, side] + own, number), state._replace(line=state.line + 1)

    def side_logits(self, line, account):
        return self.side[line, account]

    def stop_logits(self, line, account, side):
        return self.stop[line, account, side]

    def log_probability(self, lines, most):
        """Of exactly these lines, by hand."""
        total, account, side = 0.0, -1, -1
        for t, (now, now_side) in enumerate(lines):
            total += self.account[t, account, side].log_softmax(0)[now].item()
            total += self.side[t, now].log_softmax(0)[now_side].item()
            if t < most - 1:
                follows = self.stop[t, now, now_side].log_softmax(0)
                total += follows[int(t == len(lines) - 1)].item()
            account, side = now, now_side
        return total


def every_entry(accounts, most, rule=lambda lines: True):
    pairs = list(itertools.product(range(accounts), (0, 1)))
    lengths = range(1, most + 1)
    return [e for n in lengths for e in itertools.product(pairs, repeat=n) if rule(e)]


def both(lines):
    return {side for _, side in lines} == {0, 1}


def different(lines):
    return len(set(lines)) == len(lines)


def read(written, row, place):
    n = int(written.length[row, place])
    return tuple(
        zip(written.account[row, place, :n].tolist(), written.side[row, place, :n].tolist(), strict=True)
    )


SEARCHES = [greedy_search, beam_search]
each_search = pytest.mark.parametrize("search", SEARCHES)


@each_search
@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_a_perfect_decoder_is_written_down_exactly(search, data):
    most, accounts = 6, 5
    line = st.tuples(st.integers(0, accounts - 1), st.integers(0, 1))
    entries = data.draw(
        st.lists(st.lists(line, min_size=2, max_size=most).filter(both), min_size=1, max_size=4)
    )
    written = search(Oracle(entries, accounts), torch.arange(len(entries))[:, None], max_lines=most)
    assert [read(written, row, 0) for row in range(len(entries))] == [tuple(e) for e in entries]
    ends = torch.tensor([[t == len(e) - 1 for t in range(most)] for e in entries])
    assert torch.equal(written.best().stop, ends)
    assert torch.all(written.log_probability[:, 0] > -1e-4)


@each_search
@pytest.mark.parametrize("lines", range(1, 8))
def test_every_length_is_written_down_exactly_without_the_rule(search, lines):
    entry = [(i % 3, 0) for i in range(lines)]
    written = search(Oracle([entry], 3), torch.zeros(1, 1), max_lines=7, both_sides=False)
    assert read(written, 0, 0) == tuple(entry)
    assert bool(written.stop[0, 0, lines - 1])


@pytest.mark.parametrize(("rule", "options"), [
    (lambda e: True, {"both_sides": False}),
    (both, {"both_sides": True}),
    (lambda e: both(e) and different(e), {"both_sides": True, "no_repeat": True}),
    (different, {"both_sides": False, "no_repeat": True}),
])  # fmt: skip
def test_a_wide_beam_finds_every_entry_once_with_its_true_probability(rule, options):
    most, table = 3, Table(2)
    expected = {e: table.log_probability(e, most) for e in every_entry(2, most, rule)}
    written = beam_search(table, torch.zeros(1, 1), max_lines=most, beam=100, **options)
    found = [read(written, 0, i) for i in range(100) if written.length[0, i]]
    assert len(found) == len(set(found)) == len(expected)
    for place, lines in enumerate(found):
        assert written.log_probability[0, place].item() == pytest.approx(expected[lines], abs=1e-9)
    assert torch.all(written.log_probability[0].diff()[: len(found) - 1] <= 0)


def test_the_probabilities_of_all_entries_add_up_to_one():
    written = beam_search(Table(2), torch.zeros(1, 1), max_lines=3, beam=100, both_sides=False)
    assert written.log_probability.exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_rules_hold_in_every_hypothesis(seed):
    table = Table(4, seed, sharpness=3.0)
    inputs = torch.zeros(2, 1)
    for beam in (1, 3, 30):
        written = beam_search(table, inputs, max_lines=4, beam=beam, no_repeat=True)
        for row, place in itertools.product(range(2), range(beam)):
            lines = read(written, row, place)
            assert not lines or (both(lines) and different(lines))
        assert bool((written.length[:, 0] > 0).all())
    lines = read(greedy_search(table, inputs, max_lines=4, no_repeat=True), 0, 0)
    assert both(lines)
    assert different(lines)


def test_repeats_are_written_unless_forbidden():
    oracle = Oracle([[(1, 0), (1, 0), (2, 1)]], 4)
    free, bound = (
        beam_search(oracle, torch.zeros(1, 1), max_lines=4, no_repeat=flag) for flag in (False, True)
    )
    assert read(free, 0, 0) == ((1, 0), (1, 0), (2, 1))
    assert different(read(bound, 0, 0))


@each_search
def test_one_account_is_enough_for_an_entry_without_repeats(search):
    written = search(Table(1, sharpness=9.0), torch.zeros(1, 1), max_lines=6, no_repeat=True)
    assert sorted(read(written, 0, 0)) == [(0, 0), (0, 1)]


@each_search
def test_the_last_line_brings_the_missing_side(search):
    oracle = Oracle([[(0, 0)] * 9], 3)
    written = search(oracle, torch.zeros(1, 1), max_lines=3)
    assert sorted(side for _, side in read(written, 0, 0)) == [0, 0, 1]
    assert not written.stop.any()


@each_search
def test_only_allowed_accounts_are_written_and_keep_their_probability(search):
    table = Table(3)
    inputs = torch.zeros(2, 1)
    allowed = torch.tensor([[True, False, False], [False, True, True]])
    written = search(table, inputs, max_lines=3, allowed=allowed)
    for row, names in enumerate(({0}, {1, 2})):
        lines = read(written, row, 0)
        assert {account for account, _ in lines} <= names
        if row == 0:
            assert written.log_probability[row, 0].item() == pytest.approx(table.log_probability(lines, 3))


def test_a_beam_is_never_less_likely_than_a_narrower_one_here_and_finds_the_best():
    for seed in range(5):
        table = Table(3, seed)
        best = max(table.log_probability(e, 3) for e in every_entry(3, 3, both))
        wide = beam_search(table, torch.zeros(1, 1), max_lines=3, beam=300).log_probability[0, 0].item()
        step = greedy_search(table, torch.zeros(1, 1), max_lines=3).log_probability[0, 0].item()
        assert wide == pytest.approx(best)
        assert step <= wide + 1e-9


def test_entries_of_a_batch_do_not_touch_one_another():
    table = Table(3)
    together = beam_search(table, torch.arange(3)[:, None], max_lines=4, beam=4)
    assert not torch.equal(together.account[0], together.account[2])
    for row in range(3):
        alone = beam_search(table, torch.tensor([[row]]), max_lines=4, beam=4)
        assert torch.equal(alone.account[0], together.account[row])
        assert torch.allclose(alone.log_probability[0], together.log_probability[row])


@each_search
def test_the_text_is_read_once(search):
    oracle = Oracle([[(0, 0), (1, 1)]], 3)
    search(oracle, torch.zeros(1, 1), max_lines=4)
    assert oracle.begun == 1


@each_search
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_lines": 1}, "max_lines: want 2 or more, got 1"),
        ({"max_lines": 3, "allowed": torch.zeros(3, dtype=torch.bool)}, "allowed: want one or more accounts"),
        ({"max_lines": 3, "allowed": torch.ones(3)}, "allowed: want bool"),
    ],
)
def test_what_leaves_nothing_to_write_is_refused(search, options, message):
    with pytest.raises(ValueError, match=message):
        search(Table(3), torch.zeros(1, 1), **options)


@each_search
def test_logits_that_are_no_numbers_are_refused(search):
    table = Table(3)
    table.account[0] = float("nan")
    with pytest.raises(ValueError, match="want logits that are numbers, got nan at line 0 in row 0"):
        search(table, torch.zeros(1, 1), max_lines=3)


def test_a_beam_of_nothing_is_refused():
    with pytest.raises(ValueError, match="beam: want 1 or more, got 0"):
        beam_search(Table(3), torch.zeros(1, 1), max_lines=3, beam=0)
