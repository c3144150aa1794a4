"""A matplotlib figure that notebooks show although pyplot does not know it."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

_DPI = 160


class NotebookFigure(Figure):
    """A figure that draws itself where IPython asks for a picture."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=_DPI)
        # Twice the pixels that it takes up on the page, for sharp text.
        width, height = (round(inches * _DPI / 2) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}
