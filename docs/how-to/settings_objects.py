import attrs
import pydantic

from pyrepro import canonical_json


class Data(pydantic.BaseModel):
    split: float = 0.8
    seed: int = 3


@attrs.define
class Model:
    layers: list[int]
    data: Data


print(canonical_json(Model(layers=[64, 10], data=Data())).decode())
