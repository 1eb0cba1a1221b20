"""Each system call that a few requests take, failing once: that request may fail, nothing else does."""

import mmap
import struct
import subprocess

import pytest

from lab import http
from lab.swarm import TOP, Manager, Simulator, binary
from lab.waiting import wait_until

# What the kernel may refuse or cut off: the request then fails, or nobody ever hears of it.
BROKEN = (OSError, AssertionError, http.Ended)


class FailingCalls:
    """Says to a program which of its system calls is to fail next."""

    def __init__(self, machine):
        library, self.path = f"{machine.tmp}/fail_call.so", f"{machine.tmp}/fail-control"
        source = f"{TOP}/tests/integration/lab/fail_call.c"
        subprocess.run(
            ["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        with open(self.path, "wb") as f:
            f.write(struct.pack("3q", -1, 0, 0))
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 24)
        self.env = {"FAIL_CONTROL": self.path, "LD_PRELOAD": f"{self.sanitizer()} {library}".strip()}

    @staticmethod
    def sanitizer():
        """The runtime of a sanitizer has to be the first library, where it is one."""
        needed = subprocess.run(["ldd", binary()], stdout=subprocess.PIPE, text=True, check=True).stdout
        return " ".join(line.split()[2] for line in needed.splitlines() if "libasan" in line)

    def _at(self, i):
        return struct.unpack_from("q", self.map, 8 * i)[0]

    def arm(self, left):
        struct.pack_into("q", self.map, 0, left)

    @property
    def calls(self):
        return self._at(1)

    @property
    def failed(self):
        return self._at(2)


@pytest.fixture
def failing(machine):
    return FailingCalls(machine)


def ask(m, method, target, body=None):
    """The status; 0 when no answer came. A connection for each, so that all of it may fail."""
    try:
        return m.request(method, target, body, timeout=20).status
    except BROKEN:
        return 0


def life(m, name):
    """What a container goes through, whether the step before went well or not."""
    return [
        ask(m, "GET", "/_ping"),
        ask(m, "POST", f"/containers/create?name={name}", {"Image": "busybox", "Cmd": ["sleep", "9"]}),
        ask(m, "POST", f"/containers/{name}/start"),
        ask(m, "GET", f"/containers/{name}/json"),
        ask(m, "GET", "/containers/json?all=1"),
        ask(m, "DELETE", f"/containers/{name}?force=1"),
    ]


GOOD = [200, 201, 204, 200, 200, 204]


def test_each_call_may_fail_once(start, machine, failing):
    sim = start(Simulator, 2)
    m = start(Manager, sim.addrs, "--engine-refresh-min-interval=1s", "--engine-refresh-max-interval=2s",
              env=failing.env)
    before = failing.calls
    assert life(m, "whole") == GOOD
    needed = failing.calls - before
    assert needed > 20, "calls are not seen"
    for left in range(needed + 10):
        failing.arm(left)
        seen = life(m, f"c{left}")
        failing.arm(-1)
        assert m.is_running(), f"call {left}: {seen}"
        for status, good in zip(seen, GOOD):
            # Not found or in conflict: a step before it failed.
            assert status in (good, 0, 404, 409) or status >= 500, f"call {left}: {seen}"
        wait_until(lambda: ask(m, "GET", "/_ping") == 200, f"an answer after call {left}")
    assert failing.failed > needed // 2, "hardly a call failed"
    m.wait_healthy(2)
    assert life(m, "again") == GOOD

    def shows_what_there_is():
        there = set()
        for addr in sim.addrs:
            reply = http.request(("tcp", addr), "GET", "/containers/json?all=1")
            there |= {c["Id"] for c in reply.json()}
        return {c["Id"] for c in m.json("GET", "/containers/json?all=1")} == there

    wait_until(shows_what_there_is, "the list to agree with the engines", 30)
