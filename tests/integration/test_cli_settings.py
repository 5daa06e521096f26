"""Settings of `moola`: every key is a flag, over a file, over defaults; types are those of TOML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from moola_losses.registry import BUILT_IN as BALANCERS
from moola_models.registry import BUILT_IN as HEADS
from moola_train.recipes.catalogue_config import CatalogueConfig
from moola_train.recipes.commands import run
from moola_train.recipes.config_keys import dotted_keys
from moola_train.recipes.near_names import nearest
from moola_train.recipes.overrides import dotted_flags
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.settings import (
    configured,
    read_journal_settings,
    read_run_settings,
    recipe_names,
)
from moola_train.recipes.settings_command import leaves


def values(config: BaseModel) -> dict[str, Any]:
    return dict(leaves(config.model_dump(mode="json")))


def other(value: object) -> str:
    """Another value of the same type, as written on a command line."""
    match value:
        case bool():
            return str(not value).lower()
        case int():
            return str(value + 1)
        case float():
            return str((value or 1.0) / 2)
        case _:
            return "elsewhere"


KEYS = [(RunConfig(), name) for name in values(RunConfig())] + [
    (CatalogueConfig(), name) for name in values(CatalogueConfig())
]


@pytest.mark.parametrize(("base", "name"), KEYS, ids=lambda it: it if isinstance(it, str) else it.recipe)
def test_every_key_is_set_by_its_flag_alone(base: BaseModel, name: str) -> None:
    before = values(base)
    read, plain = (
        (read_run_settings, Path("plain")) if isinstance(base, RunConfig) else (read_journal_settings, None)
    )
    setting = f"{name}={other(before[name])}"
    number = isinstance(before[name], bool | int | float) and name != "schema_version"
    if number or name == "fit.selection":
        after = values(read(plain, [setting]))
        assert {key for key in before if after[key] != before[key]} == {name}
        return
    with pytest.raises(ValueError, match=rf"--{name}(\.kind)?: want .*, got") as refused:
        read(plain, [setting])  # words, lists and tables have values of their own; but the key is known
    assert "no such key" not in str(refused.value)


@pytest.mark.parametrize("name", sorted({*values(RunConfig())} - {"balancer.kind"}))
def test_what_is_the_default_can_be_said(name: str) -> None:
    """But for the balancer's kind, which begins with the defaults of that kind."""
    value = values(RunConfig())[name]
    text = "null" if value is None else "{}" if value == {} else json.dumps(value)
    assert read_run_settings(Path("plain"), [f"{name}={text}"]) == RunConfig()


def test_all_keys_of_all_kinds_are_listed() -> None:
    keys = set(dotted_keys(RunConfig))
    tables = {key.rpartition(".")[0] for key in keys}
    for name in values(RunConfig()):
        assert name in keys or any(f"{table}.".startswith(f"{name}.") for table in tables)
    for config in BALANCERS.values():
        assert {f"balancer.{name}" for name in config.model_fields} - keys <= {"balancer.inner"}
    for head in HEADS.values():
        assert {f"model.heads.span.{name}" for name in head.model_fields} <= keys
    assert {"losses.span.smooth", "model.encoder.kernel", "fit.schedule.floor", "fit.sampling.kind"} <= keys


def test_flags_lie_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[fit]\nepochs = 7\nseed = 3\n[balancer]\nkind = "gradnorm"\n')
    read = read_run_settings(file, ["fit.seed=5", "balancer.kind=static", "balancer.weights.span=2"])
    default = read_run_settings(None)
    assert read.fit == default.fit.model_copy(update={"epochs": 7, "seed": 5})
    assert read.balancer.model_dump()["weights"] == {"span": 2.0}
    assert read.data == default.data


@pytest.mark.parametrize("base", ["origin", "plain", "jade-best"])
def test_a_file_is_laid_over_the_configuration_that_it_names(base: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'base = "{base}"\n[fit]\nseed = 3\n')
    named = read_run_settings(Path(base))
    assert read_run_settings(file) == named.model_copy(
        update={"fit": named.fit.model_copy(update={"seed": 3})}
    )


@pytest.mark.parametrize(("base", "meant"), [('"orign"', "did you mean 'origin'"), ("3", "got 3")])
def test_a_base_that_the_package_does_not_hold_is_refused(base: str, meant: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f"base = {base}\n")
    with pytest.raises(ValueError, match=r"base: want one of jade-best, origin, plain") as refused:
        read_run_settings(file)
    assert meant in str(refused.value)


def test_recipes_of_the_package_are_taken_by_name() -> None:
    assert set(recipe_names()) == {"origin", "jade-best", "plain"}
    read = read_run_settings(Path("jade-best"), ["fit.clip_norm=null"])
    assert read.data.feature_set == "jade"
    assert read.fit.clip_norm is None
    assert read_run_settings(Path("jade-best")).fit.clip_norm == 1.0


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["--fit.epochs", "5"], ["fit.epochs=5"]),
        (["--fit.epochs=5"], ["fit.epochs=5"]),
        (["--fit.batch-size", "5"], ["fit.batch_size=5"]),
        (["--balancer.log_sigma.span", "-0.3"], ["balancer.log_sigma.span=-0.3"]),
        (["--a.b", "x=y"], ["a.b=x=y"]),
        (["--", "--fit.epochs", "5"], []),
        (["file.with.dots", "--out=a.csv", "--out", "b.csv"], []),
    ],
)
def test_dotted_flags_are_taken_out_and_nothing_else(words: Sequence[str], settings: list[str]) -> None:
    others, found = dotted_flags(words)
    assert found == settings
    assert others == ([] if settings else list(words))


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"fit": {"epochs": "40"}}, "fit.epochs: want a whole number, got '40'"),
        ({"fit": {"epochs": True}}, "fit.epochs: want a whole number, got true"),
        ({"fit": {"epochs": 40.0}}, "fit.epochs: want a whole number, got 40.0"),
        ({"data": {"mirror": 1}}, "data.mirror: want true or false, got 1"),
        ({"data": {"mirror": "yes"}}, "data.mirror: want true or false, got 'yes'"),
        ({"fit": {"learning_rate": "0.1"}}, "fit.learning_rate: want a number, got '0.1'"),
        ({"data": {"feature_set": 3}}, "data.feature_set: want text in quotes, got 3"),
        ({"balancer": {"kind": "pcgrad", "seed": "1"}}, "balancer.seed: want a whole number, got '1'"),
        ({"model": {"heads": {"span": {"kind": "span_crf", "edges": 1}}}}, "model.heads.span.edges"),
        ({"fit": 3}, "fit: want"),
    ],
)
def test_values_are_never_converted(changes: dict[str, Any], wanted: str) -> None:
    with pytest.raises(ValueError, match="want") as raised:
        configured(RunConfig(), changes)
    assert wanted in str(raised.value)


def test_a_whole_number_will_do_for_a_number() -> None:
    assert configured(RunConfig(), {"fit": {"learning_rate": 1}}).fit.learning_rate == 1.0


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("fit.epoch", "fit.epochs"),
        ("epochs", "fit.epochs"),
        ("pretrain.epoch", "pretrain.epochs"),
        ("fitt.epochs", "fit.epochs"),
        ("fit.hidden", "model.hidden"),
        ("learningrate", "fit.learning_rate"),
        ("colour", None),
    ],
)
def test_the_nearest_key_is_meant(word: str, meant: str | None) -> None:
    assert nearest(word, dotted_keys(RunConfig)) == meant


def test_settings_lists_what_a_run_would_take(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings", "fit", "--fit.epochs", "7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "fit.epochs = 7" in lines
    assert all(line.startswith("fit.") for line in lines)
    assert run(["settings", "--json", "--config", "jade-best"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["data.feature_set"] == "jade"
    assert set(told) == set(values(read_run_settings(Path("jade-best"))))
    assert run(["journal", "settings", "decoding.beam", "--decoding.beam", "2"]) == 0
    assert capsys.readouterr().out == "decoding.beam = 2\n"
