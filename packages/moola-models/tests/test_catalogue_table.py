import pytest
import torch

from moola_models.catalogue_rows import code_prefixes, rows_from_texts, rows_from_vectors, rows_from_words
from moola_models.catalogue_table import CatalogueTable, catalogue_digest

CODES = ["1000", "1100", "2000"]


@pytest.mark.parametrize("trainable", [True, False])
def test_rows_are_saved_under_one_name_and_learned_only_if_asked(trainable):
    table = CatalogueTable(CODES, width=4, trainable=trainable)
    assert list(table.state_dict()) == ["rows", "digest"]
    assert [name for name, _ in table.named_parameters()] == (["rows"] if trainable else [])


def test_learned_rows_load_into_a_frozen_table():
    learned, frozen = (CatalogueTable(CODES, width=4, trainable=flag) for flag in (True, False))
    frozen.load_state_dict(learned.state_dict())
    assert torch.equal(frozen.rows, learned.rows)


@pytest.mark.parametrize(
    ("codes", "fingerprint"), [(CODES[::-1], "a"), (CODES, "b"), (["1000", "1100", "2001"], "a")]
)
def test_rows_of_another_catalogue_are_refused(codes, fingerprint):
    rows = CatalogueTable(CODES, width=4, fingerprint="a").state_dict()
    with pytest.raises(ValueError, match=r"catalogue: want rows of the catalogue .*, got rows of"):
        CatalogueTable(codes, width=4, fingerprint=fingerprint).load_state_dict(rows)


def test_a_missing_table_is_an_error():
    state = CatalogueTable(CODES, width=4).state_dict()
    del state["rows"]
    with pytest.raises(RuntimeError, match="rows"):
        CatalogueTable(CODES, width=4).load_state_dict(state)


def test_the_digest_tells_where_one_code_ends():
    assert not torch.equal(catalogue_digest(["12", "3"]), catalogue_digest(["1", "23"]))
    assert not torch.equal(catalogue_digest(["b"], "a"), catalogue_digest(["a", "b"]))


@pytest.mark.parametrize(
    ("codes", "rows", "message"),
    [
        (["1", "2", "1"], None, "codes: want different codes, got '1' in rows 0 and 2"),
        ([], None, "codes: want one or more accounts"),
        (CODES, torch.zeros(2, 4), r"rows: want float \(3, 4\)"),
        (
            CODES,
            torch.tensor([[0.0] * 4, [float("nan")] * 4, [0.0] * 4]),
            "finite numbers, got another in row 1",
        ),
    ],
)
def test_what_fits_no_catalogue_is_refused(codes, rows, message):
    with pytest.raises(ValueError, match=message):
        CatalogueTable(codes, width=4, rows=rows)


def test_given_rows_are_the_first_values_and_stay_the_givers():
    rows = torch.arange(12.0).reshape(3, 4)
    table = CatalogueTable(CODES, width=4, rows=rows)
    assert torch.equal(table.rows, rows)
    assert torch.equal(table(torch.tensor([[2, 0]])), rows[[2, 0]][None])
    rows.zero_()
    assert table.rows.abs().sum() > 0


def test_texts_that_share_letters_get_near_rows():
    near, far = "Depreciation of vehicles", "Bank charges"
    rows = rows_from_texts([near, "Vehicle depreciation", far, ""], width=256)
    cosine = rows @ rows.T
    assert cosine[0, 1] > 0.4 > abs(cosine[0, 2])
    assert torch.all(rows[3] == 0)
    assert torch.equal(rows, rows_from_texts([near, "Vehicle depreciation", far, ""], width=256))
    assert not torch.equal(rows, rows_from_texts([near, "Vehicle depreciation", far, ""], width=256, seed=1))


def test_accounts_of_one_branch_get_near_rows():
    codes = ["105-01-003", "105-01-004", "105-02-001", "300-01-003"]
    rows = rows_from_words([code_prefixes(code, separator="-") for code in codes], width=512)
    cosine = rows @ rows.T
    assert cosine[0, 1] > cosine[0, 2] > cosine[0, 3] + 0.2
    assert torch.allclose(cosine[0, 1], torch.tensor(2 / 3), atol=0.15)  # two of three words in common


@pytest.mark.parametrize(("size", "width"), [(6, 6), (6, 40), (600, 200)])
def test_vectors_keep_their_cosines_in_another_width(size, width):
    vectors = torch.randn(5, size, generator=torch.Generator().manual_seed(1))
    rows = rows_from_vectors(vectors, width=width)
    before = torch.nn.functional.normalize(vectors)
    error = (rows @ rows.T - before @ before.T).abs().max().item()
    assert rows.shape == (5, width)
    assert error < (1e-5 if width >= size else 0.25)
