"""From what a user calls a model of censoring to one that can be fitted."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone

from .auto import AutoCensoring
from .base import CensoringModel
from .beran import BeranCensoring
from .cox import CoxCensoring
from .forest import ForestCensoring
from .kaplan_meier import KaplanMeierCensoring
from .neighbors import NeighborsCensoring
from .user import CrossFittedCensoring

MODELS: dict[str, type[CensoringModel]] = {
    "km": KaplanMeierCensoring,
    "auto": AutoCensoring,
    "beran": BeranCensoring,
    "neighbors": NeighborsCensoring,
    "forest": ForestCensoring,
    "cox": CoxCensoring,
}


def resolve_model(
    model: Any,
    *,
    has_covariates: bool,
    horizon: float | None = None,
    of: str | None = None,
    random_state: Any = None,
) -> CensoringModel:
    """Return a new model that is not fitted.

    Parameters
    ----------
    model : str, CensoringModel or object
        A key of `MODELS`; a model, which is cloned; or an object with ``fit`` and ``survival``.
    has_covariates : bool
        Without covariates "auto" is the Kaplan-Meier curve, and other names are errors.
    horizon, random_state : object, default=None
        Set where the model has such a parameter and it is None.
    of : {"censoring", "event"}, default=None
        Set if given.

    Returns
    -------
    CensoringModel

    Raises
    ------
    ValueError
        If the name is unknown or the model needs covariates.
    TypeError
        If the object cannot be a model.
    """
    found = _instance(model, has_covariates)
    params = found.get_params(deep=False)
    given = {"horizon": horizon, "random_state": random_state}
    changes = {k: v for k, v in given.items() if k in params and params[k] is None}
    if of is not None:
        changes["of"] = of
    return found.set_params(**changes)


def _instance(model: Any, has_covariates: bool) -> CensoringModel:
    if isinstance(model, str):
        if model not in MODELS:
            raise ValueError(
                f"{model!r} is no model of censoring; choose one of "
                f"{', '.join(map(repr, MODELS))}, or pass an object with fit and survival."
            )
        if not has_covariates:
            if model not in ("km", "auto"):
                raise ValueError(
                    f"The model of censoring {model!r} needs covariates X; without them only 'km' "
                    "is possible."
                )
            return KaplanMeierCensoring()
        return MODELS[model]()
    if isinstance(model, type):
        raise TypeError(f"The model of censoring is a class; pass an instance, {model.__name__}().")
    if isinstance(model, CensoringModel):
        return clone(model)
    if callable(getattr(model, "fit", None)) and callable(getattr(model, "survival", None)):
        return CrossFittedCensoring(model)
    raise TypeError(
        f"The model of censoring must be a name ({', '.join(map(repr, MODELS))}) or an object with "
        f"fit(X, time, event) and survival(X, times), got {type(model).__name__}."
    )
