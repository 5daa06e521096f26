"""A checkpoint is read by the ten lines of the README, in a process that has none of the packages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import torch

from moola_models import Jade, JadeConfig, save_model

README = Path(__file__).parents[2] / "packages" / "moola-models" / "README.md"
REFUSED = ("moola_models", "moola_train", "moola_data", "moola_losses", "moola_eval", "torch", "safetensors")


def reader() -> str:
    """The README's block, without the line that writes the checkpoint."""
    text = README.read_text().partition("## Reading the weights without this package")[2]
    found = re.search(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert found, "the README shows no reader"
    lines = found[1].splitlines()
    assert sum(bool(line.strip()) and not line.startswith(("import", "save_model")) for line in lines) <= 10
    return "\n".join(line for line in lines if not line.startswith("save_model("))


def test_the_weights_are_read_without_our_packages_and_without_torch(tmp_path):
    model = Jade(JadeConfig(input_size=3, hidden=4, projection=None, heads=("span_crf",)), seed=0)
    save_model(model, tmp_path / "jade")
    refuse = f"import sys\nsys.modules.update(dict.fromkeys({REFUSED!r}))\nfrom pathlib import Path\n"
    tell = "\nprint(json.dumps({name: values.tolist() for name, values in tensors.items()}))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", refuse + reader() + tell],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = {name: torch.tensor(values) for name, values in json.loads(done.stdout).items()}
    wanted = model.state_dict()
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name
