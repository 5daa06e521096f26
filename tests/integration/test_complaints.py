"""An error of the system in one line."""

import errno

import pytest

from moola_train.recipes.complaints import one_line


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_what_may_not_be_used_is_named_and_what_is_wanted(number):
    said = one_line(OSError(number, "not so", "runs/mine"))
    assert said == "not so: runs/mine; want a file or folder that you may use so"


def test_other_errors_of_the_system_say_what_and_where():
    assert one_line(OSError(errno.ENOSPC, "No space left on device", "runs/mine")) == (
        "No space left on device: runs/mine"
    )
