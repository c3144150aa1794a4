"""Whether a learner minimises squared error is read off its class and parameters."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import (
    ElasticNetCV,
    GammaRegressor,
    HuberRegressor,
    LinearRegression,
    PoissonRegressor,
    QuantileRegressor,
    RANSACRegressor,
    Ridge,
    SGDRegressor,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR, LinearSVR
from sklearn.tree import DecisionTreeRegressor

from trueness.censoring import learner_loss


class OwnRegressor(RegressorMixin, BaseEstimator):
    """Says nothing about its loss."""

    def fit(self, X, y):
        return self


class OwnRidge(Ridge):
    """Is a ridge regression under another name."""


class OddLoss(OwnRegressor):
    def __init__(self, loss=np.square):
        self.loss = loss


SQUARED = [
    LinearRegression(),
    Ridge(),
    OwnRidge(),
    ElasticNetCV(),
    KNeighborsRegressor(),
    MLPRegressor(),
    GaussianProcessRegressor(),
    DecisionTreeRegressor(),
    RandomForestRegressor(),
    ExtraTreesRegressor(),
    GradientBoostingRegressor(),
    HistGradientBoostingRegressor(),
    SGDRegressor(),
    DummyRegressor(),
    TweedieRegressor(power=0),
    make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Ridge())),
    GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1.0, 2.0]}),
    BaggingRegressor(),
    BaggingRegressor(Ridge()),
    VotingRegressor([("a", Ridge()), ("b", RandomForestRegressor())]),
    StackingRegressor([("a", Ridge())], final_estimator=Ridge()),
    TransformedTargetRegressor(),
    TransformedTargetRegressor(Ridge()),
]
OTHER = [
    QuantileRegressor(),
    HuberRegressor(),
    PoissonRegressor(),
    GammaRegressor(),
    TweedieRegressor(power=1.5),
    TweedieRegressor(power=0, link="log"),
    SVR(),
    LinearSVR(loss="squared_epsilon_insensitive"),
    AdaBoostRegressor(),
    RANSACRegressor(),
    SGDRegressor(loss="huber"),
    DecisionTreeRegressor(criterion="absolute_error"),
    RandomForestRegressor(criterion="poisson"),
    GradientBoostingRegressor(loss="quantile"),
    HistGradientBoostingRegressor(loss="absolute_error"),
    DummyRegressor(strategy="median"),
    make_pipeline(StandardScaler(), QuantileRegressor()),
    BaggingRegressor(QuantileRegressor()),
    VotingRegressor([("a", Ridge()), ("b", QuantileRegressor())]),
    StackingRegressor([("a", Ridge())], final_estimator=QuantileRegressor()),
    TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp),
    TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
]
UNKNOWN = [
    OwnRegressor(),
    OddLoss(),
    make_pipeline(StandardScaler(), OwnRegressor()),
    GridSearchCV(HistGradientBoostingRegressor(), {"loss": ["squared_error", "absolute_error"]}),
    RandomizedSearchCV(
        make_pipeline(StandardScaler(), Ridge()), {"ridge": [Ridge(), QuantileRegressor()]}
    ),
    GridSearchCV(
        BaggingRegressor(Ridge()), [{"n_estimators": [5]}, {"estimator": [QuantileRegressor()]}]
    ),
    VotingRegressor([("a", Ridge()), ("b", OwnRegressor())]),
]


@pytest.mark.parametrize(
    ("learner", "loss"),
    [(learner, "squared") for learner in SQUARED]
    + [(learner, "other") for learner in OTHER]
    + [(learner, "unknown") for learner in UNKNOWN],
    ids=str,
)
def test_losses_are_told_apart(learner, loss):
    assert learner_loss(learner) == loss


def test_parameters_of_other_libraries_are_understood():
    class LGBMRegressor(OwnRegressor):
        def __init__(self, objective=None):
            self.objective = objective

    assert learner_loss(LGBMRegressor()) == "squared"
    assert learner_loss(LGBMRegressor("regression")) == "squared"
    assert learner_loss(LGBMRegressor("regression_l1")) == "other"
    assert learner_loss(LGBMRegressor(lambda y, f: (f - y, 1))) == "unknown"
