"""What is too large in an event is cut (SPEC 2.1)."""

from __future__ import annotations

import json

import pytest

from streamnotify.wire.cuts import CUT_MARK, ERROR_BYTES, RESULT_BYTES, cut_error, cut_result, cut_text


def test_an_ordinary_error_stays_whole() -> None:
    error = cut_error("boom", "ValueError", {"type": "KeyError"}, "Traceback …")
    assert tuple(error) == ("boom", "ValueError", "Traceback …", '{"type":"KeyError"}')


def test_an_error_is_cut_to_32_kib_the_message_last() -> None:
    error = cut_error("m" * 30_000, "ValueError", "c" * 1000, "t" * 100_000)
    assert (error.message, error.type, error.cause) == ("m" * 30_000, "ValueError", "c" * 1000)
    assert error.traceback is not None
    assert error.traceback.endswith(CUT_MARK)
    assert sum(len(part.encode()) for part in error if part) == ERROR_BYTES


def test_a_message_alone_may_use_all_of_it() -> None:
    error = cut_error("é" * 100_000, "ValueError", None, "t" * 10)
    assert error.message is not None
    assert ERROR_BYTES - 2 <= len(error.message.encode()) <= ERROR_BYTES
    assert "é\n… 100,000 characters in all …\né" in error.message
    assert not error.type
    assert not error.traceback


@pytest.mark.parametrize("character", ["x", "é", "€", "😀"])
def test_no_character_is_cut_in_two(character: str) -> None:
    for limit in range(20, 30):
        cut = cut_text(character * 100, limit)
        assert cut.removesuffix(CUT_MARK) == character * (len(cut) - len(CUT_MARK))
        assert limit - 4 < len(cut.encode()) <= limit


def test_an_ordinary_result_stays_whole() -> None:
    cut = cut_result({"n": 1, "x": None, "nan": float("nan")})
    assert cut is not None
    assert (json.loads(cut.text), cut.dropped) == ({"n": 1, "x": None, "nan": None}, ())


def test_of_a_large_result_whole_keys_are_dropped_the_largest_first_and_noted() -> None:
    cut = cut_result({"small": 1, "largest": "x" * 60_000, "large": "y" * 50_000, "test_run_id": "t1"})
    assert cut is not None
    assert cut.dropped == ("largest",)
    assert json.loads(cut.text) == {
        "small": 1,
        "large": "y" * 50_000,
        "test_run_id": "t1",
        "_dropped_keys": ["largest"],
    }


def test_a_cut_result_with_its_note_has_at_most_64_kib() -> None:
    for size in (10, 500, 7000):
        cut = cut_result({"\x00" * 200 + str(n): "v" * size for n in range(400)})
        assert cut is not None
        assert len(cut.dropped) < 400
        assert len(cut.text.encode()) <= RESULT_BYTES


def test_a_large_result_without_keys_is_dropped() -> None:
    assert cut_result(["x" * 70_000]) is None
    assert cut_result("x" * 70_000) is None
