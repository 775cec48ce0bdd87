"""The parts that can be tested without a kernel."""

from __future__ import annotations

import ctypes
import ctypes.util
import pickle
import struct
import subprocess
import sys

import pytest

from grader.sandbox import Level, SandboxUnavailable, level_of, missing_layers, refusal
from grader.sandbox.seccomp import Outsiders, build_filter
from grader.sandbox.syscalls import DENIED, LAST_KNOWN, NAMING, PRETENDED, STARTING, UNCONFINED, Naming

PROCESS = ["rlimits", "no_new_privs", "die_with_parent"]
FILTERED = [*PROCESS, "seccomp", "landlock", "no_capabilities"]


def test_levels_are_ordered_and_cumulative() -> None:
    assert level_of([]) is Level.NONE
    assert level_of(PROCESS) is Level.PROCESS
    assert level_of(FILTERED) is Level.FILTERED
    assert level_of([*FILTERED, *missing_layers(FILTERED, Level.ISOLATED)]) is Level.ISOLATED
    assert level_of([*missing_layers(FILTERED, Level.ISOLATED)]) is Level.NONE


def test_a_refusal_names_both_levels_the_missing_layers_and_what_to_do() -> None:
    error = refusal(FILTERED, Level.ISOLATED)
    assert isinstance(error, SandboxUnavailable)
    assert "isolated" in error.message
    assert "filtered" in error.message
    assert "private_root" in error.message
    assert "apparmor_restrict_unprivileged_userns" in error.hint
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "Landlock" in refusal(PROCESS, Level.ISOLATED).hint


@pytest.mark.parametrize(("machine", "column", "audit"), [("x86_64", 0, 0xC000003E), ("aarch64", 1, 0xC00000B7)])
def test_numbers_are_those_of_libseccomp(machine: str, column: int, audit: int) -> None:
    name = ctypes.util.find_library("seccomp")
    if name is None:
        pytest.skip("no libseccomp to compare with")
    library = ctypes.CDLL(name)
    wrong = {}
    others = {call: numbers[:2] for call, numbers in (*NAMING.items(), *UNCONFINED.items())}
    tables = {**DENIED, **PRETENDED, **STARTING, **others}
    for call, numbers in tables.items():
        expected = library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(audit), call.encode())
        if expected != -1:  # -1: this libseccomp is older than the call
            number = numbers[column]
            if number != (expected if expected >= 0 else None):
                wrong[call] = (number, expected)
    assert not wrong
    assert max(number for numbers in DENIED.values() for number in numbers if number) <= LAST_KNOWN


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("unix_sockets", [True, False])
def test_the_filter_allows_and_refuses_what_it_should(machine: str, unix_sockets: bool) -> None:
    program = build_filter(machine, unix_sockets=unix_sockets)
    column, audit = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}[machine]
    allowed, refused, unknown, no_family, killed = 0x7FFF0000, 0x50001, 0x50026, 0x50061, 0x80000000

    def verdict(number: int, *arguments: int, architecture: int = audit) -> int:
        return _run(program, number, architecture, arguments)

    assert len(program) // 8 < 4096
    read, clone, socket, socketpair, prctl = ((0, 56, 41, 53, 157), (63, 220, 198, 199, 167))[column]
    assert verdict(read) == allowed
    assert verdict(read, architecture=0x40000003) == killed
    assert verdict(LAST_KNOWN) in (allowed, refused)
    assert {verdict(numbers[column]) for numbers in DENIED.values() if numbers[column] is not None} == {refused}
    assert verdict(435) == unknown  # clone3
    assert verdict(LAST_KNOWN + 1) == unknown
    assert verdict(clone, 0x1200011) == allowed
    assert verdict(clone, 0x10000000 | 17) == refused
    assert verdict(socket, 1) == (allowed if unix_sockets else no_family)
    assert verdict(socket, 2) == no_family
    assert verdict(socketpair, 1) == allowed
    assert verdict(socketpair, 2) == no_family
    assert verdict(prctl, 15) == allowed
    assert verdict(prctl, 1) == refused
    if machine == "x86_64":
        assert verdict(0x40000000 | 101) == killed


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("outsiders", list(Outsiders))
def test_the_filter_decides_on_calls_that_name_or_start_processes(machine: str, outsiders: Outsiders) -> None:
    program = build_filter(machine, unix_sockets=False, outsiders=outsiders)
    column, audit = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}[machine]
    allowed, refused, asked, no_call, ignored = 0x7FFF0000, 0x50001, 0x7FC00000, 0x50026, 0x50000

    def verdict(number: int, *arguments: int) -> int:
        return _run(program, number, audit, arguments)

    is_free = outsiders is Outsiders.ALLOWED
    for x86, arm, naming in NAMING.values():
        number, is_a_signal = (x86, arm)[column], naming is Naming.SIGNAL
        other = {
            Outsiders.ALLOWED: allowed,
            Outsiders.ASKED: asked,
            Outsiders.REFUSED: allowed if is_a_signal else refused,
        }[outsiders]
        if naming is Naming.OWNER:
            assert [verdict(number, 3, command, 0) for command in (1, 8)] == [allowed, allowed]
            assert [verdict(number, 3, 1, 77), verdict(number, 3, 8, 77)] == [allowed, other]
            assert verdict(number, 3, 15, 1 << 20) == (allowed if is_free else refused)
        elif naming in (Naming.KIND, Naming.KIND_FROM_ONE):
            first = naming is Naming.KIND_FROM_ONE
            assert [verdict(number, first, 0), verdict(number, first + 1, 0)] == [allowed, allowed]
            assert [verdict(number, first, 77), verdict(number, first + 1, 77)] == [other, other]
            assert verdict(number, first + 2, 0) == (allowed if is_free else refused)
        else:
            assert [verdict(number, 0), verdict(number, 77), verdict(number, (1 << 32) - 1)] == [allowed, other, other]
    starts = asked if outsiders is Outsiders.ASKED else allowed
    for numbers in STARTING.values():
        number_or_none = numbers[column]
        if number_or_none is not None:
            assert verdict(number_or_none, 0x1200011) == starts
    clone, setsockopt = STARTING["clone"][column], (54, 208)[column]
    assert clone is not None
    assert verdict(clone, 0x3D0F00) == starts  # a thread, as libc makes it
    assert verdict(clone, 0x3D0F00 & ~0x400) == refused
    assert verdict(424, 7) == (allowed if is_free else no_call)
    assert [verdict(setsockopt, 3, 1, option) for option in (7, 32, 8, 2)] == [ignored, ignored, allowed, allowed]
    assert verdict(setsockopt, 3, 6, 7) == allowed
    assert [verdict(436, 3, 9, flags) for flags in (0, 2, 4, 6)] == [allowed, refused, allowed, refused]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("outsiders", list(Outsiders))
def test_the_filter_closes_what_landlock_does_not_confine(machine: str, outsiders: Outsiders) -> None:
    """Where there is no private root; in one, all of that may be done to the files there."""
    program = build_filter(machine, unix_sockets=True, outsiders=outsiders)
    column, audit = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}[machine]
    allowed, ignored, refused, no_protocol, no_family = 0x7FFF0000, 0x50000, 0x50001, 0x5005D, 0x50061

    def verdict(number: int, *arguments: int) -> int:
        return _run(program, number, audit, arguments)

    is_free = outsiders is Outsiders.ALLOWED
    for x86, arm, error in UNCONFINED.values():
        number = (x86, arm)[column]
        if number is not None:
            assert verdict(number) == (allowed if is_free else 0x50000 | error)
    assert {verdict(numbers[column]) for numbers in PRETENDED.values()} == {ignored}
    openat, socketpair, mmap = ((257, 53, 9), (56, 199, 222))[column]
    read, write, both, truncate, create = 0, 1, 2, 0x200, 0x40
    assert {verdict(openat, 0, 0, mode) for mode in (read, write, both, write | truncate | create)} == {allowed}
    assert verdict(openat, 0, 0, both | truncate) == allowed
    assert verdict(openat, 0, 0, read | truncate) == (allowed if is_free else refused)
    flags = 0x80000 | 0x800
    assert {verdict(socketpair, 1, kind | more) for kind in (1, 5) for more in (0, flags)} == {allowed}
    others = {verdict(socketpair, 1, kind | more) for kind in (2, 3) for more in (0, flags)}
    assert others == {allowed if is_free else no_protocol}
    assert verdict(socketpair, 2, 1) == no_family
    fcntl = (72, 25)[column]
    assert (verdict(fcntl, 3, 1031, 1 << 20), verdict(fcntl, 3, 1)) == (refused, allowed)
    shared, private, validated, without_file, more = 0x01, 0x02, 0x03, 0x20, 0x8000
    assert {verdict(mmap, 0, 0, 0, kind | without_file | more) for kind in (shared, validated)} == {refused}
    assert {verdict(mmap, 0, 0, 0, kind | more) for kind in (shared, private, validated)} == {allowed}
    assert verdict(mmap, 0, 0, 0, private | without_file) == allowed


def _run(program: bytes, number: int, architecture: int, arguments: tuple[int, ...]) -> int:
    """What a classic BPF machine returns for the program: only the instructions that the filter has."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(arguments + (0,) * 6)[:6])
    code = [struct.unpack_from("=HBBI", program, offset) for offset in range(0, len(program), 8)]
    position = accumulator = 0
    while True:
        operation, if_true, if_false, operand = code[position]
        position += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", data, operand)[0]
        elif operation == 0x54:
            accumulator &= operand
        elif operation == 0x06:
            return operand
        else:
            holds = {0x15: accumulator == operand, 0x25: accumulator > operand, 0x45: accumulator & operand != 0}
            position += if_true if holds[operation] else if_false


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(OSError, match="architecture"):
        build_filter("vax", unix_sockets=False)


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("from grader.sandbox import ForkServer, Bounds", {"torch", "IPython", "ipykernel", "jupyter_client", "zmq"}),
        ("from grader.sandbox import start_forked_kernel", {"torch", "IPython", "ipykernel"}),
        ("from grader.sandbox.levels import Level", {"subprocess", "json", "tempfile", "typing_extensions"}),
        (
            "import grader.sandbox.forkserver",
            {"torch", "matplotlib", "grader.sandbox.provisioner", "grader.sandbox.server"},
        ),
    ],
)
def test_no_more_is_imported_than_is_needed(statement: str, unwanted: set[str]) -> None:
    code = f"import sys; {statement}; unwanted = {unwanted!r} & set(sys.modules); assert not unwanted, unwanted"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_huge_pages_keep_the_contents_of_memory() -> None:
    """Memory has the same contents before and after a fork. In another process, since this one has threads."""
    code = (
        "import os, random; random.seed(1); kept = [random.randbytes(1 << 20) for _ in range(16)]\n"
        "seen = hash(tuple(kept))\n"
        "from grader.sandbox.pages import use_huge_pages; use_huge_pages()\n"
        "child = os.fork()\n"
        "kept[3] = b'' if child == 0 else kept[3]\n"
        "assert (hash(tuple(kept)) == seen) is (child != 0)\n"
        "assert child == 0 or os.waitpid(child, 0)[1] == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
