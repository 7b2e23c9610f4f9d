"""Sphinx for docs/: ``nox -s docs``."""

from __future__ import annotations

import importlib.metadata

project = "iii-trio"
author = "The iii-trio authors"
release = version = importlib.metadata.version("iii-trio")
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]
nitpicky = True
html_theme = "furo"
html_title = f"iii-trio {version}"
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
