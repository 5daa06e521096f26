import pytest
import torch

from moola_models.migrations import Saved, migrate


def saved(version):
    settings = {"schema_version": version, "package": "moola-models", "package_version": "9.9", "path": []}
    return Saved(settings, {"w": torch.zeros(1)})


def step(name):
    def apply(found):
        return found._replace(
            settings=found.settings | {"path": [*found.settings["path"], name]},
            tensors={"w": found.tensors["w"] + 1},
        )

    return apply


STEPS = {1: step("1 to 2"), 2: step("2 to 3"), 3: step("3 to 4")}


@pytest.mark.parametrize(("version", "path"), [(1, ["1 to 2", "2 to 3"]), (2, ["2 to 3"]), (3, [])])
def test_steps_are_taken_in_order_up_to_the_version_wanted(version, path):
    found = migrate(saved(version), to=3, steps=STEPS)
    assert found.settings["path"] == path
    assert found.settings["schema_version"] == 3
    assert found.tensors["w"] == len(path)


def test_what_was_read_is_not_changed():
    before = saved(1)
    migrate(before, to=3, steps=STEPS)
    assert before.settings["schema_version"] == 1
    assert before.tensors["w"] == 0


@pytest.mark.parametrize("version", [4, None, "1", True, 1.0])
def test_later_and_nonsense_versions_are_refused(version):
    with pytest.raises(ValueError, match=r"want schema_version 3, got .*; written by moola-models 9.9"):
        migrate(saved(version), to=3, steps=STEPS)


def test_a_gap_in_the_steps_is_named():
    with pytest.raises(ValueError, match="got 1, and no step leads on from 2"):
        migrate(saved(1), to=4, steps={1: STEPS[1], 3: STEPS[3]})
