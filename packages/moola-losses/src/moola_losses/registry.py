"""Finds a balancer's configuration by its `kind`: the package's own first, then those of others."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from pydantic import ValidationError

from moola_losses.aligned import AlignedConfig
from moola_losses.balancer import BalancerConfig
from moola_losses.cagrad import CAGradConfig
from moola_losses.conflict_free import ConFIGConfig
from moola_losses.db_mtl import DBMTLConfig
from moola_losses.dwa import DWAConfig
from moola_losses.ema_loss import EMALossConfig
from moola_losses.every import EveryConfig
from moola_losses.fairgrad import FairGradConfig
from moola_losses.famo import FAMOConfig
from moola_losses.gls import GLSConfig
from moola_losses.gradnorm import GradNormConfig
from moola_losses.gradscale import GradScaleConfig
from moola_losses.gradvac import GradVacConfig
from moola_losses.imtl_g import IMTLGConfig
from moola_losses.imtl_l import IMTLLConfig
from moola_losses.initial_loss import InitialLossConfig
from moola_losses.log_sum import LogSumConfig
from moola_losses.mgda import MGDAConfig
from moola_losses.nash import NashConfig
from moola_losses.origin_manual import OriginManualConfig
from moola_losses.origin_output_root import OriginOutputRootConfig
from moola_losses.origin_running_mean import OriginRunningMeanConfig
from moola_losses.origin_shared_scale import OriginSharedScaleConfig
from moola_losses.origin_uncertainty import OriginUncertaintyConfig
from moola_losses.origin_z_score import OriginZScoreConfig
from moola_losses.pcgrad import PCGradConfig
from moola_losses.rlw import RLWConfig
from moola_losses.static import StaticConfig
from moola_losses.stch import STCHConfig
from moola_losses.uncertainty import UncertaintyConfig
from moola_losses.unit import UnitConfig
from moola_losses.upgrad import UPGradConfig
from moola_losses.uw_so import UWSOConfig

GROUP = "moola_losses.balancers"
"""Entry-point group in which another package names its own `BalancerConfig` under its kind."""

_CONFIGS: tuple[type[BalancerConfig], ...] = (
    StaticConfig,
    UnitConfig,
    InitialLossConfig,
    EMALossConfig,
    LogSumConfig,
    GLSConfig,
    UncertaintyConfig,
    IMTLLConfig,
    UWSOConfig,
    DWAConfig,
    RLWConfig,
    FAMOConfig,
    STCHConfig,
    GradScaleConfig,
    GradNormConfig,
    DBMTLConfig,
    PCGradConfig,
    GradVacConfig,
    UPGradConfig,
    MGDAConfig,
    CAGradConfig,
    NashConfig,
    FairGradConfig,
    AlignedConfig,
    IMTLGConfig,
    ConFIGConfig,
    EveryConfig,
    OriginManualConfig,
    OriginOutputRootConfig,
    OriginRunningMeanConfig,
    OriginSharedScaleConfig,
    OriginUncertaintyConfig,
    OriginZScoreConfig,
)

BUILT_IN: Mapping[str, type[BalancerConfig]] = {c.model_fields["kind"].default: c for c in _CONFIGS}
"""This package's own configurations by kind."""


def balancer_class(kind: str) -> type[BalancerConfig]:
    """Returns the configuration class of a kind.

    Raises:
        ValueError: If no installed package offers the kind.
        TypeError: If what a package offers is not a `BalancerConfig`.
    """
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in offered:
        raise ValueError(f"kind: want one of {sorted([*BUILT_IN, *offered])}, got {kind!r}")
    found: object = offered[kind].load()
    if not (isinstance(found, type) and issubclass(found, BalancerConfig)):
        raise TypeError(f"entry point {GROUP}:{kind}: want a subclass of BalancerConfig, got {found!r}")
    return found


def resolve_balancer(value: object) -> BalancerConfig:
    """Turns a kind, a mapping with a ``kind`` or a finished configuration into a configuration.

    >>> config = resolve_balancer({"kind": "uncertainty", "log_sigma": {"pointers": -0.3}})
    >>> config.build(("type", "pointers")).sigma()["type"]
    1.0

    Raises:
        ValueError: If the kind is unknown or a field does not fit it.
    """
    if isinstance(value, BalancerConfig):
        return value
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise ValueError(f"balancer: want a kind or a mapping with a kind, got {value!r}")
    try:
        return balancer_class(value["kind"]).model_validate(dict(value))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"balancer {value['kind']!r}: {found}") from None
