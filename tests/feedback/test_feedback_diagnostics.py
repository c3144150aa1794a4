"""What weights of clicks tell, and the predicted path of bias and variance."""

import numpy as np
import pytest

from trueness.feedback import bias_variance_path, weight_diagnostics
from trueness.feedback.numerics.losses import risk_bias, risk_variance
from trueness.feedback.plots import bias_variance_plot
from trueness.simulations import make_clicks

CLICKS = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
PROPENSITY = np.array([0.5, 0.1, 0.01, 1.0])


def test_numbers_by_hand():
    found = weight_diagnostics(CLICKS, PROPENSITY, clip=0.05)
    weights = np.array([2.0, 10.0, 2.0, 20.0])
    assert (found.n_users, found.n_items, found.n_clicks) == (3, 4, 4)
    assert (found.n_silent_users, found.n_silent_items) == (1, 1)
    assert found.effective_size == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert found.effective_share == pytest.approx(found.effective_size / 4)
    assert found.largest_weight == 20.0
    assert found.largest_share == pytest.approx(20 / 34)
    assert (found.n_clipped, found.share_clipped) == (1, 0.25)
    assert found.share_removed == pytest.approx(1 - 34 / 114)
    assert found.mean_relevance == pytest.approx(114 / 12)
    assert found.propensity_quantiles["min"] == 0.01
    frame = found.to_frame().set_index("quantity")["value"]
    assert frame["clicks clipped"] == 1 and frame["propensity"] == "given"
    assert any("9.50 of the pairs are relevant" in alarm for alarm in found.alarms)


def test_clip_1_weighs_all_clicks_alike():
    found = weight_diagnostics(CLICKS, PROPENSITY, clip=1.0)
    assert found.effective_size == found.n_clicks == 4
    assert found.largest_weight == 1.0


def test_alarms_name_what_is_wrong():
    rng = np.random.default_rng(0)
    clicks = (rng.random((60, 40)) < 0.2).astype(float)
    theta = np.full(40, 0.5)
    assert weight_diagnostics(clicks, theta).alarms == ()
    (alarm,) = weight_diagnostics(clicks, theta, clip=0.7).alarms
    assert "clip=0.7 exceeds the propensities of all clicks" in alarm
    theta[0] = 0.001
    alarms = " ".join(weight_diagnostics(clicks, theta, clip=0.0).alarms)
    assert "equally weighted ones: raise clip" in alarms and "one click has" in alarms


@pytest.mark.parametrize("clip", [-0.1, 1.1, np.nan])
def test_clips_are_probabilities(clip):
    with pytest.raises(ValueError, match="from 0 .none is clipped. to 1"):
        weight_diagnostics(CLICKS, clip=clip)
    with pytest.raises(ValueError, match="clips="):
        bias_variance_path(CLICKS, clips=[0.1, clip])


# ----------------------------------------------------------------------------------------- path


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
def test_path_of_known_relevance_is_the_formula(loss):
    sample = make_clicks(n_users=30, n_items=20, random_state=0)
    gamma, theta = sample.complete.relevance, sample.complete.propensity
    scores = np.random.default_rng(0).normal(size=gamma.shape)
    path = bias_variance_path(
        sample.observed["X"], theta, clips=[0, 0.2, 1], scores=scores, loss=loss, relevance=gamma
    )
    for row in path.itertuples():
        shared = {"clip": row.clip, "loss": loss}
        assert row.bias == pytest.approx(risk_bias(gamma, theta, scores, **shared), abs=1e-15)
        variance = risk_variance(gamma, theta, scores, **shared)
        assert row.std == pytest.approx(np.sqrt(variance), rel=1e-12)
        assert row.rmse == pytest.approx(np.hypot(row.bias, row.std), rel=1e-12)
        assert row.bias_error == 0.0


def test_path_of_clicks_estimates_the_path_of_known_relevance():
    """Means over 400 draws within 4 Monte Carlo errors, variance but for the share of clicks."""
    clips, n_draws = [0.05, 0.2, 1.0], 400
    sample = make_clicks(n_users=60, n_items=40, random_state=1)
    gamma, theta = sample.complete.relevance, sample.complete.propensity
    scores = gamma + 0.1
    known = bias_variance_path(
        sample.observed["X"], theta, clips=clips, scores=scores, relevance=gamma
    )
    rng = np.random.default_rng(2)
    paths = []
    for _ in range(n_draws):
        clicks = (rng.random(gamma.shape) < gamma * theta).astype(float)
        paths.append(bias_variance_path(clicks, theta, clips=clips, scores=scores))
    bias = np.array([path["bias"] for path in paths])
    error = bias.std(axis=0) / np.sqrt(n_draws)
    assert (np.abs(bias.mean(axis=0) - known["bias"]) < 4 * error).all()
    # The spread of the estimated bias is what its standard error says: a ratio of variances has
    # standard deviation sqrt(2 / n) for normal ones; heavier tails are allowed for.
    claimed = np.mean([path["bias_error"] ** 2 for path in paths], axis=0)
    assert (np.abs(claimed / bias.var(axis=0) - 1) < 6 * np.sqrt(2 / n_draws)).all()
    variance = np.array([path["std"] ** 2 for path in paths])
    excess = variance.mean(axis=0) / known["std"] ** 2
    noise = variance.std(axis=0) / np.sqrt(n_draws) / known["std"] ** 2
    most = 1 / (1 - (gamma * theta).max())
    assert (excess > 1 - 4 * noise).all() and (excess < most + 4 * noise).all()


def test_default_clips_start_where_nothing_is_clipped():
    path = bias_variance_path(CLICKS, PROPENSITY)
    assert path["clip"].iloc[0] == pytest.approx(0.01) and path["clip"].iloc[-1] == 1.0
    assert path["share_clipped"].iloc[0] == 0.0 and path["bias"].iloc[0] == pytest.approx(0.0)
    assert path["effective_size"].iloc[-1] == 4.0
    assert bias_variance_path(CLICKS, 1.0)["clip"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": np.zeros((2, 2))}, r"scores have shape \(2, 2\)"),
        ({"relevance": np.zeros((2, 2))}, r"relevance has shape \(2, 2\)"),
        ({"loss": "hinge"}, "loss='hinge' is unknown"),
        ({"clips": []}, "clips must be a list of numbers"),
        ({"relevance": np.zeros((3, 4)), "propensity": "user"}, "must be a number or an array"),
    ],
)
def test_bad_input_to_the_path(options, message):
    with pytest.raises(ValueError, match=message):
        bias_variance_path(CLICKS, **options)


# ----------------------------------------------------------------------------------------- plot


def test_figure_shows_the_path():
    sample = make_clicks(n_users=60, n_items=40, random_state=1)
    path = bias_variance_path(sample.observed["X"], sample.complete.propensity)
    figure = bias_variance_plot(path, clip=0.1, title="Clicks")
    left, right = figure.axes
    bias, std, rmse = (line.get_ydata() for line in left.lines[:3])
    np.testing.assert_allclose(bias[1:], np.abs(path["bias"])[1:])
    np.testing.assert_allclose(std, path["std"])
    np.testing.assert_allclose(rmse, path["rmse"])
    n_clicks = sample.observed["X"].nnz
    np.testing.assert_allclose(right.lines[0].get_ydata(), path["effective_size"] / n_clicks)
    assert [text.get_text() for text in left.texts] == ["clip 0.1"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:2] == ["size of the bias", "standard deviation"]


def test_figures_need_a_path():
    path = bias_variance_path(CLICKS, PROPENSITY, clips=[0.0, 0.5])
    with pytest.raises(ValueError, match="two different clips above 0"):
        bias_variance_plot(path)
    with pytest.raises(ValueError, match="no column 'std'"):
        bias_variance_plot(path.drop(columns="std"))
