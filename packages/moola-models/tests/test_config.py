import json

import pytest
from pydantic import ValidationError

from moola_models.bar_heads import SpanHeadConfig
from moola_models.config import JadeConfig, compact, core
from moola_models.heads import HeadConfig
from moola_models.origin import (
    origin_compact,
    origin_core,
    origin_forward,
    origin_net,
    origin_plain,
    origin_wide,
)
from moola_models.registry import BUILT_IN, head_class, resolve_head
from moola_models.type_head import TypeHeadConfig

CONFIGS = [
    compact(),
    compact(13, span="crf", classes=2),
    core(),
    origin_compact(),
    origin_core(),
    origin_wide(),
    origin_plain(pointers=True),
    origin_net(),
    origin_forward(),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_json_round_trip(config):
    assert JadeConfig.model_validate_json(config.model_dump_json()) == config


def test_settings_of_heads_survive_json():
    again = JadeConfig.model_validate_json(compact(classes=7).model_dump_json())
    assert again.heads[0] == TypeHeadConfig(classes=7)


def test_configurations_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        compact().hidden = 3


def test_layer_dropout_with_one_layer_is_refused_and_explained():
    with pytest.raises(
        ValidationError, match=r"layer_dropout: want 0 with one layer, got 0\.7: it acts between"
    ):
        JadeConfig(heads=("type",), layer_dropout=0.7)


def test_a_projection_that_no_head_reads_is_refused():
    with pytest.raises(ValidationError, match="projection: want None, got 64: no head in \\['span'\\]"):
        JadeConfig(heads=("span",))


def test_presets_leave_out_a_projection_that_no_head_reads():
    assert compact(heads=(SpanHeadConfig(),)).projection is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": ("type", "type")}, "want different names"),
        ({"heads": ()}, "at least one"),
        ({"heads": ("colour",)}, "kind: want one of"),
        ({"heads": (3,)}, "head: want a kind or a mapping with a kind, got 3"),
        ({"heads": ({"name": "x"},)}, "head: want a kind"),
        ({"heads": ({"kind": "type", "classes": 1},)}, "head 'type': classes"),
        ({"heads": ({"kind": "type", "colour": 1},)}, "head 'type': colour"),
        ({"heads": ({"kind": "type", "name": "_x"},)}, "want an identifier"),
        ({"heads": ({"kind": "type", "name": "class"},)}, "want an identifier"),
        ({"input_size": 0}, "input_size"),
        ({"input_dropout": 1.0}, "input_dropout"),
        ({"widht": 3}, "widht"),
        ({"kind": "opal"}, "kind"),
    ],
)
def test_bad_settings_are_refused_by_name(changes, message):
    with pytest.raises(ValidationError, match=message):
        JadeConfig(**({"heads": ("type",)} | changes))


@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_every_kind_resolves_to_itself(kind):
    head = resolve_head(kind)
    assert head.kind == kind
    assert resolve_head(json.loads(head.model_dump_json())) == head
    assert issubclass(head_class(kind), HeadConfig)


def offer(tmp_path, monkeypatch, target):
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[moola_models.heads]\nstranger = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_another_package_offers_a_head(tmp_path, monkeypatch):
    (tmp_path / "stranger_heads.py").write_text(
        "from typing import ClassVar, Literal\n"
        "from moola_models.bar_heads import SpanHeadConfig\n"
        "class Stranger(SpanHeadConfig):\n"
        "    kind: Literal['stranger'] = 'stranger'\n"
    )
    offer(tmp_path, monkeypatch, "stranger_heads:Stranger")
    config = JadeConfig(heads=("stranger",), projection=None)
    assert type(config.heads[0]).__name__ == "Stranger"


def test_an_offer_that_is_no_head_is_refused(tmp_path, monkeypatch):
    offer(tmp_path, monkeypatch, "json:dumps")
    with pytest.raises(TypeError, match=r"entry point moola_models\.heads:stranger: want a subclass"):
        head_class("stranger")


@pytest.mark.parametrize("head", ["spam", 3, None, {"name": "x"}, {"kind": "type", "classes": 1}])
def test_a_head_that_does_not_fit_is_one_error(head):
    with pytest.raises(ValidationError) as caught:
        JadeConfig(heads=("span", head))
    assert [error["loc"] for error in caught.value.errors()] == [("heads", 1)]
