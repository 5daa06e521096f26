import pytest
import torch

from moola_models.entry_config import EntryConfig
from moola_models.entry_inputs import pack_entries, unpack_entries
from moola_models.text_encoders import VectorTextConfig

CONFIG = EntryConfig(accounts=("1", "2"), date_features=2, currencies=3, kinds=4)
TEXT = CONFIG.text.columns(["Rent", "Office rent"])


def test_what_is_packed_comes_out_again():
    owner, currency, kind = torch.tensor([(1 << 24) - 1, -1]), torch.tensor([2, 0]), torch.tensor([3, 1])
    dates = torch.tensor([[0.5, -1.0], [0.25, 1.0]])
    inputs = pack_entries(CONFIG, text=TEXT, dates=dates, currency=currency, kind=kind, owner=owner)
    columns = unpack_entries(CONFIG, inputs)
    assert inputs.dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(columns, (owner, currency, kind, dates, TEXT), strict=True))


def test_what_is_left_out_is_unknown_and_nobodys():
    columns = unpack_entries(CONFIG, pack_entries(CONFIG, text=TEXT))
    assert columns.owner.tolist() == [-1, -1]
    assert columns.currency.tolist() == columns.kind.tolist() == [0, 0]
    assert torch.all(columns.dates == 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"currency": torch.tensor([0, 3])}, "currency: want whole numbers from 0 to 2, got 3.0 in row 1"),
        ({"kind": torch.tensor([-1, 0])}, "kind: want whole numbers from 0 to 3, got -1.0 in row 0"),
        ({"kind": torch.tensor([0.5, 0])}, "kind: want whole numbers from 0 to 3, got 0.5 in row 0"),
        ({"owner": torch.tensor([0, 1 << 24])}, "owner: want whole numbers from -1 to 16777215"),
        ({"owner": torch.tensor([0])}, r"owner: want shape \(2,\), got \(1,\)"),
        ({"dates": torch.zeros(2, 3)}, r"want \(n, L\) and \(n, 2\), got \(2, 26\) and \(2, 3\)"),
        ({"dates": torch.tensor([[0, 0], [0, torch.nan]])}, "finite numbers, got another in row 1"),
        (
            {"text": torch.tensor([[0.0], [32768.0]])},
            "text: want whole numbers from -1 to 32767, got 32768.0",
        ),
        (
            {"text": torch.tensor([[0.0], [1.5]])},
            "text: want whole numbers from -1 to 32767, got 1.5 in row 1",
        ),
    ],
)
def test_numbers_outside_their_vocabulary_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        pack_entries(CONFIG, **({"text": TEXT} | given))


def test_vectors_may_be_any_finite_numbers():
    config = EntryConfig(accounts=("1", "2"), date_features=0, text=VectorTextConfig(dimension=2))
    vectors = torch.tensor([[0.5, -7.25]])
    assert torch.equal(unpack_entries(config, pack_entries(config, text=vectors)).text, vectors)


def test_too_few_columns_are_refused():
    with pytest.raises(ValueError, match=r"inputs: want \(batch, 5 or more\), got \(2, 4\)"):
        unpack_entries(CONFIG, torch.zeros(2, 4))
