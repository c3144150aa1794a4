"""compare_labels: the same model under three kinds of labels."""

import numpy as np
import pandas as pd
import pytest

from trueness.dsl import DesignWarning, DSLLinearRegression, DSLLogisticRegression, compare_labels
from trueness.simulations.dsl import make_egami2024


@pytest.fixture(scope="module")
def observed():
    return make_egami2024(
        n_rows=2000, n_labels=400, n_surrogates=2, n_clusters=50, random_state=3
    ).observed


def test_labels_order_and_headers(observed):
    model = DSLLogisticRegression(learner="linear", n_repeats=1, random_state=0)
    results = compare_labels(model, **observed)
    assert list(results) == ["Surrogate only", "Gold only", "Machine learning only", "DSL"]
    assert [result.title for result in results.values()] == list(results)
    assert results["Surrogate only"].header["Gold labels"] == "none (llm_1 in their place)"
    assert "Learner" not in results["Gold only"].header
    assert all("clustered (50 clusters)" in r.header["Covariance"] for r in results.values())
    assert not hasattr(model, "results_")


def test_the_surrogate_can_be_chosen(observed):
    model = DSLLogisticRegression(learner="linear", n_repeats=1, random_state=0)
    second = compare_labels(model, **observed, surrogate="llm_2")["Surrogate only"]
    direct = DSLLogisticRegression().fit(
        observed["X"], observed["surrogates"]["llm_2"], clusters=observed["clusters"]
    )
    np.testing.assert_array_equal(second.params, direct.results_.params)
    np.testing.assert_array_equal(second.cov, direct.results_.cov)
    with pytest.raises(ValueError, match="no column is named 'llm_3'"):
        compare_labels(model, **observed, surrogate="llm_3")


def test_words_as_classes(observed):
    words = np.array(["no", "yes"])
    y = pd.Series(observed["y"]).map({0.0: "no", 1.0: "yes"})
    surrogates = observed["surrogates"].map(lambda v: words[int(v)])
    model = DSLLogisticRegression(learner="linear", n_repeats=1, random_state=0)
    by_word = compare_labels(
        model, observed["X"], y, surrogates=surrogates, clusters=observed["clusters"]
    )
    by_number = compare_labels(model, **observed)
    for label in ("Surrogate only", "Gold only"):
        np.testing.assert_allclose(by_word[label].params, by_number[label].params, rtol=1e-10)


def test_probabilities_cannot_stand_for_a_binary_outcome(observed):
    surrogates = observed["surrogates"] * 0.8 + 0.1
    model = DSLLogisticRegression(learner="linear", n_repeats=1, random_state=0)
    with pytest.raises(ValueError, match="cut it at a threshold"):
        compare_labels(model, observed["X"], observed["y"], surrogates=surrogates)
    with pytest.raises(ValueError, match="nothing to compare"):
        compare_labels(model, observed["X"], observed["y"], surrogates=None)


def test_warnings_come_once(observed):
    model = DSLLinearRegression(learner="linear", n_repeats=1, random_state=0)
    with pytest.warns(DesignWarning) as caught:
        compare_labels(
            model,
            observed["X"],
            observed["y"],
            surrogates=observed["surrogates"],
            sampling_probability=0.5,
        )
    assert len(caught) == 1
