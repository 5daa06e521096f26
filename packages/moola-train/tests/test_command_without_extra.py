import subprocess
import sys

CODE = """
import sys
sys.modules["cyclopts"] = None  # as where the extra is not installed
sys.argv = ["moola", "demo"]
from moola_train.recipes.cli import main
main()
"""


def test_the_command_without_its_extra_says_so_in_one_line():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "pip install 'moola-train[recipes]'" in done.stderr


def test_the_recipes_load_no_sibling_by_themselves():
    code = "import sys, moola_train.recipes.cli; print('moola_data' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
