from importlib.metadata import version as version_of

project = "pyrepro"
author = "The pyrepro authors"
copyright = "2026, The pyrepro authors"
version = release = version_of("pyrepro")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
html_theme = "furo"
html_title = "pyrepro"
pygments_dark_style = "github-dark"
exclude_patterns = ["_build"]
# The README shows this picture by its address: PyPI cannot show a relative one.
html_extra_path = ["anatomy.svg"]
html_static_path = ["style.css"]
html_css_files = ["style.css"]

# What is copied from a session is what was typed, without prompts and output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_custom_sections = None
doctest_test_doctest_blocks = ""
nitpick_ignore_regex = [
    ("py:.*", r"(TypeError|ValueError|OSError|os\.PathLike)"),
    # what a record's fields hold: the docstring of Record says it key by key
    ("py:class", r"(JSON|Digests|Recorded\w+)"),
]
