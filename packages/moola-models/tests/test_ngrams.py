import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moola_models.ngrams import ngram_ids, ngrams, padded

texts = st.lists(st.text(max_size=12), max_size=6)


@settings(deadline=None, max_examples=50)
@given(text=st.text(alphabet="aB1 é", max_size=10), size=st.integers(1, 4))
def test_the_grams_are_the_substrings_of_the_framed_words(text, size):
    expected = []
    for word in text.casefold().replace("1", "0").split():
        framed = "<" + word + ">"
        expected.append(framed)
        expected += [framed[i : i + size] for i in range(len(framed)) if i + size <= len(framed) != size]
    assert ngrams(text, sizes=(size,)) == expected


def test_a_number_is_what_the_documentation_says():
    ids, offsets = ngram_ids(["é"], buckets=1000, sizes=(2,))
    grams = ["<é>", "<é", "é>"]
    blake = [hashlib.blake2b(g.encode("utf-8"), digest_size=8).digest() for g in grams]
    assert ids.tolist() == [int.from_bytes(b, "big") % 1000 for b in blake]
    assert offsets.tolist() == [0, 3]


def test_case_digits_and_composed_letters_are_alike_unless_kept():
    def numbers(text, **options):
        return ngram_ids([text], buckets=1 << 20, **options)[0].tolist()

    assert numbers("RENT 2024") == numbers("rent 1999")
    assert numbers("RENT", case="kept") != numbers("rent", case="kept")
    assert numbers("2024", digits="kept") != numbers("1999", digits="kept")
    assert numbers("Cafe\u0301") == numbers("Caf\u00e9")


@settings(deadline=None, max_examples=30)
@given(texts=texts)
def test_a_table_holds_the_bags(texts):
    ids, offsets = ngram_ids(texts, buckets=50)
    table = padded(ids, offsets)
    assert len(table) == len(texts)
    for row, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        assert table[row][table[row] >= 0].tolist() == ids[start:end].tolist()


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 3, 2, 3], []])
def test_offsets_that_miss_numbers_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets: want them to rise from 0 to 3"):
        padded(torch.arange(3), torch.tensor(offsets, dtype=torch.int64))


def test_a_text_that_is_none_is_named():
    with pytest.raises(TypeError, match="texts: want str, got NoneType in row 1"):
        ngram_ids(["a", None], buckets=5)
