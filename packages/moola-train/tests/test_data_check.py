import pytest
import torch

from moola_train import Task
from moola_train.data_check import check_data, split_rows


def check(data, tasks, *, needs_inner=False):
    check_data(data, tasks, split_rows(data), batch_size=16, needs_inner=needs_inner)


def test_good_data_passes(small):
    check(small.data(), small.tasks, needs_inner=True)


@pytest.mark.parametrize("label", [-1, 3])
def test_label_outside_the_classes_names_its_row(small, label):
    data = small.data()
    data.targets["kind"][37] = label
    with pytest.raises(ValueError, match=rf"task 'kind': want labels in 0\.\.2, got {label} in row 37"):
        check(data, small.tasks)


def test_label_that_is_masked_may_be_anything(small):
    data = small.data()
    data.targets["kind"][37] = -1
    data.masks["kind"] = torch.arange(70) != 37
    check(data, small.tasks)


def test_input_that_is_not_finite_names_its_row(small):
    data = small.data()
    data.inputs[41, 2] = torch.inf
    with pytest.raises(ValueError, match="inputs: want finite values, got inf in row 41"):
        check(data, small.tasks)


def test_target_that_is_not_finite_names_its_row_where_known(small):
    data = small.data()
    data.masks["size"][:] = True
    data.targets["size"][60] = torch.nan
    with pytest.raises(ValueError, match="task 'size': want finite targets where known, got nan in row 60"):
        check(data, small.tasks)
    data.masks["size"][60] = False
    check(data, small.tasks)


@pytest.mark.parametrize(("part", "needs_inner"), [("train", False), ("inner", True)])
def test_task_without_a_known_target_is_refused(small, part, needs_inner):
    data = small.data()
    data.masks["size"][: 56 if part == "train" else 0] = False
    if part == "inner":
        data.masks["size"][56:] = False
    with pytest.raises(ValueError, match=f"task 'size': want a known target in the {part} part, got none"):
        check(data, small.tasks, needs_inner=needs_inner)


def test_missing_target_is_named(small):
    with pytest.raises(
        ValueError, match=r"task 'colour': want target and mask 'colour', got \['kind', 'size'\]"
    ):
        check(small.data(), [Task("colour", small.tasks[0].loss)])


def test_mask_of_a_wrong_kind_is_refused(small):
    data = small.data()
    data.masks["size"] = torch.ones(70)
    with pytest.raises(ValueError, match="task 'size': want a mask of bool"):
        check(data, small.tasks)


def test_unknown_part_names_its_row(small):
    data = small.data()
    data.split[3] = 7
    with pytest.raises(ValueError, match="split: want 0, 1 or 2, got 7 in row 3"):
        split_rows(data)


def test_no_training_example_is_refused(small):
    data = small.data()
    data.split[:] = 1
    with pytest.raises(ValueError, match="at least one training example"):
        split_rows(data)
