"""How Sphinx builds the documentation: ``sphinx-build -W docs docs/_build/html``."""

import sys
from importlib.metadata import version as versionOf
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "epnet"
author = "The epnet developers"
copyright = "2026, the epnet developers"
version = release = versionOf("epnet")
extensions = ["sphinx.ext.autodoc", "machines"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "The Energy Protocol over Ethernet/TCP"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
default_role = "code"
nitpicky = False
