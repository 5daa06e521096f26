"""Finds a head's configuration by its `kind`: the package's own first, then those other packages offer."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from pydantic import ValidationError

from moola_models.bar_heads import CountdownHeadConfig, SpanHeadConfig
from moola_models.bar_pointers_heads import EndPointersHeadConfig, SoftPointersHeadConfig
from moola_models.bio_head import BioHeadConfig
from moola_models.bucket_head import BucketHeadConfig
from moola_models.crf_head import CrfHeadConfig
from moola_models.heads import HeadConfig
from moola_models.pointers_head import PointersHeadConfig
from moola_models.scalar_countdown_head import ScalarCountdownHeadConfig
from moola_models.segment_head import SegmentHeadConfig
from moola_models.semi_markov_head import SemiMarkovHeadConfig
from moola_models.type_head import TypeHeadConfig

GROUP = "moola_models.heads"
"""Entry-point group in which another package names its own `HeadConfig` under its kind."""

BUILT_IN: Mapping[str, type[HeadConfig]] = {
    "type": TypeHeadConfig,
    "pointers": PointersHeadConfig,
    "pointers_soft": SoftPointersHeadConfig,
    "pointers_ends": EndPointersHeadConfig,
    "span": SpanHeadConfig,
    "countdown": CountdownHeadConfig,
    "countdown_scalar": ScalarCountdownHeadConfig,
    "countdown_buckets": BucketHeadConfig,
    "span_crf": CrfHeadConfig,
    "span_bio": BioHeadConfig,
    "span_segment": SegmentHeadConfig,
    "span_semi_markov": SemiMarkovHeadConfig,
}


def head_class(kind: str) -> type[HeadConfig]:
    """Returns the configuration class of a kind.

    Raises:
        ValueError: If no installed package offers the kind.
        TypeError: If what a package offers is not a `HeadConfig`.
    """
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in offered:
        raise ValueError(f"kind: want one of {sorted([*BUILT_IN, *offered])}, got {kind!r}")
    found: object = offered[kind].load()
    if not (isinstance(found, type) and issubclass(found, HeadConfig)):
        raise TypeError(f"entry point {GROUP}:{kind}: want a subclass of HeadConfig, got {found!r}")
    return found


def resolve_head(value: object) -> HeadConfig:
    """Turns a kind, a mapping with a ``kind`` or a finished configuration into a configuration.

    >>> resolve_head("type")
    TypeHeadConfig(kind='type', name='type', classes=3, hidden=None)
    >>> resolve_head({"kind": "type", "name": "origin", "classes": 2}).name
    'origin'

    Raises:
        ValueError: If the kind is unknown or a field does not fit it.
    """
    if isinstance(value, HeadConfig):
        return value
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise ValueError(f"head: want a kind or a mapping with a kind, got {value!r}")
    try:
        return head_class(value["kind"]).model_validate(dict(value))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"head {value['kind']!r}: {found}") from None
