"""Ask ppi-python for the estimates that power tuning is compared with.

    pip install ppi-python && PYTHONPATH=tests python tests/reference/ppi_python.py

writes ``ppi_python.json`` beside this file, with the versions that were used.
"""

import json
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import ppi_py
from ppi_data import N_LABELS, N, make_data, wrong_classes
from ppi_py import ppi

from trueness.dsl import DSLLogisticRegression


def mean(data):
    """Return its mean at both ends, and the weight that it chooses."""
    drawn, y, machine = (data[name] for name in ("drawn", "y", "machine"))
    rows = (y[drawn], machine[drawn], machine[~drawn])
    gradients = (-y[drawn], -machine[drawn], -machine[~drawn])
    return {
        "at 0": ppi_py.ppi_mean_pointestimate(*rows, lam=0.0).item(),
        "at 1": ppi_py.ppi_mean_pointestimate(*rows, lam=1.0).item(),
        "weight": float(ppi._calc_lam_glm(*gradients, np.eye(1))),
    }


def logit(data):
    """Return its coefficients at the weight that trueness chooses."""
    drawn, machine = data["drawn"], wrong_classes(data)
    y = np.where(drawn, data["binary"], np.nan)
    model = DSLLogisticRegression(learner=None, design="srswor", tuning="scalar")
    model.fit(data["X"], y, surrogates=machine)
    weight = float(model.diagnostics_.tuning_weights[0] * (1 - N_LABELS / N))
    X = np.column_stack([np.ones(N), data["X"]])
    labelled = (X[drawn], data["binary"][drawn], machine[drawn])
    options = {"lam": weight, "optimizer_options": {"gtol": 1e-10, "ftol": 1e-15}}
    with warnings.catch_warnings():  # of what it calls
        warnings.simplefilter("ignore", FutureWarning)
        params = ppi_py.ppi_logistic_pointestimate(*labelled, X[~drawn], machine[~drawn], **options)
    return {"weight": weight, "params": list(map(float, params))}


if __name__ == "__main__":
    found = {
        "versions": {name: version(name) for name in ("ppi-python", "numpy", "scikit-learn")},
        "mean": mean(make_data()),
        "logit": logit(make_data()),
    }
    out = Path(__file__).with_suffix(".json")
    out.write_text(json.dumps(found, indent=2) + "\n")
