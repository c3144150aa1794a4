"""Durations in every form, and messages about those that are not right."""

import numpy as np
import pandas as pd
import pytest
from shared import FRAMES

from trueness.censoring import survival_target
from trueness.censoring.targets import read_rows, read_target

TIME = np.array([5.0, 2.0, 7.5])
EVENT = np.array([True, False, True])


def peers_target():
    """Return a structured array with names of its own, as another package makes them."""
    y = np.empty(3, dtype=[("Status", bool), ("Survival_in_days", float)])
    y["Status"], y["Survival_in_days"] = EVENT, TIME
    return y


def nullable(values, dtype):
    return pd.Series(values, dtype=dtype)


FORMS = {
    "structured": lambda: (survival_target(TIME, EVENT), None),
    "of a peer": lambda: (peers_target(), None),
    "frame": lambda: (pd.DataFrame({"event": EVENT, "x": 0, "time": TIME}), None),
    "durations": lambda: (TIME, EVENT.astype(int)),
    "lists": lambda: ([5, 2, 7.5], [1, 0, 1]),
    "one column": lambda: (TIME[:, None], EVENT[:, None]),
    "series": lambda: (pd.Series(TIME, index=[7, 8, 9]), pd.Series(EVENT, index=[1, 2, 3])),
    "nullable": lambda: (nullable(TIME, "Float64"), nullable(EVENT, "boolean")),
    "floats": lambda: (TIME, EVENT.astype(float)),
    "structured column": lambda: (survival_target(TIME, EVENT)[:, None], None),
}


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(form):
    y, event = FORMS[form]()
    rows, given = read_target(y, event)
    assert given
    assert rows.time.tolist() == TIME.tolist()
    assert rows.event.tolist() == EVENT.tolist()
    assert rows.time.dtype == np.float64
    assert rows.event.dtype == bool


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_frames_of_every_kind(make):
    frame = make({"time": TIME.tolist(), "event": [1, 0, 1], "entry": [0.5, 1.0, 0.0]})
    rows, given = read_target(frame)
    assert given
    assert (rows.time.tolist(), rows.event.tolist()) == (TIME.tolist(), EVENT.tolist())
    assert rows.entry.tolist() == [0.5, 1.0, 0.0]


def test_durations_alone_are_complete_and_it_is_recorded():
    rows, given = read_target(TIME)
    assert not given
    assert rows.event.all()
    assert rows.n_censored == 0


def test_a_target_is_one_array_that_can_be_split():
    y = survival_target(TIME, EVENT, entry=[1.0, 0.0, 2.0])
    assert y.dtype.names == ("event", "time", "entry")
    rows, _ = read_target(y[[2, 0]])
    assert rows.time.tolist() == [7.5, 5.0]
    assert rows.entry.tolist() == [2.0, 1.0]


def test_named_levels_on_request():
    words = ["dead", "alive", "dead"]
    assert survival_target(TIME, words, event_level="dead")["event"].tolist() == EVENT.tolist()
    assert read_rows(TIME, [2, 1, 2], event_level=2).event.tolist() == EVENT.tolist()
    # Flipped indicators are levels like any other.
    assert read_rows(TIME, [0, 1, 0], event_level=0).event.tolist() == EVENT.tolist()


def test_a_duration_of_zero_is_observed_from_the_start():
    rows = read_rows([0.0, 2.0], [1, 1], entry=[0.0, 0.0])
    assert (rows.entry < rows.time).all()


def test_rows_can_be_taken():
    rows = read_rows(TIME, EVENT, entry=[0, 1, 2], sample_weight=[1, 2, 3], clusters=list("aba"))
    some = rows.take([2, 1])
    assert some.weight.tolist() == [3.0, 2.0]
    assert some.clusters.tolist() == [0, 1]
    assert len(some) == 2
    assert rows.take([0, 2]).case_weight.tolist() == [1.0, 3.0]
    assert read_rows(TIME).case_weight.tolist() == [1.0, 1.0, 1.0]


# -------------------------------------------------------------------------------- bad input

BAD = {
    "negative": (([-1.0, 2, 3], [1, 0, 1]), r"time is negative on 1 of 3 rows \(row 0.*-1\)"),
    "signed": (([-1.0, 2, 3], [1, 1, 1]), "pass their absolute values and events"),
    "missing": (([np.nan, 2, 3], [1, 0, 1]), r"missing \(NaN\) on 1 of 3 rows \(row 0\)"),
    "infinite": (([1.0, np.inf, 3], [1, 0, 1]), r"infinity \(inf\) on 1 of 3 rows \(row 1\)"),
    "dates": ((pd.to_datetime(["2020-01-01"] * 3), [1, 0, 1]), "dates or time spans"),
    "spans": ((pd.to_timedelta([1, 2, 3], unit="D"), [1, 0, 1]), r"\.dt\.days"),
    "words": ((["a", "b", "c"], [1, 0, 1]), "time must be numbers.*found 'a'"),
    "a number": ((3.0, [1]), "one column of durations"),
    "other codes": (([1.0, 2, 3], [1, 2, 2]), r"found 1, 2; other values on 2 of 3 rows \(rows 1"),
    "signs": (([1.0, 2, 3], [1, -1, 1]), "found 1, -1"),
    "names": (([1.0, 2, 3], ["dead", "alive", "dead"]), "'dead', 'alive'.*event_level="),
    "no event known": (([1.0, 2, 3], [1, None, 0]), r"event is missing on 1 of 3 rows \(row 1\)"),
    "short": (([1.0, 2, 3], [1, 0]), "event has 2, X has 3"),
    "nothing": (([], []), "0 rows"),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_with_rows(given, message):
    with pytest.raises(ValueError, match=message):
        read_rows(*given)


def test_other_things_that_are_wrong():
    for y, message in (
        (np.column_stack([TIME, EVENT]), "two columns without names"),
        ([[5.0, 1.0], [2.0, 0.0]], "two columns without names"),
        (pd.DataFrame({"Time": TIME, "event": EVENT}), "without a column 'time'.*'Time'"),
        (pd.DataFrame({"time": TIME, "status": EVENT}), "without a column 'event'"),
        (np.zeros(3, dtype=[("a", float), ("b", float)]), "fields 'a', 'b'"),
        (None, "requires y to be passed"),
        (TIME.astype(complex), "Complex data not supported"),
    ):
        with pytest.raises(ValueError, match=message):
            read_target(y)
    with pytest.raises(ValueError, match="event is given twice"):
        read_target(survival_target(TIME, EVENT), EVENT)
    with pytest.raises(ValueError, match=r"No row has event 'gone'; found 'dead', 'alive'"):
        read_rows([1.0, 2.0], ["dead", "alive"], event_level="gone")
    with pytest.raises(ValueError, match=r"entry is not before time on 2 of 3 rows \(rows 0, 1"):
        read_rows(TIME, EVENT, entry=[5.0, 3.0, 0.0])
    with pytest.raises(ValueError, match="entry is negative"):
        read_rows(TIME, EVENT, entry=[-5.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="y has 3, X has 4"):
        read_rows(TIME, EVENT, n_rows=4)
