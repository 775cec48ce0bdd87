"""The tests themselves."""

from __future__ import annotations

import pytest


def test_the_tests_of_a_file_run_in_one_process(request: pytest.FixtureRequest) -> None:
    """Else each process starts a file's servers and kernels anew, and nothing says so: it only takes longer."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("the tests run in one process in any case")
    assert request.node.nodeid.endswith("@tests/test_suite.py")
