"""The exact solvers beside slow ones and beside the conditions that their answers must meet."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_losses.dual_cone import project_on_dual_cone
from moola_losses.fair_weights import fair_weights
from moola_losses.gramian import unit_diagonal
from moola_losses.simplex_minimum import simplex_minimum

few = settings(deadline=None, max_examples=30)
shapes = st.tuples(st.integers(1, 7), st.integers(0, 2**32 - 1), st.floats(0, 6))


def gradients(shape):
    """Random rows in 9 dimensions with a common part, whose norms differ by up to a power of ten."""
    tasks, seed, decades = shape
    random = np.random.default_rng(seed)
    rows = random.normal(size=(tasks, 9)) + random.normal() * random.normal(size=9)
    return rows * 10.0 ** random.uniform(-decades / 2, decades / 2, size=(tasks, 1))


def nearest_by_enumeration(rows):
    """The shortest vector in the convex hull: the best of the least-squares points of all its faces."""
    best = min(rows, key=np.linalg.norm)
    for size in range(2, len(rows) + 1):
        for face in itertools.combinations(range(len(rows)), size):
            base, edges = rows[face[0]], rows[list(face[1:])] - rows[face[0]]
            parts = np.linalg.lstsq(edges.T, -base, rcond=None)[0]
            if parts.min() >= 0 and parts.sum() <= 1:
                best = min(best, base + parts @ edges, key=np.linalg.norm)
    return best


@few
@given(shapes.filter(lambda s: s[2] <= 3))
def test_the_shortest_vector_is_that_of_the_best_face(shape):
    rows = gradients(shape)
    weights = simplex_minimum(rows @ rows.T)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    wanted = nearest_by_enumeration(rows)
    assert np.linalg.norm(weights @ rows) <= np.linalg.norm(wanted) * (1 + 1e-9)


@few
@given(shapes)
def test_the_shortest_vector_conflicts_with_no_row_at_any_scale(shape):
    rows = gradients(shape)
    shortest = simplex_minimum(rows @ rows.T) @ rows
    cosines = rows @ shortest / np.linalg.norm(rows, axis=1) / np.linalg.norm(shortest)
    assert cosines.min() >= -1e-6


@few
@given(shapes, st.floats(0.05, 0.9))
def test_no_corner_of_the_simplex_goes_below_its_minimum(shape, radius):
    """The objective is convex: a point is the minimum if the slope towards every corner is at least 0."""
    rows = gradients(shape)
    matrix = rows @ rows.T
    slope = matrix.mean(0)
    push = radius * np.sqrt(matrix.mean())

    def objective(w):
        return w @ slope + push * np.sqrt(w @ matrix @ w)

    weights = simplex_minimum(matrix, slope=slope, push=push)
    value = objective(weights)
    size = np.abs(slope).max() + push * np.sqrt(matrix.max())
    for corner in np.eye(len(rows)):
        for share in (1e-3, 0.1, 1.0):
            assert objective((1 - share) * weights + share * corner) >= value - 1e-10 * size


def test_opposed_rows_meet_at_zero():
    rows = np.array([[1.0, 2.0], [-3.0, -6.0]])
    weights = simplex_minimum(rows @ rows.T)
    np.testing.assert_allclose(weights, [0.75, 0.25], rtol=1e-6)


@few
@given(shapes)
def test_a_projection_meets_the_conditions_of_the_nearest_point(shape):
    """d = start + v, v >= 0, u d >= 0, and v (u d) = 0: together they are sufficient."""
    rows = gradients(shape)
    cosines, _ = unit_diagonal(rows @ rows.T)
    for task in range(len(rows)):
        start = np.eye(len(rows))[task]
        parts = project_on_dual_cone(cosines, start)
        added, products = parts - start, cosines @ parts
        assert added.min() >= 0
        assert products.min() >= -1e-10 * np.abs(parts).sum()
        np.testing.assert_allclose(added * products, 0, atol=1e-10 * np.abs(parts).sum())


def test_a_twin_does_not_disturb_a_projection():
    rows = np.array([[1.0, -2.0, 0.5], [-1.0, 1.0, 2.0], [-1.0, 1.0, 2.0]])
    cosines, _ = unit_diagonal(rows @ rows.T)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    with_twin = project_on_dual_cone(cosines, np.array([1.0, 0, 0])) @ units
    without = project_on_dual_cone(cosines[:2, :2], np.array([1.0, 0])) @ units[:2]
    np.testing.assert_allclose(with_twin, without, atol=1e-12)


@few
@given(shapes, st.sampled_from([0.5, 1.0, 2.0, 5.0]))
def test_fair_weights_solve_their_equations(shape, alpha):
    rows = gradients(shape)
    preferences = np.linspace(1, 2, len(rows))
    matrix = rows @ rows.T
    weights = fair_weights(matrix, alpha=alpha, preferences=preferences)
    assert weights.min() > 0
    np.testing.assert_allclose(matrix @ weights, (preferences / weights) ** (1 / alpha), rtol=1e-6)


@pytest.mark.parametrize("rows", [[[1.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [-3.0, -6.0]]])
def test_where_nothing_lowers_every_loss_there_are_no_fair_weights(rows):
    rows = np.array(rows)
    with pytest.raises(ValueError, match="want a direction that lowers every loss"):
        fair_weights(rows @ rows.T, alpha=1.0, preferences=np.ones(2))


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
def test_solvers_do_not_feel_the_common_scale(factor):
    rows = gradients((4, 3, 2.0))
    matrix = rows @ rows.T
    np.testing.assert_allclose(simplex_minimum(matrix * factor**2), simplex_minimum(matrix), rtol=1e-9)
    one, other = (fair_weights(m, alpha=1.0, preferences=np.ones(4)) for m in (matrix, matrix * factor**2))
    np.testing.assert_allclose(other * factor, one, rtol=1e-9)
