"""How a run was made and judged, in words that fit its settings."""

from __future__ import annotations

from moola_eval.markdown import number
from moola_train.recipes.decision import Marking
from moola_train.recipes.run_config import RunConfig

DECIDED = {
    "threshold": "",
    "best": " Its spans are the most probable set of each window, with no threshold.",
    "expected_f1": " Its spans are the set of the best expected F1 of each window, with no threshold.",
}


def run_in_words(config: RunConfig, marking: Marking, *, quote: str = "") -> str:
    """Says what was chosen where, how spans were decided, and how files are marked instead.

    Args:
        config: The run's.
        marking: How `moola predict` marks files.
        quote: Put around names, such as a backtick.

    Returns:
        A paragraph.
    """
    if config.fit.restore == "best":
        chosen = "Epoch and threshold were chosen on the inner part"
    else:
        chosen = "The last epoch was kept; the threshold was chosen on the inner part"
    worth = ""
    if marking.test_value is not None:
        worth = f"; marked so, the test part has span F1 {number(marking.test_value)}"
    return (
        f"Recipe {quote}{config.recipe}{quote}, {config.model.preset} network, {config.fit.epochs} epochs, "
        f"seed {config.fit.seed}. {chosen}; what follows is scored on the test part, the last in time."
        f"{DECIDED[config.decoding.kind]} One run of one seed says nothing about the spread over seeds. "
        f"{quote}moola predict{quote} marks files by the mean over half-overlapping windows and a threshold "
        f"for that, {number(marking.threshold)}{worth}."
    )
