"""Run by name where matplotlib is installed: pytest tests/extras/check_proxy_plot.py."""

import subprocess
import sys

import numpy as np

from moola_data.expansion_rule import label_expansions
from moola_data.proxy_plot import proxy_figure, write_proxy_plot
from moola_data.proxy_search import search_proxies
from moola_data.sample import load_sample


def search():
    bars = load_sample()
    return search_proxies(bars, label_expansions(bars), draws=50, seed=0)


def test_the_figure_shows_every_formula_and_the_held_out_numbers():
    found = search()
    left, right = proxy_figure(found).axes
    cloud, chosen = left.lines[0].get_ydata(), left.lines[1].get_ydata()
    np.testing.assert_array_equal(cloud, [point.correlation for point in found.grid])
    assert list(chosen) == [max(cloud)]
    shown = {round(float(x), 9) for line in right.lines for x in line.get_xdata()}
    held = found.held_out
    for estimate in (held.f1, held.correlation):
        numbers = [
            estimate.value,
            *estimate.interval,
            estimate.null_mean,
            estimate.null_high,
            estimate.ceiling,
        ]
        assert {round(number, 9) for number in numbers} <= shown
    assert round(held.f1_of_marking_all, 9) in shown


def test_the_picture_is_a_png(tmp_path):
    write_proxy_plot(tmp_path, search())
    content = (tmp_path / "proxy_validation.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    assert len(content) > 10_000


def test_no_window_system_is_touched():
    code = "import sys, moola_data.proxy_plot; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
