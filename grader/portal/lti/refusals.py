"""
What goes wrong between a platform, a browser and us.
"""

from __future__ import annotations

__all__ = ["PlatformFailure", "Refused"]


class Refused(Exception):  # noqa: N818 - a person reads it
    """
    A login, a launch, a registration or an answer that is not accepted.

    Args:
        sentence: What is wrong, in one plain sentence for the person who sees it.
        status: The HTTP status of the page.
        again: An address that starts the same login once more, for a new tab.
    """

    def __init__(self, sentence: str, *, status: int = 400, again: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
        self.again = again


class PlatformFailure(Exception):  # noqa: N818 - it is the platform that failed
    """
    A platform did not answer, or not with what the protocol says.

    Args:
        sentence: What happened, in one sentence.
        status: The HTTP status of its answer; 0 without one.
        retry_after_s: How long it asks us to wait; 0 if it does not.
    """

    def __init__(self, sentence: str, *, status: int = 0, retry_after_s: float = 0) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
        self.retry_after_s = retry_after_s
