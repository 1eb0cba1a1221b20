"""Simulated engines in great number: one socket for all, and what happens to them by itself."""

import json
import os
import resource
import socket
import subprocess
import time

import pytest

from lab import http
from lab.swarm import binary
from lab.waiting import wait_until


def get(address, target, timeout=5):
    return http.request(("tcp", address), "GET", target, timeout=timeout)


def order(address, kind, seconds=30.0, **more):
    body = json.dumps({"kind": kind, "seconds": seconds, **more}).encode()
    assert http.request(("tcp", address), "POST", "/_simulator/fault", body).status == 204


def is_away(address):
    try:
        get(address, "/_ping", 2)
        return False
    except (OSError, AssertionError, http.Ended):
        return True


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def test_one_socket_for_all(simulate):
    """Loopback addresses cost no descriptors; each is an engine of its own all the same."""
    sim = simulate(600, "--control", "--containers", 2, "--label", "disk={ssd|hdd}", spread=True)
    assert descriptors(sim) < 50
    infos = [get(sim.addrs[i], "/info").json() for i in (0, 1, 300, 599)]
    assert [i["Name"] for i in infos] == ["sim-0", "sim-1", "sim-300", "sim-599"]
    assert [i["Labels"] for i in infos] == [["disk=ssd"], ["disk=hdd"], ["disk=ssd"], ["disk=hdd"]]
    assert len({i["ID"] for i in infos}) == 4
    assert is_away(f"127.1.2.200:{sim.base}"), "no engine has that address"
    assert is_away(f"127.0.0.1:{sim.base}")
    order(sim.addrs[1], "down", 1.5)
    wait_until(lambda: is_away(sim.addrs[1]), "the engine to be away")
    assert not is_away(sim.addrs[0]) and not is_away(sim.addrs[2])
    wait_until(lambda: not is_away(sim.addrs[1]), "the engine to be back")
    assert get(sim.addrs[1], "/info").json()["ContainersRunning"] == 2


def test_an_engine_that_goes_away_takes_its_connections_along(simulate):
    sim = simulate(2, "--control", spread=True)
    with http.Connection(("tcp", sim.addrs[0])) as gone, http.Connection(
            ("tcp", sim.addrs[1])) as kept:
        assert gone.request("GET", "/_ping").status == 200
        assert kept.request("GET", "/_ping").status == 200
        order(sim.addrs[0], "down")
        assert gone.is_closed()
        assert kept.request("GET", "/_ping").status == 200


def test_too_few_descriptors():
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500))

    done = subprocess.run(
        [binary(), "simulate", "--nodes", "1000", "--listen", "tcp://127.0.0.1:0"],
        preexec_fn=limit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1
    assert "1000 nodes need more than the 500 descriptors" in done.stderr
    assert "ulimit -n" in done.stderr


def events(address, wanted, timeout=20):
    """Reads events until each of the wanted (action, name) has come."""
    host, port = address.split(":")
    seen, text, deadline = set(), b"", time.monotonic() + timeout
    with socket.create_connection((host, int(port)), timeout) as s:
        s.sendall(b"GET /events?since=1 HTTP/1.0\r\nHost: x\r\n\r\n")
        while not wanted <= seen:
            assert time.monotonic() < deadline, f"{wanted - seen} did not come"
            text += s.recv(65536)
            *lines, text = text.split(b"\n")
            for line in lines:
                if line.startswith(b"{"):
                    event = json.loads(line)
                    seen.add((event["Action"], event["Actor"]["Attributes"].get("name", "")))
    return seen


def test_churn(simulate):
    """Containers start, stop, come and go, and events tell; those of clients are left alone."""
    sim = simulate(1, "--churn", 300, "--containers", 1)
    body = json.dumps({"Image": "busybox", "Cmd": ["top"]}).encode()
    headers = {"Content-Type": "application/json"}
    reply = http.request(("tcp", sim.addrs[0]), "POST", "/containers/create?name=mine", body, headers)
    assert reply.status == 201
    http.request(("tcp", sim.addrs[0]), "POST", "/containers/mine/start")
    seen = events(sim.addrs[0], {("create", "visitor"), ("start", "visitor"), ("destroy", "visitor"),
                                 ("stop", "container-0"), ("start", "container-0")})
    assert not {action for action, name in seen if name == "mine"} & {"stop", "die", "destroy"}
    names = {c["Names"][0] for c in get(sim.addrs[0], "/containers/json?all=1").json()}
    assert {"/mine", "/container-0"} <= names <= {"/mine", "/container-0", "/visitor"}


@pytest.mark.parametrize("spread", [True, False])
def test_outages(simulate, spread):
    """Engines go away and come back, with what they had."""
    sim = simulate(3, "--containers", 2, "--seed", 7, spread=spread)
    before = {c["Id"] for c in get(sim.addrs[1], "/containers/json").json()}
    sim.stop()
    sim = simulate(3, "--containers", 2, "--seed", 7, "--outages", 3, "--outage-time", "300ms",
                   spread=spread)
    for address in sim.addrs:
        wait_until(lambda address=address: is_away(address), "an outage", timeout=60)
    after = set()

    def is_back():
        try:
            after.update(c["Id"] for c in get(sim.addrs[1], "/containers/json").json())
        except (OSError, AssertionError, http.Ended):
            return False
        return True

    wait_until(is_back, "the engine to be back", timeout=60)
    assert after == before


def test_rates_are_set_anew(simulate):
    sim = simulate(2, "--control", "--containers", 2, "--outages", 20, "--outage-time", "100ms")
    wait_until(lambda: is_away(sim.addrs[1]), "an outage")

    def calm():
        try:
            body = b'{"churn":0,"outages":0}'
            return http.request(("tcp", sim.addrs[0]), "POST", "/_simulator/rates", body).status
        except (OSError, AssertionError, http.Ended):
            return None

    assert wait_until(calm, "the order to be taken") == 204
    wait_until(lambda: not is_away(sim.addrs[0]) and not is_away(sim.addrs[1]), "the end of it")
    for body in (b"", b"[]", b'{"churn":1}', b'{"churn":-1,"outages":0}', b'{"churn":"1","outages":0}'):
        assert http.request(("tcp", sim.addrs[0]), "POST", "/_simulator/rates", body).status == 400


def test_drip(simulate):
    """A byte at a time, and all of it in the end."""
    sim = simulate(2, "--control", "--drip", 1)
    whole = get(sim.addrs[0], "/version").body
    order(sim.addrs[0], "drip", ms=1)
    assert get(sim.addrs[0], "/version").body == whole
    order(sim.addrs[0], "none")
    assert get(sim.addrs[0], "/version").body == whole
    with pytest.raises((TimeoutError, socket.timeout)):
        get(sim.addrs[1], "/version", timeout=0.5)
    assert not is_away(sim.addrs[1]), "a short answer is there soon"


@pytest.mark.parametrize("option, value", [("--churn", "-1"), ("--churn", "many"),
                                           ("--outages", "50001"), ("--outage-time", "2h"),
                                           ("--drip", "3")])
def test_bad_options(option, value):
    done = subprocess.run([binary(), "simulate", "--nodes", "2", f"{option}={value}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 2 and done.stderr.startswith("swarm: "), done.stderr
