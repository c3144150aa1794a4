"""Clicks that need exposure, with known relevance and known propensities."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.utils import Bunch

from ..checks import check_choices, check_range
from ..streams import RandomState, Rng, streams
from .drawing import draw_clicks

Array = NDArray[np.float64]

# Shares of items and of users in the variance of the relevance logits; the rest is taste.
_ITEM_SHARE, _USER_SHARE = 0.2, 0.1


def make_clicks(
    *,
    n_users: int = 400,
    n_items: int = 300,
    n_factors: int = 5,
    relevance: float = 0.2,
    signal: float = 2.0,
    difficulty: float = 0.2,
    exposure: float = 0.1,
    exposure_strength: float = 1.5,
    exposure_by: Literal["item", "pair"] = "item",
    quality: float = 0.3,
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw clicks Y = OR from known probabilities of exposure O and relevance R.

    .. math::

        \operatorname{logit}\gamma_{ui} = c_\gamma + s\bigl(\sqrt{.1}\,a_u + \sqrt{.2}\,b_i
            + \sqrt{.7 - d}\; t_{ui} + \sqrt{d}\,e_{ui}\bigr), \qquad
        \operatorname{logit}\theta_{ui} = c_\theta + \eta z_{ui}

    with a, b and e standard normal, and the taste t an inner product of standard normal factors,
    divided by the root of their number. The exposure of an item is
    :math:`z_i = \rho b_i + \sqrt{1 - \rho^2}\,h_i`, h standard normal: part of the popular items
    are good ones. O and R are independent given the pair.

    Parameters
    ----------
    n_users, n_items : int, default=400 and 300
    n_factors : int, default=5
        Rank of the taste.
    relevance : float, default=0.2
        Mean of :math:`\gamma` over the drawn pairs, for which :math:`c_\gamma` is solved.
    signal : float, default=2.0
        Standard deviation s of the relevance logits; 0 makes all pairs alike.
    difficulty : float, default=0.2
        Share d, from 0 to 0.7, of the variance of the relevance logits that belongs to the single
        pair, which nothing can learn.
    exposure : float, default=0.1
        Mean of :math:`\theta` over the drawn pairs: the less, the sparser the clicks. 1 shows
        everything to everybody.
    exposure_strength : float, default=1.5
        Standard deviation :math:`\eta` of the exposure logits; 0 exposes at random.
    exposure_by : {"item", "pair"}, default="item"
        With ``"pair"`` half the variance of z is the user's own taste,
        :math:`z_{ui} = \sqrt{.5}\,z_i + \sqrt{.5}\,t_{ui}`: people look for what they like.
    quality : float, default=0.3
        Correlation :math:`\rho` of the exposure of items with their part b in relevance.
    random_state : int, SeedSequence, Generator or None, default=None
        The same integer or SeedSequence gives the same data; a Generator is advanced. Relevance
        and exposure have their own streams, so that another exposure leaves relevance as it is.

    Returns
    -------
    Bunch
        * ``observed``, keywords of ``fit``: ``X``, clicks in compressed rows.
        * ``complete``: ``relevance`` (:math:`\gamma`), ``exposure`` (:math:`\theta`), both of shape
          (n_users, n_items); ``relevant`` (R) and ``exposed`` (O), sparse; ``propensity``,
          :math:`\theta` as ``fit`` takes it, of shape (n_items,) where it depends on the item only.
        * ``truth``, a dict: ``relevance`` and ``exposure``, means over the pairs; ``clicks``, the
          expected number; ``least_loss``, the ideal squared loss of :math:`\gamma` itself.
        * ``ideal``, a `KnownRelevance`: ideal loss and ideal DCG of any scores, exactly.
        * ``rare``, a mask of the half of the items that are exposed least.
        * ``params``, the arguments without ``random_state``; ``DESCR``, this text.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Tables of all pairs are made: this is for studies, up to some 10,000 by 1,000.

    References
    ----------
    Saito, Y., Yaginuma, S., Nishino, Y., Sakata, H. and Nakata, K. (2020). Unbiased recommender
    learning from missing-not-at-random implicit feedback. *WSDM '20*, 501-509.
    https://doi.org/10.1145/3336191.3371783

    Examples
    --------
    >>> from trueness.simulations import make_clicks
    >>> sample = make_clicks(random_state=0)
    >>> sample.observed["X"].shape, f"{sample.truth['relevance']:.2f}"
    ((400, 300), '0.20')
    >>> shared = sample.ideal.loss(sample.complete.relevance * sample.complete.exposure)
    >>> bool(shared > sample.truth["least_loss"])  # what clicks are, is not what is wanted
    True
    """
    params = {name: value for name, value in locals().items() if name != "random_state"}
    _check(params)
    for_taste, for_items, for_relevance, for_exposure = streams(random_state, 4)
    shape = (n_users, n_items)
    taste = _taste(for_taste, shape, n_factors)
    merit, fame = for_items.standard_normal((2, n_items))
    taste_share = 1.0 - _ITEM_SHARE - _USER_SHARE - difficulty
    logits = np.sqrt(_ITEM_SHARE) * merit + np.sqrt(max(taste_share, 0.0)) * taste
    logits += np.sqrt(_USER_SHARE) * for_taste.standard_normal(n_users)[:, None]
    logits += np.sqrt(difficulty) * for_taste.standard_normal(shape)
    gamma = _with_mean(signal * logits, relevance)
    shown = quality * merit + np.sqrt(1 - quality**2) * fame
    by_item = exposure_by == "item"
    z = shown[None, :] if by_item else np.sqrt(0.5) * (shown + taste)
    rates = _with_mean(exposure_strength * z, exposure)
    theta = np.broadcast_to(rates, shape)
    sample = draw_clicks(gamma, theta, rates[0] if by_item else rates, for_relevance, for_exposure)
    sample["params"] = params
    sample["DESCR"] = inspect.getdoc(make_clicks)
    return sample


def _taste(rng: Rng, shape: tuple[int, int], n_factors: int) -> Array:
    users = rng.standard_normal((shape[0], n_factors))
    items = rng.standard_normal((shape[1], n_factors))
    return users @ items.T / np.sqrt(n_factors)


def _with_mean(logits: Array, rate: float) -> Array:
    """Return probabilities with these logits but for a constant, and the given mean."""
    if rate in (0.0, 1.0):
        return np.full(logits.shape, rate)
    reach = float(np.abs(logits).max()) + 40.0
    constant = brentq(lambda c: float(expit(c + logits).mean()) - rate, -reach, reach, xtol=1e-13)
    return np.asarray(expit(constant + logits))


def _check(params: dict[str, Any]) -> None:
    check_choices(params, {"exposure_by": ("item", "pair")})
    for name in ("n_users", "n_items", "n_factors"):
        check_range(name, params[name], 1)
    for name in ("relevance", "exposure"):
        check_range(name, params[name], 0.0, 1.0)
        if params[name] == 0.0:
            raise ValueError(f"{name}=0 leaves no clicks; give a share above 0.")
    check_range("difficulty", params["difficulty"], 0.0, 1 - _ITEM_SHARE - _USER_SHARE)
    check_range("quality", params["quality"], -1.0, 1.0)
    for name in ("signal", "exposure_strength"):
        check_range(name, params[name], 0.0)
