"""OmegaConf and ml_collections: what their nodes and references stand for."""

from __future__ import annotations

import sys
from typing import Any

from pyrepro._config.fields import unset_placeholder
from pyrepro._config.place import Place
from pyrepro._config.scalars import form_of_key


def resolved(value: Any, place: Place) -> Any:
    """What a node of OmegaConf is when its interpolations are resolved."""
    omegaconf = sys.modules["omegaconf"]
    try:
        if place.ignored is not None and isinstance(value, omegaconf.DictConfig) and value:
            # Key by key: what is ignored may not resolve, and others may refer to it.
            return {key: value[key] for key in value if not place.leaves_out(form_of_key(key, place))}
        # A single value resolves in a container only.
        container = value if omegaconf.OmegaConf.is_config(value) else omegaconf.OmegaConf.create([value])
        plain = omegaconf.OmegaConf.to_container(container, resolve=True, throw_on_missing=True)
        return plain if container is value else plain[0]
    except omegaconf.errors.OmegaConfBaseException as error:
        raise place.error(f"does not resolve: {error}", "set the value that it needs") from error


def referred_to(reference: Any, place: Place) -> Any:
    """What a reference of ml_collections leads to."""
    try:
        return reference.get()
    except unset_placeholder() as error:
        raise place.error("is a placeholder that needs a value", "set it") from error
