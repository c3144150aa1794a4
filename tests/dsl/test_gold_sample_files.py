"""Gold samples in files, and labels that come back on coding sheets."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from trueness.dsl import DSLLinearRegression, GoldSample

N = 80
IDS = [f"{i:03d}" for i in range(N)]  # text that looks like numbers
UNITS = np.repeat(np.arange(20), 4)
REGION = np.repeat(["north", "south"], N // 2)
SIZE = np.exp(np.random.default_rng(11).normal(size=N))
SAMPLES = {
    "simple": lambda: GoldSample.simple_random(N, 12, random_state=0),
    "text ids": lambda: GoldSample.poisson(IDS, n=12, size=SIZE, random_state=0),
    "strata": lambda: GoldSample.stratified(IDS, REGION, 12, random_state=0),
    "dates": lambda: GoldSample.stratified(
        IDS, pd.to_datetime(np.where(REGION == "north", "2020-01-01", "2021-05-05")), 12,
        random_state=0,
    ),
    "numbers as strata": lambda: GoldSample.unequal(
        IDS, SIZE, 12, strata=np.repeat([1, 2], N // 2), minimum=0.05, random_state=0
    ),
    "units": lambda: GoldSample.two_stage(IDS, UNITS, 6, 3, strata=REGION, random_state=0),
}  # fmt: skip


def with_waves(sample):
    """A sample with two waves, folds and weights, as later waves make it."""
    half = sample.probability / 2
    second = np.zeros(N, dtype=bool)
    second[~sample.drawn] = np.random.default_rng(0).random((~sample.drawn).sum()) < 0.1
    return replace(
        sample,
        wave_probability=np.column_stack([sample.probability, half]),
        wave_drawn=np.column_stack([sample.drawn, second]),
        probability=1 - (1 - sample.probability) * (1 - half),
        kind="waves",
        folds=np.arange(N) % 5,
        wave_weights=np.array([0.3, 0.7]),
    )


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize("waves", [False, True])
def test_what_is_saved_is_loaded(make, ending, waves, tmp_path):
    sample = with_waves(make()) if waves else make()
    file = tmp_path / f"sample{ending}"
    sample.save(file)
    again = GoldSample.load(file)
    assert again.hash == sample.hash
    assert (again.kind, again.seed, again.is_fixed) == (sample.kind, sample.seed, sample.is_fixed)
    assert again.parameters == sample.parameters
    assert again.ids.dtype == sample.ids.dtype
    assert_array_equal(again.ids, sample.ids)
    one, other = sample.design(), again.design()
    for name in ("probability", "groups", "units", "unit_probability"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    first = repr(sample).split("stratum  ")[0].rstrip()  # what is before the table of strata
    assert repr(again).startswith(first)


def edited(change):
    def edit(folder):
        sample = SAMPLES["strata"]()
        sample.save(folder / "s.csv")
        frame = pd.read_csv(folder / "s.csv", dtype={"id": str})
        change(frame).to_csv(folder / "s.csv", index=False)
        return folder / "s.csv"

    return edit


def set_at(column, row, value):
    def change(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return change


DAMAGED = {
    "probability": (edited(set_at("probability", 3, 0.2)), "was changed since it was saved"),
    "drawn": (edited(set_at("drawn", 0, True)), "was changed since"),
    "drawn text": (edited(set_at("drawn", 0, "perhaps")), "must be True or False"),
    "id": (edited(set_at("id", 3, "3")), "was changed since"),
    "stratum": (edited(set_at("stratum", 3, "west")), "stratum 'west' on row 3"),
    "stratum swapped": (edited(set_at("stratum", 3, "south")), "was changed since"),
    "order": (edited(lambda frame: frame.iloc[::-1]), "was changed since"),
    "row lost": (edited(lambda frame: frame.iloc[1:]), "79 rows instead of 80"),
    "column lost": (edited(lambda frame: frame.drop(columns="drawn")), "no column 'drawn'"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
def test_changed_tables_are_refused(damage, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        GoldSample.load(damage(tmp_path))


def test_other_files_are_refused(tmp_path):
    sample = SAMPLES["simple"]()
    with pytest.raises(ValueError, match="must end in .csv"):
        sample.save(tmp_path / "sample.txt")
    with pytest.raises(ValueError, match="no such file"):
        GoldSample.load(tmp_path / "sample.csv")
    sample.save(tmp_path / "sample.csv")
    (tmp_path / "sample.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match="does not describe a gold sample"):
        GoldSample.load(tmp_path / "sample.csv")


def sheet_of(sample, path=None):
    sheet = sample.coding_sheet(path, show={"text": [f"text {one}" for one in sample.ids]})
    sheet["label"] = np.arange(len(sheet)) % 2
    return sheet


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_labels_come_back_in_any_order(ending, tmp_path):
    sample = SAMPLES["text ids"]()
    file = tmp_path / f"sheet{ending}"
    sheet = sample.coding_sheet(file, show=pd.Series(IDS, name="text"), random_state=3)
    assert set(sheet["id"]) == set(np.array(IDS)[sample.drawn])
    assert sheet["id"].tolist() != sorted(sheet["id"])
    assert (sheet["text"] == sheet["id"]).all()
    sheet["label"] = sheet["id"].astype(int)
    sheet["remark"] = "hard"
    sheet = sheet.sample(frac=1, random_state=0)
    (sheet.to_parquet if ending == ".parquet" else sheet.to_csv)(file, index=False)
    labels = sample.read_labels(file)
    assert_array_equal(labels, np.where(sample.drawn, np.arange(N), np.nan))


def test_sheets_of_spreadsheets(tmp_path):
    """Semicolons, decimal commas, a byte-order mark, fifteen digits."""
    sample = SAMPLES["text ids"]()
    sheet = sheet_of(sample)
    sheet.to_csv(
        tmp_path / "s.csv", index=False, sep=";", decimal=",", encoding="utf-8-sig",
        float_format="%.15g",
    )  # fmt: skip
    labels = sample.read_labels(tmp_path / "s.csv")
    assert_array_equal(labels[sample.drawn], sheet["label"])


def test_codebooks():
    sample = SAMPLES["strata"]()
    sheet = sample.coding_sheet()
    sheet["label"] = [" yes", "no "] * 6
    assert sample.read_labels(sheet)[sample.drawn].tolist() == ["yes", "no"] * 6
    coded = sample.read_labels(sheet, codebook={"yes": 1, "no": 0})
    assert coded[sample.drawn].tolist() == [1.0, 0.0] * 6
    for form in ([1, 0], [1.0, 0.0], ["1", "0"]):  # what spreadsheets make of numbers
        sheet["label"] = form * 6
        labels = sample.read_labels(sheet, codebook=[0, 1])
        assert labels[sample.drawn].tolist() == [1.0, 0.0] * 6


def test_several_columns():
    sample = SAMPLES["strata"]()
    sheet = sample.coding_sheet(label=["anna", "ben"])
    sheet["anna"] = "1"
    sheet.loc[sheet.index[::2], "ben"] = "0"
    labels = sample.read_labels(sheet, label=["anna", "ben"], partial=True)
    assert labels.shape == (N, 2)
    assert_array_equal(labels.notna().any(axis=1), sample.drawn)
    with pytest.raises(ValueError, match="6 rows that were drawn but have no label"):
        sample.read_labels(sheet, label=["anna", "ben"])


def test_one_wave():
    sample = with_waves(SAMPLES["strata"]())
    sheet = sample.coding_sheet(wave=2)
    assert len(sheet) == sample.wave_drawn[:, 1].sum() > 0
    sheet["label"] = 1
    assert sample.read_labels(sheet, wave=2).sum() == len(sheet)
    with pytest.raises(ValueError, match="lacks 12 of"):
        sample.read_labels(sheet)
    with pytest.raises(ValueError, match="wave=3, but the sample has 2"):
        sample.coding_sheet(wave=3)


REFUSED = {
    "edited probability": (set_at("probability", 2, 0.16), r"probability was edited: line 4 \(id"),
    "probability text": (set_at("probability", 2, "high"), "probability was edited: line 4"),
    "duplicated id": (
        lambda s: pd.concat([s, s.iloc[[5]]], ignore_index=True),
        r"2 rows on which an id stands twice: line 7 .*line 14",
    ),
    "missing id": (set_at("id", 1, ""), "1 lines without an id: line 3"),
    "unknown id": (set_at("id", 1, "999"), r"not in the frame.*line 3 \(id '999'\)"),
    "id as a number": (lambda s: s.assign(id=s["id"].astype(int)), "not in the frame"),
    "outside the codebook": (set_at("label", 4, 7), r"not in the codebook \('7'.*line 6"),
    "another sample": (set_at("sample", 0, "0" * 16), "1 lines of another sample.*line 2"),
    "not drawn": (
        lambda s: pd.concat(
            [s, s.iloc[[0]].assign(id=next(one for one in IDS if one not in set(s["id"])))],
            ignore_index=True,
        ),
        r"1 rows that were not drawn: line 14.*take them out",
    ),
    "left empty": (set_at("label", 4, ""), "1 rows that were drawn but have no label: line 6"),
    "left NaN": (set_at("label", 4, np.nan), "1 rows that were drawn but have no label: line 6"),
    "row lost": (lambda s: s.iloc[1:], "lacks 1 of 12 rows that were drawn"),
    "no rows": (lambda s: s.iloc[:0], "no rows"),
    "column lost": (lambda s: s.rename(columns={"label": "Labels"}), "no column 'label'.*Labels"),
}


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_sheets_are_refused(change, message, as_file, tmp_path):
    sample = SAMPLES["strata"]()
    sheet = change(sheet_of(sample))
    if as_file:
        sheet.to_csv(tmp_path / "sheet.csv", index=False)
        sheet = tmp_path / "sheet.csv"
        message = r"sheet\.csv (has|lacks) .*" + message.removeprefix("lacks ")
    with pytest.raises(ValueError, match=message):
        sample.read_labels(sheet, codebook=[0, 1])


def test_other_uses_are_refused(tmp_path):
    sample = SAMPLES["strata"]()
    other = GoldSample.stratified(IDS, REGION, 12, random_state=1)
    with pytest.raises(ValueError, match="12 lines of another sample"):
        other.read_labels(sheet_of(sample))
    with pytest.raises(ValueError, match="no such file"):
        sample.read_labels(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="codebook='ab' must be"):
        sample.read_labels(sheet_of(sample), codebook="ab")
    with pytest.raises(ValueError, match="show has 3 rows"):
        sample.coding_sheet(show={"text": [1, 2, 3]})
    with pytest.raises(ValueError, match="'probability' is a column of the coding sheet"):
        sample.coding_sheet(show={"probability": IDS})
    with pytest.raises(ValueError, match="must name columns, each once"):
        sample.coding_sheet(label=["a", "a"])
    with pytest.raises(ValueError, match="must end in"):
        sample.coding_sheet(tmp_path / "sheet.xlsx")


def test_from_sheet_to_estimate(tmp_path):
    """Drawn, saved, labelled, loaded and read: the estimate that labels in place would give."""
    rng = np.random.default_rng(2)
    n = 400
    x = rng.normal(size=n)
    truth = x + rng.normal(size=n)
    sample = GoldSample.stratified(n, x > 0, 60, "equal", random_state=1)
    sample.save(tmp_path / "gold.csv")
    sheet = sample.coding_sheet(label="y", random_state=5)
    sheet["y"] = truth[sheet["id"]]
    sheet.to_csv(tmp_path / "sheet.csv", index=False)
    again = GoldSample.load(tmp_path / "gold.csv")
    y = again.read_labels(tmp_path / "sheet.csv", label="y")
    machine = truth + rng.normal(size=n)
    model = DSLLinearRegression(learner=None)
    read = model.fit(x[:, None], y, surrogates=machine, gold_sample=again).results_
    direct = model.fit(
        x[:, None], np.where(sample.drawn, truth, np.nan), surrogates=machine, gold_sample=sample
    ).results_
    assert_array_equal(read.params, direct.params)
    assert_array_equal(read.std_errors, direct.std_errors)
