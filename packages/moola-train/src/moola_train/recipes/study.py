"""A study: variants of data and run, seeds, and the claims they decide. Written down as a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from moola_train.recipes.argument_names import Argument
from moola_train.recipes.journal_source import JOURNAL_SOURCES
from moola_train.recipes.journal_trial import JournalRun
from moola_train.recipes.proxy_rules import Rules
from moola_train.recipes.run_config import RunConfig, recipe_values
from moola_train.recipes.study_data import SOURCES

FUNCTIONS = {
    "trial": "moola_train.recipes.trial:trial",
    "proxy_trial": "moola_train.recipes.proxy_trial:proxy_trial",
    "journal_trial": "moola_train.recipes.journal_trial:journal_trial",
    "argument_trial": "moola_train.recipes.argument_trial:argument_trial",
}
Function = Literal["trial", "proxy_trial", "journal_trial", "argument_trial"]
Values = dict[str, Any]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Variant(_Section):
    """One thing to try."""

    name: str
    source: Values = {}
    """What differs from the study's data."""
    run: Values = {}
    """What differs from the study's configuration; a ``balancer`` is replaced, all else merged."""
    function: Function | None = None
    """Another trial than the study's."""
    recipe: str | None = None
    """Another configuration to begin with than the study's."""
    members: Annotated[int, Field(ge=1)] = 1
    """Networks of different seeds trained on the same draw, whose answers are averaged."""


class Pick(_Section):
    """A row of its own: for every seed the variant that did best on inner data, as a user would tune."""

    name: str
    among: Annotated[tuple[str, ...], Field(min_length=2)]
    by: Annotated[str, Field(pattern="^inner/")]
    """A metric of inner data; one of reported data is refused."""
    want: Literal["highest", "lowest"]


class Condition(_Section):
    """What the mean over seeds has to be, with its interval: all of it above, below or near a number."""

    metric: str
    of: str
    """A variant."""
    less: str | None = None
    """Another variant, whose value of the same seed is taken away."""
    less_metric: str | None = None
    """Another metric, of the same seed, that is taken away; `metric` unless given."""
    over: str | None = None
    """A metric of the same run that divides."""
    want: Literal["above", "below", "near"]
    number: float = 0.0
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    """Of "near"."""


class Claim(_Section):
    """A statement of the brief, and what would show it."""

    id: str
    where: str
    """Which part of the brief says so."""
    says: str
    expects: Annotated[tuple[Condition, ...], Field(min_length=1)]
    """All of them hold if the statement does."""
    unless: tuple[Condition, ...] = ()
    """If these hold too, the statement is true for another reason than the brief's."""
    reason: str = ""
    """What the numbers show instead, said where they do: with "refuted" and "true for another reason"."""


class Reference(_Section):
    """A figure that the brief reports, to stand in the picture."""

    metric: str
    value: float
    label: str


class Quick(_Section):
    """What `--quick` changes: smaller, one seed, no verdict."""

    seeds: tuple[int, ...] = (0,)
    source: Values = {}
    run: Values = {}
    variants: tuple[str, ...] | None = None
    """Only these; all unless given."""


class Study(_Section):
    """The whole file."""

    schema_version: Literal[1] = 1
    name: str
    title: str
    question: str
    function: Function = "trial"
    """What a trial is: a network's training, a rule's, that of the journal's network, or a computation."""
    alone: bool = False
    """Left out of `moola study all`: it has a size of its own."""
    recipe: str = "origin"
    """The configuration that `run` changes; a rule has none."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2, 3, 4)
    source: Values
    run: Values = {}
    columns: tuple[str, ...]
    """Metrics of the table; none lists every number of every variant."""
    picture: tuple[str, ...] = ("test/bar_f1", "test/span_f1")
    """Metrics of the picture, a panel each; none draws none."""
    line_over: str | None = None
    """Draw lines over this number of a variant's data, such as ``windows``: a panel for each crossing and
    metric, a line for each beginning of the variants' names, up to the comma."""
    reference: tuple[Reference, ...] = ()
    variant: Annotated[tuple[Variant, ...], Field(min_length=1)]
    cross: tuple[Variant, ...] = ()
    """Each is laid over every variant, whose name it lengthens; ``""`` leaves it. None: variants alone."""
    pick: tuple[Pick, ...] = ()
    claim: tuple[Claim, ...] = ()
    quick: Quick = Quick()

    @model_validator(mode="after")
    def _names_fit(self) -> Study:
        names = [variant.name for variant in self.variants()]
        if len(set(names)) < len(names):
            raise ValueError(f"variant: want different names, got {names}")
        conditions = [c for claim in self.claim for c in (*claim.expects, *claim.unless)]
        asked = [c.of for c in conditions] + [c.less for c in conditions if c.less is not None]
        asked += self.quick.variants or ()
        strange = sorted({*asked} - {*names, *(pick.name for pick in self.pick)})
        strange += sorted({name for pick in self.pick for name in pick.among} - set(names))
        if strange:
            raise ValueError(f"claim: want variants among {names}, got {strange[0]!r}")
        if taken := sorted({pick.name for pick in self.pick} & set(names)):
            raise ValueError(f"pick: want a name of its own, got {taken[0]!r}")
        for quick in (False, True):
            for variant, _, job in self.jobs(quick=quick):
                try:
                    function = job.get("function", self.function)
                    if function == "journal_trial":
                        JOURNAL_SOURCES.validate_python(job["source"])
                        JournalRun.model_validate(job["run"]).config(0)
                    else:
                        SOURCES.validate_python(job["source"])
                    if function == "trial":
                        RunConfig.model_validate(job["run"])
                    elif function == "proxy_trial":
                        Rules.model_validate(job["run"])
                    elif function == "argument_trial":
                        Argument.model_validate(job["run"])
                except ValidationError as error:
                    lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
                    raise ValueError(f"variant {variant!r}: " + "; ".join(lines)) from None
        return self

    def chosen(self, *, quick: bool) -> tuple[Variant, ...]:
        """The variants to be run."""
        only = self.quick.variants if quick else None
        return tuple(v for v in self.variants() if only is None or v.name in only)

    def variants(self) -> tuple[Variant, ...]:
        """All variants, under every crossing."""
        if not self.cross:
            return self.variant
        return tuple(_crossed(variant, other) for other in self.cross for variant in self.variant)

    def jobs(self, *, quick: bool) -> list[tuple[str, int, dict[str, JsonValue]]]:
        """Lists every trial: its variant, its seed, and its parameters, those of `trial.trial`."""
        listed: list[tuple[str, int, dict[str, JsonValue]]] = []
        for variant in self.chosen(quick=quick):
            run = merged(self._begun(variant), variant.run)
            source = variant.source if "kind" in variant.source else merged(self.source, variant.source)
            if quick:
                run, source = merged(run, self.quick.run), merged(source, self.quick.source)
            more: dict[str, JsonValue] = {} if variant.members == 1 else {"members": variant.members}
            if self.mixed:
                more["function"] = variant.function or self.function
            listed += [
                (variant.name, seed, {"source": source, "run": run, "seed": seed, **more})
                for seed in (self.quick.seeds if quick else self.seeds)
            ]
        return listed

    @property
    def mixed(self) -> bool:
        """Whether trials are of several kinds; each job then names its own."""
        return any(variant.function is not None for variant in self.variants())

    def _begun(self, variant: Variant) -> Values:
        """What a variant's run changes; the study's is none of a trial of another kind."""
        if variant.function not in (None, self.function):
            return recipe_values(variant.recipe or self.recipe) if variant.function == "trial" else {}
        if self.function != "trial":
            return self.run
        return merged(recipe_values(variant.recipe or self.recipe), self.run)


def _crossed(variant: Variant, other: Variant) -> Variant:
    return Variant(
        name=" ".join(name for name in (variant.name, other.name) if name),
        source=merged(variant.source, other.source),
        run=merged(variant.run, other.run),
        function=variant.function or other.function,
        recipe=variant.recipe or other.recipe,
        members=variant.members * other.members,
    )


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """Lays changes over a nested mapping; one with a ``kind`` of its own replaces what was there.

    >>> merged({"fit": {"epochs": 5, "seed": 1}}, {"fit": {"epochs": 9}})
    {'fit': {'epochs': 9, 'seed': 1}}
    """
    result = dict(base)
    for key, value in changes.items():
        before = result.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and "kind" not in value:
            result[key] = merged(before, value)
        else:
            result[key] = value
    return result


def study_names() -> tuple[str, ...]:
    """Lists the studies that the package holds, in the order of their numbers."""
    found = [f.name.removesuffix(".toml").partition("_") for f in _folder().iterdir() if "_" in f.name]
    return tuple(name for _, _, name in sorted(found, key=lambda parts: int(parts[0])))


def load_study(name: str) -> Study:
    """Reads a study of the package.

    Raises:
        ValueError: There is none of that name, or its file is not sound.
    """
    for file in _folder().iterdir():
        if "_" in file.name and file.name.partition("_")[2] == f"{name}.toml":
            return parse_study(file.read_text(encoding="utf-8"))
    raise ValueError(f"study: want one of {', '.join(study_names())} or all, got {name!r}")


def parse_study(text: str) -> Study:
    """Reads a study from TOML.

    Raises:
        ValueError: It is no TOML, or a key is unknown or refused.
    """
    try:
        return Study.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"study: want TOML, got {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError("study: " + "; ".join(lines)) from error


def _folder() -> Traversable:
    return files("moola_train").joinpath("studies")
