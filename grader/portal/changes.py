"""
Tells the open pages of browsers that something has changed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator

__all__ = ["Changes"]


class Changes:
    """
    Subscribers in an event loop, and publishers in any thread.

    A subscriber is told that something has changed, and not what: it looks for itself. So no message can be lost, and
    many changes at once are one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: dict[asyncio.Event, tuple[asyncio.AbstractEventLoop, str]] = {}
        self._is_closed = False

    def publish(self, *topics: str) -> None:
        """Wake up those who subscribed to one of these topics."""
        with self._lock:
            woken = [(loop, event) for event, (loop, topic) in self._subscribers.items() if topic in topics]
        _wake(woken)

    def close(self) -> None:
        """End all subscriptions: the server stops, and waits for nobody."""
        with self._lock:
            self._is_closed = True
            woken = [(loop, event) for event, (loop, _) in self._subscribers.items()]
        _wake(woken)

    async def subscribe(self, topic: str, *, pause_s: float) -> AsyncGenerator[None, None]:
        """
        Yields whenever something has changed, at most once in `pause_s` seconds.

        It also yields once at the beginning, for what changed before. It ends when the server stops.
        """
        event = asyncio.Event()
        with self._lock:
            self._subscribers[event] = asyncio.get_running_loop(), topic
        try:
            while not self._is_closed:
                yield
                await asyncio.sleep(pause_s)
                await event.wait()
                event.clear()
        finally:
            with self._lock:
                del self._subscribers[event]


def _wake(woken: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    for loop, event in woken:
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)
