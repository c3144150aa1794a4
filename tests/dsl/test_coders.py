"""Several coders: agreement by its definition, and intervals for pool and population."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    GoldSample,
    fit_coders,
    krippendorff_alpha,
)
from trueness.dsl.numerics.agreement import krippendorff

SCALES = pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval"])


def by_definition(table, scale, weight=None):
    """Pair by pair, as the definition has it."""
    weight = np.ones(len(table)) if weight is None else weight
    units = [(row[~np.isnan(row)], w) for row, w in zip(table, weight, strict=True)]
    units = [(row, w) for row, w in units if len(row) > 1]
    levels = sorted({value for row, _ in units for value in row})
    size = {c: sum(w * (row == c).sum() for row, w in units) for c in levels}
    n = sum(size.values())

    def distance(c, k):
        if scale == "nominal":
            return float(c != k)
        if scale == "interval":
            return (c - k) ** 2
        low, high = min(c, k), max(c, k)
        between = sum(size[g] for g in levels if low <= g <= high)
        return (between - (size[c] + size[k]) / 2) ** 2

    observed = expected = 0.0
    for row, w in units:
        for i, c in enumerate(row):
            for j, k in enumerate(row):
                if i != j:
                    observed += w * distance(c, k) / (len(row) - 1)
    for c in levels:
        for k in levels:
            expected += size[c] * size[k] * distance(c, k)
    return 1 - (observed / n) / (expected / (n * (n - 1)))


def table(seed=0, n=25, n_coders=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, n)
    labels = np.clip(truth[:, None] + rng.integers(-1, 2, (n, n_coders)), 1, 5).astype(float)
    labels[rng.random(labels.shape) < 0.25] = np.nan
    return labels


@SCALES
def test_alpha_is_that_of_the_definition(scale):
    for seed in range(5):
        labels = table(seed)
        found = krippendorff_alpha(labels, scale=scale, n_resamples=50)
        assert found.alpha == pytest.approx(by_definition(labels, scale), rel=1e-12)
        weight = np.random.default_rng(seed).uniform(0.2, 1.0, len(labels))
        shared = (~np.isnan(labels)).sum(axis=1) > 1
        scaled = (1 / weight) / (1 / weight[shared]).mean()
        found = krippendorff_alpha(labels, scale=scale, probability=weight, n_resamples=50)
        assert found.alpha == pytest.approx(by_definition(labels, scale, scaled), rel=1e-12)
        assert found.low < found.alpha < found.high


@SCALES
def test_alpha_at_its_limits(scale):
    same = np.repeat(np.arange(1.0, 11.0)[:, None], 3, axis=1)
    perfect = krippendorff_alpha(same, scale=scale)
    assert perfect.alpha == 1.0 and np.isnan(perfect.low)
    rng = np.random.default_rng(0)
    chance = krippendorff_alpha(rng.integers(1, 4, (3000, 3)).astype(float), scale=scale)
    assert abs(chance.alpha) < 0.04 and chance.low < 0 < chance.high


def test_alpha_of_texts_and_interval():
    labels = table(1)
    words = pd.DataFrame(labels).map(lambda v: None if np.isnan(v) else f"class {v:.0f}")
    one, other = krippendorff_alpha(words), krippendorff_alpha(labels)
    assert (one.alpha, one.n_labels) == (other.alpha, other.n_labels)
    assert one.n_documents == ((~np.isnan(labels)).sum(axis=1) > 1).sum()
    assert "nominal" in str(one) and "4 coders" in str(one)
    wide = krippendorff_alpha(labels, level=0.99)
    assert wide.low < one.low and wide.high > one.high


def test_intervals_of_alpha_cover():
    """Two coders who agree by chance otherwise: alpha of a large table is the truth."""

    def draw(rng, n):
        truth = rng.integers(0, 3, n)
        wrong = rng.random((n, 3)) < 0.25
        return np.where(wrong, rng.integers(0, 3, (n, 3)), truth[:, None]).astype(float)

    truth = krippendorff(draw(np.random.default_rng(0), 300_000), "nominal", np.ones((1, 300_000)))
    n_replicates, covered = 200, 0
    for seed in range(n_replicates):
        sample = draw(np.random.default_rng(seed + 1), 60)
        found = krippendorff_alpha(sample, n_resamples=200, random_state=seed)
        covered += found.low <= truth[0] <= found.high
    assert abs(covered / n_replicates - 0.945) < 3.3 * np.sqrt(0.05 * 0.95 / n_replicates)


NO_ALPHA = {
    "nothing in common": (
        [[1, None], [None, 2], [3, None]],
        {},
        "No document has labels of two coders",
    ),
    "all the same": ([[1, 1], [1, 1]], {}, "nothing to disagree about"),
    "one coder": ([[1], [2]], {}, "two or more coders"),
    "text": ([["a", "b"], ["a", "a"]], {"scale": "ordinal"}, "hold text, for example 'a'"),
    "scale": ([[1, 2], [1, 1]], {"scale": "ratio"}, "'ratio' is not one of"),
    "level": ([[1, 2], [1, 1]], {"level": 2}, "between 0 and 1"),
    "probability": ([[1, 2], [1, 1]], {"probability": [0.5, 0.0]}, "probability is 0"),
}


@pytest.mark.parametrize(("labels", "options", "message"), NO_ALPHA.values(), ids=NO_ALPHA)
def test_alpha_is_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        krippendorff_alpha(pd.DataFrame(labels), **options)


# ------------------------------------------------------------------------------------ estimates

N, LABELS = 1500, 200


def coded(seed, n_coders=5, leaning=0.0, slope=0.0):
    """Coders with noise of their own, and leanings that are theirs in all documents."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    y = 1 + 0.5 * x + rng.normal(size=N)
    machine = y + 0.7 * rng.normal(size=N)
    sample = GoldSample.simple_random(N, LABELS, random_state=seed)
    lean, tilt = leaning * rng.normal(size=n_coders), slope * rng.normal(size=n_coders)
    labels = y[:, None] + lean + tilt * x[:, None] + 0.7 * rng.normal(size=(N, n_coders))
    labels[~sample.drawn] = np.nan
    given = {"surrogates": machine, "gold_sample": sample}
    pool = np.array([1 + lean.mean(), 0.5 + tilt.mean()])
    return x[:, None], labels, given, pool


def test_pool_is_the_fit_to_the_mean():
    X, labels, given, _ = coded(0)
    model = DSLLinearRegression(learner=None)
    found = fit_coders(model, X, labels, **given)
    direct = model.fit(X, labels.mean(axis=1), **given).results_
    assert_allclose(found.estimates.params, direct.params)
    table = found.to_frame()
    assert_allclose(table["std_error"], direct.std_errors)
    assert_allclose(table[["conf_low", "conf_high"]], direct.conf_int().iloc[:, -2:])


def test_coders_one_by_one():
    """With full weight for the machine the estimate of each coder is that of a fit of its own."""
    X, labels, given, _ = coded(1, leaning=0.5, slope=0.2)
    model = DSLLinearRegression(learner=None, tuning=None)
    found = fit_coders(
        model, X, pd.DataFrame(labels, columns=list("abcde")), estimand="population", **given
    )
    for j, name in enumerate("abcde"):
        own = model.fit(X, labels[:, j], **given).results_.params
        assert_allclose(found.by_coder.loc[name], own, rtol=1e-9)
    spread = found.by_coder.var(axis=0, ddof=1)
    assert (found.coder_std**2 <= spread + 1e-12).all()
    assert (found.coder_std > 0.5 * np.sqrt(spread)).all()
    table = found.to_frame().set_index("term")
    assert_allclose(table["std_error"] ** 2, table["label_std"] ** 2 + found.coder_std**2 / 5)
    assert "all coders of whom these are a sample" in repr(found)


@pytest.mark.parametrize("leaning", [0.0, 0.5])
def test_coverage_of_pool_and_population(leaning):
    """A short version of vignettes/evidence/gold_coders.py."""
    n_replicates, covered = 60, {"pool": [], "population": []}
    for seed in range(n_replicates):
        X, labels, given, pool = coded(seed, leaning=leaning, slope=leaning / 2)
        model = DSLLinearRegression(learner=None)
        for estimand, hits in covered.items():
            truth = pool if estimand == "pool" else np.array([1, 0.5])
            found = fit_coders(model, X, labels, estimand=estimand, **given).to_frame()
            hits.append(((found["conf_low"] <= truth) & (truth <= found["conf_high"])).mean())
    for hits in covered.values():  # Cochran and Cox are a little on the safe side
        assert abs(np.mean(hits) - 0.955) < 3.3 * np.sqrt(0.95 * 0.05 / n_replicates)


def test_one_label_per_document_and_quasi_bayes():
    X, labels, given, _ = coded(2)
    rng = np.random.default_rng(0)
    one = np.full_like(labels, np.nan)
    rows, dealt = np.arange(N), rng.integers(0, 5, N)
    one[rows, dealt] = labels[rows, dealt]
    model = DSLLinearRegression(learner=None)
    pool = fit_coders(model, X, one, **given)
    assert pool.estimates.n_obs == N
    with pytest.raises(ValueError, match="200 of 200 labelled documents lack the label"):
        fit_coders(model, X, one, estimand="population", **given)
    many = fit_coders(model, X, labels, estimand="quasi_bayes", n_draws=15, **given)
    assert many.draws.shape == (15 * 20, 2)
    mean = fit_coders(model, X, labels, **given).to_frame()
    assert (many.to_frame()["std_error"] > mean["std_error"]).all()  # disagreement counts twice
    assert_allclose(many.estimates.params, mean["estimate"], atol=0.15)


def test_classes():
    """Coders who call something by 0 or 1; their mean is a share."""
    X, labels, given, _ = coded(3)
    marks = np.where(np.isnan(labels), np.nan, labels > 1)
    given["surrogates"] = (given["surrogates"] > 1).astype(float)
    model = DSLLinearRegression(learner=None)
    found = fit_coders(model, X, marks, estimand="population", **given)
    assert np.isfinite(found.to_frame()[["conf_low", "conf_high"]]).all().all()


def test_refused():
    X, labels, given, _ = coded(4)
    model = DSLLinearRegression(learner=None)
    for wrong, message in (
        (labels[:, :1], "two or more coders"),
        (np.column_stack([labels, np.full(N, np.nan)]), "Coder 5 has no label"),
        (pd.DataFrame(labels).astype(object).where(labels < 2, "x"), "labels hold text"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_coders(model, X, wrong, **given)
    with pytest.raises(ValueError, match="'average' is not one of"):
        fit_coders(model, X, labels, estimand="average", **given)
    with pytest.raises(ValueError, match="n_draws=1 must"):
        fit_coders(model, X, labels, estimand="quasi_bayes", n_draws=1, **given)
    three = np.where(np.isnan(labels), np.nan, np.digitize(labels, [0, 2]))
    three[:, 1:] = three[:, :1]
    given["surrogates"] = np.digitize(given["surrogates"], [0, 2])
    with pytest.raises(ValueError, match="linear, logistic or Poisson"):
        fit_coders(DSLLogisticRegression(learner=None), X, three, estimand="population", **given)
