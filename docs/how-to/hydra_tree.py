from pathlib import Path

import hydra

from pyrepro import Artifact


@Artifact(
    keyword="outpath",
    config=dict,
    cache=True,
    ignore=["cfg.paths", "cfg.trainer.devices"],
)
def train(cfg, outpath):
    print(f"training in {cfg.paths.run}")
    Path(outpath).write_text(f"{cfg.model.name} of depth {cfg.model.depth}\n")


@hydra.main(version_base=None, config_path="conf_tree", config_name="config")
def main(cfg):
    print(train(cfg, outpath="out/model.txt"))


if __name__ == "__main__":
    main()
