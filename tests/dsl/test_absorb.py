"""Absorbed fixed effects equal regressions on dummies, whatever the panel and the solver."""

import re
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueness.dsl.numerics import absorb, level_system
from trueness.dsl.numerics.absorb import FixedEffects, constant_within, isolated_rows

SOLVERS = {
    "DenseFactor": {},
    "ConjugateGradients": {"dense_levels": 0, "max_iterations": 10_000},
    "SparseFactor": {"dense_levels": 0, "max_iterations": 0},
}


@pytest.fixture(params=SOLVERS)
def options(request, monkeypatch):
    """Options that select a solver; another factor than the selected one cannot be built."""
    for factor in {"DenseFactor", "SparseFactor"} - {request.param}:
        monkeypatch.setattr(absorb, factor, None)
    return SOLVERS[request.param]


def relabelled(*effects):
    return np.column_stack([np.unique(effect, return_inverse=True)[1] for effect in effects])


def dummies(codes):
    return np.column_stack([np.equal.outer(c, np.arange(c.max() + 1)) for c in codes.T]) * 1.0


def chain(n_units, n_copies):
    """Unit i has rows with partners i and i + 1 only, each in several copies."""
    partner = np.column_stack([np.arange(n_units), np.arange(1, n_units + 1)]).ravel()
    return np.tile(np.column_stack([np.repeat(np.arange(n_units), 2), partner]), (n_copies, 1))


def make_panels():
    rng = np.random.default_rng(0)
    draw = lambda n_levels: rng.integers(0, n_levels, 300)  # noqa: E731
    unit, half = draw(60), draw(2)
    firm, job = draw(40), draw(9)
    path = chain(120, 2)
    return {
        "one effect": relabelled(unit),
        "two": relabelled(unit, draw(12)),
        "two, as many levels": relabelled(draw(150), draw(150)),
        "three": relabelled(unit, draw(12), draw(5)),
        "four": relabelled(unit, draw(30), draw(5), draw(7)),
        "disconnected": relabelled(unit, 7 * (unit % 5) + draw(7)),
        "disconnected, three": relabelled(2 * unit + half, 2 * draw(9) + half, 2 * draw(4) + half),
        "nested": relabelled(unit, unit // 4),
        "nested in the smaller": relabelled(unit, firm, firm // 3),
        "same twice": relabelled(unit, firm, -firm),
        # Jobs and firms lie within sectors, units move between them: redundant, yet not nested.
        "sectors": relabelled(unit, firm, 4 * job + firm % 4),
        "chain": path,
        "chain and a third": np.column_stack([path, rng.integers(0, 4, len(path))]),
        "unbalanced": relabelled((60 * rng.random(300) ** 4).astype(int), (25 * half) % 7, job),
    }


PANELS = make_panels()


def make_columns(codes, seed=1):
    """Columns of many sizes, also trends that vary slowly along a chain."""
    n = len(codes)
    x = np.random.default_rng(seed).normal(size=(n, 5))
    x[:, 0] = np.linspace(0, 1, n)
    x[:, 1] *= 1e8
    x[:, 2] *= 1e-8
    x[:, 3] += 1e6
    return x


def make_weight(n, weighted):
    return np.random.default_rng(2).uniform(0.1, 5.0, n) if weighted else None


def reference(codes, weight, columns):
    """Residuals of least squares on all dummies; columns are centred, so that no digit is lost."""
    root = np.ones((len(codes), 1)) if weight is None else np.sqrt(weight)[:, None]
    columns = columns - columns.mean(axis=0)
    D = dummies(codes)
    return columns - D @ np.linalg.lstsq(D * root, columns * root, rcond=None)[0]


def assert_equal(actual, expected, scale, tolerance=1e-11):
    scaled = [np.divide(value, scale) for value in (actual, expected)]
    np.testing.assert_allclose(*scaled, rtol=0, atol=tolerance)


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_within_equals_least_squares_on_dummies(panel, weighted, options):
    codes = PANELS[panel]
    weight, x = make_weight(len(codes), weighted), make_columns(codes)
    effects = FixedEffects(codes, weight, **options)
    expected, spread = reference(codes, weight, x), x.std(axis=0)
    assert_equal(effects.within(x), expected, spread)
    assert_equal(effects.project(x), x - expected, spread, tolerance=1e-9)  # 1e6 * eps
    assert_equal(effects.within(x[:, 0]), expected[:, 0], spread[0])


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_rank(panel, weighted, options):
    codes = PANELS[panel]
    effects = FixedEffects(codes, make_weight(len(codes), weighted), **options)
    expected = np.linalg.matrix_rank(dummies(codes))
    if effects.rank_is_exact:
        assert effects.rank == expected
    else:
        n_levels = codes.max(axis=0) + 1
        assert expected <= effects.rank <= n_levels.sum() - (len(n_levels) - 1)


def test_rank_is_exact_but_for_large_systems_of_three_effects():
    for panel, options, exact in [
        ("three", {}, True),
        ("three", {"dense_levels": 0}, False),
        ("two", {"dense_levels": 0}, True),
        ("same twice", {"dense_levels": 0}, True),
    ]:
        assert FixedEffects(PANELS[panel], **options).rank_is_exact is exact


@pytest.mark.parametrize("panel", ["two", "chain", "sectors"])
def test_wide_weights(panel, options):
    codes, x = PANELS[panel], make_columns(PANELS[panel])[:, [0, 4]]
    weight = 10 ** np.random.default_rng(3).uniform(-3, 3, len(codes))
    actual = FixedEffects(codes, weight, **options).within(x)
    error = np.sqrt(weight @ (actual - reference(codes, weight, x)) ** 2)
    assert np.all(error < 1e-9 * np.sqrt(weight @ x**2))


def test_heavy_rows_that_are_alone_change_nothing():
    """Neither the rank of the rest nor its residuals, though they dwarf all sums of weights."""
    codes, x = PANELS["sectors"], make_columns(PANELS["sectors"])
    alone = codes[:20].copy()
    alone[:, 0] = codes[:, 0].max() + 1 + np.arange(20)
    weight = np.append(np.ones(300), np.random.default_rng(10).uniform(1e8, 9e9, 20))
    effects = FixedEffects(np.vstack([codes, alone]), weight)
    assert effects.rank == np.linalg.matrix_rank(dummies(codes)) + 20
    expected = np.vstack([reference(codes, None, x), np.zeros((20, 5))])
    assert_equal(effects.within(np.vstack([x, x[:20]])), expected, x.std(axis=0), tolerance=1e-10)


@pytest.mark.parametrize("block", [1, 100, 10_000])
def test_dense_products_in_blocks(block, monkeypatch):
    monkeypatch.setattr(level_system, "DENSE_BLOCK", block)
    codes, x = PANELS["two"], make_columns(PANELS["two"])
    assert_equal(FixedEffects(codes).within(x), reference(codes, None, x), x.std(axis=0))


@pytest.mark.parametrize("n_units", [500, 20_000])
@pytest.mark.parametrize("span", [0, 2.5])
def test_long_chains_leave_deviations_within_copies(n_units, span):
    """Rows of a chain form a tree: dummies fit every pair of levels that meet, so their mean."""
    codes, n_copies = chain(n_units, 2), 2
    weight = 10 ** np.random.default_rng(3).uniform(-span, span, len(codes))
    x = make_columns(codes)
    effects = FixedEffects(codes, weight)
    shares = weight.reshape(n_copies, -1, 1)
    copies = (x - x.mean(axis=0)).reshape(n_copies, -1, x.shape[1])
    expected = copies - np.sum(shares * copies, axis=0) / shares.sum(axis=0)
    scale = x.std(axis=0) * np.sqrt(weight.mean() / weight)[:, None]
    assert_equal(effects.within(x), expected.reshape(x.shape), scale, tolerance=1e-10)
    assert effects.rank == 2 * n_units


@pytest.mark.parametrize(
    ("panel", "tolerance"),
    [("one effect", 1e-13), ("nested", 1e-13), ("two", 1e-7), ("sectors", 1e-7)],
)
def test_large_differences_between_levels_cost_few_digits(panel, tolerance, options):
    """None for one effect, for which they are subtracted at once; else their rounding, 1e8 eps."""
    codes = PANELS[panel]
    between = 1e6 * codes.sum(axis=1)
    noise = np.random.default_rng(4).integers(-(2**21), 2**21, len(codes)) / 2**20
    effects = FixedEffects(codes, **options)
    assert_equal(effects.within(between + noise), effects.within(noise), 1.0, tolerance)


def test_columns_that_effects_explain_vanish(options):
    codes = PANELS["chain and a third"]
    x = np.column_stack([codes[:, 0], codes @ [3.0, -2.0, 5.0], np.full(len(codes), 1e8)])
    actual = FixedEffects(codes, make_weight(len(codes), True), **options).within(x)
    spread = [*x[:, :2].std(axis=0), 1.0]
    assert_equal(actual, np.zeros_like(x), spread, tolerance=1e-12)


def test_slopes_equal_those_with_dummies():
    codes, n = PANELS["sectors"], 300
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n, 3)) + codes[:, [0]] / 10
    y = X @ [1.0, -2.0, 0.5] + codes.sum(axis=1) + rng.normal(size=n)
    within = FixedEffects(codes).within(np.column_stack([y, X]))
    slopes = np.linalg.lstsq(within[:, 1:], within[:, 0], rcond=None)[0]
    full = np.linalg.lstsq(np.column_stack([X, dummies(codes)]), y, rcond=None)[0]
    np.testing.assert_allclose(slopes, full[:3], rtol=1e-10)


@st.composite
def drawn_panels(draw):
    """Any small codes, levels renumbered."""
    n, m = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    level = st.integers(0, draw(st.integers(0, 12)))
    rows = draw(st.lists(st.tuples(*[level] * m), min_size=n, max_size=n))
    return relabelled(*np.array(rows).T)


@given(drawn_panels(), st.sampled_from(list(SOLVERS)), st.booleans(), st.integers(0, 2**32 - 1))
def test_projection_of_any_panel(codes, solver, weighted, seed):
    """Idempotent, self-adjoint under the weights, onto a space of the stated dimension."""
    n = len(codes)
    weight = make_weight(n, weighted)
    effects = FixedEffects(codes, weight, **SOLVERS[solver])
    x, y = np.random.default_rng(seed).normal(size=(2, n))
    w = np.ones(n) if weight is None else weight
    Px, Py = effects.project(x), effects.project(y)
    np.testing.assert_allclose(effects.project(Px), Px, rtol=0, atol=1e-10)
    np.testing.assert_allclose((w * Px) @ y, (w * x) @ Py, rtol=0, atol=1e-9)
    np.testing.assert_allclose(effects.project(dummies(codes)), dummies(codes), atol=1e-10)
    if effects.rank_is_exact:
        assert np.trace(effects.project(np.eye(n))) == pytest.approx(effects.rank, abs=1e-9)


def isolated_one_by_one(codes):
    rows = list(range(len(codes)))
    while True:
        counts = [Counter(codes[rows, j]) for j in range(codes.shape[1])]
        alone = [i for i in rows if any(c[codes[i, j]] == 1 for j, c in enumerate(counts))]
        if not alone:
            return ~np.isin(np.arange(len(codes)), rows)
        rows.remove(alone[0])


@given(drawn_panels())
def test_isolated_rows_of_any_panel(codes):
    isolated = isolated_rows(codes)
    np.testing.assert_array_equal(isolated, isolated_one_by_one(codes))
    leverage = np.diag(FixedEffects(codes).project(np.eye(len(codes))))
    np.testing.assert_allclose(leverage[isolated], 1.0, atol=1e-10)
    if codes.shape[1] == 1:
        np.testing.assert_array_equal(isolated, leverage > 1 - 1e-9)


def test_isolated_rows_are_found_along_a_chain():
    """Only the ends are alone at first; a cycle keeps all its rows."""
    assert isolated_rows(chain(400, 1)).all()
    cycle = chain(400, 1)
    cycle[-1, 1] = 0
    assert not isolated_rows(cycle).any()
    assert not isolated_rows(chain(400, 2)).any()


def test_a_bridge_is_not_isolated():
    """Its leverage is one, but its levels have other rows."""
    square = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    codes = np.vstack([square, square + 2, [[0, 2]]])
    assert not isolated_rows(codes).any()
    assert FixedEffects(codes).project(np.eye(9))[8, 8] == pytest.approx(1.0, abs=1e-12)


def test_constant_within():
    rng = np.random.default_rng(6)
    unit = np.repeat(np.arange(50), 6)
    codes = np.column_stack([unit, unit // 5, np.tile(np.arange(6), 50)])
    of_unit, of_region, of_time = (
        rng.normal(size=codes[:, j].max() + 1)[codes[:, j]] for j in range(3)
    )

    def explained(column):
        return constant_within(codes, column).tolist()

    assert explained(of_unit) == [True, False, False]
    assert explained(1e8 + of_unit) == [True, False, False]
    assert explained(1e-8 * of_region) == [True, True, False]
    assert explained(of_time) == [False, False, True]
    assert explained(of_unit + of_time) == [False, False, False]
    assert explained(np.full(300, 1e8 + 0.1)) == [True, True, True]
    noise = rng.normal(size=300)
    assert explained(of_unit + 1e-8 * noise) == [False, False, False]
    assert explained(of_unit + 1e-12 * noise) == [True, False, False]


@pytest.mark.parametrize("shape", [(300, 0), (300, 1), (300,)])
def test_shapes(shape, options):
    effects = FixedEffects(PANELS["three"], **options)
    assert effects.within(np.ones(shape)).shape == effects.project(np.ones(shape)).shape == shape


def test_columns_are_left_as_they_were_in_any_order_and_type(options):
    codes = PANELS["two"]
    x = np.arange(900).reshape(300, 3) % 7
    effects = FixedEffects(codes, **options)
    expected = effects.within(x.astype(float))
    by_column = np.asfortranarray(x.astype(float))
    assert_equal(effects.within(by_column), expected, 1.0)
    assert_equal(effects.within(x), expected, 1.0)
    np.testing.assert_array_equal(by_column, x)


@pytest.mark.parametrize(
    ("panel", "options", "limit"), [("two", {}, 1e10), ("two", {"dense_levels": 0}, 1e6)]
)
def test_weights_that_differ_too_much(panel, options, limit):
    weight = np.ones(300)
    weight[7] = 0.9 * limit
    FixedEffects(PANELS[panel], weight, **options)
    weight[7] = 1.1 * limit
    with pytest.raises(ValueError, match=re.escape(f"up to a ratio of {limit:.3g}.")):
        FixedEffects(PANELS[panel], weight, **options)
    FixedEffects(PANELS["one effect"], weight)


def test_a_solution_that_does_not_settle_is_an_error(monkeypatch):
    monkeypatch.setattr(absorb, "MAX_REFINEMENTS", 1)
    columns = np.zeros((300, 3))
    columns[:, 1] = make_columns(PANELS["two"])[:, 4]
    with pytest.raises(RuntimeError, match="column 1 .* still changed after 1 rounds"):
        FixedEffects(PANELS["two"]).within(columns)


def test_a_settled_column_is_left_alone():
    """Rounds that only another column needs do not touch it."""

    class Stub:
        answers = iter([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])

        def solve(self, sums, floor):
            return np.outer(np.arange(len(sums)), next(self.answers))

    effects = FixedEffects(PANELS["two"])
    effects._solver = Stub()
    x = make_columns(PANELS["two"])[:, [4, 4]]
    actual = effects.within(x)
    np.testing.assert_allclose(actual[:, 0], FixedEffects(PANELS["two"][:, :1]).within(x[:, 0]))
    assert abs(actual[:, 1] - actual[:, 0]).max() > 1


def test_a_trial_decides_about_large_systems(monkeypatch):
    """Badly connected levels take the factor, well connected ones do without."""
    built = []
    factor = absorb.SparseFactor
    monkeypatch.setattr(absorb, "SparseFactor", lambda system: built.append(1) or factor(system))
    rng = np.random.default_rng(7)
    FixedEffects(rng.integers(0, 200, (4000, 2)), dense_levels=0, max_iterations=60)
    assert not built
    FixedEffects(chain(200, 2), dense_levels=0, max_iterations=60)
    assert built


def test_memory_is_a_few_times_the_data():
    rng = np.random.default_rng(8)
    codes = relabelled(rng.integers(0, 4000, 50_000), rng.integers(0, 40, 50_000))
    x = rng.normal(size=(50_000, 8))
    tracemalloc.start()
    FixedEffects(codes).within(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert x.nbytes < peak < 8 * x.nbytes
