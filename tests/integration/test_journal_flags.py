"""Every key of the journal's configuration changes a number that is written down."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest
from pydantic import BaseModel

from moola_data.catalogue import Catalogue
from moola_data.uk_chart import uk_chart
from moola_data.uk_journal import UkJournal, uk_journal
from moola_train.recipes.catalogue_config import CatalogueConfig, catalogue_config
from moola_train.recipes.catalogue_data import packed
from moola_train.recipes.catalogue_decoding import write
from moola_train.recipes.catalogue_run import JournalSource, run_catalogue

Changes = Mapping[str, Mapping[str, object]]
BASE: Changes = {
    "entries": {"max_lines": 9, "slips": 1},
    "text": {"buckets": 256, "dimension": 8, "left_out": 0.2},
    "model": {"hidden": 8, "dropout": 0.2},
    "memory": {"key_size": 8, "neighbours": 2},
    "losses": {"coverage": 0.1, "flow": 0.1},
    "fit": {"epochs": 1, "batch_size": 32, "schedule": {"kind": "constant"}, "averaging": None},
    "decoding": {"method": "beam", "beam": 3, "selecting": "greedy"},
    "evaluation": {"resamples": 10, "permutations": 10, "svm": False},
}
OTHER: Changes = {
    "entries": {"split": "text", "inner": 0.3, "test": 0.4, "seed": 1, "max_lines": 12, "slips": 0},
    "text": {"buckets": 300, "sizes": [2], "case": "kept", "digits": "kept", "dimension": 9, "left_out": 0.7},
    "model": {
        "hidden": 9,
        "layers": 2,
        "dropout": 0.6,
        "conditioning": "none",
        "table": "frozen",
        "rows": "drawn",
        "lines": "independent",
        "pointer": {"scale": 20.0},
        "seed": 1,
    },
    "memory": {"neighbours": 1, "key_size": 9, "excludes": "text", "used": "prediction"},
    "losses": {
        "account": 0.3,
        "side": 0.3,
        "stop": 0.3,
        "flow": {"kind": "origin_cliff", "base": 1.0},
        "flow_form": "squares",
        "coverage": 0.0,
        "ancestors": 0.5,
        "scaling": "origin",
    },
    "clipping": {"pointer": 0.01, "rest": 0.01},
    "decoding": {"method": "greedy", "beam": 1, "both_sides": False, "no_repeat": True, "selecting": "same"},
    "evaluation": {"level": 0.5, "resamples": 60, "permutations": 60, "seed": 1, "svm": True},
}
FIT: Mapping[str, object] = {
    "epochs": 2,
    "batch_size": 16,
    "seed": 1,
    "learning_rate": 0.02,
    "weight_decay": 0.5,
    "betas": [0.5, 0.9],
    "schedule": {"kind": "cosine", "warmup_steps": 2},
    "averaging": {"decay": 0.5},
    "sampling": {"kind": "grouped"},
}
"""What of the loop's keys bears on any run; its own tests hold the others, of places, speed and precision."""
LOSS_FALLS: Mapping[str, object] = {"epochs": 3, "selection": "loss", "mode": "max"}
CASES = [(section, name) for section, keys in OTHER.items() for name in keys]


@cache
def accounts() -> Catalogue:
    """The British chart under one root: without ancestors there is nobody to give a share to."""
    root, *others = uk_chart().accounts
    return Catalogue.of([root, *(a.model_copy(update={"parent_code": root.code}) for a in others)])


@cache
def made() -> UkJournal:
    return uk_journal(80, seed=2)


def recorded(changes: Changes) -> tuple[str, ...]:
    """Runs a tiny journal and returns every number that it writes down, times excepted."""
    sections = BASE.keys() | changes.keys()
    config = catalogue_config({s: {**BASE.get(s, {}), **changes.get(s, {})} for s in sections})
    source = JournalSource(made().entries, accounts(), source=made().source)
    done = run_catalogue(source, config)
    rows = [f"{r.task} {r.name} {r.value!r}" for r in done.trained.records if "time" not in r.name]
    written = write(done.model, packed(done.model.config, done.material.part("test")), config.decoding)
    said = [written.log_probability.round(6).tolist(), written.lines.account.tolist()]
    return (*rows, repr(said), done.report.model_dump_json())


@pytest.fixture(scope="module")
def base() -> tuple[str, ...]:
    return recorded({})


def test_the_same_configuration_records_the_same(base: tuple[str, ...]) -> None:
    assert recorded({}) == base


@pytest.mark.parametrize(("section", "name"), CASES)
def test_the_key_changes_what_is_recorded(section: str, name: str, base: tuple[str, ...]) -> None:
    assert recorded({section: {name: OTHER[section][name]}}) != base


@pytest.mark.parametrize("name", FIT)
def test_the_loops_key_changes_what_is_recorded(name: str, base: tuple[str, ...]) -> None:
    assert recorded({"fit": {name: FIT[name]}}) != base


@pytest.fixture(scope="module")
def worst() -> tuple[str, ...]:
    """What is recorded where, the wrong way round, the epoch of the greatest loss is kept: the first."""
    return recorded({"fit": LOSS_FALLS})


@pytest.mark.parametrize(
    ("name", "value"), [("mode", "min"), ("selection", "entry_f1"), ("restore", "last"), ("patience", 1)]
)
def test_the_key_chooses_among_epochs(name: str, value: object, worst: tuple[str, ...]) -> None:
    assert recorded({"fit": {**LOSS_FALLS, name: value}}) != worst


def test_every_form_of_the_flow_is_another() -> None:
    forms = ("divergence", "squares", "padded", "clamped")
    assert len({recorded({"losses": {"flow": 1.0, "flow_form": form}}) for form in forms}) == len(forms)


def test_no_key_is_forgotten_here() -> None:
    listed = {"schema_version", "recipe", "fit"}
    for section, field in CatalogueConfig.model_fields.items():
        if section in listed:
            continue
        kind = field.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)
        assert set(kind.model_fields) == set(OTHER[section]), section
