"""Tables of estimates as text, HTML, LaTeX and markdown."""

from .comparison import Comparison, compare, render

__all__ = ["Comparison", "compare", "render"]
