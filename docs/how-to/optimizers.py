from dataclasses import dataclass


@dataclass
class SGD:
    lr: float
    momentum: float = 0.0


@dataclass
class Adam:
    lr: float
