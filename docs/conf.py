"""The configuration of the documentation site, which `make docs` builds."""

from __future__ import annotations

from grader import __version__

project = "grader"
author = "The grader authors"
release = version = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
root_doc = "index"
exclude_patterns = ["build", "examples"]

html_theme = "furo"
html_title = "grader"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
