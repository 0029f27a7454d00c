import numpy as np
import pandas as pd

from pyrepro import canonical_json

table = pd.DataFrame({"split": ["train", "test"], "share": [0.8, 0.2]})
config = {
    "lr": np.float32(0.5),
    "layers": np.array([64, 10]),
    "dtype": np.float32,
    "since": pd.Timestamp("2026-01-01"),
    "splits": table.to_dict("records"),
}
print(canonical_json(config).decode())
