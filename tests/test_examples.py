"""The examples: each imports what it declares and nothing else, runs, and prints what its text says."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
MODULE_OF = {"scikit-learn": "sklearn"}
OURS = {f"moola_{name}" for name in ("data", "models", "losses", "train", "eval")}
NUMBER = r"[-+]?(?:\d+\.\d*|\.\d+|\d+)"


def declared(path: Path) -> list[str]:
    """The dependencies in the script's header."""
    block = re.search(r"^# /// script\n((?:#(?: .*)?\n)+?)# ///$", path.read_text(), flags=re.MULTILINE)
    assert block, f"{path.name}: no script header"
    header = tomllib.loads("".join(line[2:] + "\n" for line in block[1].splitlines()))
    assert header["requires-python"] == ">=3.11"
    return header["dependencies"]


def imported(path: Path) -> set[str]:
    """The packages that the script imports, without those of Python itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found - set(sys.stdlib_module_names)


def numbers(pattern: str, said: str) -> list[float]:
    """The numbers in the first place where the pattern, with # for a number, is found."""
    found = re.search(pattern.replace("#", f"({NUMBER})"), said)
    assert found, f"want {pattern}, got:\n{said}"
    return [float(number) for number in found.groups()]


def run(path: Path, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", path],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(folder.iterdir()) == [], "it left something behind"
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_imports_what_it_declares(path):
    names = declared(path)
    modules = {MODULE_OF.get(name, name.partition("[")[0].replace("-", "_")) for name in names}
    if "moola-train[recipes]" in names:
        modules |= OURS
        assert imported(path) <= modules
    else:
        assert imported(path) == modules


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_in_the_table_and_says_how_to_run_it(path):
    assert f"]({path.name})" in (FOLDER / "README.md").read_text()
    told = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert "What to learn: " in told
    assert f"Run it: `python {path.name}`" in told


def test_every_package_has_an_example_that_uses_it_alone():
    alone = [imported(path) & OURS for path in EXAMPLES]
    assert sorted(name for names in alone if len(names) == 1 for name in names) == sorted(OURS)


def test_a_shuffled_split_flatters_and_a_purged_one_shares_nothing(tmp_path):
    said = run(FOLDER / "data_in_cross_validation.py", tmp_path).replace(",", "")
    shuffled, leak = numbers("shuffled KFold: AUROC # .* shares # bars", said)
    purged, none = numbers("PurgedKFold: AUROC # .* shares # bars", said)
    assert shuffled > purged + 0.03 > 0.5
    assert leak > none == 0


def test_the_span_layer_is_far_better_than_marking_every_bar(tmp_path):
    said = run(FOLDER / "models_in_a_torch_loop.py", tmp_path)
    model, every = numbers("bar F1 on 200 new windows: #; of marking every bar: #", said)
    assert model > 3 * every


def test_a_stopped_run_goes_on_with_the_same_numbers(tmp_path):
    said = run(FOLDER / "train_your_model.py", tmp_path)
    assert "stopped and gone on with: the same numbers, bit for bit" in said
    for task in ("bell", "force"):
        first, last = numbers(f"{task}: inner loss # after epoch 1, # after epoch 12", said)
        assert last < first
    assert numbers("on test: #, by chance .333", said)[0] > 0.8


def test_a_classifier_of_noise_has_no_skill_and_another_has_some(tmp_path):
    said = run(FOLDER / "eval_other_predictions.py", tmp_path)
    line = r"span F1 # \[#, #\], chance # \(\w+\), skill #"
    f1, low, high, chance, skill = numbers(f"sees the bars: {line}", said)
    assert low < f1 < high
    assert low > chance
    assert skill > 0.3
    assert numbers(f"sees noise: {line}", said)[-1] <= 0


def test_the_pipeline_of_ones_own_model_is_better_than_chance(tmp_path):
    said = run(FOLDER / "whole_pipeline.py", tmp_path)
    for name in ("span_f1", "bar_f1", "bar_auroc"):
        value, low, high, chance = numbers(rf"{name} # \[#, #\], chance #", said)
        assert low <= value <= high
        assert low > chance


@pytest.mark.slow  # twelve epochs of 720 entries: about 20 s of CPU
def test_the_journal_books_better_than_a_table_of_texts_and_not_above_its_ceiling(tmp_path):
    said = run(FOLDER / "journal.py", tmp_path)
    exact, f1 = numbers("model: exactly right #, F1 of lines #", said)
    assert exact > numbers("lookup: exactly right #", said)[0]
    assert exact <= numbers("ceiling: exactly right #", said)[0]
    assert f1 > exact
    (known,) = numbers("Stationers 12/2024': .*debit 7502.*; chance to be right #", said)
    (unheard,) = numbers("nobody has ever booked': .*; chance to be right #", said)
    assert 1 >= known > unheard >= 0
