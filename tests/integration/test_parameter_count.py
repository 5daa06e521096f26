"""The number of parameters that the first system printed: its network's and its loss weighting's."""

from moola_losses.uncertainty import UncertaintyWeighting
from moola_models import Jade, compact


def test_network_and_kendall_weighting_together_have_97547():
    model = Jade(compact(12, classes=3))
    balancer = UncertaintyWeighting(model.tasks, log_sigma={"pointers": -0.3})
    network = sum(p.numel() for p in model.parameters())
    assert network == 97_543
    assert network + sum(p.numel() for p in balancer.parameters()) == 97_547
