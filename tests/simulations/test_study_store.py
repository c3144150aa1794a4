"""Checkpoints: resumed, checked, never half written, never those of another study."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from study_designs import GRID, METHODS, Means, comparable, draw, make_study, median

from trueness.simulations.study import SimulationStudy, replicate

TESTS = Path(__file__).parents[1]


def same(one, other):
    pd.testing.assert_frame_equal(comparable(one), comparable(other), check_exact=True)


def shards(path):
    return sorted((path / "shards").glob("*.parquet"))


@pytest.fixture(scope="module")
def reference():
    return make_study().run(progress=False)


@pytest.fixture
def stored(tmp_path):
    """A finished study, in many shards."""
    make_study().run(tmp_path, progress=False, checkpoint_seconds=0)
    assert len(shards(tmp_path)) > 4
    return tmp_path


@pytest.fixture
def count_runs(monkeypatch):
    """Return the list to which every replicate that is run is added."""
    seeds = []
    original = replicate.run_replicate

    def counting(design, cell, seed, **options):
        seeds.append(str(seed))
        return original(design, cell, seed, **options)

    monkeypatch.setattr(replicate, "run_replicate", counting)
    return seeds


def test_a_finished_study_is_read_and_not_run(stored, reference, count_runs):
    frame = make_study().run(stored, progress=False)
    assert count_runs == []
    same(frame, reference)
    # Read twice, also the seconds are those of the shards.
    pd.testing.assert_frame_equal(frame, make_study().run(stored, progress=False))


def test_shards_can_be_read_by_others(stored, reference):
    rows = pd.read_parquet(stored / "shards")
    assert list(rows) == list(reference)
    keys = ["n", "scale", "replicate", "method", "term"]
    ordered = rows.sort_values(keys, ignore_index=True)
    same(ordered, reference.sort_values(keys, ignore_index=True))


def test_more_cells_and_replicates_run_only_what_is_missing(stored, count_runs):
    grid = {"n": [5, 20, 7], "scale": [1.0, 2.5]}
    frame = make_study(grid, n_replicates=40).run(stored, progress=False)
    assert len(count_runs) == len(set(count_runs)) == 6 * 40 - 4 * 30
    same(frame, make_study(grid, n_replicates=40).run(progress=False))


def test_fewer_replicates_are_a_part_of_the_rows(stored, reference, count_runs):
    frame = make_study({"n": [20], "scale": [2.5]}, n_replicates=7).run(stored, progress=False)
    part = reference.query("n == 20 and scale == 2.5 and replicate < 7").reset_index(drop=True)
    same(frame, part)
    assert count_runs == []


def test_methods_may_be_reordered(stored, count_runs):
    methods = dict(reversed(METHODS.items()))
    frame = make_study(methods=methods).run(stored, progress=False)
    assert count_runs == []
    assert frame["method"].iloc[:3].tolist() == list(methods)


def test_parts_add_up(tmp_path, reference, count_runs):
    for number in (2, 1):
        make_study().part(number, 2).run(tmp_path, progress=False)
    n_runs = len(count_runs)
    same(make_study().run(tmp_path, progress=False), reference)
    assert n_runs == len(count_runs) == 120


# ------------------------------------------------------------------------- studies that differ


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"random_state": 1}, "random_state: 0 there, 1 here"),
        ({"version": "2"}, "version: None there, '2' here"),
        ({"estimands": ["mean", "median"]}, "estimands: all there, mean, median here"),
        ({"methods": {"Means": Means()}}, r"method 'fragile': only in that directory"),
        ({"methods": METHODS | {"two": median}}, r"method 'two': only in this study"),
        ({"methods": METHODS | {"median": Means()}}, "method 'median': source text"),
        ({"methods": METHODS | {"Means": Means(3)}}, "method 'Means': source text, constants or"),
    ],
)
def test_the_directory_of_another_study_is_refused(stored, change, message):
    before = [file.read_bytes() for file in shards(stored)]
    with pytest.raises(ValueError, match=f"(?s)holds another study.*{message}"):
        make_study(**change).run(stored, progress=False)
    assert [file.read_bytes() for file in shards(stored)] == before


def test_another_generator_is_another_study(stored):
    def draw(n, scale, random_state):
        return {"observed": {"y": random_state.normal(size=n)}, "truth": {"mean": 0.0}}

    with pytest.raises(ValueError, match="generate: source text"):
        SimulationStudy(draw, METHODS, GRID).run(stored, progress=False)


def test_versions_of_packages_count(stored):
    file = stored / "study.json"
    content = json.loads(file.read_text())
    content["key"]["package numpy"] = "1.0"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"package numpy: 1\.0 there, .* here"):
        make_study().run(stored, progress=False)


def test_a_shard_of_another_study_is_found(stored, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    make_study(random_state=5).run(other, progress=False)
    foreign = shards(other)[0]
    (stored / "shards" / foreign.name).write_bytes(foreign.read_bytes())
    with pytest.raises(ValueError, match="is a shard of another study"):
        make_study().run(stored, progress=False)


def test_paths_that_are_no_studies(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        make_study().run(tmp_path / "file", progress=False)
    (tmp_path / "study.json").write_text('{"format": ')
    with pytest.raises(ValueError, match=r"study\.json is damaged"):
        make_study().run(tmp_path, progress=False)
    with pytest.raises(ValueError, match="needs a path"):
        make_study().run(collect=False, progress=False)


# ---------------------------------------------------------------------------------- misfortunes


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied"])
def test_a_damaged_shard_is_set_aside_and_run_again(stored, reference, count_runs, damage):
    file = shards(stored)[1]
    content = bytearray(file.read_bytes())
    n_lost = len(pd.read_parquet(file)[["n", "scale", "replicate"]].drop_duplicates())
    content[len(content) // 2] ^= 1
    cut = {"truncated": content[:-40], "flipped": content, "emptied": b""}[damage]
    file.write_bytes(cut)
    with pytest.warns(UserWarning, match="1 damaged shard of .* set aside"):
        frame = make_study().run(stored, progress=False)
    same(frame, reference)
    assert len(count_runs) == n_lost
    assert (stored / "damaged" / file.name).read_bytes() == cut
    same(make_study().run(stored, progress=False), reference)


def test_a_full_disk_leaves_no_trace_and_loses_nothing(tmp_path, reference, monkeypatch):
    original, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 8:  # the file of a shard; calls of even number are folders
            raise OSError(errno.ENOSPC, "No space left on device")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"could not be written \(No space left.*make room") as info:
        make_study().run(tmp_path, progress=False, checkpoint_seconds=0)
    assert info.value.errno == errno.ENOSPC
    assert not list(tmp_path.rglob("*.tmp"))
    n_shards = len(shards(tmp_path))
    assert n_shards > 0
    monkeypatch.setattr(os, "fsync", original)
    same(make_study().run(tmp_path, progress=False), reference)
    assert len(shards(tmp_path)) == n_shards + 1


def impatient(sample, random_state):
    """Be interrupted in the 50th call; the environment is no part of a study."""
    os.environ["CALLS_TO_GO"] = str(int(os.environ["CALLS_TO_GO"]) - 1)
    if os.environ["CALLS_TO_GO"] == "0":
        raise KeyboardInterrupt
    return median(sample, random_state)


def test_an_interrupted_study_keeps_what_is_finished(tmp_path, reference, count_runs, monkeypatch):
    monkeypatch.setenv("CALLS_TO_GO", "50")
    methods = {"median": impatient}
    with pytest.raises(KeyboardInterrupt):
        make_study(methods=methods).run(tmp_path, progress=False, checkpoint_seconds=3600)
    n_kept = len(pd.read_parquet(tmp_path / "shards"))
    assert 0 < n_kept < 50
    frame = make_study(methods=methods).run(tmp_path, progress=False)
    assert len(count_runs) == 50 + 120 - n_kept
    expected = reference[reference["method"] == "median"].reset_index(drop=True)
    same(frame, expected)


def test_left_over_files_are_cleared_when_they_are_old(stored, reference):
    old, new = (stored / "shards" / f".shard-{name}.tmp" for name in ("old", "new"))
    for file in (old, new):
        file.write_bytes(b"half a shard")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    same(make_study().run(stored, progress=False), reference)
    assert not old.exists()
    assert new.exists()


KILLS = """
import os, random, signal, sys, tempfile, time
from pathlib import Path
import pandas as pd
from study_designs import comparable, make_study, median

def study():
    return make_study({"n": [5, 9]}, {"median": median}, n_replicates=120)

def run(path):
    return study().run(path, progress=False, checkpoint_seconds=0)

def fork(function):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    return child

def check(path):
    pd.testing.assert_frame_equal(comparable(run(path)), reference, check_exact=True)

reference = comparable(study().run(progress=False))
with tempfile.TemporaryDirectory() as folder:
    began = time.perf_counter()
    run(Path(folder, "timing"))
    whole = time.perf_counter() - began
    moments = random.Random(0)
    n_unfinished = n_begun = 0
    for number in range(20):
        path = Path(folder, str(number))
        child = fork(lambda: run(path))
        time.sleep(moments.uniform(0, whole))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        shards = list(path.glob("shards/*.parquet"))
        rows = sum(len(pd.read_parquet(shard)) for shard in shards)
        n_unfinished += rows < len(reference)
        n_begun += 0 < rows < len(reference)
        check(path)
    both = Path(folder, "both")
    children = [fork(lambda: check(both)) for _ in range(2)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    check(both)
    print(n_unfinished, n_begun, codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_moments_and_run_by_two_at_once():
    """Twenty studies killed and resumed; then two processes on one directory."""
    result = subprocess.run(
        [sys.executable, "-c", KILLS], cwd=TESTS, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    n_unfinished, n_begun, codes = result.stdout.split(maxsplit=2)
    assert codes.strip() == "[0, 0]"
    # Else the kills came too late to show anything.
    assert int(n_unfinished) >= 5
    assert int(n_begun) >= 2


# -------------------------------------------------------------------------- rows that stay on disk


def test_results_are_read_cell_by_cell(stored, reference):
    results = make_study().run(stored, progress=False, collect=False)
    assert len(results) == 4
    assert results.cells["n_replicates"].tolist() == [30] * 4
    assert "4 cells, 120 replicates" in repr(results)
    same(pd.concat(results, ignore_index=True), reference)
    same(results.to_frame(), reference)


def test_columns_read_cell_by_cell_have_the_types_of_the_whole(tmp_path):
    study = SimulationStudy(draw, METHODS, {"n": [5, 6], "scale": [1, 2.5]}, 3)
    results = study.run(tmp_path, progress=False, collect=False)
    for frame in results:
        assert frame.dtypes.equals(results.to_frame().dtypes)
