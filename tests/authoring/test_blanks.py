"""What stands up to a course's closing mark is the solution, whatever the course's marks are."""

from __future__ import annotations

import pytest

from grader.authoring.blanks import STUB, code_below_blanks, has_blank, with_regions

PAIRS = [
    (
        "####\n# TODO: Implement it. #\n####".replace("####", "#" * 75)
        + "\n# *****START OF YOUR CODE (DO NOT DELETE/MODIFY THIS LINE)*****\n",
        "\n# *****END OF YOUR CODE (DO NOT DELETE/MODIFY THIS LINE)*****\n####\n# END OF YOUR CODE #\n####".replace(
            "####", "#" * 75
        ),
    ),
    (f"{'#' * 75}\n# TODO: Implement it. #\n{'#' * 75}", f"{'#' * 75}\n#   END OF YOUR CODE   #\n{'#' * 75}"),
    (f"# {'=' * 40} #\n# YOUR CODE HERE:\n#   Compute it.\n# {'=' * 40} #", f"# {'=' * 9} #\n# END YOUR CODE HERE"),
    ("### YOUR CODE HERE", "### END YOUR CODE"),
    ("### YOUR CODE HERE (~2 Lines)", "\n### END YOUR CODE\n"),
    ("### START CODE HERE ### (≈ 3 lines of code)", "### END CODE HERE ###"),
    ("# YOUR CODE STARTS HERE", "# YOUR CODE ENDS HERE"),
    ("# Your code goes here", "# Your code ends here"),
    ("# BEGIN YOUR CODE", "# END YOUR CODE"),
    ("# -----------------\n# YOUR CODE HERE :)", "# -----------------"),
    ("# <YOUR CODE>", "# </YOUR CODE>"),
    ("# YOUR CODE:", "# /YOUR CODE"),
    ("## TODO", "## END TODO"),
    ("######## TODO Begin ########", "######## TODO End ########"),
    ("# BEGIN IMPLEMENTATION", "# END IMPLEMENTATION"),
    ("# BEGIN ASSIGN1_1\n# TODO", "# END ASSIGN1_1"),
    ("######### Your code here #########", "############# END #############"),
    ("# --- TODO: your code here --- #", "## --- End of your code  --- ##"),
]
"""The marks of public courses, from which nothing else was taken."""


@pytest.mark.parametrize(("begin", "end"), PAIRS)
def test_all_up_to_the_closing_mark_is_the_solution(begin: str, end: str) -> None:
    """With a comment, a blank line and a loop in it; what is below stays."""
    inside = "# by the chain rule\ndx = 0\n\nfor row in x:\n    dx = dx + row"
    code = f"def f(x):\n    given = 1\n{indented(begin)}\n{indented(inside)}\n{indented(end)}\n    return dx"

    made = with_regions(code)

    assert has_blank(code)
    region = made[made.index("### BEGIN SOLUTION") : made.index("### END SOLUTION")]
    assert indented("dx = 0\n\nfor row in x:\n    dx = dx + row") in region
    assert "dx = 0" not in made.replace(region, "")
    head, _, tail = made.partition(region)
    assert head.startswith("def f(x):\n    given = 1\n")
    assert tail.strip() == "### END SOLUTION\n    return dx" or tail.strip() == "### END SOLUTION\n\n    return dx"
    assert not code_below_blanks(made)
    assert ("Implement it." in head) == ("Implement it." in begin)


@pytest.mark.parametrize(("begin", "end"), PAIRS)
def test_a_blank_between_marks_gets_a_stub(begin: str, end: str) -> None:
    """If its ruler is not closed by another one, as nothing is there to be closed."""
    made = with_regions(f"def f(x):\n{indented(begin)}\n    pass\n{indented(end)}\n    return x")

    assert f"    ### BEGIN SOLUTION\n    {STUB}\n    ### END SOLUTION\n" in made
    assert not code_below_blanks(made)


@pytest.mark.parametrize(("begin", "end"), PAIRS)
def test_the_next_function_is_none_of_the_solution(begin: str, end: str) -> None:
    one = f"def NAME(x):\n{indented(begin)}\n    dx = 3 * x\n{indented(end)}\n    return dx"

    made = with_regions(f"{one}\n\n\n{one}")

    assert made.count("### BEGIN SOLUTION") == made.count("### END SOLUTION") == 2
    assert made.count("def NAME(x):") == made.count("    return dx") == 2


def indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.split("\n"))


@pytest.mark.parametrize(
    ("code", "below"),
    [
        ("def f(x):\n    # YOUR CODE HERE\n    dx = 3 * x\n    return dx", ["dx = 3 * x"]),
        ("def f(x):\n    # TODO: Implement it.\n    return 3 * x", ["return 3 * x"]),
        ("def f(x):\n    # YOUR CODE HERE\n    return g(x)", ["return g(x)"]),
        ("# -----\n# YOUR CODE HERE :)\n# -----\ndx = 3 * x\ncmp(dx)", ["dx = 3 * x"]),
        ("def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n    return dx, {'w': dw}", []),
        ("def f(x):\n    dx = None\n    # YOUR CODE HERE\n    grads = {'x': dx}\n    return grads", []),
        (
            "class A:\n    def f(self):\n        # YOUR CODE HERE\n        pass\n\n"
            "    def g(self):\n        return 2 * 3",
            [],
        ),
        ("def f(x):\n    if x:\n        # YOUR CODE HERE\n        pass\n    return 3 * x", []),
    ],
)
def test_code_below_a_blank_that_nothing_closes_is_found(code: str, below: list[str]) -> None:
    """It may be the solution: its author is asked. What only returns names is no solution."""
    assert code_below_blanks(with_regions(code)) == below


def test_a_task_stays_for_students() -> None:
    """All of its lines, with the rulers around it; marks go."""
    ruler = "#" * 30
    made = with_regions(
        f"{ruler}\n# TODO:\n# Store the loss\n# in loss.\n{ruler}\npass\n{ruler}\n# END OF YOUR CODE\n{ruler}"
    )

    assert made.startswith(f"{ruler}\n# TODO:\n# Store the loss\n# in loss.\n{ruler}\n### BEGIN SOLUTION\n")
    assert made.endswith("### END SOLUTION")


def test_a_mark_that_is_not_indented_marks_a_blank_of_its_function() -> None:
    made = with_regions(
        "def f(x):\n# YOUR CODE HERE\n    y = 3 * x\n# END YOUR CODE\n    return y\n\ndef g():\n    return 1"
    )

    assert "\n    ### BEGIN SOLUTION\n    y = 3 * x\n    ### END SOLUTION\n    return y\n\ndef g():" in made
