import subprocess
import sys


def test_importing_the_package_loads_no_sibling():
    code = "import sys, moola_train; print(*(m for m in sys.modules if m.startswith('moola_')))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert {name.split(".")[0] for name in found.split()} == {"moola_train"}
    assert "moola_train.recipes" not in found
