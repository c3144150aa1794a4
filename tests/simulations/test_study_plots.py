"""Figures of studies: the positions of what is drawn, and that it can be read."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.text import Text

from trueness.simulations.performance import compare_methods, performance
from trueness.simulations.plots import (
    estimate_plot,
    measure_plot,
    nested_loop_plot,
    ratio_heatmap,
    zip_plot,
)

NAN = float("nan")
LONG = "an estimator whose name is much longer than any axis, with cost $5 or $6"


def study(n_replicates=60, methods=("ols", "huber"), terms=("x",), **grid):
    """Return a study in which the second method fails in the first two replicates."""
    rng = np.random.default_rng(1)
    cells = pd.MultiIndex.from_product(grid.values(), names=grid.keys()) if grid else [()]
    parts = []
    for cell in cells:
        for number, method in enumerate(methods):
            for term in terms:
                part = pd.DataFrame({"replicate": range(n_replicates)})
                part["estimate"] = 2 + 0.5 * number + rng.standard_normal(n_replicates)
                part["conf_low"] = part["estimate"] - 1.5
                part["conf_high"] = part["estimate"] + 1.5
                part = part.assign(method=method, term=term, estimand=2.0)
                if number == 1:
                    part.loc[:1, ["estimate", "estimand", "conf_low", "conf_high"]] = NAN
                    part.loc[:1, "term"] = ""
                values = cell if isinstance(cell, tuple) else (cell,)
                parts.append(part.assign(**dict(zip(grid, values, strict=True))))
    return pd.concat(parts).drop_duplicates(ignore_index=True)


def draw(figure):
    """Draw a figure and check that no two labels of an axis overlap."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            boxes = [
                label.get_window_extent(renderer)
                for label in axis.get_ticklabels()
                if label.get_visible() and label.get_text()
            ]
            for one, two in pairwise(boxes):
                assert not one.shrunk(0.98, 0.9).overlaps(two), ax.get_title()
    width, height = figure.bbox.width, figure.bbox.height
    of_axes = [t for t in figure.findobj(Text) if t.axes is not None and t.axes.axison]
    for text in of_axes + figure.texts:
        if text.get_visible() and text.get_text():
            box = text.get_window_extent(renderer)
            assert box.x0 >= -2 and box.x1 <= width + 2, text.get_text()
            assert box.y0 >= -2 and box.y1 <= height + 2, text.get_text()
    return figure


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


# --------------------------------------------------------------------------------------- zip plot


def lines_of(ax):
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    segments = np.array(lines.get_segments())
    return segments, np.array([to_hex(color) for color in lines.get_colors()])


def test_zip_plot_draws_every_interval_and_marks_those_that_miss():
    frame = study()
    figure = draw(zip_plot(frame))
    assert len(figure.axes) == 2
    for ax, method in zip(figure.axes, ("ols", "huber"), strict=True):
        rows = frame[(frame["method"] == method) & frame["estimate"].notna()]
        segments, colors = lines_of(ax)
        drawn = np.sort(segments[:, :, 0], axis=0)
        ends = rows[["conf_low", "conf_high"]].to_numpy() - 2
        np.testing.assert_allclose(drawn, np.sort(ends, axis=0))
        misses = (segments[:, 0, 0] > 0) | (segments[:, 1, 0] < 0)
        assert set(colors[misses]) == {"#d55e00"}
        assert "#d55e00" not in set(colors[~misses])
        # Sorted by distance from the estimand, so that all that miss are on top.
        centre = np.abs(segments[:, :, 0].mean(axis=1))
        assert (np.diff(centre) >= 0).all()
        assert (np.diff(segments[:, 0, 1]) > 0).all()
        low, high = segments[0, 0, 1], segments[-1, 0, 1]
        assert 0 < low < 2 and 98 < high < 100
        share = 100 * (~misses).mean()
        assert ax.get_title(loc="left").startswith(f"{method}\n{share:.1f}% (")


def test_zip_plot_of_asymmetric_and_infinite_intervals():
    frame = study(methods=["ols"])
    frame["conf_high"] += frame["replicate"] % 3
    frame.loc[0, ["conf_low", "conf_high"]] = -np.inf, np.inf
    ax = draw(zip_plot(frame)).axes[0]
    segments, _ = lines_of(ax)
    misses = (segments[:, 0, 0] > 0) | (segments[:, 1, 0] < 0)
    assert misses.any()
    assert (np.diff(misses.astype(int)) >= 0).all()
    assert np.isfinite(segments).all()


def test_zip_plot_leaves_out_methods_without_intervals():
    frame = study(terms=("x", "z"))
    frame.loc[frame["method"] == "huber", ["conf_low", "conf_high"]] = NAN
    figure = draw(zip_plot(frame, title="A title"))
    assert len(figure.axes) == 2
    assert [ax.get_ylabel() for ax in figure.axes] == ["x", "z"]
    with pytest.raises(ValueError, match="no row has an interval"):
        zip_plot(frame[frame["method"] == "huber"])
    with pytest.raises(ValueError, match="would have 30 panels; pass a part of the frame"):
        zip_plot(study(n=range(15)))


# ------------------------------------------------------------------------------ clouds of estimates


def test_estimate_plot_draws_all_estimates_means_and_the_estimand():
    frame = study()
    figure = draw(estimate_plot(frame))
    (ax,) = figure.axes
    clouds = [c for c in ax.collections if isinstance(c, PathCollection)]
    diamonds = [line for line in ax.get_lines() if line.get_marker() == "D"]
    for number, method in enumerate(("ols", "huber")):
        x = frame.loc[frame["method"] == method, "estimate"].dropna()
        offsets = np.asarray(clouds[number].get_offsets())
        np.testing.assert_allclose(np.sort(offsets[:, 0]), np.sort(x))
        assert (np.abs(offsets[:, 1] - number) < 0.3).all()
        assert diamonds[number].get_xydata().tolist() == [[pytest.approx(x.mean()), number]]
    (truth,) = [line for line in ax.get_lines() if line.get_marker() == "None"]
    assert set(truth.get_xdata()) == {2.0}
    assert [text.get_text() for text in ax.texts] == ["2 failed"]
    assert figure.get_supxlabel() == "Estimate"


def test_estimate_plot_says_what_lies_outside():
    frame = study(n_replicates=500, methods=["ols"])
    frame.loc[0, "estimate"] = 1e6
    (ax,) = draw(estimate_plot(frame)).axes
    assert ax.get_xlim()[1] < 20
    assert [text.get_text() for text in ax.texts] == ["1 outside"]


def test_estimate_plot_draws_errors_where_the_estimand_moves():
    frame = study(methods=["ols"])
    shift = frame["replicate"] * 10.0
    moved = frame.assign(estimate=frame["estimate"] + shift, estimand=2.0 + shift)
    figure = draw(estimate_plot(moved))
    assert figure.get_supxlabel() == "Estimate minus estimand"
    offsets = np.asarray(figure.axes[0].collections[0].get_offsets())
    np.testing.assert_allclose(np.sort(offsets[:, 0]), np.sort(frame["estimate"] - 2))


# ---------------------------------------------------------------------------------------- measures


def test_measure_plot_draws_values_and_monte_carlo_intervals():
    result = performance(study(n=[10, 20], terms=("x", "z")))
    figure = draw(result.plot("bias", "coverage"))
    assert [ax.get_xlabel() for ax in figure.axes] == ["Bias", "Coverage"]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["n = 10, x", "n = 10, z", "n = 20, x", "n = 20, z"]
    for ax, name, line in zip(figure.axes, ("bias", "coverage"), (0.0, 0.95), strict=True):
        frame = result.select(name)
        points = [artist.get_xdata() for artist in ax.get_lines() if artist.get_marker() in "os"]
        assert len(points) == 2
        np.testing.assert_allclose(np.sort(np.concatenate(points)), np.sort(frame["value"]))
        bars = np.concatenate([np.array(c.get_segments())[:, :, 0] for c in ax.collections])
        expected = frame[["mc_low", "mc_high"]].to_numpy()
        np.testing.assert_allclose(np.sort(bars, axis=0), np.sort(expected, axis=0))
        vertical = [artist.get_xdata() for artist in ax.get_lines()]
        assert any(list(x) == [line, line] for x in vertical)


def test_measure_plot_of_a_comparison_and_of_one_method():
    frame = study(n=[10, 20])
    figure = draw(compare_methods(frame, "ols").plot())
    assert [ax.get_xlabel() for ax in figure.axes] == ["RMSE ratio (to ols)"]
    assert not figure.legends
    (legend,) = measure_plot(performance(frame)).legends
    assert [text.get_text() for text in legend.get_texts()] == ["ols", "huber"]


def test_measure_plot_refuses_what_cannot_be_read():
    result = performance(study(methods=["ols"]).drop(columns=["conf_low", "conf_high"]))
    with pytest.raises(ValueError, match="'coverage' is NaN for all methods"):
        measure_plot(result)
    with pytest.raises(ValueError, match="no measure 'biass'"):
        measure_plot(result, "biass")
    many = performance(study(n_replicates=2, methods=["ols"], n=range(61)))
    with pytest.raises(ValueError, match="61 cells and terms do not fit"):
        measure_plot(many, "bias")


# -------------------------------------------------------------------------------------- nested loop


def test_nested_loop_orders_cells_by_the_slowest_parameter_first():
    frame = study(n_replicates=5, n=[20, 10], kind=["normal", "t"])
    result = performance(frame)
    ax, below = draw(nested_loop_plot(result, "bias", order=["kind"])).axes
    wide = result.select("bias").set_index(["method", "kind", "n"])["value"]
    order = [("normal", 10), ("normal", 20), ("t", 10), ("t", 20)]
    for line, method in zip(ax.get_lines(), ("ols", "huber"), strict=False):
        expected = [wide[method, kind, n] for kind, n in order]
        np.testing.assert_allclose(line.get_ydata(), [*expected, expected[-1]])
        assert line.get_drawstyle() == "steps-post"
    kind, n = (line.get_ydata() for line in below.get_lines())
    assert (np.diff(kind) != 0).tolist() == [False, True, False, False]
    assert (np.diff(n) != 0).tolist() == [True, True, True, False]
    assert [text.get_text() for text in below.texts] == ["kind: normal, t", "n: 10, 20"]


def test_nested_loop_leaves_gaps_where_cells_are_missing():
    frame = study(n_replicates=5, n=[10, 20], rho=[0.0, 0.5])
    frame = frame[~((frame["method"] == "ols") & (frame["n"] == 10) & (frame["rho"] == 0.5))]
    ax = draw(nested_loop_plot(performance(frame))).axes[0]
    assert np.isnan(ax.get_lines()[0].get_ydata()).tolist() == [False, True, False, False, False]


def test_nested_loop_has_a_panel_per_term_and_checks_its_arguments():
    result = performance(study(n_replicates=5, n=[10, 20], terms=("x", "z")))
    assert titles(draw(nested_loop_plot(result)))[:2] == ["x", "z"]
    with pytest.raises(ValueError, match="order: no parameter is named 'm'"):
        nested_loop_plot(result, order=["m"])
    with pytest.raises(ValueError, match="No parameter of the grid varies"):
        nested_loop_plot(performance(study(n_replicates=5)))


# ----------------------------------------------------------------------------------------- heat map


def test_heatmap_shows_every_ratio_where_it_belongs():
    result = compare_methods(study(n=[20, 10, 40], rho=[0.0, 0.5]), "ols")
    figure = draw(ratio_heatmap(result))
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["10", "20", "40"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "0.5"]
    wide = result.select("rmse_ratio").set_index(["n", "rho"])
    image = ax.images[0].get_array()
    for text in ax.texts:
        column, row = map(int, text.get_position())
        entry = wide.loc[([10, 20, 40][column], [0.0, 0.5][row])]
        assert text.get_text() == f"{entry['value']:.2f}"
        assert image[row, column] == pytest.approx(np.log(entry["value"]))
        certain = entry["mc_low"] > 1 or entry["mc_high"] < 1
        assert text.get_weight() == ("bold" if certain else "normal")
    low, high = ax.images[0].get_clim()
    assert low == -high


def test_heatmap_axes_can_be_chosen_and_the_rest_makes_panels():
    frame = study(n=[10, 20, 40], rho=[0.0, 0.5], kind=["a", "b"], methods=["ols", "h", "m"])
    figure = draw(ratio_heatmap(compare_methods(frame, "ols"), x="kind", y="rho"))
    maps = [ax for ax in figure.axes if ax.images]
    assert len(maps) == 6
    assert [ax.get_title(loc="left") for ax in maps[:2]] == ["h", "m"]
    assert [ax.get_ylabel() for ax in maps[::2]] == ["n = 10", "n = 20", "n = 40"]


def test_heatmap_marks_what_is_not_there():
    frame = study(n=[10, 20], rho=[0.0, 0.5])
    frame = frame[~((frame["method"] == "huber") & (frame["n"] == 10) & (frame["rho"] == 0.5))]
    ax = draw(ratio_heatmap(compare_methods(frame, "ols"))).axes[0]
    assert len(ax.texts) == 3
    assert np.ma.getmaskarray(ax.images[0].get_array()).sum() == 1


def test_heatmap_needs_a_ratio():
    frame = study(n=[10, 20])
    with pytest.raises(ValueError, match="pass what compare_methods returned"):
        ratio_heatmap(performance(frame))
    result = compare_methods(frame, "ols")
    with pytest.raises(ValueError, match="'bias_difference' of this table is no ratio"):
        ratio_heatmap(result, "bias_difference")
    with pytest.raises(ValueError, match="x: no parameter is named 'm'"):
        ratio_heatmap(result, x="m")
    with pytest.raises(ValueError, match="x and y are both 'n'"):
        ratio_heatmap(result, x="n", y="n")


# -------------------------------------------------------------------------------------- all figures


@pytest.mark.parametrize("kind", ["zip", "estimates", "measures", "nested", "heat"])
def test_long_names_and_dollars_stay_inside_the_figure(kind):
    frame = study(10, methods=["ols", LONG], terms=("x", LONG), contamination=[LONG, "none"])
    result = performance(frame)
    figures = {
        "zip": lambda: zip_plot(frame, title=LONG),
        "estimates": lambda: estimate_plot(frame, title=LONG),
        "measures": lambda: measure_plot(result, "bias", "coverage", "rmse", title=LONG),
        "nested": lambda: nested_loop_plot(result, title=LONG),
        "heat": lambda: ratio_heatmap(compare_methods(frame, "ols"), title=LONG),
    }
    draw(figures[kind]())


def test_figures_do_not_touch_pyplot_and_matplotlib_is_lazy(tmp_path):
    code = (
        "import sys, trueness.simulations.plots, trueness.simulations.performance\n"
        "print('matplotlib' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"
