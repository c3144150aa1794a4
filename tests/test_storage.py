"""Saving and loading estimates without pickle."""

import json
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from trueness.inference import Estimates

ARRAYS = ("params", "cov", "influence", "split_cov", "clusters")


def full(**changes):
    rng = np.random.default_rng(7)
    fields = dict(
        params=[1 / 3, np.pi, -1e-17],
        cov=np.diag([0.1, 1e-20, 1e20]) + 0.0,
        names=["Intercept", "größe", "C(x)[T.ä, b]"],
        n_obs=12,
        influence=rng.normal(size=(12, 3)),
        split_cov=np.diag([1e-3, 1e-4, 1e-5]),
        df=17.25,
        n_params=5,
        clusters=np.repeat(np.arange(6), 2),
        reclusterable=False,
        header={"Second": "2", "First": "ein Maß", "facts": "format"},
        title="Corrected “estimates”",
    )
    return Estimates(**(fields | changes))


def same_facts(a, b):
    assert (a.names, a.n_obs, a.df, a.n_params, a.reclusterable, a.title) == (
        b.names,
        b.n_obs,
        b.df,
        b.n_params,
        b.reclusterable,
        b.title,
    )
    assert list(a.header.items()) == list(b.header.items())


@pytest.mark.parametrize("as_text", [True, False])
def test_npz_holds_everything_bit_for_bit(tmp_path, as_text):
    path = tmp_path / "result.npz"
    full().save(str(path) if as_text else path)
    assert [item.name for item in tmp_path.iterdir()] == ["result.npz"]
    again = Estimates.load(path)
    same_facts(again, full())
    for name in ARRAYS:
        assert_array_equal(getattr(again, name), getattr(full(), name))


def test_npz_needs_no_pickle(tmp_path):
    full().save(tmp_path / "result.npz")
    with np.load(tmp_path / "result.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)
        assert_array_equal(archive["params"], full().params)


def test_a_loaded_npz_can_be_reclustered_and_bootstrapped(tmp_path):
    clusters = np.repeat(np.arange(6), 2)
    before = full(reclusterable=True, clusters=clusters)
    before.save(tmp_path / "result.npz")
    after = Estimates.load(tmp_path / "result.npz")
    assert_array_equal(after.recluster(clusters).cov, before.recluster(clusters).cov)
    assert_array_equal(
        after.wild_bootstrap(39, random_state=1).statistics,
        before.wild_bootstrap(39, random_state=1).statistics,
    )
    assert_array_equal((after - before).params, 0.0)


def test_json_holds_all_but_the_rows(tmp_path):
    path = tmp_path / "result.json"
    full().save(path)
    again = Estimates.load(path)
    same_facts(again, full())
    for name in ("params", "cov", "split_cov"):
        assert_array_equal(getattr(again, name), getattr(full(), name))
    assert again.influence is None
    assert again.to_frame().equals(full().to_frame())
    with pytest.raises(ValueError, match="no influence"):
        again.recluster(np.arange(12))
    assert json.loads(path.read_text(encoding="utf-8"))["names"] == list(full().names)


@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_sparse_results_round_trip(tmp_path, suffix):
    bare = Estimates([np.nan, np.inf], np.full((2, 2), np.nan), ["a", "b"], n_obs=3)
    bare.save(tmp_path / f"bare.{suffix}")
    again = Estimates.load(tmp_path / f"bare.{suffix}")
    same_facts(again, bare)
    assert_array_equal(again.params, bare.params)
    assert_array_equal(again.cov, bare.cov)
    assert again.df is None
    assert again.clusters is None


@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_two_way_clusters_and_numpy_numbers(tmp_path, suffix):
    clusters = np.column_stack([np.arange(12) % 3, np.arange(12) % 4])
    result = full(n_obs=np.int64(12), df=np.int64(2), clusters=clusters)
    result.save(tmp_path / f"r.{suffix}")
    again = Estimates.load(tmp_path / f"r.{suffix}")
    assert again.n_obs == 12
    assert again.df == 2
    if suffix == "npz":
        assert_array_equal(again.clusters, clusters)


@pytest.mark.parametrize("name", ["r.pkl", "r", "r.npy"])
def test_other_suffixes_are_refused_both_ways(tmp_path, name):
    with pytest.raises(ValueError, match=r"saved as \.npz or \.json"):
        full().save(tmp_path / name)
    with pytest.raises(ValueError, match=r"saved as \.npz or \.json"):
        Estimates.load(tmp_path / name)
    assert not list(tmp_path.iterdir())


def foreign_files(folder):
    np.savez(folder / "arrays.npz", params=np.zeros(2), cov=np.eye(2))
    (folder / "words.npz").write_text("hello")
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 broken")
    (folder / "object.json").write_text('{"params": [1, 2]}')
    (folder / "list.json").write_text("[1, 2]")
    (folder / "words.json").write_text("hello")
    (folder / "later.json").write_text('{"format": "trueness.Estimates/99"}')


@pytest.mark.parametrize(
    "name",
    [
        "arrays.npz",
        "words.npz",
        "broken.npz",
        "object.json",
        "list.json",
        "words.json",
        "later.json",
    ],
)
def test_foreign_files_are_named(tmp_path, name):
    foreign_files(tmp_path)
    with pytest.raises(ValueError, match=rf"{name} does not hold estimates"):
        Estimates.load(tmp_path / name)


class Trap:
    """Unpickling this makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_pickle_inside_an_archive_is_never_opened(tmp_path):
    np.savez(tmp_path / "trap.npz", facts=np.array([Trap(tmp_path / "sprung")], dtype=object))
    with pytest.raises(ValueError, match="does not hold estimates"):
        Estimates.load(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_is_a_missing_file(tmp_path):
    for name in ("none.npz", "none.json"):
        with pytest.raises(FileNotFoundError):
            Estimates.load(tmp_path / name)
