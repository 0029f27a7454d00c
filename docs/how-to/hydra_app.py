from pathlib import Path

import hydra

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict)
def train(optimizer, epochs, outpath):
    Path(outpath).write_text(f"{optimizer} for {epochs} epochs\n")
    return outpath


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    optimizer = hydra.utils.instantiate(cfg.optimizer)
    print(train(optimizer, cfg.epochs, outpath="out/model.txt"))


if __name__ == "__main__":
    main()
