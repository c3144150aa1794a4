"""Sphinx configuration: executed MyST notebooks and the API reference, readable offline."""

from __future__ import annotations

from importlib import metadata, resources
from typing import Any

from sphinx.util.nodes import make_refnode

project = "trueness"
author = "The trueness developers"
copyright = author
release = metadata.version("trueness")
version = release

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
]
extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}
exclude_patterns = ["_build", "evidence", "jupyter_execute"]
templates_path = ["_templates"]

# Notebooks run at every build, and a message on stderr is as bad as an exception.
nb_execution_mode = "force"
nb_execution_timeout = 180
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_output_stderr = "error"
nb_merge_streams = True
nb_ipywidgets_js = {}
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "alphabetical"
autosummary_generate = True
numpydoc_show_class_members = False
default_role = "py:obj"
nitpicky = True

# One file with every extension of TeX and glyphs as SVG paths: nothing else is ever loaded.
mathjax_file = resources.files("mathjax") / "static" / "mathjax" / "es5" / "tex-svg-full.js"
mathjax_path = "tex-svg-full.js"
mathjax3_config = {"options": {"enableMenu": False}}

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"trueness {release}"
html_static_path = ["_static", str(mathjax_file)]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": False}


def resolve_short_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Link `Estimates.summary` to the only documented object whose name ends so."""
    if node.get("refdomain") != "py":
        return None
    ending = "." + node["reftarget"].removesuffix("()")
    objects = env.get_domain("py").objects.items()
    found = [(name, entry) for name, entry in objects if name.endswith(ending)]
    if len(found) != 1:
        return None
    [(name, entry)] = found
    return make_refnode(
        app.builder, node["refdoc"], entry.docname, entry.node_id, content, title=name
    )


def setup(app: Any) -> None:
    """Register the resolver of short names."""
    app.connect("missing-reference", resolve_short_name)
