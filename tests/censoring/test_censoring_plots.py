"""Figures of censoring show the numbers that the functions return."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from trueness.censoring import (
    BeranCensoring,
    CensoredRegressor,
    KaplanMeierCensoring,
    StepFunction,
    calibration_table,
    censoring_weights,
    ipcw_brier_score,
)
from trueness.censoring.plots import brier_plot, calibration_plot, curve_plot, weight_plot
from trueness.simulations import make_censored_durations

GREY = "#808080"


@pytest.fixture(scope="module")
def sample():
    return make_censored_durations(design="exp_neg", n_rows=300, level=0.3, random_state=2)


@pytest.fixture(scope="module")
def X(sample):
    return sample.observed["X"]


@pytest.fixture(scope="module")
def y(sample):
    return sample.observed["y"]


@pytest.fixture(scope="module")
def marginal(y):
    return KaplanMeierCensoring().fit(None, y["time"], y["event"])


@pytest.fixture(scope="module")
def beran(X, y):
    model = BeranCensoring(bandwidth="effective", n_effective=60, random_state=0)
    return model.fit(X, y["time"], y["event"])


def draw(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    assert len(buffer.getvalue()) > 1000
    return figure


def lines(ax, color=None):
    return [line for line in ax.get_lines() if color is None or to_hex(line.get_color()) == color]


def legend_texts(figure):
    (legend,) = figure.legends
    return [text.get_text().replace("\n", " ") for text in legend.get_texts()]


def notes(figure):
    return [legend.get_title().get_text() for legend in figure.legends]


# ------------------------------------------------------------------------------------- curves


def test_a_curve_is_drawn_with_its_interval(marginal):
    figure = draw(curve_plot(marginal, horizon=1.5, unit="years", title="Censoring"))
    (ax,) = figure.axes
    curve = marginal.curve()
    step, horizon = ax.get_lines()
    assert step.get_drawstyle() == "steps-post"
    shown = curve.times <= 1.25 * 1.5  # the axis ends a little after the horizon
    np.testing.assert_array_equal(step.get_xdata()[1:-1], curve.times[shown])
    np.testing.assert_array_equal(step.get_ydata()[1:-1], curve.values[shown])
    assert (step.get_xdata()[0], step.get_ydata()[0]) == (0, 1)
    assert step.get_xdata()[-1] == 1.25 * 1.5 < curve.last
    (whole,) = curve_plot(marginal).axes[0].get_lines()
    assert whole.get_xdata()[-1] == curve.last
    assert set(horizon.get_xdata()) == {1.5}
    assert [text.get_text() for text in ax.texts] == ["horizon 1.5"]
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    limits = curve.conf_int(0.95)
    assert heights.min() == pytest.approx(limits["conf_low"].min())
    assert ax.get_xlabel() == "Time (years)" and ax.get_ylabel() == "Share not yet censored"
    assert notes(figure) == ["Bands are pointwise 95% intervals."]
    assert figure.get_suptitle() == "Censoring"
    assert not curve_plot(marginal, level=None).axes[0].collections


def test_conditional_curves_stand_before_the_marginal_one(beran, X):
    points = X.iloc[:2].set_axis(["short", "long"])
    figure = draw(curve_plot(beran, X=points))
    (ax,) = figure.axes
    first, *rest = ax.get_lines()
    assert to_hex(first.get_color()) == GREY
    assert GREY not in {to_hex(line.get_color()) for line in rest}
    for line, (_, row) in zip(rest, points.iterrows(), strict=True):
        expected = beran.curve(row.to_frame().T)
        np.testing.assert_allclose(line.get_ydata()[1:-1], expected.values)
    assert legend_texts(figure) == ["marginal", "short", "long"]
    assert legend_texts(curve_plot(beran, X=X.iloc[[3, 5]])) == ["marginal", "row 3", "row 5"]


def test_labels_of_several_curves(marginal, beran, X, y):
    weights = censoring_weights(y["time"], y["event"], horizon=1.5)
    step = StepFunction([1.0], [0.4])
    figure = draw(curve_plot({"KM": weights, "mine": step, "B": beran}))
    assert legend_texts(figure) == ["KM, Kaplan-Meier", "mine", "B, marginal"]
    assert figure.axes[0].texts[0].get_text() == "horizon 1.5"
    assert legend_texts(curve_plot([step, step])) == ["curve 1", "curve 2"]
    assert legend_texts(curve_plot([marginal, marginal])) == ["Kaplan-Meier", "Kaplan-Meier (2)"]
    event = KaplanMeierCensoring(of="event").fit(None, y["time"], y["event"])
    assert curve_plot(event).axes[0].get_ylabel() == "Share without the event"
    many = draw(curve_plot({f"c{i}": step for i in range(9)})).axes[0].get_lines()
    assert len({(to_hex(line.get_color()), line.get_linestyle()) for line in many}) == 9


def test_a_fitted_estimator_shows_its_model_of_censoring(X, y):
    model = CensoredRegressor(censoring="km", method="weights", horizon=1.5).fit(X, y)
    (ax,) = draw(curve_plot(model)).axes
    assert ax.texts[0].get_text() == "horizon 1.5"


def test_curves_that_cannot_be_drawn(marginal):
    with pytest.raises(ValueError, match="13 curves cannot be told apart"):
        curve_plot([marginal] * 13)
    with pytest.raises(ValueError, match="0 curves"):
        curve_plot([])
    with pytest.raises(ValueError, match="A float is no curve"):
        curve_plot(0.5)
    with pytest.raises(ValueError, match="level"):
        curve_plot(marginal, level=95)


# ------------------------------------------------------------------------------------ weights


def test_weights_and_the_share_that_few_rows_hold(y):
    found = censoring_weights(y["time"], y["event"], horizon=1.5)
    figure = draw(weight_plot({"KM": found, "equal": np.array([0.0, 2.0, 2.0, 2.0, 2.0])}))
    left, right = figure.axes
    w = found.weights[found.known]
    # Histograms are shares of the known rows.
    for patch in left.patches:
        assert patch.get_xy()[:, 1].max() <= 1.0
    equal, km = right.get_lines()[1], right.get_lines()[0]
    np.testing.assert_allclose(equal.get_xdata(), equal.get_ydata())
    shares, held = km.get_xdata(), km.get_ydata()
    assert (shares[-1], held[-1]) == (1.0, pytest.approx(1.0))
    top = len(w) // 4
    assert held[top] == pytest.approx(np.sort(w)[-top:].sum() / w.sum())
    size = w.sum() ** 2 / (w**2).sum()
    assert legend_texts(figure) == [
        f"KM: {len(w)} known rows worth {size:.0f}",
        "equal: 4 known rows worth 4",
    ]
    assert left.get_xscale() == "log"


@pytest.mark.parametrize("bad", [[-1.0, 2.0], [0.0, 0.0], [np.nan, 1.0], [[1.0, 2.0]]])
def test_weights_that_are_none(bad):
    with pytest.raises(ValueError, match="one number for each row"):
        weight_plot(np.array(bad))


# --------------------------------------------------------------------------------- calibration


@pytest.mark.parametrize("survival_at", [None, 1.0])
def test_calibration_shows_the_table(sample, X, y, survival_at):
    if survival_at is None:
        truth, options = sample.law.regression(X, 1.5), {"horizon": 1.5}
    else:
        truth = sample.law.survival(X, np.full(len(X), survival_at))
        options = {"survival_at": survival_at}
    predictions = {"truth": truth, "half": truth / 2}
    figure = draw(
        calibration_plot(y, predictions, censoring="km", n_groups=4, unit="years", **options)
    )
    (ax,) = figure.axes
    points = [line for line in ax.get_lines() if line.get_marker() not in ("None", None)]
    for line, prediction in zip(points, predictions.values(), strict=True):
        table = calibration_table(y, prediction, censoring="km", n_groups=4, **options)
        np.testing.assert_array_equal(line.get_xdata(), table["predicted"])
        np.testing.assert_array_equal(line.get_ydata(), table["observed"])
    bars = ax.collections[0].get_segments()
    first = calibration_table(y, truth, censoring="km", n_groups=4, **options)
    ends = np.array([bar[1, 1] - bar[0, 1] for bar in bars])
    np.testing.assert_allclose(ends, 2 * 1.96 * first["std_error"])
    assert ax.get_xlim() == ax.get_ylim()
    expected = "Observed mean (years)" if survival_at is None else "Observed share outliving 1"
    assert ax.get_ylabel() == expected
    assert legend_texts(figure) == ["truth", "half"]


# ------------------------------------------------------------------------- error against time


def test_brier_scores_against_time(sample, X, y, beran):
    times = np.array([0.3, 0.6, 1.0])
    truth = sample.outcome_model.survival_grid(X, times)
    predictions = {"truth": truth, "squared": truth**2}
    figure = draw(brier_plot(y, predictions, times, censoring={"KM": "km", "B": beran}, X=X))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Weights: KM", "Weights: B"]
    for ax, model in zip(figure.axes, ("km", beran), strict=True):
        reference, *rest = ax.get_lines()
        for line, prediction in zip(rest, predictions.values(), strict=True):
            expected = ipcw_brier_score(y, prediction, times, censoring=model, X=X)
            np.testing.assert_array_equal(line.get_ydata(), expected)
        event = KaplanMeierCensoring(of="event").fit(None, y["time"], y["event"])
        same = np.tile(event.curve()(times), (len(y), 1))
        expected = ipcw_brier_score(y, same, times, censoring=model, X=X)
        np.testing.assert_allclose(reference.get_ydata(), expected)
        assert (rest[0].get_ydata() < reference.get_ydata()).all()
    assert legend_texts(figure) == ["truth", "squared", "no covariates"]
    one = brier_plot(y, truth, times, censoring="km")
    assert one.axes[0].get_title(loc="left") == ""
    assert legend_texts(one) == ["prediction", "no covariates"]


# ------------------------------------------------------------------------------------- layout


def test_names_are_not_read_as_mathematics_and_stay_inside(y):
    names = {f"a rather long name of weights with ${'x' * i}": y["event"] * 1.0 for i in (1, 2)}
    figure = draw(weight_plot(names, title="cost in $"))
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    texts += [figure._suptitle]
    for text in texts:
        assert "$" not in text.get_text().replace(r"\$", "")
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("import trueness.censoring.plots", "matplotlib"),
        ("weight_plot([1.0, 2.0]).savefig(BytesIO())", "matplotlib.pyplot"),
    ],
)
def test_matplotlib_is_loaded_late_and_pyplot_never(code, module):
    setup = "import sys; from io import BytesIO; from trueness.censoring.plots import weight_plot; "
    check = f"{setup}{code}; assert {module!r} not in sys.modules, {module!r}"
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)


def test_frames_of_other_kinds_name_points(beran, X):
    array = X.to_numpy()[:1]
    assert legend_texts(curve_plot(beran, X=array)) == ["marginal", "row 0"]
    assert legend_texts(curve_plot(beran, X=pd.DataFrame(X.iloc[:1]))) == ["marginal", "row 0"]
