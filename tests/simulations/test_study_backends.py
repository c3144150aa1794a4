"""The same rows wherever they are computed, also when a worker dies."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
from study_designs import METHODS, comparable, make_study

from trueness.simulations.study import backends, running
from trueness.simulations.study.fingerprint import package_versions

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference():
    return make_study().run(progress=False)


@pytest.mark.parametrize(
    "options",
    [
        {"n_jobs": 1},
        {"n_jobs": 2},
        {"n_jobs": 1, "backend": "threading"},
        {"n_jobs": 2, "backend": "threading"},
        {"n_jobs": -1, "backend": "threading"},
    ],
)
def test_local_backends_give_the_same_rows(reference, options, tmp_path):
    for path in (None, tmp_path):
        frame = make_study().run(path, progress=False, **options)
        pd.testing.assert_frame_equal(comparable(frame), comparable(reference), check_exact=True)


def test_lambdas_and_local_functions_reach_other_processes():
    factor = 3.0
    methods = {"it": lambda sample, random_state: [{"term": "mean", "estimate": factor}]}
    frame = make_study(methods=methods, n_replicates=3).run(n_jobs=2, progress=False)
    assert (frame["estimate"] == factor).all()


def test_errors_of_the_protocol_arrive_from_other_processes():
    methods = {"it": lambda sample, random_state: [{"term": "meen", "estimate": 1.0}]}
    for backend in ("loky", "threading"):
        with pytest.raises(ValueError, match="terms of method 'it' and the estimands"):
            make_study(methods=methods).run(n_jobs=2, backend=backend, progress=False)


def test_a_worker_with_other_versions_is_refused(monkeypatch):
    monkeypatch.setattr(running, "package_versions", lambda: package_versions() | {"numpy": "1.0"})
    with pytest.raises(RuntimeError, match=r"(?s)worker on .*numpy 1\.0 there, .* here"):
        make_study().run(n_jobs=2, progress=False)


DASK = """
import os, signal, threading, time, sys, logging
from pathlib import Path
import pandas as pd
from distributed import Client, LocalCluster
from study_designs import comparable, make_study, slow

def kill_one(shards, worker):
    while not list(shards.glob("*.parquet")):
        time.sleep(0.01)
    os.kill(worker, signal.SIGKILL)

study = make_study({"n": [5]}, {"slow": slow}, n_replicates=400)
path = Path(sys.argv[1])
with LocalCluster(
    n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
) as cluster, Client(cluster) as client:
    before = set(client.run(os.getpid).values())
    killer = threading.Thread(target=kill_one, args=(path / "shards", min(before)))
    killer.start()
    frame = study.run(
        path, backend="dask", scheduler=cluster.scheduler_address, progress=False,
        checkpoint_seconds=0,
    )
    killer.join()
    first = min((path / "shards").glob("*.parquet"), key=os.path.getmtime)
    print(len(before), len(pd.read_parquet(first)))
    assert min(before) not in set(client.run(os.getpid).values())
reference = study.run(progress=False, n_jobs=2, backend="threading")
pd.testing.assert_frame_equal(comparable(frame), comparable(reference), check_exact=True)
print("equal")
"""


def run_script(script, *arguments):
    # A process of its own: schedulers and workers outlive a test in ways that are not our matter.
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    run = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_dask_gives_the_same_rows_though_a_worker_is_killed(tmp_path):
    n_workers, n_rows_at_the_kill, equal = run_script(DASK, tmp_path)
    assert n_workers == "2"
    assert int(n_rows_at_the_kill) < 200
    assert equal == "equal"


RAY = """
import pandas as pd
from study_designs import comparable, make_study
frame = make_study().run(backend="ray", n_jobs=2, progress=False)
pd.testing.assert_frame_equal(
    comparable(frame), comparable(make_study().run(progress=False)), check_exact=True
)
print("equal")
"""


@pytest.mark.slow
def test_ray_gives_the_same_rows():
    pytest.importorskip("ray")
    # ray itself warns while it starts.
    run = subprocess.run(
        [sys.executable, "-c", RAY], cwd=TESTS, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "equal" in run.stdout


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, backend, package):
    def missing(name):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named '{name}'")
        return import_module(name)

    monkeypatch.setattr(backends, "import_module", missing)
    with pytest.raises(ImportError, match=rf"(?s){package}.*pip install 'trueness\[distributed\]'"):
        make_study().run(backend=backend, progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "slurm"}, "backend='slurm' is not one of 'loky', 'threading', 'dask', 'ray'"),
        ({"n_jobs": 0}, "n_jobs=0 must be"),
        ({"n_jobs": 1.5}, "n_jobs=1.5 must be"),
        ({"scheduler": "tcp://here:8786"}, "needs backend='dask' or 'ray'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        make_study(methods=METHODS).run(progress=False, **options)
