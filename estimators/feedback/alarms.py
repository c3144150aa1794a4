"""Warnings about clicks and about models of them."""

from sklearn.exceptions import ConvergenceWarning


class FeedbackWarning(UserWarning):
    """Something about clicks, their propensities or a model of them is not as it should be."""


class UnboundedLossWarning(FeedbackWarning):
    """A loss of clicks has no least value, or may have none, under the weights it is given."""


class RankWarning(FeedbackWarning):
    """More factors were asked for than the clicks can fill."""


class SolverWarning(FeedbackWarning, ConvergenceWarning):
    """A solver stopped before its objective had settled."""
