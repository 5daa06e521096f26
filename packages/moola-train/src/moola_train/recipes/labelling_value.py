"""What a window is worth to those who label: what they would put right, and what the network cannot yet know.

The network's posterior stands for what a person might mark. Sets of spans are drawn from it; of these, the
one that is expected to be wrong least often is the network's answer, and what remains wrong are spans of the
answer that a person would strike out, and spans that a person would add. Some of that no label would ever
cure: markets are noisy. What labels can cure is where the network contradicts itself when parts of it are
left out (Houlsby et al. 2011; Gal and Ghahramani 2016). The value adds up both, each in units of its mean
over the windows.

n windows, K bars, S drawn sets, R width of the encoder's state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from moola_models import Jade
from moola_models.candidates import sample_marks
from moola_models.disagreement import disagreement_of_bars
from moola_models.dropout_samples import dropout_samples
from moola_models.expected_f1 import match_counts
from moola_train.protocols import Data
from moola_train.recipes.answers import STRUCTURED

Float = npt.NDArray[np.float64]
RATE = 0.2
"""Share that is dropped of a network which was trained without dropout."""


class LabellingValues(NamedTuple):
    """What the network makes of n windows that nobody has labelled."""

    value: Float
    """What a label is worth, 0 or more; 2 is usual among these windows, (n,)."""
    errors: Float
    """Spans that a person is expected to strike out of the network's answer or to add to it, (n,)."""
    spans: Float
    """Spans that a person is expected to mark, (n,): what labelling costs."""
    marks: npt.NDArray[np.bool_]
    """The network's answer: bars in spans, (n, K)."""
    probability: npt.NDArray[np.float32]
    """Of every bar to lie in a span: its share among the drawn sets, (n, K)."""
    information: Float
    """Nats that the bars' marks tell about the network's weights, (n,); NaN where that was not asked."""
    encoding: npt.NDArray[np.float32]
    """Mean state of the encoder, (n, R)."""


def labelling_values(
    model: Jade,
    data: Data,
    *,
    samples: int = 64,
    passes: int = 8,
    seed: int = 0,
    batch_size: int = 64,
    told: Callable[[int, int], None] | None = None,
) -> LabellingValues:
    """Asks a network about windows.

    Args:
        model: Trained, with a head ``span``. A structured head's own sets are drawn. Of a head that judges
            every bar alone, the bars above evenly spread thresholds are the sets: every bar lies in the right
            share of them.
        data: The windows, as `moola_train.recipes.unlabelled.UnlabelledWindows`.
        samples: Sets a window, S.
        passes: How often the network is asked with its dropouts on, for the information; 0 leaves that out,
            and the value is then that of the errors alone. Of one pass, or of passes that agree, it is 0.
        seed: Of the draws.
        batch_size: Windows at a time.
        told: Of windows that are done, and how many there are.

    Raises:
        ValueError: There are no windows, or a number is too small.
    """
    for name, number, least in (
        ("samples", samples, 1),
        ("passes", passes, 0),
        ("batch_size", batch_size, 1),
        ("data", len(data), 1),
    ):
        if number < least:
            raise ValueError(f"{name}: want {least} or more, got {number}")
    chance = torch.Generator().manual_seed(seed)
    parts = []
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for number, rows in enumerate(torch.arange(len(data)).split(batch_size)):
                x_BKF = data.batch(rows).inputs
                z_BKR = model.encode(x_BKF)
                drawn_BSK = drawn_marks(model, z_BKR, samples, generator=chance)
                information = np.full(len(rows), np.nan)
                if passes:
                    information = _information(model, x_BKF, passes, seed=seed * 1_000_003 + number)
                parts.append(_asked(drawn_BSK, information, z_BKR))
                if told is not None:
                    told(int(rows[-1]) + 1, len(data))
    finally:
        model.train(was_training)
    asked = _Asked(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    value = _in_means(asked.errors) + (_in_means(asked.information) if passes else _in_means(asked.errors))
    return LabellingValues(value, *asked)


class _Asked(NamedTuple):
    errors: Float
    spans: Float
    marks: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float32]
    information: Float
    encoding: npt.NDArray[np.float32]


def drawn_marks(
    model: Jade, z_BKR: torch.Tensor, samples: int, *, generator: torch.Generator
) -> torch.Tensor:
    """Sets of spans that a person might mark, equally likely ones, bool (B, S, K).

    Args:
        model: With a head ``span``.
        z_BKR: The encoder's states of a batch of windows.
        samples: Sets a window.
        generator: Source of randomness; a head that judges every bar alone needs none.
    """
    head, states = model.head("span"), model.states(z_BKR)
    if isinstance(head, STRUCTURED):
        return sample_marks(head.distribution(states), samples, generator=generator)
    thresholds_S = (torch.arange(samples, device=z_BKR.device) + 0.5) / samples
    inside_BK: torch.Tensor = head(states).sigmoid()
    return inside_BK[:, None] >= thresholds_S[:, None]


def _asked(drawn_BSK: torch.Tensor, information: Float, z_BKR: torch.Tensor) -> _Asked:
    said_BS = _spans(drawn_BSK)
    true_B = said_BS.mean(1)
    matched_BS = match_counts(drawn_BSK, drawn_BSK).mean(2)
    errors_BS = said_BS + true_B[:, None] - 2 * matched_BS
    # To mark nothing is an answer too, whether drawn or not: all spans are then to be added.
    least_B, which_B = errors_BS.min(1)
    marks_BK = drawn_BSK[torch.arange(len(which_B)), which_B] & (least_B < true_B)[:, None]
    return _Asked(
        torch.minimum(least_B, true_B).clamp(min=0).cpu().numpy(),
        true_B.cpu().numpy(),
        marks_BK.cpu().numpy(),
        drawn_BSK.float().mean(1).cpu().numpy(),
        information,
        z_BKR.float().mean(1).cpu().numpy(),
    )


def _information(model: Jade, x_BKF: torch.Tensor, passes: int, *, seed: int) -> Float:
    """Mutual information of marks and dropped parts, in nats, summed over the bars, (B,)."""
    config = model.config
    own = max(config.input_dropout, config.layer_dropout, config.dense_dropout) > 0
    drawn = dropout_samples(model, x_BKF, samples=passes, seed=seed, rate=None if own else RATE)
    inside_SBK = drawn[model.tasks.index("span")].double().sigmoid()
    nats: Float = disagreement_of_bars(inside_SBK).information.sum(1).cpu().numpy()
    return nats


def _in_means(numbers: Float) -> Float:
    mean = numbers.mean()
    return numbers / mean if mean > 0 else np.zeros_like(numbers)


def _spans(marks_BSK: torch.Tensor) -> torch.Tensor:
    opens = marks_BSK & ~torch.nn.functional.pad(marks_BSK, (1, 0))[..., :-1]
    return opens.sum(2).double()
