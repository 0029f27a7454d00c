from importlib.metadata import version as version_of

project = "pyrepro"
author = "The pyrepro authors"
copyright = "2026, The pyrepro authors"
version = release = version_of("pyrepro")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "pyrepro"
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_custom_sections = None
doctest_test_doctest_blocks = ""
nitpick_ignore_regex = [
    ("py:.*", r"(TypeError|ValueError|OSError|os\.PathLike)"),
    (
        "py:class",
        r"(JSON|Digests|Recorded\w+)",
    ),  # what a record's fields hold: the docstring of Record says it key by key
]
