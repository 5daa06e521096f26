import json

import pytest

from moola_train.records import RecordFile, read_records
from moola_train.schema import Record


def record(value=1.5, step=1):
    return Record(step=step, epoch=1, split="train", task="", name="x", value=value)


@pytest.fixture
def file(tmp_path):
    made = RecordFile(tmp_path / "records.jsonl")
    made.create()
    return made


def test_what_is_appended_is_read_back_bit_for_bit(file):
    values = [0.1 + 0.2, 1e-310, -3.0, None]
    file.append(record(v) for v in values[:2])
    file.append(record(v) for v in values[2:])
    assert [r.value for r in read_records(file.path)] == values


def test_each_line_is_plain_json(file):
    file.append([record(None)])
    (line,) = file.path.read_text().splitlines()
    assert json.loads(line) == {
        "step": 1,
        "epoch": 1,
        "split": "train",
        "task": "",
        "name": "x",
        "value": None,
    }


@pytest.mark.parametrize("torn", [1, 5, 30])
def test_torn_last_line_is_left_out(file, torn):
    file.append([record(1.0), record(2.0)])
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:-torn])
    assert [r.value for r in read_records(file.path)] == [1.0]


def test_cut_drops_what_came_after(file):
    file.append([record(1.0)])
    size = file.size
    file.append([record(2.0)])
    file.cut(size)
    assert [r.value for r in read_records(file.path)] == [1.0]


def test_lost_records_are_an_error(file):
    file.append([record(1.0)])
    with pytest.raises(ValueError, match=r"records\.jsonl: want at least 10000 bytes"):
        file.cut(10000)


def test_damaged_line_names_its_row(file):
    file.append([record(), record()])
    file.path.write_text(file.path.read_text() + "{broken}\n")
    with pytest.raises(ValueError, match="in row 2"):
        read_records(file.path)


def test_removed_file_is_noticed(file):
    file.path.unlink()
    with pytest.raises(FileNotFoundError):
        file.append([record()])
