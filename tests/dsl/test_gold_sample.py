"""Gold samples: what they carry, that they draw as they say, and what they refuse."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2, norm

from trueness.dsl import DesignWarning
from trueness.dsl.gold_sample import GoldSample

N = 80
LEVEL = 1e-3
SOURCE = np.repeat(["press", "radio", "web"], [16, 24, 40])
AUTHOR = np.repeat(np.arange(20), 4)
UNEVEN = np.repeat(np.arange(16), [2, 3, 4, 5, 6, 7, 8, 5, 2, 3, 4, 5, 6, 7, 8, 5])
REGION = np.repeat(["north", "south"], N // 2)
SIZE = np.exp(np.random.default_rng(11).normal(size=N))

DRAWS = {
    "poisson equal": lambda seed: GoldSample.poisson(N, n=12, random_state=seed),
    "poisson stated": lambda seed: GoldSample.poisson(
        N, np.linspace(0.05, 1, N), random_state=seed
    ),
    "poisson by size": lambda seed: GoldSample.poisson(N, n=12, size=SIZE, random_state=seed),
    "simple random": lambda seed: GoldSample.simple_random(N, 12, random_state=seed),
    "proportional": lambda seed: GoldSample.stratified(N, SOURCE, 12, random_state=seed),
    "equal": lambda seed: GoldSample.stratified(N, SOURCE, 12, "equal", random_state=seed),
    "neyman": lambda seed: GoldSample.stratified(
        N, SOURCE, 12, "neyman", spread={"press": 3, "radio": 1, "web": 1}, random_state=seed
    ),
    "unequal": lambda seed: GoldSample.unequal(N, SIZE, 12, random_state=seed),
    "unequal, floor": lambda seed: GoldSample.unequal(N, SIZE, 12, minimum=0.08, random_state=seed),
    "unequal in strata": lambda seed: GoldSample.unequal(
        N, SIZE, {"press": 3, "radio": 4, "web": 5}, strata=SOURCE, random_state=seed
    ),
    "clusters": lambda seed: GoldSample.clusters(N, AUTHOR, 5, random_state=seed),
    "clusters by rows": lambda seed: GoldSample.clusters(
        N, UNEVEN, 6, size="rows", strata=REGION, random_state=seed
    ),
    "two stages": lambda seed: GoldSample.two_stage(N, AUTHOR, 5, 2, random_state=seed),
    "two stages by rows": lambda seed: GoldSample.two_stage(
        N, UNEVEN, 6, 3, size="rows", strata=REGION, random_state=seed
    ),
}
draws = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


def units_of(sample):
    """First row of each sampling unit, its group, probability, and which units were drawn."""
    units = np.arange(sample.n_rows) if sample.units is None else sample.units.codes
    first = np.unique(units, return_index=True)[1]
    group = np.zeros(sample.n_rows, dtype=int) if sample.strata is None else sample.strata.codes
    chance = sample.unit_probability if sample.unit_probability is not None else sample.probability
    return units, group[first], chance[first]


def drawn_units(sample, units):
    return np.bincount(units, sample.drawn) > 0


def copies(values, n_replicates):
    """Repeat a categorical column, with levels of its own in every copy."""
    codes = np.unique(values, return_inverse=True)[1]
    return (codes + (codes.max() + 1) * np.arange(n_replicates)[:, None]).ravel()


def in_each(values, sizes, n_replicates):
    """Repeat numbers of draws by level for all copies."""
    return dict(enumerate(np.tile(sizes, n_replicates)))


# Many draws at once: every replicate of the frame lies in strata of its own.
STACKED = {
    "poisson": lambda b: GoldSample.poisson(
        b * N, np.tile(np.linspace(0.05, 1, N), b), random_state=1
    ),
    "poisson by size": lambda b: GoldSample.poisson(
        b * N, n=12 * b, size=np.tile(SIZE, b), minimum=0.03, random_state=1
    ),
    "stratified": lambda b: GoldSample.stratified(
        b * N, copies(SOURCE, b), allocation=in_each(SOURCE, [2, 9, 5], b), random_state=1
    ),
    "unequal": lambda b: GoldSample.unequal(
        b * N, np.tile(SIZE, b), in_each(SOURCE, [3, 4, 5], b), strata=copies(SOURCE, b),
        random_state=1,
    ),
    "unequal, floor": lambda b: GoldSample.unequal(
        b * N, np.tile(SIZE, b), in_each(0, [12], b), strata=copies(np.zeros(N), b),
        minimum=0.08, random_state=1,
    ),
    "clusters": lambda b: GoldSample.clusters(
        b * N, copies(AUTHOR, b), in_each(0, [5], b), strata=copies(np.zeros(N), b), random_state=1
    ),
    "clusters by rows": lambda b: GoldSample.clusters(
        b * N, copies(UNEVEN, b), in_each(REGION, [2, 4], b), strata=copies(REGION, b),
        size="rows", random_state=1,
    ),
    "two stages": lambda b: GoldSample.two_stage(
        b * N, copies(UNEVEN, b), in_each(REGION, [2, 4], b), 3, strata=copies(REGION, b),
        random_state=1,
    ),
    "two stages by rows": lambda b: GoldSample.two_stage(
        b * N, copies(UNEVEN, b), in_each(REGION, [2, 4], b), 3, strata=copies(REGION, b),
        size="rows", random_state=1,
    ),
}  # fmt: skip


def z_scores(drawn, probability):
    random = probability < 1.0
    assert drawn[:, ~random].all()
    spread = np.sqrt(probability * (1 - probability) / len(drawn))
    return (drawn.mean(axis=0) - probability)[random] / spread[random]


@pytest.mark.parametrize("draw", STACKED.values(), ids=STACKED)
@pytest.mark.parametrize("n_replicates", [4_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_rows_and_units_are_drawn_as_often_as_stated(draw, n_replicates):
    """Each alone (Bonferroni), and all together where a fixed number ties them."""
    sample = draw(n_replicates)
    units, group, chance = units_of(sample)
    counts = drawn_units(sample, units).reshape(n_replicates, -1)
    chance, group = (column.reshape(n_replicates, -1)[0] for column in (chance, group))
    probability = sample.probability.reshape(n_replicates, N)
    assert_allclose(probability, np.tile(probability[0], (n_replicates, 1)), rtol=1e-9)
    z_rows = z_scores(sample.drawn.reshape(n_replicates, N), probability[0])
    z_units = z_scores(counts, chance)
    for z in (z_rows, z_units):
        assert np.abs(z).max() < norm.isf(LEVEL / (2 * len(z)))
    random = chance < 1.0
    scale, df = np.ones(random.sum()), random.sum()
    if sample.is_fixed:
        size = np.bincount(group[random])
        scale, df = ((size - 1) / np.maximum(size, 1))[group[random]], df - (size > 0).sum()
    assert chi2.ppf(LEVEL / 2, df) < (scale * z_units**2).sum() < chi2.isf(LEVEL / 2, df)


@pytest.mark.parametrize("name", ["simple random", "proportional", "unequal", "clusters"])
def test_rows_are_drawn_as_often_as_stated_without_strata_of_replicates(name):
    samples = [DRAWS[name](seed) for seed in range(400)]
    z = z_scores(np.array([sample.drawn for sample in samples]), samples[0].probability)
    assert np.abs(z).max() < norm.isf(LEVEL / (2 * len(z)))


@draws
def test_sizes_are_exact_where_fixed(draw):
    found = []
    for seed in range(15):
        sample = draw(seed)
        units, group, chance = units_of(sample)
        found.append(np.bincount(group, drawn_units(sample, units)))
        expected = np.bincount(group, chance)
    assert_allclose(expected, np.round(expected) if sample.is_fixed else expected, rtol=1e-10)
    assert (np.ptp(found, axis=0) == 0).all() == sample.is_fixed
    if sample.is_fixed:
        assert_allclose(found[0], expected, rtol=1e-10)


@draws
def test_a_seed_repeats_the_draw(draw):
    one, again, other = draw(1), draw(1), draw(2)
    assert one.hash == again.hash != other.hash
    assert_array_equal(one.drawn, again.drawn)
    assert one.seed == 1 and one.parameters == again.parameters


@draws
def test_what_was_drawn_can_be_stated(draw):
    """A sample described by its own columns is the same sample."""
    sample = draw(3)
    table = sample.to_frame()
    stated = GoldSample.from_design(
        table["id"],
        table["probability"],
        table["drawn"],
        is_fixed=sample.is_fixed,
        strata=table.get("stratum"),
        units=table.get("unit"),
        unit_probability=table.get("unit_probability"),
    )
    assert stated.hash == sample.hash
    assert stated.kind == "stated" and stated.seed is None


@draws
def test_design_holds_what_the_variance_needs(draw):
    sample = draw(4)
    design = sample.design()
    units, group, chance = units_of(sample)
    assert design.is_fixed == sample.is_fixed and design.n_rows == N
    assert_array_equal(design.probability, sample.probability)
    drawn = design.draw(np.flatnonzero(sample.drawn))
    chosen = np.flatnonzero(drawn_units(sample, units))
    assert_array_equal(drawn.probability, chance[chosen])
    assert_array_equal(drawn.groups, group[chosen])
    assert_allclose(drawn.within * drawn.probability[drawn.units], sample.probability[sample.drawn])


def test_random_states_of_all_kinds():
    for state in (np.random.SeedSequence(5), np.random.SeedSequence(5).spawn(2)[1], None):
        sample = GoldSample.simple_random(N, 9, random_state=state)
        again = GoldSample.simple_random(N, 9, random_state=sample.seed)
        assert again.hash == sample.hash
    generator = np.random.default_rng(1)
    one = GoldSample.simple_random(N, 9, random_state=generator)
    other = GoldSample.simple_random(N, 9, random_state=generator)
    assert one.hash != other.hash
    assert GoldSample.simple_random(N, 9, random_state=one.seed).hash == one.hash
    with pytest.raises(TypeError, match="random_state"):
        GoldSample.simple_random(N, 9)


def test_nothing_can_be_changed():
    sample = GoldSample.two_stage(N, UNEVEN, 6, 3, strata=REGION, random_state=0)
    restored = pickle.loads(pickle.dumps(sample))
    assert restored.hash == sample.hash
    for one in (sample, restored, copy.deepcopy(sample)):
        with pytest.raises(FrozenInstanceError):
            one.kind = "census"
        arrays = [one.ids, one.probability, one.drawn, one.wave_probability, one.wave_drawn]
        arrays += [one.unit_probability, one.units.codes, one.units.names, one.strata.codes]
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[1]
    design = sample.design()
    with pytest.raises(ValueError, match="read-only"):
        design.probability[0] = 0.5
    sample.parameters["n_units"] = 99
    assert sample.parameters["n_units"] == 6


def test_the_user_keeps_their_arrays():
    ids, chance = np.arange(N), np.linspace(0.1, 0.9, N)
    sample = GoldSample.poisson(ids, chance, random_state=0)
    ids[0], chance[0] = 5, 0.7
    assert sample.ids[0] == 0 and sample.probability[0] == 0.1


def test_hash_changes_with_anything():
    sample = GoldSample.two_stage(
        [f"doc{i}" for i in range(N)], UNEVEN, 6, 3, strata=REGION, random_state=0
    )

    def changed(values, value):
        other = values.copy()
        other[7] = value
        return other

    swapped = sample.ids.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    flipped = sample.wave_drawn.copy()
    flipped[7] = ~flipped[7]
    others = [
        replace(sample, ids=changed(sample.ids, "doc7 ")),
        replace(sample, ids=swapped),
        replace(sample, ids=np.append(["doc0doc", "1"], sample.ids[2:])),
        replace(sample, probability=changed(sample.probability, 0.123)),
        replace(sample, wave_probability=changed(sample.wave_probability, 0.123)),
        replace(sample, unit_probability=changed(sample.unit_probability, 0.123)),
        replace(sample, unit_probability=None),
        replace(sample, wave_drawn=flipped),
        replace(sample, is_fixed=False),
        replace(sample, strata=None),
        replace(sample, units=replace(sample.units, codes=changed(sample.units.codes, 9))),
        replace(sample, strata=replace(sample.strata, names=np.array(["north", "west"], object))),
    ]
    hashes = {sample.hash, *(other.hash for other in others)}
    assert len(hashes) == 1 + len(others)
    assert all(len(text) == 64 for text in hashes)


def test_hash_is_that_of_the_contents():
    """Not of how ids were given, nor of the order in which levels are numbered."""
    text = [str(i) for i in range(N)]
    ids = {
        "int": N,
        "list": list(range(N)),
        "series": pd.Series(range(N), index=np.arange(N)[::-1]),
        "nullable": pd.Series(range(N), dtype="Int64"),
        "polars": pl.Series(range(N)),
        "text": text,
        "categories": pd.Series(text, dtype="category"),
    }
    hashes = {GoldSample.simple_random(given, 9, random_state=0).hash for given in ids.values()}
    assert len(hashes) == 1
    sample = GoldSample.stratified(N, SOURCE, 12, random_state=0)
    turned = replace(sample.strata, codes=2 - sample.strata.codes, names=sample.strata.names[::-1])
    assert replace(sample, strata=turned).hash == sample.hash


def test_frame_has_all_rows():
    ids = [f"doc{i}" for i in range(N)]
    sample = GoldSample.two_stage(ids, UNEVEN, 6, 3, strata=REGION, random_state=0)
    table = sample.to_frame()
    assert table["id"].tolist() == ids
    assert_array_equal(table["stratum"], REGION)
    assert_array_equal(table["unit"], UNEVEN)
    assert_allclose(table["unit_probability"] * table["probability_within"], table["probability"])
    assert table["drawn"].sum() == sample.n_drawn
    columns = GoldSample.simple_random(ids, 9, random_state=0).to_frame().columns.tolist()
    assert columns == ["id", "drawn", "probability"]
    half = sample.probability / 2
    waves = replace(
        sample,
        wave_probability=np.column_stack([half, half]),
        wave_drawn=np.column_stack([sample.drawn, ~sample.drawn]),
    )
    assert waves.drawn.all()
    assert_array_equal(waves.to_frame()["drawn_2"], ~sample.drawn)
    assert_array_equal(waves.to_frame()["probability_1"], half)


def test_counts_of_strata():
    sample = GoldSample.two_stage(
        N, UNEVEN, {"north": 2, "south": 3}, 3, strata=REGION, random_state=0
    )
    table = sample.by_stratum().set_index("stratum")
    assert table["n_units"].to_dict() == {"north": 8, "south": 8}
    assert table["n_units_drawn"].to_dict() == {"north": 2, "south": 3}
    assert table["n_rows"].to_dict() == {"north": 40, "south": 40}
    assert_array_equal(table["n_drawn"], [sample.drawn[:40].sum(), sample.drawn[40:].sum()])
    assert_allclose(
        table["mean_probability"], [sample.probability[:40].mean(), sample.probability[40:].mean()]
    )


def test_allocations():
    def sizes(*args, **options):
        sample = GoldSample.stratified(N, SOURCE, *args, random_state=0, **options)
        return sample.by_stratum().set_index("stratum")["n_drawn"].to_dict()

    assert sizes(20) == {"press": 4, "radio": 6, "web": 10}
    assert sizes(21, "equal") == {"press": 7, "radio": 7, "web": 7}
    # More than a stratum has goes to the others; the smallest number is two.
    assert sizes(60, "equal") == {"press": 16, "radio": 22, "web": 22}
    spread = {"press": 5.0, "radio": 0.0, "web": 2.0}
    assert sizes(18, "neyman", spread=spread) == {"press": 8, "radio": 2, "web": 8}
    rows = pd.Series(SOURCE).map(spread)
    assert sizes(18, "neyman", spread=rows) == sizes(18, "neyman", spread=spread)
    assert sizes(18, "neyman", spread=[5.0, 0.0, 2.0]) == sizes(18, "neyman", spread=spread)
    # The root of the mean square of what rows have, not their mean.
    mixed = np.where(np.arange(N) % 2, np.sqrt(2.0), 0.0) * rows
    assert sizes(18, "neyman", spread=mixed) == sizes(18, "neyman", spread=spread)
    cost = {"press": 4.0, "radio": 1.0, "web": 1.0}
    even = dict.fromkeys(cost, 1.0)
    assert sizes(18, "neyman", spread=even, cost=cost) == {"press": 2, "radio": 6, "web": 10}
    assert sizes(allocation={"web": 2, "press": 3, "radio": 24})["radio"] == 24
    assert sizes(29, allocation=[3, 24, 2]) == {"press": 3, "radio": 24, "web": 2}


def test_stratum_of_one_row_is_certain():
    strata = ["alone"] + ["many"] * 30
    sample = GoldSample.stratified(31, strata, 5, random_state=0)
    assert sample.drawn[0] and sample.probability[0] == 1.0
    assert sample.n_drawn == 5
    draw = sample.design().draw(np.flatnonzero(sample.drawn))
    assert draw.contributions(np.ones((5, 1)))[draw.groups == 0] == 0.0


def test_census():
    for sample in (
        GoldSample.simple_random(10, 10, random_state=0),
        GoldSample.unequal(10, np.arange(1, 11), 10, random_state=0),
        GoldSample.poisson(10, n=10, random_state=0),
        GoldSample.from_design(10, 1.0, [1] * 10, is_fixed=True),
    ):
        assert sample.drawn.all()
        assert_array_equal(sample.probability, 1.0)
        assert "census" in repr(sample)


def test_units_smaller_than_the_number_within():
    sample = GoldSample.two_stage(N, UNEVEN, 16, 3, random_state=0)
    counts = np.bincount(UNEVEN, sample.drawn)
    assert_array_equal(counts, np.minimum(np.bincount(UNEVEN), 3))
    assert_array_equal(sample.unit_probability, 1.0)
    assert (sample.probability[np.isin(UNEVEN, [0, 1])] == 1.0).all()


def test_sizes_of_units_in_all_forms():
    by_unit = {unit: float(1 + unit) for unit in range(20)}
    per_row = 1.0 + AUTHOR
    one = GoldSample.clusters(N, AUTHOR, 5, size=by_unit, random_state=0)
    other = GoldSample.clusters(N, AUTHOR, 5, size=per_row, random_state=0)
    assert one.hash == other.hash
    assert_allclose(one.probability / per_row, 5 / np.arange(1, 21).sum())
    rows = GoldSample.clusters(N, UNEVEN, 5, size="rows", random_state=0)
    assert_allclose(rows.probability, 5 * np.bincount(UNEVEN)[UNEVEN] / N)


def test_two_stages_by_rows_weigh_all_rows_alike():
    sample = GoldSample.two_stage(N, UNEVEN, 5, 2, size="rows", random_state=0)
    assert_allclose(sample.probability, 10 / N)


def test_minimum_probability():
    size = np.append(np.zeros(40), SIZE[40:])
    for sample in (
        GoldSample.unequal(N, size, 12, minimum=0.02, random_state=0),
        GoldSample.poisson(N, n=12, size=size, minimum=0.02, random_state=0),
    ):
        assert_array_equal(sample.probability[:40], 0.02)
        assert_allclose(sample.probability.sum(), 12)
    # A stratum of zeros is a simple random sample, as large as the minimum asks.
    sample = GoldSample.unequal(N, size, 12, minimum=0.1, strata=SOURCE, random_state=0)
    assert_allclose(sample.probability[:16], 2 / 16)
    assert_allclose(sample.probability[16:40], 3 / 24)
    assert sample.probability[40:].min() >= 0.1
    assert_allclose(sample.probability.sum(), 12)


def test_summary_says_what_matters():
    text = repr(GoldSample.stratified(N, SOURCE, 12, "equal", random_state=7))
    assert text == str(GoldSample.stratified(N, SOURCE, 12, "equal", random_state=7))
    for part in ("12 of 80 rows", "3 strata", "0.1 to 0.25", "press", "seed              7"):
        assert part in text
    assert "12.0 rows expected" in repr(GoldSample.poisson(N, n=12, random_state=0))
    many = repr(GoldSample.stratified(N, np.repeat(np.arange(40), 2), 80, random_state=0))
    assert "28 more strata" in many


def test_effective_labels():
    assert_allclose(GoldSample.simple_random(N, 12, random_state=0).effective_labels, 12)
    sample = GoldSample.unequal(N, SIZE, 12, random_state=0)
    weight = 1 / sample.probability[sample.drawn]
    assert_allclose(sample.effective_labels, weight.sum() ** 2 / (weight**2).sum())


REFUSED = {
    "more than there are": (lambda: simple(N + 1), "n=81, but there are only 80 rows"),
    "one label": (lambda: simple(1), "n=1 is too few"),
    "no label": (lambda: simple(0), "whole number of at least 1"),
    "half a label": (lambda: simple(2.5), "whole number"),
    "text": (lambda: simple("12"), "whole number"),
    "no rows": (lambda: simple(2, 0), "at least one row"),
    "empty ids": (lambda: simple(2, []), "ids is empty"),
    "ids twice": (lambda: simple(2, ["a", "b", "c", "b"]), r"'b' and others.*rows 1, 3"),
    "ids missing": (lambda: simple(2, ["a", None, "c"]), r"missing on 1 rows \(row 1\)"),
    "ids empty text": (lambda: simple(2, ["a", "", "c"]), r"missing on 1 rows \(row 1\)"),
    "ids of floats": (lambda: simple(2, [0.5, 1.5, 2.5]), "of type floating"),
    "ids mixed": (lambda: simple(2, [1, "1", 2]), "of type mixed-integer"),
    "ids one text": (lambda: simple(2, "abc"), "sequence of ids"),
    "probability zero": (
        lambda: GoldSample.poisson(4, [0.5, 0, 0.5, 0], random_state=0),
        r"probability is 0 on 2 of 4 rows \(rows 1, 3\).*top k",
    ),
    "probability above one": (
        lambda: GoldSample.poisson(4, [0.5, 1.2, 0.5, 0.1], random_state=0),
        r"outside \(0, 1\] on 1 of 4 rows \(row 1, for example 1.2\)",
    ),
    "probability missing": (
        lambda: GoldSample.poisson(3, [0.5, np.nan, 0.5], random_state=0),
        r"probability is missing \(NaN\) on 1 of 3 rows \(row 1\)",
    ),
    "probability short": (
        lambda: GoldSample.poisson(4, [0.5, 0.5], random_state=0),
        "probability has 2 entries, but there are 4 ids",
    ),
    "neither": (lambda: GoldSample.poisson(4, random_state=0), "either probability, or n"),
    "both": (lambda: GoldSample.poisson(4, 0.5, n=2, random_state=0), "either probability, or n"),
    "poisson above": (lambda: GoldSample.poisson(4, n=5, random_state=0), "cannot be expected"),
    "poisson size": (
        lambda: GoldSample.poisson(4, 0.5, size=[1, 2, 3, 4], random_state=0),
        "go with n",
    ),
    "size zero": (
        lambda: GoldSample.unequal(4, [1, 0, 1, 1], 2, random_state=0),
        r"size is 0 on 1 of 4 rows \(row 1\).*minimum",
    ),
    "all sizes zero": (
        lambda: GoldSample.unequal(4, [0] * 4, 2, minimum=0.1, random_state=0),
        "0 on every row",
    ),
    "size negative": (
        lambda: GoldSample.unequal(4, [1, 2, -1, 1], 2, random_state=0),
        r"size is negative on 1 of 4 rows \(row 2\)",
    ),
    "size missing": (
        lambda: GoldSample.unequal(4, [1, np.nan, 1, 1], 2, random_state=0),
        r"size is missing \(NaN\) on 1 of 4 rows \(row 1\)",
    ),
    "size infinite": (
        lambda: GoldSample.unequal(4, [1, np.inf, 1, 1], 2, random_state=0),
        r"size is infinite on 1 of 4 rows \(row 1\)",
    ),
    "size text": (
        lambda: GoldSample.unequal(4, ["a", "b", "c", "d"], 2, random_state=0),
        "size must be numbers",
    ),
    "size short": (
        lambda: GoldSample.unequal(4, [1, 2, 3], 2, random_state=0),
        "size has 3 entries, but there are 4 ids",
    ),
    "too many certain": (
        lambda: GoldSample.unequal(5, [1, 1, 1, 1, 90], 2, random_state=0),
        "1 are certain.*fewer than 2 random",
    ),
    "minimum zero": (
        lambda: GoldSample.unequal(4, [1, 2, 3, 4], 2, minimum=0.0, random_state=0),
        "minimum=0.0 must be a probability, above 0",
    ),
    "minimum too large": (
        lambda: GoldSample.unequal(4, [1, 2, 3, 4], 2, minimum=0.6, random_state=0),
        "more than the 2 wanted; it can be 0.5",
    ),
    "minimum too large for strata": (
        lambda: GoldSample.unequal(N, SIZE, 12, minimum=0.13, strata=SOURCE, random_state=0),
        "minimum=0.13, n=12 is too few.*Draw 13 or more",
    ),
    "strata short": (lambda: strata(4, labels=["a"] * 79), "strata has 79 entries"),
    "strata missing": (
        lambda: strata(4, labels=[None] + ["a"] * 79),
        r"strata is missing \(NaN\) on 1 of 80 rows \(row 0\)",
    ),
    "too few for strata": (lambda: strata(5), "Draw 6 or more, or merge strata"),
    "above all strata": (lambda: strata(81), "only 80 rows"),
    "stratum with one label": (
        lambda: strata(None, {"press": 1, "radio": 5, "web": 5}),
        "allocation is 1 in stratum 'press' of 16 rows, which is too few",
    ),
    "stratum with none": (
        lambda: strata(None, {"press": 0, "radio": 5, "web": 5}),
        "allocation is 0 in stratum 'press'.*never be drawn",
    ),
    "stratum above": (
        lambda: strata(None, {"press": 17, "radio": 5, "web": 5}),
        "allocation is 17 in stratum 'press' of 16 rows, but there are fewer",
    ),
    "stratum with part of a label": (
        lambda: strata(None, {"press": 2.5, "radio": 5, "web": 5}),
        "2.5 in stratum 'press'.*no whole number",
    ),
    "empty stratum": (
        lambda: strata(None, {"press": 5, "radio": 5, "web": 5, "pres": 2}),
        "names 'pres', but no row is in it. Did you mean 'press'",
    ),
    "stratum left out": (
        lambda: strata(None, {"press": 5, "radio": 5}),
        "says nothing of 'web'",
    ),
    "sizes short": (lambda: strata(None, [5, 5]), "2 values for 3 strata"),
    "sizes and total": (
        lambda: strata(20, {"press": 5, "radio": 5, "web": 5}),
        "n=20, but the sizes in allocation add up to 15",
    ),
    "allocation unknown": (lambda: strata(20, "optimal"), "'optimal' is not one of"),
    "allocation a number": (lambda: strata(20, 5), "5 is not one of"),
    "no total": (lambda: strata(None), "n=None must be"),
    "neyman without spread": (lambda: strata(20, "neyman"), "needs spread"),
    "spread without neyman": (lambda: strata(20, spread=[1, 2, 3]), "neither spread nor cost"),
    "spread zero": (lambda: strata(20, "neyman", spread=[0, 0, 0]), "0 in all strata"),
    "spread negative": (lambda: strata(20, "neyman", spread=[1, -2, 3]), "is -2 for 'radio'"),
    "cost zero": (
        lambda: strata(20, "neyman", spread=[1, 2, 3], cost=[1, 1, 0]),
        "cost is 0 in stratum 'web'",
    ),
    "dict without strata": (
        lambda: GoldSample.unequal(N, SIZE, {"a": 3}, random_state=0),
        "there are no strata",
    ),
    "one unit": (lambda: GoldSample.clusters(N, AUTHOR, 1, random_state=0), "at least 2 units"),
    "too many units": (
        lambda: GoldSample.clusters(N, AUTHOR, 21, random_state=0),
        "n=21, but there are only 20 units",
    ),
    "no rows within": (
        lambda: GoldSample.two_stage(N, AUTHOR, 5, 0, random_state=0),
        "n_within=0 must be",
    ),
    "torn units": (
        lambda: GoldSample.clusters(N, AUTHOR, 5, strata=np.arange(N) % 2, random_state=0),
        "0 and others have rows in several",
    ),
    "several sizes": (
        lambda: GoldSample.clusters(N, AUTHOR, 5, size=SIZE, random_state=0),
        "same on all rows of a unit",
    ),
    "size of nothing": (
        lambda: GoldSample.clusters(N, AUTHOR, 5, size="words", random_state=0),
        "only size known by name",
    ),
    "unit of size zero": (
        lambda: GoldSample.clusters(N, AUTHOR, 5, size=1.0 * AUTHOR, random_state=0),
        "size is 0 for 1 units",
    ),
}


def simple(n, ids=N):
    return GoldSample.simple_random(ids, n, random_state=0)


def strata(n, allocation="proportional", *, labels=SOURCE, **options):
    return GoldSample.stratified(N, labels, n, allocation, random_state=0, **options)


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def stated(drawn, probability=0.25, *, is_fixed=True, n=8, **options):
    flags = np.zeros(n, dtype=bool)
    flags[drawn] = True
    return GoldSample.from_design(n, probability, flags, is_fixed=is_fixed, **options)


PAIRS = np.repeat(np.arange(4), 2)
MISSTATED = {
    "top k": (lambda: stated([6, 7], [0.0] * 6 + [1.0] * 2), "probability is 0 on 6.*top k"),
    "certain not drawn": (
        lambda: stated([0, 1], [0.5] * 4 + [0.0001] * 3 + [1.0]),
        r"1 on 1 rows that were not drawn \(row 7\)",
    ),
    "poisson counts": (
        lambda: stated([0, 1, 2]),
        "add up to 2.00 and 3 were drawn.*is_fixed=False",
    ),
    "counts of strata": (
        lambda: stated([0, 1, 2, 7], 0.5, strata=["a"] * 4 + ["b"] * 4),
        r"in 'a' \(2 such groups\) they add up to 2.00 and 3",
    ),
    "empty stratum": (
        lambda: stated([0, 1], [0.5] * 4 + [0.5] * 4, strata=["a"] * 4 + ["b"] * 4),
        "in 'b'.* 2.00 and 0 were drawn",
    ),
    "one label in a stratum": (
        lambda: stated([0, 4, 5], [0.25] * 4 + [0.5] * 4, strata=["a"] * 4 + ["b"] * 4),
        "Of 1 drawn in stratum 'a'",
    ),
    "drawn not flags": (
        lambda: GoldSample.from_design(3, 0.5, [0, 2, 1], is_fixed=False),
        "True or False on every row; found 2",
    ),
    "drawn missing": (
        lambda: GoldSample.from_design(3, 0.5, [0, None, 1], is_fixed=False),
        "drawn is missing",
    ),
    "units in part": (
        lambda: stated([0, 1, 2], 0.5, units=PAIRS),
        r"only some rows of 1 and others were \(row 3",
    ),
    "units unequal inside": (
        lambda: stated([0, 1, 2, 3], [0.5, 0.4] + [0.5] * 6, units=PAIRS),
        "probability must be the same on all rows of a unit, but it differs in 0",
    ),
    "unit probability alone": (lambda: stated([0, 1], unit_probability=0.5), "needs units"),
    "unit rarer than row": (
        lambda: stated([0, 2], 0.5, units=PAIRS, unit_probability=0.25),
        "no row is drawn without its unit",
    ),
    "rows within units": (
        lambda: stated([0, 1, 2], units=PAIRS, unit_probability=0.5),
        "as many rows as the probabilities add up to, but in 0",
    ),
    "units across strata": (
        lambda: stated([0, 1, 4, 5], 0.5, units=PAIRS, strata=[0, 1] * 4),
        "0 and others have rows in several",
    ),
    "certain unit not drawn": (
        lambda: stated(
            [0, 2], 0.25, units=PAIRS, unit_probability=[0.5] * 6 + [1.0] * 2, is_fixed=False
        ),
        "unit_probability is 1 on 2 rows that were not drawn",
    ),
}


@pytest.mark.parametrize(("make", "message"), MISSTATED.values(), ids=MISSTATED)
def test_misstated(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_stated_probabilities_may_be_rounded():
    flags = np.arange(300) < 100
    sample = GoldSample.from_design(300, 0.333, flags, is_fixed=True)
    assert_array_equal(sample.probability, 0.333)
    with pytest.raises(ValueError, match=r"add up to 96.00 and 100"):
        GoldSample.from_design(300, 0.32, flags, is_fixed=True)


@pytest.mark.parametrize("n_drawn", [50, 150])
def test_stated_independent_draws_far_from_their_number(n_drawn):
    flags = np.arange(1000) < n_drawn
    with pytest.warns(DesignWarning, match=rf"100.0 rows.*but {n_drawn} were drawn"):
        GoldSample.from_design(1000, 0.1, flags, is_fixed=False)


def test_stated_independent_draws_near_their_number():
    sample = GoldSample.from_design(1000, 0.1, np.arange(1000) < 80, is_fixed=False)
    assert sample.n_drawn == 80 and not sample.design().is_fixed
