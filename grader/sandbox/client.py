"""
A client and a manager of forked kernels for nbclient, which wait for no more than they must, and hold no more either.
"""

from __future__ import annotations

import time
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

__all__ = ["START_TIMEOUT_S", "PromptKernelClient", "PromptKernelManager"]

START_TIMEOUT_S = 30.0
_MESSAGE_BYTES = 8 << 20
_QUEUED_MESSAGES = 64
_SEND_TIMEOUT_MS = 2_000


class PromptKernelClient(AsyncKernelClient):
    """A client that waits only for the message that confirms its subscription, and has no heartbeat."""

    def start_channels(
        self, shell: bool = True, iopub: bool = True, stdin: bool = True, hb: bool = False, control: bool = True
    ) -> None:
        """As in the base class, but without a heartbeat, which is a thread that polls."""
        super().start_channels(shell=shell, iopub=iopub, stdin=stdin, hb=hb, control=control)

    def stop_channels(self) -> None:
        """Stop the channels that exist. The base class would make the missing ones in order to stop them."""
        for channel in (
            self._shell_channel,
            self._iopub_channel,
            self._stdin_channel,
            self._hb_channel,
            self._control_channel,
        ):
            if channel is not None and channel.is_alive():
                channel.stop()

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """
        Wait for `iopub_welcome`, which says that the kernel runs and that the subscription is in place.

        Raises:
            RuntimeError: It did not arrive in time.
        """
        until = time.monotonic() + (START_TIMEOUT_S if timeout is None else timeout)
        while True:
            try:
                message = await self.get_iopub_msg(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds") from None
            if message["msg_type"] == "iopub_welcome":
                return


class PromptKernelManager(AsyncKernelManager):
    """A manager whose clients all share its context, which limits the messages that wait on our side."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(client_class=f"{__name__}.{PromptKernelClient.__name__}", **kwargs)
        self.context.linger = 0
        self.context.sndtimeo = _SEND_TIMEOUT_MS  # if the kernel has closed its socket, there is nobody to send to
        self.context.rcvhwm = _QUEUED_MESSAGES
        self.context.maxmsgsize = _MESSAGE_BYTES

    def client(self, **kwargs: Any) -> AsyncKernelClient:  # type: ignore[override]  # as in the base class
        """A client of this kernel."""
        return super().client(context=self.context, **kwargs)
