import torch

from pyrepro import canonical_json

config = {
    "weights": torch.tensor([0.5, 2.0]),
    "optimizer": torch.optim.SGD,
    "init": torch.nn.init.zeros_,
}
print(canonical_json(config).decode())
