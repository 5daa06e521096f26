"""The keys of a configuration: all their dotted names, and which of them a table may hold.

What a balancer, head, encoder or schedule may be told depends on its kind, also on kinds that other packages
offer; so the keys are read from the classes and not listed anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import FieldInfo

from moola_data.features import FEATURE_SETS
from moola_data.features import GROUP as FEATURE_GROUP
from moola_losses import registry as losses
from moola_losses.balancer import BalancerConfig
from moola_losses.schedules import Constant, Linear, OriginCliff, Schedule, WarmUp
from moola_models import registry as models
from moola_models.heads import HeadConfig
from moola_train.recipes.near_names import did_you_mean

MANY = 12
"""So many names are listed even where one of them is suggested."""
Table = type[Any]
"""A class of pydantic's: a model, or a dataclass as the task losses are."""


class Names(NamedTuple):
    """Names that may stand at a place."""

    own: tuple[str, ...]
    group: str | None = None
    """Entry points in which other packages offer more; asked only where it matters, for it takes a while."""

    def all(self) -> tuple[str, ...]:
        """Lists them."""
        return (*self.own, *(_offered(self.group) if self.group else ()))


FEATURES = Names(tuple(FEATURE_SETS), FEATURE_GROUP)


class Kinds(NamedTuple):
    """The tables that a place takes, told apart by their ``kind``."""

    names: Names
    table: Callable[[str], Table]


class Place(NamedTuple):
    """What may stand under a key. All are empty where only a plain value may."""

    table: Table | None = None
    kinds: Kinds | None = None
    inside: object = None
    """Of a mapping: what its values may be."""
    names: tuple[str, ...] | None = None
    """Of a mapping: the keys that it may have; None for any."""


def _offered(group: str) -> tuple[str, ...]:
    return tuple(sorted(point.name for point in entry_points(group=group)))


def _chosen(tables: tuple[Table, ...]) -> Kinds:
    by_kind = {str(_fields(table)["kind"].default): table for table in tables}
    return Kinds(Names(tuple(by_kind)), by_kind.__getitem__)


def _family(base: Table) -> Kinds | None:
    if base is BalancerConfig:
        return Kinds(Names(tuple(losses.BUILT_IN), losses.GROUP), losses.balancer_class)
    if base is HeadConfig:
        return Kinds(Names(tuple(models.BUILT_IN), models.GROUP), models.head_class)
    if base is Schedule:
        return _chosen((Constant, Linear, WarmUp, OriginCliff))
    return None


def _is_table(annotation: object) -> bool:
    if not isinstance(annotation, type):
        return False
    return issubclass(annotation, BaseModel) or is_pydantic_dataclass(annotation)


def _fields(table: Table) -> Mapping[str, FieldInfo]:
    found: Mapping[str, FieldInfo] = (
        table.model_fields if issubclass(table, BaseModel) else table.__pydantic_fields__
    )
    return found


def place(annotation: object) -> Place:
    """Says what an annotation of a configuration's field lets stand there."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return place(get_args(annotation)[0])
    if origin in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        tables = tuple(m for m in members if _is_table(m))
        if len(members) == 1:
            return place(members[0])
        return Place(kinds=_chosen(tables)) if len(tables) == len(members) else Place()
    if origin is dict:
        key, inside = get_args(annotation)
        return Place(inside=inside, names=get_args(key) if get_origin(key) is Literal else None)
    if isinstance(annotation, type) and _is_table(annotation):
        kinds = _family(annotation)
        return Place(table=annotation) if kinds is None else Place(kinds=kinds)
    return Place()


def dotted_keys(table: Table) -> tuple[str, ...]:
    """Lists all keys of a configuration, those of every kind included.

    >>> from moola_train.config import FitConfig
    >>> "schedule.warmup_steps" in dotted_keys(FitConfig), "epochs" in dotted_keys(FitConfig)
    (True, True)
    """
    return tuple(dict.fromkeys(_keys(table, "", ())))


def _keys(table: Table, where: str, above: tuple[Table, ...]) -> Iterator[str]:
    if table in above:  # a balancer inside a balancer would never end
        return
    for name, field in _fields(table).items():
        yield from _below(place(field.annotation), f"{where}{name}", (*above, table))


def _below(spot: Place, name: str, above: tuple[Table, ...]) -> Iterator[str]:
    if spot.table is not None:
        yield from _keys(spot.table, f"{name}.", above)
    elif spot.kinds is not None:
        yield name
        for kind in spot.kinds.names.all():
            yield from _keys(spot.kinds.table(kind), f"{name}.", above)
    elif spot.inside is not None and spot.names is not None:
        for key in spot.names:
            yield from _below(place(spot.inside), f"{name}.{key}", above)
    else:
        yield name


def refuse_unknown(table: Table, values: Mapping[str, Any]) -> None:
    """Refuses keys, kinds and feature sets that there are not, and says which was probably meant.

    Args:
        table: The configuration.
        values: Nested, as of a TOML file. What else is wrong with them is not looked at.

    Raises:
        ValueError: Names the first one, dotted.
    """
    _check(table, values, "", table)


def _check(table: Table, values: Mapping[str, Any], where: str, root: Table) -> None:
    for key, value in values.items():
        name = f"{where}{key}"
        if key not in _fields(table):
            own = [f"{where}{known}" for known in _fields(table)]
            every = dotted_keys(root)
            if name in every:
                raise ValueError(f"{name}: no such key of this kind; want {', '.join(_fields(table))}")
            meant = did_you_mean(name, own) or did_you_mean(name, every)
            raise ValueError(f"{name}: no such key{meant or '; `moola settings` lists them'}")
        if key == "feature_set" and isinstance(value, str):
            _known(name, value, FEATURES)
        _check_place(place(_fields(table)[key].annotation), value, name, root)


def _check_place(spot: Place, value: object, name: str, root: Table) -> None:
    if isinstance(value, str) and spot.kinds is not None:
        _known(f"{name}.kind", value, spot.kinds.names)
    if not isinstance(value, Mapping):
        return
    if spot.table is not None:
        _check(spot.table, value, f"{name}.", root)
    elif spot.kinds is not None:
        if not isinstance(value.get("kind"), str):
            said = value.get("kind", "none")
            raise ValueError(f"{name}.kind: want one of {', '.join(spot.kinds.names.all())}, got {said}")
        _known(f"{name}.kind", value["kind"], spot.kinds.names)
        _check(spot.kinds.table(value["kind"]), value, f"{name}.", root)
    elif spot.inside is not None:
        for key, inner in value.items():
            if spot.names is not None and key not in spot.names:
                meant = did_you_mean(f"{name}.{key}", [f"{name}.{known}" for known in spot.names])
                raise ValueError(f"{name}.{key}: no such key{meant}; want one of {', '.join(spot.names)}")
            _check_place(place(spot.inside), inner, f"{name}.{key}", root)


def _known(name: str, word: str, names: Names) -> None:
    if word not in names.own and word not in (known := names.all()):
        meant = did_you_mean(word, known)
        wanted = f"{len(known)} known ones" if meant and len(known) > MANY else ", ".join(known)
        raise ValueError(f"{name}: want one of {wanted}, got {word!r}{meant}")
