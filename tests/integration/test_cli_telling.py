"""What `moola` tells: help with examples, versions, results as JSON, and what a shell completes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from moola_train.recipes import cli, file_jobs
from moola_train.recipes.commands import app, run
from moola_train.recipes.completion_command import completion_script
from moola_train.recipes.telling import answer
from moola_train.schema import SweepRow
from moola_train.sweep import job_key


def commands(of: App, *above: str) -> list[str]:
    """All commands that do something, without `evaluate`, which has a help of its own."""
    found = []
    for name in of:
        if not name.startswith("-") and name != "evaluate":
            part, words = of[name], (*above, name)
            found += commands(part, *words) if part.default_command is None else [" ".join(words)]
    return found


@pytest.mark.parametrize("command", commands(app))
def test_help_has_an_example_and_the_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    _, _, examples = said.out.partition("Example")
    assert f"moola {command}" in " ".join(examples.split())
    assert "Exit codes: 0 good" in examples


def test_the_first_page_says_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    page = capsys.readouterr().out
    assert "Begin with moola demo" in " ".join(page.split())
    assert "130 interrupted" in page


def test_versions_are_told_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    named = {"moola-data", "moola-models", "moola-losses", "moola-train", "moola-eval", "torch", "numpy"}
    assert {name for name, _ in lines} >= named


def one_object(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(word))
    assert isinstance(found, dict)
    return found


def test_a_training_told_as_json_is_one_object_and_quiet_when_piped(
    market: Path, flags: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(market / "quick.toml"), "--run", str(tmp_path / "run"), "--fit.epochs", "1"]
    assert run(["train", *flags, *words, "--json"]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["run"] == str(tmp_path / "run")
    assert json.loads(said.out)["report"] == json.loads((tmp_path / "run" / "report.json").read_text())
    assert said.err == ""
    made = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (made["fit"]["epochs"], made["model"]["hidden"]) == (1, 8)  # the flag's, and the file's
    (tmp_path / "run" / "decision.json").unlink()
    assert run(["resume", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == json.loads(said.out)


def test_predictions_the_doctor_and_pretraining_are_told_as_json(
    finished: Path, market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out.csv"), "--label-studio", str(tmp_path / "tasks")]
    assert run(["predict", str(market / "bars.csv"), "--run", str(finished), *out, "--json"]) == 0
    told = one_object(capsys)
    assert (told["bars"], told["out"]) == (600, str(tmp_path / "out.csv"))
    assert told["spans"] == len((tmp_path / "out.csv").read_text().splitlines()) - 1
    code = run(["doctor", str(finished), "--steps", "1", "--json", "--out", str(tmp_path / "d.json")])
    report = one_object(capsys)
    assert code == (1 if report["verdicts"] else 0)
    assert report["observations"] == 1
    flags = ["--bars", str(market / "bars.csv"), "--config", str(market / "quick.toml")]
    more = ["--kind", "masked", "--pretrain.epochs", "1", "--out", str(tmp_path / "encoder"), "--json"]
    assert run(["pretrain", *flags, *more]) == 0
    assert one_object(capsys)["epochs"] == 1


def test_a_sweep_is_told_as_json_with_every_job(
    market: Path,
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def without_training(function, jobs, folder, *, workers, announce):
        folder.mkdir(parents=True)
        made = {"status": "done", "error": None, "attempt": 1, "seconds": 0.1, "cpu_seconds": 0.1}
        return [SweepRow(key=job_key(job), parameters=job, result={"span_f1": 0.5}, **made) for job in jobs]

    monkeypatch.setattr(file_jobs, "sweep", without_training)
    words = ["--grid", "fit.seed=1,2", "--out", str(tmp_path / "sweep"), "--json"]
    assert run(["sweep", str(market / "quick.toml"), *flags, *words]) == 0
    told = one_object(capsys)
    assert told["failed"] == 0
    jobs = told["jobs"]
    assert isinstance(jobs, list)
    assert [job["labels"] for job in jobs] == [{"fit.seed": 1, "seed": 0}, {"fit.seed": 2, "seed": 0}]


def test_an_evaluation_is_told_as_json_and_its_gate_is_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("truth", "spans"):
        (tmp_path / f"{name}.csv").write_text("window,start,end\n0,1,3\n1,2,5\n")
    words = ["evaluate", "--truth", str(tmp_path / "truth.csv"), "--spans", str(tmp_path / "spans.csv")]
    words += ["--windows", "2", "--length", "10", "--resamples", "0", "--json"]
    assert run([*words, "--require", "span_f1>=0.5"]) == 0
    metrics = one_object(capsys)["metrics"]
    assert isinstance(metrics, list)
    assert next(m["value"] for m in metrics if m["name"] == "span_f1") == 1.0
    assert run([*words, "--require", "span_f1>1"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["metrics"] == metrics
    assert "missed: span_f1" in said.err


def test_an_undefined_number_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    answer("words", {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": "ü"}}, json=True)
    assert capsys.readouterr().out == '{"a": null, "b": [null, 1.5], "c": {"d": "ü"}}\n'


def completed(script: str, *words: str) -> list[str]:
    """What bash offers at the last of some words."""
    bash = shutil.which("bash")
    assert bash is not None
    line = " ".join(f"'{word}'" for word in words)
    asked = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _moola; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(
        [bash, "--norc", "-s"], input=f"{script}\n{asked}\n", capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_flags_choices_and_keys() -> None:
    script = completion_script(app, "bash")
    assert completed(script, "moola", "tr") == ["train"]
    assert completed(script, "moola", "journal", "pr") == ["predict"]
    assert completed(script, "moola", "predict", "--det") == ["--details"]
    assert completed(script, "moola", "predict", "--fit") == []
    assert completed(script, "moola", "train", "--fit.ep") == ["--fit.epochs"]
    assert completed(script, "moola", "predict", "--device", "cu") == ["cuda"]
    assert set(completed(script, "moola", "completion", "")) == {"bash", "zsh", "fish"}


@pytest.mark.parametrize(
    ("shell", "first"), [("zsh", "#compdef moola"), ("fish", "# Fish completion for moola")]
)
def test_other_shells_get_the_same_words(shell: str, first: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert script.startswith(first)
    for word in ("walk-forward", "fit.epochs", "balancer.kind", "details"):
        assert word in script


def test_an_interruption_while_python_still_loads_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name == "moola_train.recipes.commands":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "moola_train.recipes.commands")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "moola: interrupted: nothing had been begun\n"


@pytest.mark.slow  # a process of its own
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = "import sys; from moola_train.recipes.commands import run; sys.exit(run(['completion', 'zsh']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, error = process.communicate()
    assert (process.returncode, error) == (0, "")
