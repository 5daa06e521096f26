"""The origin's fixed weights, tried by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Unpack

from moola_losses.balancer import BalancerConfig, Options
from moola_losses.claims import Claims
from moola_losses.static import Static

Scheme = Literal["10/70/10/10", "10/60/10/20"]
NAMES = ("type", "pointers", "span", "countdown")


class OriginManual(Static):
    """sum_k w_k L_k with 10, 70, 10 and 10 % for type, pointers, span and countdown, or 10, 60, 10 and 20 %.

    What it does not do: losses differ in unit and slope, so that these shares are not those of anything. Near
    the origin's first losses (.69, .0095, .25, 16) the second scheme's countdown makes 97 % of the sum.

    Args:
        tasks: Among the four.
        scheme: Which.
        options: As `Balancer`.

    >>> {task: round(w, 6) for task, w in OriginManual(("pointers", "span")).coefficients().items()}
    {'pointers': 0.7, 'span': 0.1}
    """

    claims: ClassVar[Claims] = Claims(common_scale="equivariant", twins=False, names=NAMES)

    def __init__(
        self, tasks: Sequence[str], *, scheme: Scheme = "10/70/10/10", **options: Unpack[Options]
    ) -> None:
        if scheme not in ("10/70/10/10", "10/60/10/20"):
            raise ValueError(f"scheme: want '10/70/10/10' or '10/60/10/20', got {scheme!r}")
        shares = [int(share) / 100 for share in scheme.split("/")]
        by_name = dict(zip(NAMES, shares, strict=True))
        super().__init__(tasks, weights={task: by_name.get(task, 0.0) for task in tasks}, **options)
        strangers = [task for task in self.tasks if task not in by_name]
        if strangers:
            raise ValueError(f"tasks: want names among {list(NAMES)}, got {strangers[0]!r}")


class OriginManualConfig(BalancerConfig):
    """Configuration of `OriginManual`."""

    kind: Literal["origin_manual"] = "origin_manual"
    scheme: Scheme = "10/70/10/10"

    def build(self, tasks: Sequence[str]) -> OriginManual:
        """Makes the balancer."""
        return OriginManual(tasks, scheme=self.scheme, **self.options())
