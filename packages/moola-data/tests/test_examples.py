"""What the documentation shows is what happens."""

import doctest
import importlib

import pytest

MODULES = ["", ".bars", ".violations", ".features", ".sample", ".suspicions", ".feature_audit"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    module = importlib.import_module("moola_data" + name)
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
