"""Design information that does not fit is refused, and labels that say little warn."""

import numpy as np
import pytest
from design_frames import fit, make
from numpy.testing import assert_allclose

from trueness.dsl import (
    DesignWarning,
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLMean,
    FewLabelsWarning,
    GoldSample,
)

N = 400


@pytest.fixture
def data():
    return make(N)


@pytest.fixture
def drawn():
    return np.isin(np.arange(N), np.random.default_rng(7).permutation(N)[:130])


def as_drawn(drawn, **options):
    return GoldSample.from_design(N, 130 / N, drawn, is_fixed=True, **options)


BAD_ARGUMENTS = {
    "no strata": ({}, {"design": "stratified"}, "needs strata, the stratum of every row"),
    "strata missing": (
        {"strata": lambda data, _: np.where(np.arange(N) < 3, None, data["stratum"])},
        {"design": "stratified"},
        r"strata: missing on 3 of 400 rows \(rows 0, 1, 2\)",
    ),
    "strata of another design": (
        {"strata": lambda data, _: data["stratum"]},
        {"design": "srswor"},
        "strata belong to design=\"stratified\", but design='srswor'",
    ),
    "strata by default": (
        {"strata": lambda data, _: data["stratum"]},
        {},
        "strata belong to design=\"stratified\", but design='poisson'",
    ),
    "one label in a stratum": (
        {"strata": lambda _, drawn: np.where(drawn.cumsum() <= 1, "poor", "rich")},
        {"design": "stratified"},
        r"1 of 2 strata have fewer than two labels: 'poor' \(1 of \d+ rows\)",
    ),
    "no label in a stratum": (
        {"strata": lambda _, drawn: np.where(~drawn & (np.cumsum(~drawn) < 9), "poor", "rich")},
        {"design": "stratified"},
        r"'poor' \(0 of 8 rows\)",
    ),
    "probabilities that do not go with strata": (
        {
            "strata": lambda data, _: np.zeros(N, dtype=int),
            "sampling_probability": lambda *_: np.where(np.arange(N) == 7, 0.9, 130 / N),
        },
        {"design": "stratified"},
        r"does not go with the strata on 1 rows \(row 7\): 0.9 is stated in stratum 0, where 0.325",
    ),
    "unequal probabilities of a simple random sample": (
        {"sampling_probability": lambda *_: np.linspace(0.1, 0.55, N)},
        {"design": "srswor"},
        'use design="poisson" .* design="stratified" with strata, or a GoldSample',
    ),
    "frame of another length": (
        {"gold_sample": lambda *_: GoldSample.simple_random(N - 1, 130, random_state=0)},
        {},
        "gold_sample was drawn from 399 rows, but there are 400",
    ),
    "no gold sample": ({"gold_sample": lambda _, drawn: drawn}, {}, "must be a GoldSample, got a"),
    "drawn without label": (
        {
            "gold_sample": lambda _, drawn: GoldSample.from_design(
                N, 132 / N, drawn | (np.cumsum(~drawn) <= 2), is_fixed=True
            )
        },
        {},
        r"2 of 132 rows that were drawn have no gold label \(rows \d+, \d+\)",
    ),
    "label outside the sample": (
        {
            "gold_sample": lambda _, drawn: GoldSample.from_design(
                N, 127 / N, drawn & (np.cumsum(drawn) > 3), is_fixed=True
            )
        },
        {},
        r"3 rows have a gold label but were not drawn",
    ),
    "gold sample and probabilities": (
        {"gold_sample": lambda _, drawn: as_drawn(drawn), "sampling_probability": 0.3},
        {},
        "gold_sample holds the sampling probabilities",
    ),
    "gold sample and strata": (
        {
            "gold_sample": lambda _, drawn: as_drawn(drawn),
            "strata": lambda data, _: data["stratum"],
        },
        {},
        "gold_sample holds the strata of its design",
    ),
    "leverage with tuning": (
        {},
        {"covariance": "HC3"},
        "covariance='HC3' is defined for tuning=None; with tuning='diagonal' covariance=\"auto\"",
    ),
    "leverage of units": (
        {
            "gold_sample": lambda data, drawn: GoldSample.from_design(
                N, 130 / N, drawn, is_fixed=True, units=np.arange(N)
            )
        },
        {"covariance": "CR2", "tuning": None},
        "covariance='CR2' is not defined where sampling units hold several rows",
    ),
    "unknown tuning": ({}, {"tuning": "full"}, "tuning='full' is not one of 'diagonal'"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_designs_are_refused(data, drawn, case):
    given, options, message = BAD_ARGUMENTS[case]
    arguments = {
        name: value(data, drawn) if callable(value) else value for name, value in given.items()
    }
    with pytest.raises(ValueError, match=message):
        fit(data, drawn, arguments=arguments, **options)


@pytest.mark.filterwarnings("ignore::trueness.dsl.FewLabelsWarning")
@pytest.mark.parametrize("estimator", [DSLLinearRegression, DSLLogisticRegression])
@pytest.mark.parametrize("n_labels", [2, 3])
def test_fewer_labels_than_needed_are_refused(data, estimator, n_labels):
    drawn = np.isin(np.arange(N), [3, 41, 160][:n_labels])
    data["machine"] = data["binary"]
    with pytest.raises(ValueError, match=r"label|Label"):
        fit(data, drawn, estimator=estimator, outcome="binary")


@pytest.mark.filterwarnings("ignore::trueness.dsl.FewLabelsWarning")
def test_a_single_label_is_refused(data):
    with pytest.raises(ValueError, match="One labelled row has no variance"):
        fit(data, np.arange(N) == 5, estimator=DSLMean)


def test_labels_that_do_not_follow_stated_probabilities_warn(data):
    """Stated as rising, drawn as falling: the sum is right, the spread is not."""
    stated = np.linspace(0.1, 0.6, N)
    drawn = np.random.default_rng(8).random(N) < stated[::-1]
    stated = stated * drawn.sum() / stated.sum()
    arguments = {"sampling_probability": stated}
    with pytest.warns(DesignWarning, match=r"not spread over the rows as sampling_probability"):
        fit(data, drawn, arguments=arguments)


def test_labels_that_follow_stated_probabilities_do_not_warn(data):
    """Warnings are errors: a hundred right draws at a level of 1e-5."""
    stated = np.linspace(0.1, 0.6, N)
    for seed in range(100):
        drawn = np.random.default_rng(seed).random(N) < stated
        arguments = {"sampling_probability": stated * drawn.sum() / stated.sum()}
        fit(data, drawn, arguments=arguments, estimator=DSLMean, tuning=None)


def test_gold_errors_that_are_all_zero_warn(data, drawn):
    """The estimates stand; their standard errors know of no error of the machine."""
    data["machine"] = data["y"]
    with pytest.warns(FewLabelsWarning, match="None of the labelled rows shows an error"):
        ours = fit(data, drawn)
    everything = DSLLinearRegression().fit(data["X"], data["y"]).results_
    assert_allclose(ours.results_.params, everything.params, rtol=1e-10)
    assert_allclose(ours.results_.cov, everything.cov, rtol=1e-9)


def test_hardly_any_errors_warn(data, drawn):
    wrong = np.flatnonzero(drawn)[:14]
    data["machine"] = data["y"] + np.isin(np.arange(N), wrong)
    with pytest.warns(FewLabelsWarning, match="Only 14 labelled rows show an error"):
        fit(data, drawn)
    data["machine"] = data["y"] + np.isin(np.arange(N), np.flatnonzero(drawn)[:15])
    fit(data, drawn)


def test_few_labels_and_few_units_warn(data):
    rng = np.random.default_rng(9)
    few = GoldSample.simple_random(N, 40, random_state=rng).drawn
    with pytest.warns(FewLabelsWarning, match="40 gold labels are few"):
        fit(data, few, design="srswor")
    for n_units, is_few in ((14, True), (15, False)):
        sample = GoldSample.clusters(N, data["unit"], n_units, random_state=rng)
        arguments = {"gold_sample": sample}
        if is_few:
            with pytest.warns(FewLabelsWarning, match="labels come from 14 sampling units"):
                fit(data, sample.drawn, arguments=arguments)
        else:
            fit(data, sample.drawn, arguments=arguments)
