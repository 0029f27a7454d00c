"""What scikit-learn's estimators, and the kernels, splitters and distributions that they are given, were made from."""

from __future__ import annotations

import sys
from typing import Any

from pyrepro._config.loaded import loaded_classes
from pyrepro._config.place import Place, type_of

_KEEP = "keep each parameter of __init__ as an attribute of its name"


def is_estimator(value: object) -> bool:
    """Whether a value is an estimator of scikit-learn."""
    return isinstance(value, loaded_classes("sklearn.base", "BaseEstimator"))


def is_made_from_parameters(value: object) -> bool:
    """Whether a value is an estimator, kernel or splitter of scikit-learn."""
    if "sklearn" not in sys.modules:
        return False
    kernels = loaded_classes("sklearn.gaussian_process.kernels", "Kernel")
    return is_estimator(value) or isinstance(value, (*kernels, *_splitters()))


def parameters_of(value: Any, place: Place) -> dict[str, Any]:
    """The parameters that an estimator, kernel or splitter was made from, by name.

    Raises:
        ConfigError: it does not keep them.
    """
    if isinstance(value, _splitters()):
        return _parameters_of_splitter(value, place)
    try:
        return dict(value.get_params(deep=False))
    except Exception as error:  # an estimator of one's own, which does not keep what it was given
        raise place.error(f"is {type_of(value)[8:]}, whose get_params() failed: {error}", _KEEP) from error


def distribution_of(value: Any) -> dict[str, Any] | None:
    """A frozen distribution of scipy.stats by its name there and its parameters; None of any other value."""
    if not isinstance(value, loaded_classes("scipy.stats._distn_infrastructure", "rv_frozen")):
        return None
    known: Any = getattr(sys.modules["scipy.stats"], str(value.dist.name), None)
    # One of the user's own may have the name of another, or another range.
    if type(known) is not type(value.dist) or (known.a, known.b) != (value.dist.a, value.dist.b):
        return None
    return {"__class__": f"scipy.stats:{value.dist.name}", "args": value.args, "kwds": value.kwds}


def _splitters() -> Any:
    return (
        *loaded_classes("sklearn.model_selection", "BaseCrossValidator", "BaseShuffleSplit"),
        *loaded_classes("sklearn.model_selection._split", "_RepeatedSplits"),
    )


def _parameters_of_splitter(splitter: Any, place: Place) -> dict[str, Any]:
    import inspect  # slow to import, and rarely needed

    # What is repeated keeps the parameters of what it repeats apart.
    kept = {**getattr(splitter, "cvargs", {}), **vars(splitter)}
    names = inspect.signature(type(splitter)).parameters
    for name in names:
        if name not in kept:
            raise place.error(f"is {type_of(splitter)[8:]}, which does not keep its parameter {name!r}", _KEEP)
    return {name: kept[name] for name in names}
