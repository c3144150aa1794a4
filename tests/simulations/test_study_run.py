"""Rows of a study: what methods report, what goes wrong, what is replayed."""

import os
import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import Bunch
from study_designs import METHODS, Means, comparable, draw, make_study, median
from threadpoolctl import threadpool_info

from trueness.dsl import DSLMean
from trueness.simulations import make_egami2024
from trueness.simulations.performance.frame import FRAME_COLUMNS
from trueness.simulations.study import SimulationStudy


def run(generate=draw, methods=METHODS, grid=None, n_replicates=5, **options):
    study = SimulationStudy(generate, methods, grid, n_replicates, **options)
    return study.run(progress=False)


def returning(*rows):
    return {"it": lambda sample, random_state: list(rows)}


@pytest.fixture(scope="module")
def frame():
    return make_study(n_replicates=60).run(progress=False)


# ------------------------------------------------------------------------------------- the frame


def test_columns_types_and_order(frame):
    assert list(frame) == ["n", "scale", *FRAME_COLUMNS]
    assert frame["replicate"].dtype == "int64"
    assert frame["converged"].dtype == "bool"
    texts = ["method", "term", "warnings", "error", "seed"]
    assert all(isinstance(value, str) for value in frame[texts].to_numpy().ravel())
    numbers = [name for name in FRAME_COLUMNS if name not in {*texts, "replicate", "converged"}]
    assert (frame[numbers].dtypes == "float64").all()
    keys = frame[["n", "scale", "replicate"]].drop_duplicates()
    assert keys.equals(keys.sort_values(list(keys)))
    assert (frame.groupby(["n", "scale", "replicate"])["method"].agg(list).map(tuple)
            == tuple(METHODS)).all()  # fmt: skip


def test_estimands_are_those_of_the_cell(frame):
    sound = frame[frame["error"] == ""]
    truth = np.where(sound["term"] == "mean", 1.0, np.log(2)) * sound["scale"]
    np.testing.assert_array_equal(sound["estimand"], truth)


def test_the_rows_of_an_estimator_are_its_to_frame():
    grid = {"n_rows": [300], "n_labels": [120], "model": ["mean"]}
    model = DSLMean(tuning=None, learner="linear", n_repeats=1)
    study = SimulationStudy(make_egami2024, {"dsl": model}, grid, 2)
    frame = study.run(progress=False)
    row = frame.iloc[-1]
    first = study.replay(row)
    sample = study.sample(row)
    # The seed is the engine's; everything else must be what fit and to_frame say.
    fitted = [
        DSLMean(tuning=None, learner="linear", n_repeats=1, random_state=seed)
        .fit(**sample.observed)
        .to_frame()
        for seed in (1, 2)
    ]
    assert first["term"].tolist() == fitted[0]["term"].tolist()
    assert np.isinf(first["df"]).all()
    spread = (fitted[0]["estimate"] - fitted[1]["estimate"]).abs() + 0.02
    assert ((first["estimate"] - fitted[0]["estimate"]).abs() < 5 * spread).all()
    assert model.random_state is None


def test_every_random_state_of_an_estimator_is_set():
    class Seeds(Means):
        def __init__(self, model=None, random_state=None):
            self.model = model
            self.random_state = random_state

        def to_frame(self):
            states = {k: v for k, v in self.get_params().items() if k.endswith("random_state")}
            return pd.DataFrame({"term": list(states), "estimate": list(states.values())})

    def generate(random_state):
        return {"observed": {"y": np.ones(2)}, "truth": {"random_state": 0}}

    model = Seeds(make_pipeline(StandardScaler(), DecisionTreeRegressor(random_state=3)))
    frame = run(generate, {"seeds": model})
    assert set(frame["term"]) == {"random_state", "model__decisiontreeregressor__random_state"}
    assert frame["estimate"].between(1, 2**31 - 1).all()
    assert frame["estimate"].is_unique


def test_numbers_that_are_not_given_are_missing(frame):
    rows = frame[frame["method"] == "median"]
    missing = ["std_error", "statistic", "p_value", "conf_low", "conf_high", "df"]
    assert rows[missing].isna().all(axis=None)
    assert rows["converged"].all()


def test_truths_may_be_series_and_functions():
    def generate(kind, random_state):
        y = random_state.random(3)
        truth = {
            "series": pd.Series({"top": 0.0, "sum": y.sum()}),
            "values": {"top": lambda sample: sample.observed["y"].max(), "sum": y.sum()},
            "whole": lambda sample: {"top": sample.observed["y"].max(), "sum": y.sum()},
        }[kind]
        return Bunch(observed={"y": y}, truth=truth)

    def method(sample, random_state):
        y = sample.observed["y"]
        return [{"term": "sum", "estimate": y.sum()}, {"term": "top", "estimate": y.max()}]

    frame = run(generate, {"it": method}, {"kind": ["series", "values", "whole"]})
    exact = (frame["term"] == "sum") | (frame["kind"] != "series")
    assert (frame["estimand"] == frame["estimate"])[exact].all()
    assert (frame["estimand"][~exact] == 0.0).all()


def test_a_method_may_say_estimand_and_convergence_itself():
    row = {"term": "mean", "estimate": 1.5, "estimand": 1.25, "converged": False}
    frame = run(methods=returning(row))
    assert (frame["estimand"] == 1.25).all()
    assert not frame["converged"].any()


def test_chosen_estimands_leave_other_terms_out():
    rows = [{"term": term, "estimate": 1.0} for term in ("mean", "median", "nuisance")]
    frame = run(methods=returning(*rows), estimands=["median"])
    assert frame["term"].unique().tolist() == ["median"]
    assert set(run(methods=returning(*rows))["term"]) == {"mean", "median", "nuisance"}


# ------------------------------------------------------------------------------ what goes wrong


def test_failures_and_warnings_are_rows(frame):
    rows = frame[frame["method"] == "fragile"]
    assert len(rows) == 4 * 60
    failed = rows["error"] != ""
    assert 0 < failed.sum() < len(rows)
    study = make_study(n_replicates=60)
    for _, row in pd.concat([rows[failed].head(2), rows[~failed].head(12)]).iterrows():
        y = study.sample(row).observed["y"]
        assert row["error"] == (f"ZeroDivisionError: {y[2]:.3f}" if y[2] > 2 else "")
        expected = [f"UserWarning: {y[0]:.3f} is large"] if y[0] > 1 else []
        expected += ["ConvergenceWarning: no convergence"] if y[1] > 2 else []
        assert row["warnings"] == "; ".join(expected)
        assert row["converged"] == (y[1] <= 2 and y[2] <= 2)
    assert (rows[failed]["term"] == "").all()
    assert rows[failed][["estimate", "std_error", "estimand"]].isna().all(axis=None)


def test_a_failure_of_the_generator_fails_every_method():
    def generate(random_state):
        y = random_state.exponential(size=2)
        if y[0] > 1:
            raise RuntimeError("bad draw \udc80")
        return draw(2, random_state=random_state)

    frame = run(generate, {"a": Means(), "b": median}, n_replicates=40)
    failed = frame[frame["error"] != ""]
    assert 0 < len(failed) < 60
    assert (failed["error"] == "generate: RuntimeError: bad draw ?").all()
    assert failed["method"].tolist() == ["a", "b"] * (len(failed) // 2)


def test_an_estimate_that_is_no_number_is_a_failure():
    frame = run(methods=returning({"term": "mean", "estimate": "many"}))
    assert frame["error"].str.startswith("ValueError: could not convert").all()
    infinite = run(methods=returning({"term": "mean", "estimate": np.inf}))
    assert not infinite["converged"].any()
    assert (infinite["error"] == "").all()


def test_a_method_cannot_change_the_data_of_another():
    def greedy(sample, random_state):
        sample.observed["y"][:] = 0.0
        return [{"term": "mean", "estimate": 0.0}]

    alone = run(methods={"Means": Means()})
    after = run(methods={"greedy": greedy, "Means": Means()}).query("method == 'Means'")
    np.testing.assert_array_equal(alone["estimate"], after["estimate"])


def test_a_violation_that_comes_late_is_a_failure_and_not_the_end():
    def fickle(sample, random_state):
        name = "mean" if sample.observed["y"][0] < 2 else "meen"
        return [{"term": name, "estimate": 1.0}]

    frame = run(methods={"it": fickle}, n_replicates=100)
    failed = frame[frame["error"] != ""]
    assert frame["error"].iloc[0] == ""
    assert 0 < len(failed) < 40
    assert failed["error"].str.contains("'meen'").all()


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([{"term": "meen", "estimate": 1}], "(?s)'meen'.*'mean', 'median'"),
        ([{"term": t, "estimate": 1} for t in ("mean", "Median")], "(?s)'Median'.*'median'"),
        ([{"term": "mean", "estimate": 1, "se": 2}], r"returned \['se'\]; a row may hold"),
        ([{"term": "mean"}], "without 'estimate'"),
        ([{"estimate": 1.0}], "without 'term'"),
        ([{"term": "mean", "estimate": 1}] * 2, r"\['mean'\] more than once"),
        ([], "returned no row"),
        (3.0, "returned a float"),
        ({"term": "mean", "estimate": 1}, "returned a dict"),
        (pd.DataFrame({"term": []}), "returned no row"),
    ],
)
def test_bad_results_of_a_method(result, message):
    with pytest.raises(ValueError, match=message):
        run(methods={"it": lambda sample, random_state: result})


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"observed": {"y": np.ones(2)}}, "returned no truth in the cell n=5"),
        ({"observed": {"y": np.ones(2)}, "truth": {}}, "returned no truth"),
        ({"observed": {"y": np.ones(2)}, "truth": 1.0}, "returned no truth"),
        ({"truth": {"mean": 1.0}}, "returned no 'observed'"),
        (np.ones(2), "returned a ndarray; return a Bunch"),
    ],
)
def test_bad_samples(sample, message):
    with pytest.raises(ValueError, match=message):
        run(lambda n, random_state: sample, {"Means": Means()}, {"n": [5]})


def test_estimands_must_be_in_the_truth():
    with pytest.raises(ValueError, match=r"\['mode'\] are not in the truth.*\['mean', 'median'\]"):
        run(estimands={"mode": "the most frequent value"})
    with pytest.raises(TypeError, match="must be a list of terms"):
        run(estimands="mean")


@pytest.mark.parametrize(
    ("methods", "error", "message"),
    [
        ({}, ValueError, "at least one"),
        ([Means()], ValueError, "must be a dict"),
        ({1: Means()}, TypeError, "must be a text"),
        ({"it": Means}, TypeError, r"the class Means; pass an estimator, Means\(\)"),
        ({"it": 7}, TypeError, "is a int without fit"),
        ({"it": StandardScaler()}, TypeError, r"without to_frame\(\). Wrap it"),
        ({"it": lambda sample: []}, TypeError, r"calls methods\['it'\]\(sample, random_state\)"),
    ],
)
def test_bad_methods(methods, error, message):
    with pytest.raises(error, match=message):
        run(methods=methods)


def test_bad_generators():
    with pytest.raises(TypeError, match="must be a function"):
        run(generate=7)
    with pytest.raises(TypeError, match=r"generate\(size, random_state\).*'size'"):
        run(grid={"size": [1]})


# ------------------------------------------------------------------------------------- running


def test_every_replicate_runs_on_one_thread():
    def threads(sample, random_state):
        counts = [pool["num_threads"] for pool in threadpool_info()]
        count = max(*counts, int(os.environ["OMP_NUM_THREADS"]))
        return [{"term": "mean", "estimate": count}]

    before = [pool["num_threads"] for pool in threadpool_info()], os.environ.get("OMP_NUM_THREADS")
    study = make_study(methods={"threads": threads}, n_replicates=6)
    for options in ({}, {"n_jobs": 2, "backend": "threading"}):
        assert (study.run(progress=False, **options)["estimate"] == 1).all()
    after = [pool["num_threads"] for pool in threadpool_info()], os.environ.get("OMP_NUM_THREADS")
    assert after == before


def test_replay_gives_the_rows_of_the_frame(frame):
    study = make_study(n_replicates=1, random_state=99)  # the row knows its own
    for position in (0, 100, len(frame) - 1):
        row = frame.iloc[position]
        again = study.replay(row)
        expected = frame[frame["seed"] == row["seed"]].reset_index(drop=True)
        pd.testing.assert_frame_equal(comparable(again), comparable(expected), check_exact=True)
        pd.testing.assert_frame_equal(again, study.replay(frame.iloc[[position]])
                                      .assign(seconds=again["seconds"]))  # fmt: skip


def test_replay_can_let_errors_through(frame):
    study = make_study()
    row = frame[frame["error"] != ""].iloc[0]
    with pytest.raises(ZeroDivisionError):
        study.replay(row, raise_errors=True)
    assert study.replay(dict(row))["error"].iloc[-1] == row["error"]


def test_replay_refuses_what_it_cannot_find(frame):
    with pytest.raises(ValueError, match="not in the grid"):
        make_study({"n": [6]}).replay(frame.iloc[0])
    with pytest.raises(ValueError, match="one row, got 2"):
        make_study().replay(frame.head(2))
    with pytest.raises(ValueError, match="needs a row"):
        make_study().replay({"replicate": 3})
    with pytest.raises(ValueError, match="not the seed"):
        make_study().replay({"seed": "17"})


def test_what_cannot_be_pickled_is_named():
    lock = threading.Lock()
    study = make_study(methods={"it": lambda sample, random_state: [lock]})
    with pytest.raises(TypeError, match="(?s)method 'it' cannot be sent.*create those inside"):
        study.run(n_jobs=2, progress=False)


def test_the_progress_bar_counts_failures(capsys):
    make_study().run()
    shown = capsys.readouterr().err
    assert "120/120" in shown
    assert "failures=" in shown


def test_the_protocol_has_the_headings_of_ademp():
    study = make_study(aims="See.", estimands={"mean": "of the waiting time", "median": ""})
    text = str(study)
    assert text == study.protocol()
    headings = ["Aims", "Data-generating mechanism", "Estimands", "Methods", "Performance measures"]
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    for part in ("See.", "draw: Draw exponential variates.", "scale = 1.0, 2.5", "4 cells",
                 "mean: of the waiting time", "Means: Means()", "120 in all"):  # fmt: skip
        assert part in text
    assert max(map(len, text.splitlines())) <= 100
    assert repr(study).startswith("SimulationStudy(4 cells x 30 replicates x 3 methods")


def test_parts_share_out_the_cells():
    study = make_study()
    parts = [study.part(number, 3) for number in (1, 2, 3)]
    cells = pd.concat([part.cells for part in parts]).sort_values(["n", "scale"])
    assert cells.reset_index(drop=True).equals(study.cells)
    for number, n_parts in ((0, 2), (3, 2), (1, 5)):
        with pytest.raises(ValueError, match="There is no part"):
            study.part(number, n_parts)
