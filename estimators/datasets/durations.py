"""Censored durations that come with lifelines."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch


@dataclass(frozen=True)
class _Source:
    """Where a data set lies, how its columns are read, and what they mean."""

    file: str
    tidy: Callable[[pd.DataFrame], pd.DataFrame]
    unit: str
    title: str
    text: str
    others: tuple[str, ...] = ()
    separator: str = ","


def load_durations(name: str = "gbsg2") -> Bunch:
    """
    Load censored durations from files that come with lifelines; nothing is downloaded.

    Categories are coded as numbers, so that any learner takes them.

    Parameters
    ----------
    name : str, default="gbsg2"
        Which data:

        * ``"gbsg2"``: 686 breast cancer patients, days to recurrence or death, 56% censored.
        * ``"rossi"``: 432 released prisoners, weeks to arrest, all of the 74% censored at week 52.
        * ``"lung"``: 228 patients with lung cancer, days to death, 28% censored, some covariates
          missing.
        * ``"kidney"``: 863 kidney transplants, days to death, 84% censored.
        * ``"divorce"``: 3,371 marriages, years to divorce, 69% censored.
        * ``"rulers"``: 1,808 spells of heads of government, whole years to their end, 19% censored,
          more than half of them in 2008, at a time that the year of entry fixes.

    Returns
    -------
    sklearn.utils.Bunch
        With the attributes

        frame : pandas.DataFrame
            Columns ``time``, ``event``, the features, and identifiers if there are any.
        X : pandas.DataFrame of shape (n, p)
            The features, numeric; NaN where the source has a gap.
        y : structured ndarray of shape (n,)
            Fields ``event`` (bool) and ``time`` (float).
        time_name, event_name : str
            ``"time"`` and ``"event"``.
        feature_names : list of str
            Columns of ``X``.
        unit : str
            Unit of time.
        DESCR : str
            Source, licence and what each column means.

    Raises
    ------
    ValueError
        If there is no such data set.
    ModuleNotFoundError
        If lifelines is not installed.

    Examples
    --------
    >>> from trueness.datasets import load_durations
    >>> prisoners = load_durations("rossi")
    >>> prisoners.X.shape, int(prisoners.y["event"].sum()), prisoners.unit
    ((432, 7), 114, 'weeks')
    >>> float(prisoners.y["time"][~prisoners.y["event"]].min())
    52.0
    """
    source = _SOURCES.get(name)
    if source is None:
        nearest = difflib.get_close_matches(str(name), _SOURCES, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"There is no data set {name!r}; the choices are {', '.join(map(repr, _SOURCES))}. "
            f"The nearest is {nearest!r}."
        )
    frame = source.tidy(_read(source))
    features = [column for column in frame if column not in ("time", "event", *source.others)]
    y = np.empty(len(frame), dtype=[("event", np.bool_), ("time", np.float64)])
    y["event"], y["time"] = frame["event"], frame["time"]
    return Bunch(
        frame=frame,
        X=frame[features].copy(),
        y=y,
        time_name="time",
        event_name="event",
        feature_names=[str(feature) for feature in features],
        unit=source.unit,
        DESCR=_describe(source),
    )


def _read(source: _Source) -> pd.DataFrame:
    # The package itself is not imported: it takes a second, and only the file is needed.
    found = find_spec("lifelines")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            "These data come with lifelines; install it with: pip install lifelines"
        )
    path = Path(found.submodule_search_locations[0]) / "datasets" / source.file
    # Two blanks or more part the columns of the fixed-width file, one blank is inside a value.
    engine: Any = "c" if source.separator == "," else "python"
    return pd.read_csv(path, sep=source.separator, engine=engine)


def _describe(source: _Source) -> str:
    return f"{source.title}\n{'=' * len(source.title)}\n\n{source.text.strip()}\n\n{_LICENCE}"


def _tidied(raw: pd.DataFrame, time: str, event: str, columns: dict[str, Any]) -> pd.DataFrame:
    """Return time, event and the other columns as numbers."""
    spells = {"time": raw[time].astype(float), "event": raw[event].astype(int)}
    numbers = {name: pd.Series(values).astype(float) for name, values in columns.items()}
    return pd.DataFrame(spells | numbers)


# ------------------------------------------------------------------------------ the data sets


def _gbsg2(raw: pd.DataFrame) -> pd.DataFrame:
    columns = {
        "horTh": raw["horTh"] == "yes",
        "age": raw["age"],
        "menostat": raw["menostat"] == "Post",
        "tsize": raw["tsize"],
        "tgrade": raw["tgrade"].map({"I": 1, "II": 2, "III": 3}),
        "pnodes": raw["pnodes"],
        "progrec": raw["progrec"],
        "estrec": raw["estrec"],
    }
    return _tidied(raw, "time", "cens", columns)


def _rossi(raw: pd.DataFrame) -> pd.DataFrame:
    features = ("fin", "age", "race", "wexp", "mar", "paro", "prio")
    return _tidied(raw, "week", "arrest", {name: raw[name] for name in features})


def _lung(raw: pd.DataFrame) -> pd.DataFrame:
    columns = {"age": raw["age"], "female": raw["sex"] == 2}
    for name in ("ph.ecog", "ph.karno", "pat.karno", "meal.cal", "wt.loss"):
        columns[name.replace(".", "_")] = raw[name]
    return _tidied(raw, "time", "status", columns | {"inst": raw["inst"]})


def _kidney(raw: pd.DataFrame) -> pd.DataFrame:
    male = raw["white_male"] + raw["black_male"]
    black = raw["black_male"] + raw["black_female"]
    return _tidied(raw, "time", "death", {"age": raw["age"], "male": male, "black": black})


def _divorce(raw: pd.DataFrame) -> pd.DataFrame:
    raw = raw.rename(columns=str.strip)
    columns = {
        "education": raw["heduc"].map({"< 12 years": 0, "12-15 years": 1, "16+ years": 2}),
        "black": raw["heblack"] == "Yes",
        "mixed": raw["mixed"] == "Yes",
        "id": raw["id"],
    }
    return _tidied(raw.assign(div=raw["div"] == "Yes"), "years", "div", columns)


def _rulers(raw: pd.DataFrame) -> pd.DataFrame:
    columns = {"start_year": raw["start_year"]}
    for name in ("Mixed Dem", "Presidential Dem", "Civilian Dict", "Military Dict", "Monarchy"):
        columns[name.lower().replace(" ", "_")] = raw["regime"] == name
    for name in ("Africa", "Americas", "Asia", "Oceania"):
        columns[name.lower()] = raw["un_continent_name"] == name
    return _tidied(raw, "duration", "observed", columns | {"country": raw["cowcode2"]})


_LICENCE = """\
Licence
-------
The file is part of lifelines (Davidson-Pilon 2019, https://doi.org/10.21105/joss.01317), which is
distributed under the MIT licence and states no other one for its data. It is read from the
installed copy of lifelines; nothing of it is contained in trueness.
"""

_SOURCES = {
    "gbsg2": _Source(
        "gbsg2.csv",
        _gbsg2,
        "days",
        "Recurrence-free survival of 686 women with breast cancer (GBSG2)",
        """
Women with node-positive breast cancer in a trial of hormonal treatment and the duration of
chemotherapy in Germany.

time        Days from entry to recurrence, death or the end of observation.
event       1 recurrence or death, 0 censored.
horTh       1 hormonal treatment, 0 none.
age         Years.
menostat    1 postmenopausal, 0 premenopausal.
tsize       Tumour size in mm.
tgrade      Tumour grade, 1 to 3.
pnodes      Number of positive nodes.
progrec     Progesterone receptor in fmol/l.
estrec      Oestrogen receptor in fmol/l.

Source: Schumacher, M. et al. (1994). Randomized 2 x 2 trial evaluating hormonal treatment and the
duration of chemotherapy in node-positive breast cancer patients. Journal of Clinical Oncology
12(10), 2086-2093. https://doi.org/10.1200/JCO.1994.12.10.2086
""",
    ),
    "rossi": _Source(
        "rossi.csv",
        _rossi,
        "weeks",
        "Weeks to arrest of 432 men released from prison (Rossi)",
        """
Men released from prisons of Maryland in the 1970s and followed for a year; half of them, at random,
were given financial aid. Everybody without an arrest is censored at week 52.

time        Weeks from release to arrest, or 52.
event       1 arrested, 0 censored.
fin         1 financial aid.
age         Years at release.
race        1 black.
wexp        1 full-time work experience before prison.
mar         1 married at release.
paro        1 released on parole.
prio        Number of convictions before.

Source: Rossi, P. H., Berk, R. A. and Lenihan, K. J. (1980). Money, Work, and Crime: Some
Experimental Results. New York: Academic Press.
""",
    ),
    "lung": _Source(
        "lung.csv",
        _lung,
        "days",
        "Survival of 228 patients with advanced lung cancer (NCCTG)",
        """
Patients of the North Central Cancer Treatment Group (United States). Gaps are NaN.

time        Days to death or the end of observation.
event       1 dead, 0 censored.
age         Years.
female      1 female.
ph_ecog     ECOG performance score by the physician, 0 (good) to 5.
ph_karno    Karnofsky performance score by the physician, 0 (bad) to 100.
pat_karno   The same by the patient.
meal_cal    Calories consumed at meals.
wt_loss     Weight lost in the last six months, in pounds.
inst        Code of the institution; not a feature.

Source: Loprinzi, C. L. et al. (1994). Prospective evaluation of prognostic variables from
patient-completed questionnaires. Journal of Clinical Oncology 12(3), 601-607.
https://doi.org/10.1200/JCO.1994.12.3.601
""",
        others=("inst",),
    ),
    "kidney": _Source(
        "kidney_transplant.csv",
        _kidney,
        "days",
        "Survival after 863 kidney transplants",
        """
Transplants at the Ohio State University from 1982 to 1992.

time        Days from transplant to death or the end of observation.
event       1 dead, 0 censored.
age         Years at transplant.
male        1 male.
black       1 black, 0 white.

Source: Klein, J. P. and Moeschberger, M. L. (1997). Survival Analysis: Techniques for Censored and
Truncated Data. New York: Springer, section 1.7. https://doi.org/10.1007/978-1-4757-2728-9
""",
    ),
    "divorce": _Source(
        "divorce.dat",
        _divorce,
        "years",
        "Duration of 3,371 marriages in the United States",
        """
time        Years from the wedding to divorce, or to widowhood or the interview.
event       1 divorced, 0 censored. Widowhood counts as censoring: what is described are marriages
            that death does not end.
education   Of the husband: 0 less than 12 years, 1 12 to 15, 2 16 or more.
black       1 if the husband is black.
mixed       1 if husband and wife differ in ethnicity.
id          Identifier of the couple; not a feature.

Source: Lillard, L. A. and Panis, C. W. A. (2003). aML Multilevel Multiprocess Statistical Software,
Version 2.0. Los Angeles: EconWare; as prepared by G. Rodriguez.
""",
        others=("id",),
        separator=r"\s{2,}",
    ),
    "rulers": _Source(
        "dd.csv",
        _rulers,
        "years",
        "1,808 spells of heads of government in 200 countries, 1946-2008",
        """
Spells of effective heads of government under one regime. Durations are whole years, so that most
are tied. More than half of the censored spells were running in 2008: their time of censoring is
2009 - start_year, which the features reveal.

time        Years in office.
event       1 the spell ended, 0 censored: still in office in 2008, died in office, and the like.
start_year  First year of the spell.
mixed_dem, presidential_dem, civilian_dict, military_dict, monarchy
            1 for this regime; a parliamentary democracy has 0 in all of them.
africa, americas, asia, oceania
            1 for this continent; Europe has 0 in all of them.
country     Correlates of War code; for clusters, not a feature.

Source: Cheibub, J. A., Gandhi, J. and Vreeland, J. R. (2010). Democracy and dictatorship revisited.
Public Choice 143, 67-101. https://doi.org/10.1007/s11127-009-9491-2
""",
        others=("country",),
    ),
}
