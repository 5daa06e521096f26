"""What a report says of itself follows the run's settings."""

import pytest

from moola_train.recipes.decision import Marking
from moola_train.recipes.run_config import RunConfig
from moola_train.recipes.run_in_words import run_in_words
from moola_train.recipes.settings import read_run_settings

MARKING = Marking(
    threshold=0.25, inner_value=0.5, confidence=None, delay=None, detected=None, false_alarms=None, windows=9
)


@pytest.mark.parametrize(
    ("restore", "said"), [("best", "Epoch and threshold were"), ("last", "last epoch was")]
)
def test_an_epoch_is_said_to_be_chosen_only_where_one_is(restore, said):
    config = RunConfig.model_validate({"fit": {"restore": restore}})
    words = run_in_words(config, MARKING)
    assert said in words
    assert ("Epoch and threshold" in words) == (restore == "best")


def test_the_default_says_that_its_spans_know_no_threshold():
    assert "best expected F1" in run_in_words(read_run_settings(None), MARKING)
    assert "best expected F1" not in run_in_words(RunConfig(), MARKING)


def test_a_run_made_before_is_not_said_to_be_worth_anything():
    assert run_in_words(RunConfig(), MARKING).endswith("a threshold for that, 0.25.")
    better = MARKING.model_copy(update={"test_value": 0.625})
    assert run_in_words(RunConfig(), better).endswith("span F1 0.625.")
