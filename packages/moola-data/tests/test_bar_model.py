import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_data.bar_model import (
    BarParts,
    likelihood_ratios,
    log_density,
    parts_of,
    past_of,
    prices_of,
    sample_parts,
)
from moola_data.world import World


def drawn(n, world=World(), drift=0.0, scale=1.0, seed=0, stretches=None):  # noqa: B008
    stretches = np.array([0, n]) if stretches is None else stretches
    rng = np.random.default_rng(seed)
    return sample_parts(np.full(n, drift), np.full(n, scale), stretches, world=world, seed=rng), stretches


def kolmogorov(uniform):
    """Distance of a sample from the uniform distribution, times the root of its size."""
    ranked = np.sort(uniform)
    n = len(ranked)
    grid = np.arange(n)
    return np.sqrt(n) * max(np.abs(ranked - grid / n).max(), np.abs(ranked - (grid + 1) / n).max())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.floats(0.5, 50_000))
def test_prices_and_parts_determine_each_other(seed, n, price):
    rng = np.random.default_rng(seed)
    cuts = np.unique(rng.integers(0, n, 3))
    stretches = np.unique(np.concatenate([[0], cuts, [n]]))
    parts, _ = drawn(n, seed=seed, stretches=stretches)
    prices = prices_of(parts, stretches, price=price)
    again = parts_of(prices, stretches, price=price)
    assert all(np.abs(a - b).max() < 1e-13 for a, b in zip(parts, again, strict=True))
    back = prices_of(again, stretches, price=price)
    assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(prices, back, strict=True))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.floats(0.2, 4))
def test_prices_enclose_open_and_close(seed, drift, scale):
    parts, stretches = drawn(300, drift=drift, scale=scale, seed=seed)
    prices = prices_of(parts, stretches, price=100.0)
    assert (prices.high >= np.maximum(prices.open, prices.close)).all()
    assert (prices.low <= np.minimum(prices.open, prices.close)).all()
    assert (prices.low > 0).all()


def test_the_density_of_a_bar_integrates_to_one():
    # Four independent factors: each is integrated by itself with the others held where they are.
    world = World(wick_shape=1.5)
    volatility, bounce, drift, scale = 3e-4, 0.1, 0.9, 0.6
    at = {"gap": 0.0, "body": 0.0, "upper": 1e-4, "lower": 1e-4}

    def density(**moved):
        grid = next(iter(moved.values()))
        parts = BarParts(**{k: moved.get(k, np.full(len(grid), v)) for k, v in at.items()})
        full = np.full(len(grid), volatility), np.full(len(grid), bounce)
        return np.exp(log_density(parts, *full, drift=drift, scale=scale, world=world))

    def mean_of(name, grid):
        return np.trapezoid(density(**{name: grid}), grid)

    wide = np.sinh(np.linspace(-16, 16, 200_001)) * 1e-6 * volatility * 1000
    wide = wide[np.abs(wide) < 1e4 * volatility]
    positive = np.geomspace(1e-14, 1e-1, 200_001)
    product = np.prod(
        [mean_of("gap", wide), mean_of("body", wide), mean_of("upper", positive), mean_of("lower", positive)]
    )
    here = density(gap=np.array([at["gap"]]))[0]
    # The product of four one-dimensional integrals counts the joint density at `at` three times too often.
    assert abs(product / here**3 - 1) < 1e-4


def test_drawn_bodies_follow_the_density():
    world, drift, scale = World(), 0.9, 0.6
    parts, stretches = drawn(20_000, world, drift, scale)
    volatility, bounce = past_of(parts.body, stretches, world=world)
    x = (parts.body / volatility - drift - bounce) / (scale * np.sqrt(0.5))
    # Closed distribution function of Student's t with 4 degrees of freedom.
    root = x / np.sqrt(x**2 + 4)
    assert kolmogorov(0.5 + 0.75 * (root - root**3 / 3)) < 1.95
    assert (
        kolmogorov(
            np.where(
                parts.gap > 0,
                1 - 0.5 * np.exp(-np.abs(parts.gap) / (world.gap_scale * scale * volatility)),
                0.5 * np.exp(-np.abs(parts.gap) / (world.gap_scale * scale * volatility)),
            )
        )
        < 1.95
    )


def test_drawn_wicks_follow_the_density():
    world = World(wick_shape=2.0)
    parts, stretches = drawn(20_000, world, scale=1.8)
    volatility, _ = past_of(parts.body, stretches, world=world)
    for wick in (parts.upper, parts.lower):
        x = wick / (world.wick_scale * 1.8 * volatility)
        assert kolmogorov(1 - np.exp(-x) * (1 + x)) < 1.95


def test_a_wrong_drift_is_noticed():
    parts, stretches = drawn(20_000, drift=0.2)
    volatility, bounce = past_of(parts.body, stretches, world=World())
    x = (parts.body / volatility - bounce) / np.sqrt(0.5)
    root = x / np.sqrt(x**2 + 4)
    assert kolmogorov(0.5 + 0.75 * (root - root**3 / 3)) > 5


def test_likelihood_ratios_are_ratios_of_densities():
    for world in (World(), World(wick_shape=2.5, body_dof=7.0)):
        parts, stretches = drawn(500, world, drift=0.5)
        volatility, bounce = past_of(parts.body, stretches, world=world)
        drift, scale = np.array([0.0, 1.0, -1.0, 0.0]), np.array([1.0, 1.0, 0.7, 1.8])
        ours = likelihood_ratios(parts, stretches, drift=drift, scale=scale, world=world)
        logs = np.stack(
            [
                log_density(parts, volatility, bounce, drift=d, scale=s, world=world)
                for d, s in zip(drift, scale, strict=True)
            ],
            axis=1,
        )
        assert np.allclose(ours, np.exp(logs - logs.max(axis=1, keepdims=True)), atol=1e-12)


def test_the_past_of_a_bar_does_not_read_the_bar():
    parts, stretches = drawn(400)
    volatility, bounce = past_of(parts.body, stretches, world=World())
    for t in (0, 1, 200, 399):
        body = parts.body.copy()
        body[t:] *= -7
        changed = past_of(body, stretches, world=World())
        assert np.array_equal(changed[0][: t + 1], volatility[: t + 1])
        assert np.array_equal(changed[1][: t + 1], bounce[: t + 1])


def test_bars_have_fat_tails_and_clustered_volatility():
    parts, _ = drawn(200_000, World(reaction=0.06))
    z = parts.body / parts.body.std()
    assert (z**4).mean() > 4
    size = np.abs(z)
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.03
    assert np.corrcoef(z[1:], z[:-1])[0, 1] < -0.03
