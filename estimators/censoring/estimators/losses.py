"""What a learner minimises, as far as its class and its parameters tell."""

from __future__ import annotations

from typing import Any, Literal

Loss = Literal["squared", "other", "unknown"]

# Learners without a parameter for their loss, by class name, so that nothing needs importing.
_SQUARED = frozenset(
    {
        "ARDRegression",
        "BayesianRidge",
        "CCA",
        "ElasticNet",
        "ElasticNetCV",
        "ExtraTreeRegressor",
        "ExtraTreesRegressor",
        "GaussianProcessRegressor",
        "IsotonicRegression",
        "KNeighborsRegressor",
        "KernelRidge",
        "Lars",
        "LarsCV",
        "Lasso",
        "LassoCV",
        "LassoLars",
        "LassoLarsCV",
        "LassoLarsIC",
        "LinearRegression",
        "MLPRegressor",
        "OrthogonalMatchingPursuit",
        "OrthogonalMatchingPursuitCV",
        "PLSRegression",
        "RadiusNeighborsRegressor",
        "Ridge",
        "RidgeCV",
        "LGBMRegressor",
        "XGBRegressor",
        "CatBoostRegressor",
        "DecisionTreeRegressor",
        "RandomForestRegressor",
        "GradientBoostingRegressor",
        "HistGradientBoostingRegressor",
        "SGDRegressor",
    }
)
_OTHER = frozenset(
    {
        "AdaBoostRegressor",
        "GammaRegressor",
        "HuberRegressor",
        "LinearSVR",
        "NuSVR",
        "PassiveAggressiveRegressor",
        "PoissonRegressor",
        "QuantileRegressor",
        "RANSACRegressor",
        "SVR",
        "TheilSenRegressor",
    }
)
_PARAMETERS = ("loss", "criterion", "objective", "loss_function")
_SQUARED_NAMES = frozenset(
    {
        "squared_error",
        "squared_loss",
        "ls",
        "mse",
        "rmse",
        "l2",
        "friedman_mse",
        "regression",
        "regression_l2",
        "mean_squared_error",
        "reg:squarederror",
    }
)
# Where the learner inside a meta-estimator is found.
_INNER = ("estimator", "regressor", "base_estimator")
_GRIDS = ("param_grid", "param_distributions")


def learner_loss(learner: Any) -> Loss:
    """Tell whether a regressor minimises the squared error of the target it is given.

    Pipelines are judged by their last step, searches and bagging by the learner inside, voting
    and stacking by all of their learners. Otherwise a parameter named ``loss``, ``criterion``,
    ``objective`` or ``loss_function`` decides, and where there is none the class. A transformed
    target counts as "other": the mean of log Y is not the log of the mean of Y.

    Parameters
    ----------
    learner : scikit-learn regressor

    Returns
    -------
    {"squared", "other", "unknown"}
    """
    names = {cls.__name__ for cls in type(learner).__mro__}
    if "TransformedTargetRegressor" in names:
        is_plain = learner.func is None and learner.transformer is None
        return "other" if not is_plain else _inner_loss(learner)
    if hasattr(learner, "steps"):
        return learner_loss(learner.steps[-1][1])
    if isinstance(getattr(learner, "estimators", None), list):
        losses = {learner_loss(model) for _, model in learner.estimators if hasattr(model, "fit")}
        final = getattr(learner, "final_estimator", None)
        losses |= {learner_loss(final)} if final is not None else set()
        return losses.pop() if len(losses) == 1 else "other" if "other" in losses else "unknown"
    if names & _OTHER:
        return "other"
    if _searches_losses(learner):
        return "unknown"
    if "DummyRegressor" in names:
        return "squared" if learner.strategy == "mean" else "other"
    if "TweedieRegressor" in names:
        return "squared" if learner.power == 0 and learner.link != "log" else "other"
    for name in _PARAMETERS:
        value = getattr(learner, name, None)
        if isinstance(value, str):
            return "squared" if value.lower() in _SQUARED_NAMES else "other"
        if value is not None:
            return "unknown"
    if names & _SQUARED:
        return "squared"
    return _inner_loss(learner)


def _searches_losses(learner: Any) -> bool:
    """Whether a search chooses the loss, or the learner, itself."""
    for attribute in _GRIDS:
        grids = getattr(learner, attribute, None)
        for grid in grids if isinstance(grids, list) else [grids]:
            for key, values in (grid or {}).items():
                is_learner = any(hasattr(v, "fit") for v in values) if _is_list(values) else False
                if key.rsplit("__", 1)[-1] in (*_PARAMETERS, *_INNER) or is_learner:
                    return True
    return False


def _is_list(values: Any) -> bool:
    return isinstance(values, list | tuple)


def _inner_loss(learner: Any) -> Loss:
    if "TransformedTargetRegressor" in {cls.__name__ for cls in type(learner).__mro__}:
        # Its default learner is ordinary least squares.
        return "squared" if learner.regressor is None else learner_loss(learner.regressor)
    for name in _INNER:
        inner = getattr(learner, name, None)
        if hasattr(inner, "fit"):
            return learner_loss(inner)
    if "BaggingRegressor" in {cls.__name__ for cls in type(learner).__mro__}:
        return "squared"  # of trees, unless told otherwise
    return "unknown"
