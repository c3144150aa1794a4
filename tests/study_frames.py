"""Small frames of studies whose measures can be computed by hand."""

import pandas as pd

NAN = float("nan")


def hand_made():
    """Return five replicates of one method, one of them a failure, with estimand 2."""
    frame = pd.DataFrame(
        {
            "replicate": [0, 1, 2, 3, 4],
            "method": "ols",
            "term": ["x", "x", "x", "x", ""],
            "estimate": [1.0, 2.0, 3.0, 6.0, NAN],
            "std_error": [1.0, 2.0, 2.0, 4.0, NAN],
            "p_value": [0.04, 0.05, 0.06, NAN, NAN],
            "estimand": [2.0, 2.0, 2.0, 2.0, NAN],
            "converged": [True, True, True, False, False],
            "error": ["", "", "", "", "ValueError: no"],
        }
    )
    frame["conf_low"] = frame["estimate"] - frame["std_error"] / 2
    frame["conf_high"] = frame["estimate"] + frame["std_error"]
    return frame


def values(result, **selected):
    """Return value and Monte Carlo error by measure of one group."""
    frame = result.to_frame()
    for name, value in selected.items():
        frame = frame[frame[name] == value]
    assert not frame["measure"].duplicated().any()
    return frame.set_index("measure")


def grid():
    """Return two cells x two methods x two terms, their errors known by construction."""
    parts = []
    for n in (10, 20):
        for kind in ("normal", None):
            for j, method in enumerate("ab"):
                for k, term in enumerate("xy"):
                    part = hand_made().iloc[:4].assign(n=n, kind=kind, method=method, term=term)
                    parts.append(part.assign(estimate=part["estimate"] + n + 2 * j + k))
    return pd.concat(parts, ignore_index=True)
