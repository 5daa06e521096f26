"""The doctor's report: numbers by hand, JSON, the command, settings and refusals."""

import math
import subprocess
import sys

import pytest
import torch

from moola_losses import Doctor
from moola_losses.__main__ import main
from moola_losses.doctor_report import DoctorReport, Thresholds


def two(scale=1.0, *, every=1, **known):
    """Two losses with known gradients at a shared vector."""
    shared = torch.tensor([1.0, 2.0], requires_grad=True)
    losses = {"a": 3 * shared[0] + 4 * shared[1], "b": scale * shared[0]}
    return shared, losses, Doctor(("a", "b"), every=every, **known)


def test_norms_ratio_cosine_and_condition_by_hand():
    shared, losses, doctor = two(scale=2.0)
    doctor.observe(losses, shared=[shared], coefficients={"b": 0.5})
    report = doctor.report()
    assert report.tasks["a"].gradient_norm == pytest.approx(5)
    assert report.tasks["b"].gradient_norm == pytest.approx(2)
    assert report.tasks["a"].gradient_share == pytest.approx(5 / 6)
    assert report.tasks["a"].loss_share == pytest.approx(11 / 12)
    assert report.norm_ratio == pytest.approx(5)
    assert report.pairs[0].norm_ratio == pytest.approx(5)
    assert report.pairs[0].cosine == pytest.approx(0.6)
    eigen = torch.linalg.eigvalsh(torch.tensor([[25.0, 3.0], [3.0, 1.0]], dtype=torch.float64))
    assert report.condition == pytest.approx(float(eigen[1] / eigen[0]))
    assert math.isnan(report.tasks["a"].update_cosine)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_cosines_do_not_depend_on_the_scale(scale):
    shared, losses, doctor = two(scale=scale)
    doctor.observe(losses, shared=[shared])
    assert doctor.report().pairs[0].cosine == pytest.approx(0.6)


def test_infinite_numbers_go_to_json_and_back(tmp_path):
    shared, losses, doctor = two()
    for _ in range(3):  # the same gradient again and again is signal without noise
        doctor.observe(losses, shared=[shared])
    report = doctor.report()
    assert report.tasks["a"].signal_to_noise > 1e4
    endless = report.model_copy(update={"condition": math.inf})
    endless.save(tmp_path / "record.json")
    assert DoctorReport.load(tmp_path / "record.json").condition == math.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": {"c": torch.zeros(())}}, r"losses: want tasks among \['a', 'b'\], got 'c'"),
        ({"losses": {"a": torch.zeros(())}}, "want a scalar with graph for 'a', got shape"),
        ({"losses": {"a": torch.zeros(2, requires_grad=True)}}, "want a scalar with graph"),
        ({"shared": []}, "shared: want parameters with gradient"),
        ({"coefficients": {"c": 1.0}}, "coefficients: want tasks among"),
        ({"heads": {"c": []}}, "heads: want tasks among"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    shared, losses, doctor = two()
    with pytest.raises(ValueError, match=message):
        doctor.observe(**({"losses": losses, "shared": [shared]} | change))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Doctor(()), "tasks: want one or more"),
        (lambda: Doctor(("a", "a")), "tasks: want one or more"),
        (lambda: Doctor(("a",), every=0), "every: want at least 1, got 0"),
        (lambda: Doctor(("a",), floors={"b": 1.0}), "floors: want tasks among"),
        (lambda: Doctor(("a",), preferences={"a": 0.0}), "preferences: want numbers above 0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_report_goes_to_json_and_back(tmp_path, capsys):
    shared, losses, doctor = two(scale=1e-3)
    for _ in range(3):
        doctor.observe(losses, shared=[shared], outputs={"a": shared})
    report = doctor.report()
    assert report.verdicts
    assert report.save(tmp_path / "record.json") is None
    again = DoctorReport.load(tmp_path / "record.json")
    assert again.model_dump_json() == report.model_dump_json()
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]
    assert main([str(tmp_path / "record.json")]) == 1
    assert capsys.readouterr().out == str(report) + "\n"


def test_the_command_prints_a_saved_report(tmp_path):
    shared, losses, doctor = two()
    doctor.observe(losses, shared=[shared])
    doctor.report().save(tmp_path / "record.json")
    command = [sys.executable, "-m", "moola_losses", str(tmp_path / "record.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == str(doctor.report()) + "\n"


@pytest.mark.parametrize("text", [None, "{}", "no json"])
def test_the_command_refuses_what_is_no_report(tmp_path, capsys, text):
    path = tmp_path / "record.json"
    if text is not None:
        path.write_text(text)
    assert main([str(path)]) == 2
    assert "record.json" in capsys.readouterr().err


def test_thresholds_are_the_users():
    shared, losses, doctor = two(thresholds=Thresholds(ratio=4.0))
    doctor.observe(losses, shared=[shared])
    (verdict,) = doctor.report().verdicts
    assert (verdict.fault, verdict.task, verdict.threshold) == ("starved", "b", 4.0)
    assert verdict.measured == pytest.approx(5)
