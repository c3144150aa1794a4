"""The semi-synthetic design of Saito et al. (2020): clicks made from real ratings."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.utils import Bunch

from ..checks import check_range
from ..streams import RandomState, streams
from .drawing import draw_clicks
from .factors import fit_factors

_NAMES = ("user", "item", "rating")
_FORMATS = (
    "a .csv or .parquet file with columns user, item and rating, a .inter file (tabs, columns "
    "user_id:token, item_id:token, rating:float), or a .data file as of MovieLens 100K (tabs, no "
    "header: user, item, rating, time)"
)


def make_saito2020(
    ratings: Any,
    *,
    epsilon: float = 5.0,
    power: float = 1.0,
    n_factors: int = 20,
    n_iterations: int = 300,
    batch_size: int = 256,
    learning_rate: float = 0.01,
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw clicks in the semi-synthetic design of Saito et al. (2020), from ratings.

    .. math::

        \gamma_{ui} = \sigma(\hat R_{ui} - \epsilon), \qquad \theta_{ui} = \sigma(\hat O_{ui})^p

    with :math:`\hat R` a factor model of the ratings, cut off at their least and largest value, and
    :math:`\hat O` a logistic factor model of which pairs were rated. Both take 300 steps of Adam.

    Parameters
    ----------
    ratings : DataFrame or path
        One row for each rating, with columns ``user``, ``item`` and ``rating``; or a file: CSV,
        Parquet, ``.inter`` of RecBole, or ``u.data`` of MovieLens 100K. No data come with the
        package.
    epsilon : float, default=5.0
        :math:`\epsilon`: the larger, the fewer pairs are relevant. 5 suits ratings from 1 to 5.
    power : float, default=1.0
        p: the larger, the sparser and the more unequal the exposure. The paper has 0.5, 1, 2, 3, 4.
    n_factors : int, default=20
    n_iterations : int, default=300
    batch_size : int, default=256
    learning_rate : float, default=0.01
    random_state : int, SeedSequence, Generator or None, default=None
        The same integer or SeedSequence gives the same data; a Generator is advanced. Another
        ``epsilon`` or ``power`` leaves both factor models as they are.

    Returns
    -------
    Bunch
        As of `make_clicks`: ``observed``, ``complete``, ``truth``, ``ideal``, ``rare``, ``params``
        (without the ratings) and ``DESCR``; besides ``users`` and ``items``, the names of rows and
        columns. ``complete.propensity`` is :math:`\theta` of all pairs.

    Raises
    ------
    ValueError
        If a column is missing, there is no rating, ratings are not numbers or a pair is rated
        twice, or an argument is out of range.

    Notes
    -----
    Users and items in ``ratings`` are all there are. A factor model after 300 steps is far from
    converged; it is meant to be plausible, and what it says is true by definition.

    References
    ----------
    Saito, Y., Yaginuma, S., Nishino, Y., Sakata, H. and Nakata, K. (2020). Unbiased recommender
    learning from missing-not-at-random implicit feedback. *WSDM '20*, 501-509.
    https://doi.org/10.1145/3336191.3371783

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from trueness.simulations import make_saito2020
    >>> rng = np.random.default_rng(0)
    >>> pairs = rng.choice(30 * 20, size=200, replace=False)
    >>> ratings = pd.DataFrame({"user": pairs // 20, "item": pairs % 20})
    >>> ratings["rating"] = rng.integers(1, 6, size=200)
    >>> sample = make_saito2020(ratings, random_state=0)
    >>> sample.observed["X"].shape, sample.complete.relevance.shape
    ((30, 20), (30, 20))
    """
    params = {
        name: value for name, value in locals().items() if name not in ("ratings", "random_state")
    }
    for name in ("n_factors", "n_iterations", "batch_size"):
        check_range(name, params[name], 1)
    for name in ("power", "learning_rate"):
        check_range(name, params[name], 0.0)
    frame = read_ratings(ratings)
    users, user_names = pd.factorize(frame["user"], sort=True)
    items, item_names = pd.factorize(frame["item"], sort=True)
    shape = (len(user_names), len(item_names))
    values = frame["rating"].to_numpy(float)
    _check_pairs(users, items, shape)
    for_ratings, for_rated, for_relevance, for_exposure = streams(random_state, 4)
    options = {name: params[name] for name in ("n_factors", "n_iterations", "batch_size")}
    options["learning_rate"] = learning_rate
    predicted = fit_factors(
        users, items, values, shape, link="identity", rng=for_ratings, **options
    )
    rated = np.zeros(shape)
    rated[users, items] = 1.0
    every_user, every_item = (codes.ravel() for codes in np.indices(shape))
    odds = fit_factors(
        every_user, every_item, rated.ravel(), shape, link="logistic", rng=for_rated, **options
    )
    gamma = np.asarray(expit(np.clip(predicted, values.min(), values.max()) - epsilon))
    theta = np.asarray(expit(odds) ** power)
    sample = draw_clicks(gamma, theta, theta, for_relevance, for_exposure)
    sample["users"], sample["items"] = pd.Index(user_names), pd.Index(item_names)
    sample["params"] = params
    sample["DESCR"] = inspect.getdoc(make_saito2020)
    return sample


def read_ratings(ratings: Any) -> pd.DataFrame:
    """Return ratings with columns user, item and rating, from a frame or a file.

    Parameters
    ----------
    ratings : DataFrame or path

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If the file has another form, a column is missing, or ratings are missing or no numbers.
    """
    frame = ratings if isinstance(ratings, pd.DataFrame) else _read_file(ratings)
    missing = [name for name in _NAMES if name not in frame]
    if missing:
        raise ValueError(
            f"ratings: no column is named {missing[0]!r} (there are "
            f"{', '.join(map(repr, map(str, frame.columns)))}). Give a frame with columns user, "
            f"item and rating, or {_FORMATS}."
        )
    frame = frame[list(_NAMES)]
    if frame.empty:
        raise ValueError("ratings: there are no rows.")
    if not pd.api.types.is_numeric_dtype(frame["rating"]):
        raise ValueError("ratings: the column 'rating' does not hold numbers.")
    gaps = frame.isna().any(axis=1)
    if gaps.any():
        raise ValueError(f"ratings: {gaps.sum():,} of {len(frame):,} rows have missing values.")
    return frame


def _read_file(given: Any) -> pd.DataFrame:
    path = Path(given)
    if not path.is_file():
        raise ValueError(f"ratings: {path} is no file; give a frame, or {_FORMATS}.")
    match path.suffix.lower():
        case ".csv":
            return pd.read_csv(path)
        case ".parquet":
            return pd.read_parquet(path)
        case ".inter":
            frame = pd.read_csv(path, sep="\t")
            names = {name: name.split(":")[0].removesuffix("_id") for name in frame.columns}
            return frame.rename(columns=names)
        case ".data":
            return pd.read_csv(path, sep="\t", header=None, names=[*_NAMES, "time"])
    raise ValueError(f"ratings: {path.name} has an unknown form; give {_FORMATS}.")


def _check_pairs(users: Any, items: Any, shape: tuple[int, int]) -> None:
    n_pairs = len(np.unique(users * np.int64(shape[1]) + items))
    if n_pairs < len(users):
        raise ValueError(
            f"ratings: {len(users) - n_pairs:,} of {len(users):,} rows rate a pair again; keep one "
            "rating for each user and item."
        )
