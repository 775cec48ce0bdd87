"""Notes about what is seen join the record of their case, in any order, and survive a call that never ends."""

from __future__ import annotations

from grader.execution.border import read_records
from grader.harness.wire import pack

RECORD = pack({"case": "a", "status": "returned"}, b"payload")
SEEN, DID = pack({"case": "a", "autograd": ["x"]}), pack({"case": "a", "did": ["y"]})


def test_notes_join_the_record_of_their_case() -> None:
    expected = {"a": ({"case": "a", "status": "returned", "autograd": ["x"], "did": ["y"]}, b"payload")}

    assert read_records(SEEN + RECORD + DID, known=["a"]) == (expected, False)
    assert read_records(DID + SEEN + RECORD, known=["a"]) == (expected, False)


def test_notes_need_no_record() -> None:
    assert read_records(SEEN, known=["a"]) == ({"a": ({"case": "a", "autograd": ["x"]}, b"")}, False)


def test_a_second_record_of_a_case_is_left_out() -> None:
    records, is_odd = read_records(RECORD + pack({"case": "a", "status": "raised"}), known=["a"])

    assert (records["a"][0]["status"], is_odd) == ("returned", True)
