import sys
from pathlib import Path

from omegaconf import OmegaConf

from pyrepro import Artifact

cfg = OmegaConf.merge(
    {"lr": 0.1, "warmup": "${lr}", "data": {"split": 0.8}},
    OmegaConf.from_cli(sys.argv[1:]),
)


@Artifact(keyword="outpath", config=cfg)
def train(outpath):
    Path(outpath).write_text(f"{cfg.warmup}\n")


@Artifact(keyword="outpath", config=lambda call: call["cfg"].data)
def split(cfg, outpath):
    Path(outpath).write_text(f"{cfg.data.split}\n")


train("out/model.txt")
split(cfg, "out/split.txt")
