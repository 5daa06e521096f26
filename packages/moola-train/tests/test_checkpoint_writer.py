import threading

import pytest

from moola_train.checkpoint_writer import CheckpointWriter


def test_jobs_run_in_order_in_another_thread():
    ran = []
    with CheckpointWriter() as writer:
        for i in range(5):
            writer.submit(lambda i=i: ran.append((i, threading.current_thread().name)))
    assert [i for i, _ in ran] == list(range(5))
    assert all(name.startswith("checkpoint") for _, name in ran)


def fail():
    raise OSError(28, "No space left on device")


def test_failed_job_is_raised_at_the_next_one():
    with CheckpointWriter() as writer:
        writer.submit(fail)
        with pytest.raises(OSError, match="No space left"):
            writer.submit(lambda: None)


def test_failed_last_job_is_raised_at_the_end():
    writer = CheckpointWriter()
    writer.submit(fail)
    with pytest.raises(OSError, match="No space left"):
        writer.__exit__(None, None, None)


def test_what_was_given_is_finished_even_when_the_run_fails():
    ran, writer = [], CheckpointWriter()
    writer.submit(lambda: ran.append(1))
    writer.submit(fail)
    error = KeyError("the run's own error, which the writer's must not hide")
    writer.__exit__(KeyError, error, None)
    assert ran == [1]
