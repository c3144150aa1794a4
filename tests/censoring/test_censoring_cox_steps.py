"""The Cox model tries shorter steps where full ones run away."""

import numpy as np
import pytest
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError

from trueness.censoring import CoxCensoring
from trueness.simulations import make_censored_durations


@pytest.fixture
def rows():
    sample = make_censored_durations(n_rows=300, random_state=0)
    y = sample.observed["y"]
    return sample.observed["X"], y["time"], y["event"]


def runs_away_above(monkeypatch, longest):
    """Let lifelines fail as it does where a covariate has a long tail."""
    fit, tried = CoxPHFitter.fit, []

    def guarded(self, *args, fit_options, **more):
        tried.append(fit_options["step_size"])
        if tried[-1] > longest:
            raise ConvergenceError("delta contains nan value(s).")
        return fit(self, *args, fit_options=fit_options, **more)

    monkeypatch.setattr(CoxPHFitter, "fit", guarded)
    return tried


def test_a_second_try_finds_the_same_maximum(monkeypatch, rows):
    at_once = CoxCensoring().fit(*rows)
    tried = runs_away_above(monkeypatch, 0.5)
    again = CoxCensoring().fit(*rows)
    assert len(tried) == 2 and tried[0] > 0.5 > tried[1]
    np.testing.assert_allclose(again.coef_, at_once.coef_, atol=1e-5)


def test_where_no_step_helps_the_error_says_what_to_do(monkeypatch, rows):
    runs_away_above(monkeypatch, 0.0)
    with pytest.raises(ValueError, match=r"no maximum for 4 columns.*penalizer=0\.1"):
        CoxCensoring().fit(*rows)
