"""Forest plots: the positions of what is drawn, and that it can be read."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from trueness.inference import Estimates
from trueness.plots import forest_plot


def make(params, std_errors, names=None, **options):
    names = [f"x{i}" for i in range(len(params))] if names is None else names
    cov = np.diag(np.square(np.asarray(std_errors, float)))
    return Estimates(params, cov, names, n_obs=100, **options)


@pytest.fixture
def models():
    return {
        "A": make([0.2, -0.5, 1.0], [0.1, 0.2, 0.3], ["Intercept", "slope", "other"]),
        "B": make([0.4, 0.1], [0.2, 0.15], ["slope", "new"], df=4),
    }


def draw(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    assert len(buffer.getvalue()) > 1000
    return figure


def points(ax):
    """Return the estimates drawn on an axis as {(x, y)}."""
    lines = [line for line in ax.get_lines() if line.get_marker() != "None"]
    return {(line.get_xdata()[0], round(line.get_ydata()[0], 6)) for line in lines}


def intervals(ax):
    """Return the intervals drawn on an axis as {y: (low, high)}."""
    lines = [line for line in ax.get_lines() if line.get_transform() == ax.transData]
    lines = [line for line in lines if line.get_marker() == "None"]
    return {round(line.get_ydata()[0], 6): tuple(line.get_xdata()) for line in lines}


def vertical_lines(ax, color):
    return [
        line.get_xdata()[0]
        for line in ax.get_lines()
        if line.get_marker() == "None"
        and line.get_transform() != ax.transData
        and line.get_xdata()[0] == line.get_xdata()[1]
        and to_hex(line.get_color()) == color
    ]


def labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("level", [0.6, 0.95])
def test_one_axis_shows_estimates_and_interval_ends(models, level):
    figure = draw(forest_plot(models, level=level, panels=False))
    (ax,) = figure.axes
    terms = ["Intercept", "slope", "other", "new"]
    assert labels(ax) == terms
    drawn, ends = points(ax), intervals(ax)
    assert len(drawn) == len(ends) == 5
    for model, sign in (("A", -1), ("B", 1)):
        interval = models[model].conf_int(level)
        for name, param in zip(models[model].names, models[model].params, strict=True):
            y = next(y for x, y in drawn if x == param)
            assert abs(y - terms.index(name)) < 0.4  # in the band of its term
            assert np.sign(y - terms.index(name)) == sign  # the first model above the second
            assert ends[y] == tuple(interval.loc[name])
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first term is uppermost
    assert f"{100 * level:g}%" in ax.get_xlabel()
    assert legend_texts(figure) == ["A", "B"]


def test_panels_show_estimates_and_interval_ends(models):
    figure = draw(forest_plot(models, panels=True, level=0.9))
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        *("Intercept", "slope", "other", "new")
    ]
    for ax in figure.axes:
        name = ax.get_title(loc="left")
        having = [i for i, model in enumerate(models.values()) if name in model.names]
        expected = {}
        for i in having:
            model = list(models.values())[i]
            expected[i] = tuple(model.conf_int(0.9).loc[name])
            assert (model.params[model.names.index(name)], i) in points(ax)
        assert intervals(ax) == expected
        assert len(points(ax)) == len(having)
    assert labels(figure.axes[0]) == ["A", "B"]
    assert "90%" in figure.get_supxlabel()


def test_terms_of_different_scale_get_panels():
    names = ["a", "b", "c"]
    similar = make([1.0, 2.0, -1.0], [0.2, 0.3, 0.4], names)
    different = make([1.0, 2000.0, -1.0], [0.2, 300, 0.4], names)
    assert len(forest_plot(similar).axes) == 1
    assert len(forest_plot([different, different]).axes) == 3
    assert len(forest_plot(different, terms=["b"]).axes) == 1
    assert len(forest_plot(different, panels=False).axes) == 1
    # On its own axis every interval takes up a good part of the width.
    for ax in forest_plot(different).axes:
        low, high = ax.get_xlim()
        ((start, end),) = intervals(ax).values()
        assert low < start < end < high
        assert (end - start) / (high - low) > 0.2


def test_zero_line_is_drawn_unless_zero_is_far_away(models):
    (ax,) = forest_plot(models).axes
    assert vertical_lines(ax, "#808080") == [0.0]
    far, near = forest_plot(make([100.0, 1.0], [0.5, 0.4]), panels=True).axes
    assert vertical_lines(far, "#808080") == [] and far.get_xlim()[0] > 90
    assert vertical_lines(near, "#808080") == [0.0]


def test_reference_values(models):
    reference = {"slope": -0.45, "other": 5.0, "new": np.nan}
    figure = draw(forest_plot(models, reference=reference, reference_label="known value"))
    (ax,) = figure.axes
    segments = [s for collection in ax.collections for s in collection.get_segments()]
    assert [segment[0, 0] for segment in segments] == [segment[1, 0] for segment in segments]
    assert [segment[0, 0] for segment in segments] == [-0.45, 5.0]
    assert [segment[:, 1].mean() for segment in segments] == pytest.approx([1.0, 2.0])
    assert ax.get_xlim()[1] > 5.0
    assert legend_texts(figure) == ["A", "B", "known value"]

    figure = draw(forest_plot(models, reference=reference, panels=True))
    drawn = [vertical_lines(ax, "#000000") for ax in figure.axes]
    assert drawn == [[], [-0.45], [5.0], []]
    assert figure.axes[2].get_xlim()[1] > 5.0
    assert legend_texts(figure) == ["truth"]


def test_reference_values_by_label_or_name(models):
    for key in ("slope", "Effect"):
        (ax,) = forest_plot(models, terms={"slope": "Effect"}, reference={key: 0.3}).axes
        assert len(ax.collections) == 1
    (ax,) = forest_plot(models, terms=["new"], reference={"slope": 0.3}).axes
    assert len(ax.collections) == 0
    with pytest.raises(ValueError, match="no model has the term 'slop'"):
        forest_plot(models, reference={"slop": 0.3})


def test_selection_of_terms(models):
    (ax,) = forest_plot(models, terms={"other": "Other", "slope": "Slope"}).axes
    assert labels(ax) == ["Other", "Slope"]
    (ax,) = forest_plot(models, drop_intercept=True).axes
    assert labels(ax) == ["slope", "other", "new"]
    multinomial = make([1.0, 2.0], [1.0, 1.0], ["b: (Intercept)", "b: x"])
    (ax,) = forest_plot(multinomial, drop_intercept=True).axes
    assert labels(ax) == ["b: x"]
    with pytest.raises(ValueError, match="no term"):
        forest_plot(models, terms=["Intercept"], drop_intercept=True)


@pytest.mark.parametrize("panels", [None, True, False])
def test_what_is_not_finite_is_said(panels):
    broken = make([np.nan, np.inf, 0.3, 0.5], [0.1, 0.1, np.nan, np.inf])
    sound = make([0.1, 0.2, 0.3, 0.4], [0.1] * 4)
    figure = draw(forest_plot({"broken": broken, "sound": sound}, panels=panels))
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert sorted(texts) == ["no finite estimate"] * 2 + ["no finite interval"] * 2
    assert sum(len(points(ax)) for ax in figure.axes) == 6
    assert sum(len(intervals(ax)) for ax in figure.axes) == 4
    nothing = draw(forest_plot(make([np.nan] * 2, [np.nan] * 2), panels=panels))
    assert sum(len(ax.texts) for ax in nothing.axes) == 2


def test_models_differ_in_colour_and_marker():
    one = make([1.0], [0.3])
    (ax,) = forest_plot({f"model {i}": one for i in range(6)}).axes
    lines = [line for line in ax.get_lines() if line.get_marker() != "None"]
    assert len({line.get_marker() for line in lines}) == 6
    assert len({to_hex(line.get_color()) for line in lines}) == 6
    assert len({round(line.get_ydata()[0], 6) for line in lines}) == 6
    draw(forest_plot({f"model {i}": one for i in range(9)}))


@pytest.mark.parametrize("n_models", [1, 6])
@pytest.mark.parametrize("n_terms", [1, 2, 5, 12])
@pytest.mark.parametrize("panels", [True, False])
def test_labels_do_not_overlap_and_stay_inside(n_models, n_terms, panels):
    rng = np.random.default_rng(n_terms)
    names = [
        f"C(category, Treatment('base'))[T.level of money $ number {i}]" for i in range(n_terms)
    ]
    scales = 10.0 ** rng.integers(-4, 5, n_terms) if panels else np.ones(n_terms)
    models = {
        f"model with a rather long label {i}": make(
            rng.normal(2, 1, n_terms) * scales, scales, names
        )
        for i in range(n_models)
    }
    figure = draw(forest_plot(models, reference={names[0]: scales[0]}, panels=panels, title="T"))
    assert len(figure.axes) == (n_terms if panels else 1)
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    texts += [text for text in figure.texts if text.get_text()]
    for ax in figure.axes:
        texts += [text for text in headings(ax) if text.get_text()]
        texts += [*shown_tick_labels(ax.xaxis), *shown_tick_labels(ax.yaxis)]
    assert len(texts) > 3 * len(figure.axes)
    boxes = [text.get_window_extent() for text in texts]
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    for box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height


def headings(ax):
    return ax.xaxis.label, ax.xaxis.get_offset_text(), ax._left_title


def shown_tick_labels(axis):
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [tick.label1 for tick in ticks if tick.label1.get_visible()]


def test_names_are_not_read_as_mathematics():
    odd = make([1.0, 2.0], [0.5, 0.5], ["cost in $", r"$\bad{$ x"], title="5$ and $\\x$")
    for panels in (True, False):
        figure = forest_plot(
            [odd, odd], panels=panels, title=r"a $\frac$", reference={"cost in $": 1}
        )
        draw(figure)
        texts = [text.get_text() for text in figure.findobj(Text)]
        names = [text for text in texts if r"\$" in text]
        assert r"a \$\frac\$" in names
        assert any("cost in" in text for text in names)
        assert not any("$" in text.replace(r"\$", "") for text in names)


def test_title_and_given_axes(models):
    assert forest_plot({"Mine": models["A"]}).get_suptitle() == "Mine"
    assert forest_plot(models).get_suptitle() == ""
    assert forest_plot(models, title="Both").get_suptitle() == "Both"
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert forest_plot(models, ax=right, title="Here") is figure
    assert right.get_title(loc="left") == "Here" and len(points(right)) == 5
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["A", "B"]
    assert not left.get_lines()
    draw(figure)
    with pytest.raises(ValueError, match="one axis"):
        forest_plot(models, ax=left, panels=True)


def test_result_plots_itself():
    figure = make([1.0], [0.5], ["share"], title="Corrected").plot(reference={"share": 1.2})
    assert figure.get_suptitle() == "Corrected"
    assert legend_texts(figure) == ["truth"]


def test_notebooks_get_a_picture(models):
    figure = forest_plot(models)
    picture, size = figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    width, height = figure.get_size_inches()
    assert size["width"] / size["height"] == pytest.approx(width / height, rel=0.01)


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("import trueness.plots, trueness.tables", "matplotlib"),
        ("figure = forest_plot(one); figure.savefig(BytesIO())", "matplotlib.pyplot"),
    ],
)
def test_matplotlib_is_loaded_late_and_pyplot_never(code, module):
    setup = (
        "import sys; from io import BytesIO; from trueness.plots import forest_plot; "
        "from trueness.inference import Estimates; "
        "one = Estimates([1.0], [[1.0]], ['x'], n_obs=9); "
    )
    check = f"{setup}{code}; assert {module!r} not in sys.modules, {module!r}"
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
