"""Task losses and loss balancers for multi-task training.

>>> import torch
>>> from moola_losses import BarBCE, UncertaintyWeighting
>>> logits, marks = torch.zeros(2, 5), torch.ones(2, 5)
>>> total, weight = BarBCE()(logits, marks, torch.tensor([True, False]), torch.ones(2))
>>> float(weight)
5.0
>>> balancer = UncertaintyWeighting(("span", "type"))
>>> balancer({"span": total / weight, "type": torch.tensor(1.0)}).shape
torch.Size([])
"""

from importlib.metadata import version

from moola_losses.balancer import Balancer, BalancerConfig
from moola_losses.bar_bce import BarBCE
from moola_losses.cross_entropy import CrossEntropy
from moola_losses.doctor import Doctor
from moola_losses.huber import Huber, UnitHuber
from moola_losses.log_likelihood import LogLikelihood
from moola_losses.protocol import LossSum, TaskLoss
from moola_losses.registry import resolve_balancer
from moola_losses.static import Static
from moola_losses.uncertainty import UncertaintyWeighting

__version__ = version("moola-losses")

__all__ = [
    "Balancer",
    "BalancerConfig",
    "BarBCE",
    "CrossEntropy",
    "Doctor",
    "Huber",
    "LogLikelihood",
    "LossSum",
    "Static",
    "TaskLoss",
    "UncertaintyWeighting",
    "UnitHuber",
    "resolve_balancer",
]
