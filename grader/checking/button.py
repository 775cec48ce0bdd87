"""
A button in a notebook that hands it in, and shows beside it how that goes.

The browser only asks and shows: it gets neither the key nor an address to send anything to.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from grader.checking.submit import HandIn
from grader.checking.submitted import Submitted
from grader.errors import GraderError
from grader.reports.html import TEMPLATES

__all__ = ["SubmitButton"]

HERE = Path(__file__).parent
READY = Submitted(kind="ready", lead="")
BEGUN = Submitted(kind="working", lead="", closing="It is being handed in.")


class SubmitButton(anywidget.AnyWidget):
    """
    The button.

    Args:
        prepare: Finds the notebook's file, the assignment and the portal when the button is pressed.

    Attributes:
        shown: What a `Submitted` says, for the browser.
    """

    _esm = (HERE / "button.mjs").read_text(encoding="utf-8")
    _css = (TEMPLATES / "check.css").read_text(encoding="utf-8") + (HERE / "button.css").read_text(encoding="utf-8")
    shown = traitlets.Dict(dataclasses.asdict(READY)).tag(sync=True)

    def __init__(self, prepare: Callable[[], HandIn]) -> None:
        super().__init__()
        self._prepare = prepare
        self._thread: threading.Thread | None = None
        self.on_msg(self._pressed)

    def _pressed(self, _: Any, content: Any, __: Any) -> None:
        if content != {"ask": "submit"} or (self._thread is not None and self._thread.is_alive()):
            return
        self._show(BEGUN)  # the browser is told of changes only, and the same error may come twice
        try:
            prepared = self._prepare()
        except GraderError as error:
            self._show(Submitted.failed(error))
            return
        # Waiting takes long: the kernel goes on meanwhile.
        self._thread = threading.Thread(target=self._run, args=(prepared,), daemon=True)
        self._thread.start()

    def _run(self, prepared: HandIn) -> None:
        for shown in prepared.run():
            self._show(shown)

    def _show(self, shown: Submitted) -> None:
        self.shown = dataclasses.asdict(shown)
