"""
Hostile kernels: they speak ZeroMQ, Jupyter's protocol and the harness' frames for a while, and then anything else.

The judge, the conductor and the supervisor of the kernel are honest. What is a kernel in a grading is a thread here,
which writes the bytes of ZeroMQ's protocol itself, so that it can write wrong ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import random
import selectors
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from grader.execution import conducting, execute
from grader.execution.conducting import Conductor
from grader.execution.conductor import conduct_here
from grader.harness.wire import WireError, receive_message
from grader.sandbox import CHANNELS, KernelEnds, RunningKernel, adopt_kernel, client, listen, provisioner, running
from grader.sandbox.kernels import make_listeners
from tests.fuzz.conductors import how_it_ended
from tests.fuzz.honest import CHARACTERS, Answers, base_of, chosen, graded, submission_of_base
from tests.fuzz.running import Fuzzer, Step
from tests.fuzz.values import changed_bytes, changed_records, changed_tree, hostile_value, message

__all__ = ["KERNELS"]

LIMIT_S = 0.1
_LAYERS = ("own_process", "clean_environment", "time_limits")
_PATIENCE_S = 50.0
_SCALED = {
    execute: {"READY_S": 0.2, "GRACE_S": 0.1, "_REASON_S": 0.005, "_QUICK_S": 0.05},
    provisioner: {"_ANSWER_TIMEOUT_S": 0.05, "START_TIMEOUT_S": 0.5},
    running: {"START_TIMEOUT_S": 0.5, "END_TIMEOUT_S": 0.3},
    client: {"_SEND_TIMEOUT_MS": 50},
    conducting: {"READ_S": 3.0, "_START_S": 0.2, "_SLACK_S": 1.0, "_END_S": 0.5},
}
"""The limits of the product, scaled down. The judge's deadline is still behind all of the conductor's."""
_DELIMITER = b"<IDS|MSG>"
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + bytes(1) + bytes(31)
_KINDS = {"shell": b"ROUTER", "control": b"ROUTER", "stdin": b"ROUTER", "iopub": b"PUB", "hb": b"REP"}
_MORE, _LONG, _COMMAND = 1, 2, 4


# ------------------------------------------------------------------------------------------------------------ scripts

_LIES = {
    "mute": 2,
    "twist": 8,
    "say": 4,
    "noise": 2,
    "flood": 0.7,
    "shuffle": 2,
    "again": 1,
    "harness": 2,
    "close": 1,
    "die": 0.7,
    "sleep": 0.5,
    "late": 0.3,
    "parts": 1,
    "everywhere": 1,
    "key": 1,
}
_ENDS = {"honest": 8, "mute": 1, "close": 1, "twist": 1}


def _script(rng: random.Random) -> list[Step]:
    lies = rng.choice((0.03, 0.1, 0.3, 0.8))
    is_subtle = rng.random() < 0.4  # only the harness lies
    steps: list[Step] = [("be", rng.choice(CHARACTERS))]
    if rng.random() < 0.2:
        steps.append(("thoroughly", 0))
    if rng.random() < 0.9:
        steps.append(("honest", 0))  # it gets ready: nothing of a student has run yet
    for _ in range(rng.choice((3, 8, 20, 40))):
        kind = "honest"
        if rng.random() < lies:
            kind = "reply" if is_subtle else chosen(rng, _LIES)
        steps.append((kind, rng.getrandbits(32)))
    return [*steps, ("end", chosen(rng, _ENDS))]


# ----------------------------------------------------------------------------------------------------- ZeroMQ, by hand


def _frames(parts: Sequence[bytes], *, flags: int = 0) -> bytes:
    """The frames of a message of several parts."""
    written = bytearray()
    for number, part in enumerate(parts):
        more = _MORE if number < len(parts) - 1 else 0
        if len(part) < 256:
            written += bytes((flags | more, len(part))) + part
        else:
            written += bytes((flags | more | _LONG,)) + len(part).to_bytes(8, "big") + part
    return bytes(written)


def _ready(kind: bytes) -> bytes:
    body = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
    return bytes((_COMMAND, len(body))) + body


class _Connection:
    """One connection of a client with one of the kernel's channels."""

    def __init__(self, end: socket.socket, channel: str) -> None:
        self.end = end
        self.channel = channel
        self._unread = bytearray()
        self._parts: list[bytes] = []
        self._is_greeted = False
        end.settimeout(0.03)
        self.write(_GREETING + _ready(_KINDS[channel]))

    def write(self, content: bytes) -> None:
        """Write, unless the other side does not read."""
        with contextlib.suppress(OSError):
            self.end.sendall(content)

    def read(self) -> Iterator[list[bytes]]:
        """The messages that have arrived; raises an `EOFError` at the end."""
        try:
            content = self.end.recv(1 << 16)
        except TimeoutError:
            return
        except OSError:
            content = b""
        if not content:
            raise EOFError
        self._unread += content
        if not self._is_greeted:
            if len(self._unread) < len(_GREETING):
                return
            del self._unread[: len(_GREETING)]
            self._is_greeted = True
        while len(self._unread) >= 2:
            flags = self._unread[0]
            begin = 9 if flags & _LONG else 2
            end = begin + int.from_bytes(self._unread[1:begin], "big")
            if len(self._unread) < max(begin, end):
                return
            part = bytes(self._unread[begin:end])
            del self._unread[:end]
            if flags & _COMMAND:
                continue
            self._parts.append(part)
            if not flags & _MORE:
                yield self._parts
                self._parts = []


# ----------------------------------------------------------------------------------------------------------- a kernel

Said = tuple[str, dict[str, Any]]
"""A channel, and a message on it: its header, its parent's header, its metadata and its content."""


class _Kernel(threading.Thread):
    """A kernel with its supervisor. At each event, it does what the next step of its script says."""

    def __init__(
        self,
        steps: Iterator[Step],
        listeners: Sequence[socket.socket],
        supervisor: socket.socket,
        harness: socket.socket,
        key: str,
    ) -> None:
        super().__init__(daemon=True)
        self._steps = steps
        self._tail: str | None = None
        self._key = key.encode()
        self._supervisor, self._harness = supervisor, harness
        self._connections: list[_Connection] = []
        self._honest = Answers("right")
        self._last: list[Said] = []
        self._parent: dict[str, Any] = {}
        self._is_serving = False
        self._has_ended = False
        self._selector = selectors.DefaultSelector()
        for listener, channel in zip(listeners, CHANNELS, strict=True):
            self._selector.register(listener, selectors.EVENT_READ, ("listener", channel))
        self._selector.register(supervisor, selectors.EVENT_READ, ("supervisor", None))
        self._selector.register(harness, selectors.EVENT_READ, ("harness", None))
        harness.settimeout(0.05)

    def run(self) -> None:
        until = time.monotonic() + _PATIENCE_S
        try:
            while not self._has_ended and time.monotonic() < until:
                for key, _ in self._selector.select(0.05):
                    kind, detail = key.data
                    getattr(self, f"_at_{kind}")(key.fileobj, detail)
        finally:
            for key in list(self._selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
            self._selector.close()

    # ------------------------------------------------------------------------------------------- events

    def _at_listener(self, listener: socket.socket, channel: str) -> None:
        end, _ = listener.accept()
        connection = _Connection(end, channel)
        self._connections.append(connection)
        self._selector.register(end, selectors.EVENT_READ, ("connection", connection))

    def _at_connection(self, end: socket.socket, connection: _Connection) -> None:
        try:
            for parts in connection.read():
                if connection.channel == "iopub":
                    self._act([("iopub", _message("iopub_welcome", {}, {"subscription": ""}))])
                    continue
                try:
                    header, _, _, content = map(json.loads, parts[parts.index(_DELIMITER) + 2 :][:4])
                except ValueError:
                    continue
                self._asked(header, content)
        except EOFError:
            self._forget(connection)

    def _asked(self, header: dict[str, Any], content: dict[str, Any]) -> None:
        kind = str(header.get("msg_type"))
        self._parent = header
        if kind == "serve_request":
            self._serve()
            return
        reply: dict[str, Any] = {"status": "ok"}
        if kind == "execute_request":
            reply |= {"execution_count": 1, "user_expressions": {}, "payload": []}
        self._act(
            [
                ("iopub", _message("status", header, {"execution_state": "busy"})),
                ("shell", _message(kind.replace("request", "reply"), header, reply)),
                ("iopub", _message("status", header, {"execution_state": "idle"})),
            ]
        )

    def _serve(self) -> None:
        rng = self._next_step()
        if rng is None or rng[0] in ("honest", "reply", "again", "shuffle", "sleep", "say"):
            self._say_to_harness(message({"status": "ready"}))
        elif rng[0] != "mute":
            self._lie_to_harness(random.Random(rng[1]))

    def _at_harness(self, harness: socket.socket, _: None) -> None:
        try:
            header, _payload = receive_message(harness.recv, payload_limit=1 << 28)
        except (WireError, OSError):
            self._selector.unregister(harness)
            harness.close()
            return
        records = self._honest.to(header)
        payload = b"".join(message(*record) for record in records)
        step = self._next_step()
        kind, rng = (step[0], random.Random(step[1])) if step is not None else ("honest", random.Random(0))
        if kind in ("twist", "reply"):
            status = rng.choice(("done", "done", "done", "timed_out", "too_large", "crashed"))
            said: Any = {"status": status} | rng.choice(({}, {"signal": 9}, {"exit": 10**400}, {"exit": "x"}))
            if rng.random() < 0.2:
                said = changed_tree(said, rng, of_json=True)
            self._say_to_harness(message(said, changed_records(records, rng)))
        elif kind in ("harness", "noise"):
            self._lie_to_harness(rng)
        elif kind == "close":
            self._say_to_harness(message({"status": "done"}, payload)[: rng.randrange(40)])
            self._selector.unregister(harness)
            harness.close()
        elif kind == "flood":
            self._say_to_harness(message({"status": "done"}, payload) * rng.choice((2, 30)))
        elif kind == "die":
            self._die(rng)
        elif kind != "mute":
            self._say_to_harness(message({"status": "done"}, payload))

    def _at_supervisor(self, supervisor: socket.socket, _: None) -> None:
        try:
            packet = supervisor.recv(1 << 10)
        except OSError:
            packet = b""
        if not packet:
            self._has_ended = True
        elif packet == b"used":
            with contextlib.suppress(OSError):
                supervisor.send(b'{"used": 0.07}')
        elif packet == b"%d" % signal.SIGKILL:
            self._exit("", -9)
        elif packet == b"%d" % signal.SIGINT:
            error = {"status": "error", "ename": "KeyboardInterrupt", "evalue": "", "traceback": []}
            self._act([("shell", _message("execute_reply", self._parent, error))])

    # ------------------------------------------------------------------------------------------- what it does

    def _next_step(self) -> Step | None:
        """The next step; None to be honest."""
        step = next(self._steps, None)
        while step is not None and step[0] in ("be", "thoroughly", "end"):
            if step[0] == "be":
                self._honest = Answers(step[1])
            elif step[0] == "end":
                self._tail = step[1]
            step = next(self._steps, None)
        if step is None and self._tail is not None:
            return (self._tail, 7)
        return step

    def _act(self, honest: list[Said]) -> None:
        """Say what is to be said, or do what the next step says."""
        step = self._next_step()
        if step is None or step[0] in ("honest", "reply"):
            self._say_all(honest)
            self._last = honest
            return
        getattr(self, f"_do_{step[0]}")(honest, random.Random(step[1]))

    def _say_all(self, said: Sequence[Said]) -> None:
        for channel, spoken in said:
            self._write(channel, _frames(self._parts(spoken)))

    def _parts(self, spoken: dict[str, Any]) -> list[bytes]:
        parts = [json.dumps(spoken[name]).encode() for name in ("header", "parent", "metadata", "content")]
        return [_DELIMITER, self._signature(parts), *parts]

    def _signature(self, parts: Sequence[bytes]) -> bytes:
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(part)
        return digest.hexdigest().encode()

    def _write(self, channel: str, content: bytes) -> None:
        for connection in self._connections:
            if connection.channel == channel:
                connection.write(content)

    def _say_to_harness(self, content: bytes) -> None:
        with contextlib.suppress(OSError):
            self._harness.sendall(content)

    def _lie_to_harness(self, rng: random.Random) -> None:
        odd: list[Callable[[], bytes]] = [
            lambda: rng.randbytes(rng.choice((1, 12, 13, 500))),
            lambda: message({"status": "ready"})[: rng.randrange(20)],
            lambda: message({"status": "ready"}) * rng.choice((2, 500)),
            lambda: message({"status": "ready"}, b"x" * 100),
            lambda: message(hostile_value(rng, of_json=True)),
            lambda: message({"status": hostile_value(rng, of_json=True)}),
            lambda: message(b"[" * 100_000),
            lambda: message(b"\xff" * 9),
            lambda: (2**32 - 1).to_bytes(4, "big") + bytes(8),
            lambda: (2).to_bytes(4, "big") + (2**64 - 1).to_bytes(8, "big") + b"{}",
            lambda: message({"status": "done"}, rng.randbytes(2_000)),
            lambda: message({"status": "done"}, b"x" * (5 << 20)),
        ]
        self._say_to_harness(rng.choice(odd)())

    def _exit(self, reason: str, code: int) -> None:
        with contextlib.suppress(OSError):
            self._supervisor.send(json.dumps({"exit": code, "reason": reason}).encode())
        self._has_ended = True

    def _forget(self, connection: _Connection) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.end)
        connection.end.close()
        if connection in self._connections:
            self._connections.remove(connection)

    # ------------------------------------------------------------------------------------------- lies

    def _do_mute(self, honest: list[Said], rng: random.Random) -> None:
        """Say nothing."""

    def _do_twist(self, honest: list[Said], rng: random.Random) -> None:
        """Say nearly the right thing."""
        chosen_place = rng.randrange(len(honest))
        for place, (channel, spoken) in enumerate(honest):
            if place != chosen_place:
                self._say_all([(channel, spoken)])
                continue
            how = rng.randrange(6)
            parts = self._parts(spoken)
            if how == 0:
                parts[1] = rng.choice((b"", b"0" * 64, parts[1].upper(), b"\xff", parts[1] * 1_000))
            elif how == 1:
                del parts[rng.randrange(len(parts))]
            elif how == 2:
                parts.insert(rng.randrange(len(parts) + 1), rng.choice((b"", b"{}", b"x" * 70_000, b"\xff")))
            elif how == 3:
                number = rng.randrange(2, len(parts))
                deep = b"[" * rng.choice((500, 100_000))
                parts[number] = rng.choice((changed_bytes(parts[number], rng), deep, b"\xff", b"null", b"[]", b"1e999"))
                if rng.random() < 0.8:
                    parts[1] = self._signature(parts[2:])
            else:
                name = rng.choice(list(spoken))
                parts = self._parts({**spoken, name: changed_tree(spoken[name], rng, of_json=True)})
            if rng.random() < 0.1:
                channel = rng.choice(CHANNELS)
            self._write(channel, _frames(parts))

    def _do_say(self, honest: list[Said], rng: random.Random) -> None:
        """Say what nobody has asked for, too."""
        some = [
            (rng.choice(("iopub", "iopub", "shell", "control")), self._unasked(rng)) for _ in range(rng.choice((1, 5)))
        ]
        self._say_all([*some, *honest])

    def _unasked(self, rng: random.Random) -> dict[str, Any]:
        parent = rng.choice((self._parent, {}, {"msg_id": "other"}, self._parent | {"msg_id": 7}))
        kind = rng.choice(
            (
                *("status", "stream", "display_data", "update_display_data", "execute_result", "error"),
                *("clear_output", "comm_open", "comm_msg", "comm_close", "execute_input", "input_request"),
                *(
                    "execute_reply",
                    "kernel_info_reply",
                    "shutdown_reply",
                    "interrupt_reply",
                    "iopub_welcome",
                    "\x1b[2J",
                ),
            )
        )
        content: Any = {
            "execution_state": rng.choice(("busy", "idle", "starting", "dead", 3)),
            "name": "stdout",
            "text": "x" * rng.choice((1, 100_000)),
            "data": {"text/plain": "x", "application/vnd.jupyter.widget-view+json": {"model_id": "m"}},
            "metadata": {},
            "transient": {"display_id": rng.choice(("a", None, 7, ["a"]))},
            "comm_id": rng.choice(("c", None, 7, {})),
            "status": rng.choice(("ok", "error", "aborted", None)),
            "ename": "E",
            "evalue": "m",
            "traceback": [],
            "prompt": "?",
            "password": False,
            "wait": True,
            "buffer_paths": [],
        }
        if rng.random() < 0.4:
            content = changed_tree(content, rng, of_json=True)
        return _message(kind, parent, content)

    def _do_noise(self, honest: list[Said], rng: random.Random) -> None:
        """Write bytes that are no messages."""
        odd = rng.choice(
            (
                lambda: rng.randbytes(rng.choice((1, 2, 60, 3_000))),
                lambda: bytes((_LONG,)) + (2**63).to_bytes(8, "big") + b"x",
                lambda: bytes((_LONG,)) + (2**64 - 1).to_bytes(8, "big") + b"x",
                lambda: bytes((_LONG,)) + (9 << 20).to_bytes(8, "big") + b"x" * 100,
                lambda: bytes((_MORE, 1)) + b"x",
                lambda: bytes((_MORE, 0)) * 20_000,
                lambda: bytes((0, 0)) * 2_000,
                lambda: bytes((_COMMAND, 5)) + b"\x04PING",
                lambda: bytes((_COMMAND, 40)) + b"\x05ERROR" + b"\x21" + b"x" * 33,
                lambda: bytes((0xFF, 3)) + b"abc",
                lambda: _frames(self._parts(honest[0][1]))[: rng.randrange(1, 60)],
            )
        )()
        self._write(rng.choice(("shell", "iopub", "control")), odd)
        if rng.random() < 0.5:
            self._say_all(honest)

    def _do_flood(self, honest: list[Said], rng: random.Random) -> None:
        """Say something very often, and the right thing afterwards."""
        once = _frames(self._parts(self._unasked(rng)))
        channel = rng.choice(("shell", "iopub"))
        until = time.monotonic() + 0.2
        for _ in range(rng.choice((100, 1_000))):
            self._write(channel, once)
            if time.monotonic() > until:
                break
        self._say_all(honest)

    def _do_shuffle(self, honest: list[Said], rng: random.Random) -> None:
        self._say_all(rng.sample(honest, rng.randint(0, len(honest))))

    def _do_again(self, honest: list[Said], rng: random.Random) -> None:
        """Say what was right before, and what is right now, twice."""
        self._say_all([*self._last, *honest, *honest])

    def _do_harness(self, honest: list[Said], rng: random.Random) -> None:
        self._lie_to_harness(rng)
        self._say_all(honest)

    def _do_close(self, honest: list[Said], rng: random.Random) -> None:
        """Close a connection, or all; the client connects again."""
        for connection in list(self._connections):
            if rng.random() < 0.4:
                self._forget(connection)

    def _do_late(self, honest: list[Said], rng: random.Random) -> None:
        """Say the right thing when nobody waits for it any longer."""
        time.sleep(rng.choice((1.5, 4)) * LIMIT_S)
        self._say_all(honest)

    def _do_parts(self, honest: list[Said], rng: random.Random) -> None:
        """Say it in messages of thousands of parts, before, within or after the right ones."""
        channel, spoken = rng.choice(honest)
        many = [rng.choice((b"", b"x", b"{}"))] * rng.choice((100, 5_000))
        parts = self._parts(spoken)
        place = rng.choice((0, 1, len(parts)))
        self._write(channel, _frames([*parts[:place], *many, *parts[place:]]))
        if rng.random() < 0.5:
            self._say_all(honest)

    def _do_everywhere(self, honest: list[Said], rng: random.Random) -> None:
        """Say something on all channels at once, and what is no reply on the harness' channel, too."""
        for channel in CHANNELS:
            self._say_all([(channel, rng.choice(honest)[1]), (channel, self._unasked(rng))])
        self._lie_to_harness(rng)
        self._say_all(honest)

    def _do_key(self, honest: list[Said], rng: random.Random) -> None:
        """Sign with another key, or with none, and then perhaps say what was signed before again."""
        ours, self._key = self._key, rng.choice((b"", b"other", self._key[::-1], self._key + b"x", b"k" * 5_000))
        self._say_all(honest)
        self._key = ours
        if rng.random() < 0.5:
            self._say_all([*honest, *self._last, *honest])

    def _do_die(self, honest: list[Said], rng: random.Random) -> None:
        self._die(rng)

    def _die(self, rng: random.Random) -> None:
        self._exit(rng.choice(("", "memory", "cpu")), rng.choice((-9, -11, 0, 1)))

    def _do_sleep(self, honest: list[Said], rng: random.Random) -> None:
        time.sleep(rng.choice((0.01, 0.15)))
        self._say_all(honest)


def _message(kind: str, parent: dict[str, Any], content: Any) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "session": "s",
        "username": "u",
        "version": "5.3",
        "date": "2024-01-01T00:00:00.000000Z",
    }
    return {"header": header, "parent": parent, "metadata": {}, "content": content}


# ------------------------------------------------------------------------------------------------------------ the run


@contextlib.contextmanager
def _scaled() -> Iterator[None]:
    connect = execute.connect_client

    def connect_quickly(*arguments: Any, **options: Any) -> Any:
        connected = connect(*arguments, **options)
        connected._trait_values["iopub_timeout"] = 0.05  # by its type, it has no decimals
        return connected

    with contextlib.ExitStack() as patches:
        for module, values in _SCALED.items():
            for name, value in values.items():
                patches.enter_context(mock.patch.object(module, name, value))
        patches.enter_context(mock.patch.object(execute, "connect_client", connect_quickly))
        yield


class _Judged:
    """What a run needs, and what its threads leave behind."""

    def __init__(self, script: Sequence[Step]) -> None:
        self._steps = iter(list(script))
        self._kernels: list[_Kernel] = []
        self.faults: list[BaseException] = []

    @contextlib.contextmanager
    def started(self) -> Iterator[Conductor]:
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self._conduct, args=(theirs,), daemon=True)
        thread.start()
        with ours:
            yield _WithoutControl(ours, None)
        thread.join(_PATIENCE_S)
        assert not thread.is_alive(), "the conductor goes on"
        for kernel in self._kernels:
            kernel.join(_PATIENCE_S)
            assert not kernel.is_alive(), "a kernel goes on"

    def _conduct(self, channel: socket.socket) -> None:
        try:
            conduct_here(channel, self._open)
        except BaseException as error:  # whatever it is, a conductor should not have raised it
            self.faults.append(error)

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[RunningKernel]:
        with tempfile.TemporaryDirectory(prefix="grader-fuzz-", ignore_cleanup_errors=True) as folder:
            name = str(Path(folder, "k"))
            listeners = make_listeners(1)
            listen(listeners, name)
            control, supervisor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            channel, harness = socket.socketpair()
            key = uuid.uuid4().hex
            kernel = _Kernel(self._steps, listeners, supervisor, harness, key)
            self._kernels.append(kernel)
            kernel.start()
            async with adopt_kernel(KernelEnds(control, channel, key), name, layers=_LAYERS) as adopted:
                yield adopted


class _WithoutControl(Conductor):
    """If a kernel does not get ready, one for an empty notebook would."""

    def _check_kernels(self, *_: object) -> None:
        pass


def _run(script: Sequence[Step]) -> Sequence[str]:
    judged = _Judged(script)
    with _scaled():
        report = graded(judged.started, submission_of_base("right"), LIMIT_S, thoroughly=("thoroughly", 0) in script)
    for fault in judged.faults:
        raise fault
    return how_it_ended(report)


def _prepare() -> None:
    for character in CHARACTERS:
        base_of(character)


KERNELS = Fuzzer("kernels", _script, _run, _prepare)
