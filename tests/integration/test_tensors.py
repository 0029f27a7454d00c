"""Tensors of PyTorch and arrays of JAX are the numbers that they hold, as NumPy's arrays are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Repository
from systems import needs

from pyrepro import Artifact, ConfigError, canonical_json, config_hash


def form_of(value: object) -> Any:
    return json.loads(canonical_json(value))


@needs("numpy")
@needs("torch")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "complex64", "int64", "uint16", "uint8", "bool"])
def test_a_large_tensor_has_the_hash_of_the_array_of_its_numbers(dtype: str) -> None:
    import numpy
    import torch

    array = numpy.arange(1200).astype(dtype).reshape(40, 30)
    tensor = torch.from_numpy(array)
    assert config_hash(tensor) == config_hash(array)
    # How it lies in memory is no part of it.
    assert config_hash(tensor.T) == config_hash(tensor.T.contiguous()) == config_hash(array.T)


BEYOND_NUMPY = ["bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"]


@needs("ml_dtypes")
@needs("torch")
@pytest.mark.parametrize("dtype", BEYOND_NUMPY)
def test_a_tensor_of_numbers_that_numpy_does_not_know_has_the_hash_of_the_array_of_its_numbers(dtype: str) -> None:
    import ml_dtypes
    import numpy
    import torch

    numbers = numpy.linspace(0.25, 3, 1200, dtype="float32").reshape(40, 30)
    tensor = torch.from_numpy(numbers).to(getattr(torch, dtype))
    array = tensor.to(torch.float32).numpy().astype(getattr(ml_dtypes, dtype))
    form = form_of(tensor)
    assert form == form_of(array)
    assert (form["dtype"], form["shape"]) == (dtype, [40, 30])
    assert config_hash(tensor.T) == config_hash(array.T) != config_hash(array)
    assert config_hash(tensor[:3]) == config_hash(array[:3]) == config_hash(array[:3].tolist())
    assert config_hash(tensor[3, 4]) == config_hash(array[3, 4]) == config_hash(float(array[3, 4]))


@needs("ml_dtypes")
def test_an_input_of_numbers_that_numpy_does_not_know_counts_by_kind_and_values(repository: Repository) -> None:
    import ml_dtypes
    import numpy

    @Artifact("outpath", inputs="weights", repo=repository.path)
    def save(outpath: str, weights: Any) -> str:
        return outpath

    def name(dtype: str, *values: float) -> str:
        return save("foo", numpy.array(values, getattr(ml_dtypes, dtype, dtype)))

    names = [name(dtype, 0, 1) for dtype in ("bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "float16")]
    assert len({*names}) == len(names)
    assert name("bfloat16", 0, 1) == name("bfloat16", -0.0, 1) != name("bfloat16", 0, 2)


@needs("torch")
def test_a_tensor_is_an_input_as_the_message_says(repository: Repository) -> None:
    import torch

    @Artifact("outpath", inputs="weights", repo=repository.path)
    def save(outpath: str, weights: Any) -> str:
        return outpath

    weights = torch.zeros(3, requires_grad=True)
    with pytest.raises(TypeError) as error:
        save("foo", weights)
    assert "; pass .numpy(force=True) of it; " in str(error.value)
    assert save("foo", weights.numpy(force=True)) != "foo"


@needs("torch")
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_large_tensors_of_other_types_differ() -> None:
    import torch

    bits = torch.full((4800,), 0x3C, dtype=torch.uint8)
    kinds = [torch.uint8, *[getattr(torch, name) for name in BEYOND_NUMPY], torch.complex32, torch.float16]
    assert len({config_hash(bits.view(kind)) for kind in kinds}) == len(kinds)
    assert form_of(torch.full((1200,), 1 + 2j, dtype=torch.complex32).conj())["dtype"] == "complex32"


@needs("torch")
@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2)])
def test_a_tensor_of_no_elements_has_the_hash_of_the_array(shape: tuple[int, ...]) -> None:
    import numpy
    import torch

    assert config_hash(torch.zeros(shape)) == config_hash(numpy.zeros(shape, "f4")) != config_hash([])


@needs("torch")
def test_a_tensor_is_its_numbers_whatever_it_remembers_of_how_they_were_made() -> None:
    import torch

    tensor = torch.tensor([0.5, 2.0], requires_grad=True)
    assert form_of({"small": tensor, "number": (2 * tensor).sum()}) == {"small": [0.5, 2], "number": 5}
    large = torch.zeros(1200, requires_grad=True)
    assert config_hash(2 * large) == config_hash(torch.zeros(1200))
    turned = torch.full((1200,), 1 + 2j).conj()
    assert config_hash(turned) == config_hash(torch.full((1200,), 1 - 2j))


@needs("torch")
@pytest.mark.parametrize("amount", [3, 1200])
@pytest.mark.parametrize("kind", ["parameter", "sparse", "meta"])
def test_a_tensor_that_is_more_or_less_than_its_numbers_is_refused(kind: str, amount: int) -> None:
    import torch

    tensors = {
        "parameter": lambda: torch.nn.Parameter(torch.zeros(amount)),
        "sparse": lambda: torch.zeros(amount).to_sparse(),
        "meta": lambda: torch.zeros(amount, device="meta"),
    }
    with pytest.raises(ConfigError) as error:
        config_hash({"weights": tensors[kind]()})
    assert error.value.place == "config['weights']"


def remedy_for(value: object) -> str:
    with pytest.raises(ConfigError) as error:
        config_hash(value)
    return str(error.value).rpartition("; ")[2]


@needs("torch")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_parameter_is_passed_as_the_message_says(dtype: str) -> None:
    import torch

    parameter = torch.nn.Parameter(torch.tensor([0.5, 2.0], dtype=getattr(torch, dtype)))
    assert remedy_for(parameter) == "pass .as_subclass(torch.Tensor) of it, and what it carries besides"
    assert form_of(parameter.as_subclass(torch.Tensor)) == [0.5, 2]
    assert remedy_for(torch.channels_last) == "pass str() of it"
    assert remedy_for(torch.Generator()) == "pass the seed that it was made from"


@needs("jax")
def test_a_key_of_jax_is_passed_as_the_message_says() -> None:
    import jax

    key = jax.random.key(7)
    assert remedy_for(key) == "pass jax.random.key_data() of it"
    assert form_of(jax.random.key_data(key)) == [0, 7]


@needs("torch")
def test_the_names_of_pytorch_are_text() -> None:
    import torch

    assert form_of(
        [torch.float32, torch.device("cpu"), torch.nn.functional.relu, torch.optim.Adam, torch.Size([2])]
    ) == [
        "torch.float32",
        "cpu",
        "torch.nn.functional:relu",
        "torch.optim:Adam",
        [2],
    ]


@needs("numpy")
@needs("jax")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "complex64", "int32", "uint8", "bool"])
def test_a_large_array_of_jax_has_the_hash_of_the_array_of_its_numbers(dtype: str) -> None:
    import jax.numpy
    import numpy

    array = jax.numpy.arange(1200).reshape(40, 30).astype(dtype)
    assert config_hash(array) == config_hash(numpy.asarray(array))
    assert config_hash(array.T) == config_hash(numpy.asarray(array).T) != config_hash(array)


@needs("jax")
def test_a_small_array_of_jax_is_what_its_list_is() -> None:
    import jax

    values = {"small": jax.numpy.arange(3.0), "number": jax.numpy.float32(2), "seed": jax.random.PRNGKey(7)}
    assert form_of(values) == {"small": [0, 1, 2], "number": 2, "seed": [0, 7]}
    assert form_of([jax.nn.relu, jax.numpy.sin, jax.numpy.zeros(1).dtype]) == [
        "jax.nn:relu",
        "jax.numpy:sin",
        "float32",
    ]


@needs("jax")
@pytest.mark.parametrize("amount", [3, 1200])
def test_what_jax_is_still_tracing_has_no_numbers(amount: int) -> None:
    import jax

    @jax.jit
    def step(value: Any) -> Any:
        with pytest.raises(ConfigError) as error:
            config_hash({"value": value})
        assert error.value.place == "config['value']"
        assert str(error.value).endswith("; pass it from outside of what JAX transforms")
        return value

    step(jax.numpy.zeros(amount))
