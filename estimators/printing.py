"""How estimates show themselves: tables in four formats and a forest plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .inference import Estimates
    from .tables.markup import Style


class Printable:
    """Tables and figure of `Estimates`; what draws them is imported when it is needed."""

    title: str

    def _render(self, style: Style, level: float) -> str:
        from .tables import render

        return render(cast("Estimates", self), style, level=level)

    def summary(self, level: float = 0.95) -> str:
        """Return the table as text, headed by what the intervals rest on.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals in (0, 1).
        """
        return self._render("text", level)

    def to_html(self, level: float = 0.95) -> str:
        """Return the table as HTML.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals in (0, 1).
        """
        return self._render("html", level)

    def to_latex(self, level: float = 0.95) -> str:
        """Return the table as LaTeX (booktabs).

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals in (0, 1).
        """
        return self._render("latex", level)

    def to_markdown(self, level: float = 0.95) -> str:
        """Return the table as markdown.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals in (0, 1).
        """
        return self._render("markdown", level)

    def plot(self, **options: Any) -> Figure:
        """Return a forest plot; ``options`` are those of `trueness.plots.forest_plot`."""
        from .plots import forest_plot

        return forest_plot({self.title: cast("Estimates", self)}, **options)

    def __str__(self) -> str:
        return self.summary()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_html()
