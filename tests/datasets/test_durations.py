"""Censored durations read from lifelines."""

import importlib.util
import re
import subprocess
import sys

import lifelines.datasets
import numpy as np
import pytest

from trueness.datasets import durations, load_durations

NAMES = list(durations._SOURCES)
# Rows, events and longest time, as the publications or lifelines' own documentation have them.
FACTS = {
    "gbsg2": (686, 299, 2659),
    "rossi": (432, 114, 52),
    "lung": (228, 165, 1022),
    "kidney": (863, 140, 3434),
    "divorce": (3371, 1032, 73.068),
    "rulers": (1808, 1468, 47),
}


@pytest.mark.parametrize("name", NAMES)
def test_size_and_events(name):
    data = load_durations(name)
    rows, events, longest = FACTS[name]
    assert len(data.frame) == len(data.X) == len(data.y) == rows
    assert data.y["event"].sum() == events
    assert data.y["time"].max() == longest
    assert data.y["time"].min() >= 0


@pytest.mark.parametrize("name", NAMES)
def test_form(name):
    data = load_durations(name)
    assert data.y.dtype.names == ("event", "time")
    np.testing.assert_array_equal(data.frame["time"], data.y["time"])
    np.testing.assert_array_equal(data.frame["event"], data.y["event"])
    assert list(data.X) == data.feature_names
    assert data.X.dtypes.eq(float).all()
    assert set(data.frame) - set(data.X) - {"time", "event"} <= {"id", "inst", "country"}
    assert data.X.nunique().min() > 1
    assert name == "lung" or not data.X.isna().any(axis=None)
    data.X.iloc[0] = -1.0  # changes no later load, and not the frame
    assert not (data.frame[data.feature_names].iloc[0] == -1).all()
    assert not (load_durations(name).X.iloc[0] == -1).all()


@pytest.mark.parametrize("name", NAMES)
def test_description_names_source_licence_and_every_column(name):
    description = load_durations(name).DESCR
    assert "Source: " in description and "MIT licence" in description
    columns = load_durations(name).frame.columns
    assert [c for c in columns if not re.search(rf"\b{c}\b", description)] == []
    assert max(map(len, description.splitlines())) <= 100


def test_values_are_those_of_lifelines():
    rossi = lifelines.datasets.load_rossi()
    loaded = load_durations("rossi").frame
    np.testing.assert_array_equal(loaded["time"], rossi["week"])
    np.testing.assert_array_equal(loaded[["fin", "prio"]], rossi[["fin", "prio"]])
    gbsg2 = lifelines.datasets.load_gbsg2()
    loaded = load_durations("gbsg2").frame
    np.testing.assert_array_equal(loaded["horTh"] == 1, gbsg2["horTh"] == "yes")
    np.testing.assert_array_equal(loaded["tgrade"] == 3, gbsg2["tgrade"] == "III")
    rulers = lifelines.datasets.load_dd()
    loaded = load_durations("rulers").frame
    np.testing.assert_array_equal(loaded["military_dict"] == 1, rulers["regime"] == "Military Dict")
    assert loaded[["africa", "americas", "asia", "oceania"]].sum(axis=1).max() == 1
    kidney = lifelines.datasets.load_kidney_transplant()
    loaded = load_durations("kidney").frame
    white_female = 1 - kidney[["black_male", "white_male", "black_female"]].sum(axis=1)
    np.testing.assert_array_equal((loaded["male"] == 0) & (loaded["black"] == 0), white_female == 1)


def test_the_fixed_width_file_is_parted_at_the_right_blanks():
    frame = load_durations("divorce").frame
    assert frame["education"].value_counts().to_dict() == {1.0: 1655, 0.0: 1288, 2.0: 428}
    assert frame.loc[2, ["time", "event", "id"]].tolist() == [2.834, 1, 13]


def test_unknown_name_says_which_there_are_and_the_nearest():
    with pytest.raises(ValueError, match="The nearest is 'gbsg2'") as caught:
        load_durations("gbsg")
    assert all(repr(name) in str(caught.value) for name in NAMES)


def test_without_lifelines(monkeypatch):
    monkeypatch.setattr(durations, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install lifelines"):
        load_durations()
    assert importlib.util.find_spec("lifelines") is not None


def test_lifelines_itself_is_not_imported():
    code = (
        "import sys; from trueness.datasets import load_durations; load_durations('divorce'); "
        "assert 'lifelines' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
