"""Means by group: names, groups, predictions and what is refused."""

import numpy as np
import pandas as pd
import pytest

from trueness.dsl import DSLLinearRegression, DSLMean


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    n = 600
    X = pd.DataFrame(
        {
            "year": rng.integers(2001, 2004, n),
            "party": rng.choice(["left", "right"], n),
            "length": rng.normal(size=n),
        }
    )
    truth = (X["year"] - 2001) * 0.5 + (X["party"] == "left") + rng.normal(size=n)
    y = truth.where(rng.random(n) < 0.4)
    return {"X": X, "y": y, "surrogates": truth + rng.normal(size=n)}


def test_groups_are_combinations_of_columns(data):
    model = DSLMean(by=["year", "party"], learner="linear", n_repeats=1, random_state=0)
    model.fit(**data)
    assert model.results_.names[:2] == ("year=2001, party=left", "year=2001, party=right")
    assert len(model.means_) == 6
    assert list(model.groups_.columns) == ["year", "party"]
    predicted = model.predict(data["X"])
    for row, mean in zip(model.groups_.itertuples(), model.means_, strict=True):
        inside = (data["X"]["year"] == row.year) & (data["X"]["party"] == row.party)
        np.testing.assert_array_equal(predicted[inside], mean)


def test_groups_equal_a_regression_on_indicators(data):
    """Same predictions (surrogate as it is), same moments: same means and covariance."""
    means = DSLMean(by="party", learner=None).fit(**data).results_
    indicators = pd.get_dummies(data["X"]["party"], dtype=float)
    regression = DSLLinearRegression(learner=None, fit_intercept=False).fit(
        indicators, data["y"], surrogates=data["surrogates"]
    )
    np.testing.assert_allclose(means.params, regression.results_.params, rtol=1e-12)
    np.testing.assert_allclose(means.cov, regression.results_.cov, rtol=1e-10, atol=1e-18)


def test_other_columns_may_replace_surrogates(data):
    model = DSLMean(by="year", learner="linear", n_repeats=1, random_state=0)
    model.fit(data["X"], data["y"])
    assert model.diagnostics_.converged
    with pytest.raises(ValueError, match="no surrogates to predict it from"):
        model.fit(data["X"][["year"]], data["y"])


def test_positions_name_columns_of_arrays(data):
    array = data["X"][["year", "length"]].to_numpy()
    by_position = DSLMean(by=0, learner=None).fit(array, data["y"], surrogates=data["surrogates"])
    by_name = DSLMean(by="year", learner=None).fit(**data)
    np.testing.assert_array_equal(by_position.means_, by_name.means_)
    np.testing.assert_array_equal(by_position.predict(array), by_name.predict(data["X"]))


def test_bad_groups_are_refused(data):
    with pytest.raises(ValueError, match="no column is named 'yeer'. Did you mean 'year'"):
        DSLMean(by="yeer").fit(**data)
    broken = data["X"].assign(party=data["X"]["party"].where(data["X"].index > 3))
    with pytest.raises(ValueError, match="missing"):
        DSLMean(by="party").fit(broken, data["y"], surrogates=data["surrogates"])
    rare = data["X"].assign(year=np.where(data["y"].isna() & (data["X"].index < 9), 1999, 2001))
    with pytest.raises(ValueError, match="'year=1999' is zero among the labelled rows"):
        DSLMean(by="year").fit(rare, data["y"], surrogates=data["surrogates"])
    model = DSLMean(by="year", learner=None).fit(**data)
    with pytest.raises(ValueError, match=r"1 rows belong to groups that were not fitted \(row 0"):
        model.predict(data["X"].assign(year=[1850, *data["X"]["year"][1:]]))
