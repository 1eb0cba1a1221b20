"""Consul as it really is: TLS, access control, several hosts, agents that clash or die."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from lab import swarm
from lab.swarm import Join
from lab.waiting import wait_until

ADDR = "10.1.2.3:2375"
KEY = f"p/docker/swarm/nodes/{ADDR}"
BEAT = ["--heartbeat", "1s", "--ttl", "20s"]


class Server:
    """`consul agent -dev` on this machine's loopback, on ports of its own."""

    def __init__(self, machine, folder, identity=None, config=None):
        self.machine, self.folder, self.identity = machine, str(folder), identity
        self.port, self.token = machine.free_ports(), None
        ports = {"dns": -1, "grpc": -1, "serf_wan": -1}
        ports.update({"server": machine.free_ports(), "serf_lan": machine.free_ports()})
        ports.update({"http": -1, "https": self.port} if identity else {"http": self.port})
        self.config = {"ports": ports, "bind_addr": "127.0.0.1", **(config or {})}
        if identity:
            self.config.update(ca_file=identity.ca, cert_file=identity.cert)
            self.config.update(key_file=identity.key, verify_incoming=True)
        self.process = None

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        with open(f"{self.folder}/config.json", "w") as f:
            json.dump(self.config, f)
        log = open(f"{self.folder}/log", "ab")
        self.process = self.machine.popen(
            ["consul", "agent", "-dev", "-log-level", "warn"]
            + ["-config-file", f"{self.folder}/config.json"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()

        def answers():
            assert self.process.poll() is None, open(f"{self.folder}/log").read()[-2000:]
            return len(self.request("GET", "/v1/status/leader")[1]) > 4

        wait_until(answers, "Consul to have a leader", 30)
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def addr(self):
        return f"127.0.0.1:{self.port}"

    def request(self, method, path, body=None):
        """(status, text)"""
        context = None
        if self.identity:
            context = ssl.create_default_context(cafile=self.identity.ca)
            context.load_cert_chain(self.identity.cert, self.identity.key)
            context.check_hostname = False
        url = f"{'https' if self.identity else 'http'}://127.0.0.1:{self.port}{path}"
        data = body.encode() if body is not None else None
        request = urllib.request.Request(url, data, method=method)
        if self.token:
            request.add_header("X-Consul-Token", self.token)
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as reply:
                return reply.status, reply.read().decode().strip()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def key(self):
        """The node's entry, or None."""
        status, text = self.request("GET", f"/v1/kv/{KEY}")
        assert status in (200, 404), (status, text)
        return json.loads(text)[0] if status == 200 else None

    def session(self):
        """Of the key, or None."""
        entry = self.key()
        return entry.get("Session") if entry else None


@pytest.fixture
def server(machine, tmp_path):
    assert shutil.which("consul"), "consul is missing: scripts/install-consul installs it"
    made = []

    def make(identity=None, config=None):
        made.append(Server(machine, tmp_path / f"consul-{len(made)}", identity, config))
        return made[-1].start()

    yield make
    for one in made:
        one.kill()


def listed(machine, *args):
    code, out, err = swarm.run(machine, "list", "--timeout", "5s", *args)
    return code, out.split(), err


def test_session_outlives_the_agents_health(server, start):
    """Nothing but its renewal keeps a session, so that no other failure takes the node along."""
    consul = server()
    start(Join, ADDR, f"consul://{consul.addr}/p", *BEAT)
    session = wait_until(consul.session, "the registration")
    info = json.loads(consul.request("GET", f"/v1/session/info/{session}")[1])[0]
    assert not info.get("NodeChecks") and not info.get("Checks")
    assert (info["Behavior"], info["TTL"], info["LockDelay"]) == ("delete", "10s", 1000000)
    assert consul.key()["Flags"] == 0x2DDCCBC058A50C18


def test_hosts_are_tried_in_turn(server, start, machine):
    one, two = server(), server()
    hosts = f"{one.addr},{two.addr}"
    one.kill()
    start(Join, ADDR, f"consul://{hosts}/p", *BEAT)
    wait_until(two.session, "the registration with the second")
    assert listed(machine, f"consul://{hosts}/p") == (0, [ADDR], "")
    two.kill()
    one.start()
    wait_until(one.session, "the registration with the first", 30)
    assert listed(machine, f"consul://{hosts}/p")[:2] == (0, [ADDR])


def test_lost_session_is_replaced(server, start):
    consul = server()
    agent = start(Join, ADDR, f"consul://{consul.addr}/p", *BEAT)
    session = wait_until(consul.session, "the registration")
    assert consul.request("PUT", f"/v1/session/destroy/{session}") == (200, "true")
    wait_until(lambda: consul.session() not in (None, session), "another session", 10)
    # The store itself is made anew, empty.
    consul.kill()
    consul.start()
    wait_until(consul.session, "the registration in the new store", 30)
    agent.stop()
    assert consul.key() is None
    assert json.loads(consul.request("GET", "/v1/session/list")[1]) == []


def test_restarted_agent_leaves_no_gap(server, start):
    """The session of an agent that was killed holds the key: the next one takes it over."""
    consul = server()
    url = f"consul://{consul.addr}/p"
    first = start(Join, ADDR, url, *BEAT)
    old = wait_until(consul.session, "the registration")
    absent, over = [], threading.Event()

    def watch():
        while not over.is_set():
            if consul.key() is None:
                absent.append(time.monotonic())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        first.kill()
        second = start(Join, ADDR, url, *BEAT)
        wait_until(lambda: consul.session() not in (None, old), "the take-over", 10)
        consul.request("PUT", f"/v1/session/destroy/{old}")
        time.sleep(1)
    finally:
        over.set()
        thread.join()
    assert absent == []
    assert "another session held this node's key" in second.log()
    second.stop()
    assert consul.key() is None


def test_two_agents_of_one_address(server, start):
    """A mistake that must not make the node flicker; one that ends takes only its own along."""
    consul = server()
    url = f"consul://{consul.addr}/p"
    one, two = (start(Join, ADDR, url, *BEAT) for _ in range(2))
    wait_until(consul.session, "the registration")
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        assert consul.key() is not None
    one.stop()
    wait_until(consul.session, "the other to hold on", 10)
    # Told once, not with every beat.
    assert two.log().count("another session held") <= 1
    two.stop()
    assert consul.key() is None


def test_tls(server, start, machine, certs):
    identity = certs.server("consul-tls", ips=["127.0.0.1"])
    client = certs.client("consul-client")
    consul = server(identity)
    url = f"consul://{consul.addr}/p"

    def options(ca, cert, key):
        names = (("kv.cacertfile", ca), ("kv.certfile", cert), ("kv.keyfile", key))
        return [a for n, v in names if v for a in ("--discovery-opt", f"{n}={v}")]

    good = options(client.ca, client.cert, client.key)
    start(Join, ADDR, url, *good, *BEAT)
    wait_until(consul.session, "the registration")
    assert listed(machine, *good, url) == (0, [ADDR], "")
    # No certificate, or in plain text: nothing.
    for wrong in (options(client.ca, None, None), []):
        code, out, err = listed(machine, *wrong, url)
        assert code != 0 and out == [] and err


def test_tls_verifies_the_server(server, machine, certs):
    client = certs.client("consul-client")
    wrong_name = server(certs.server("consul-elsewhere", ips=["127.9.9.9"], names=["elsewhere"]))
    options = [
        *("--discovery-opt", f"kv.cacertfile={client.ca}"),
        *("--discovery-opt", f"kv.certfile={client.cert}"),
        *("--discovery-opt", f"kv.keyfile={client.key}"),
    ]
    code, out, err = listed(machine, *options, f"consul://{wrong_name.addr}/p")
    assert (code != 0, out) == (True, []) and "127.0.0.1" in err


@pytest.mark.parametrize("by", ["option", "environment"])
def test_access_control(server, start, machine, monkeypatch, by):
    secret = "b1gs3cr3-0000-4000-8000-000000000000"
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"master": secret}}
    consul = server(config={"acl": acl, "primary_datacenter": "dc1"})
    consul.token = secret
    url = f"consul://{consul.addr}/p"
    option = ["--discovery-opt", f"kv.token={secret}"] if by == "option" else []
    if by == "environment":
        monkeypatch.setenv("CONSUL_HTTP_TOKEN", secret)
    agent = start(Join, ADDR, url, *option, *BEAT)
    wait_until(lambda: consul.request("GET", f"/v1/kv/{KEY}")[0] == 200, "the registration")
    agent.stop(signum=signal.SIGINT)
    assert consul.key() is None
    assert secret not in agent.log()
    monkeypatch.delenv("CONSUL_HTTP_TOKEN", raising=False)
    # Without a token Consul lists what anybody may see: nothing.
    consul.request("PUT", f"/v1/kv/{KEY}", ADDR)
    assert listed(machine, url)[1] == []
    wrong = secret.replace("b", "a")
    code, out, err = listed(machine, "--discovery-opt", f"kv.token={wrong}", url)
    assert (code != 0, out) == (True, []) and "403" in err and wrong not in err


def test_store_that_comes_back_empty_drops_nobody(server, start, simulate, manager):
    """Agents register again one by one: the list of one must not drop the others."""
    consul = server()
    url = f"consul://{consul.addr}/p"
    sim = simulate(3)
    agents = [start(Join, addr, url, *BEAT) for addr in sim.addrs]
    m = manager(url, "--heartbeat", "2s", nodes=3)
    consul.kill()
    wait_until(lambda: "discovery fails" in m.log(), "the manager to notice")
    time.sleep(2)
    consul.start()
    count = "/v1/kv/p/docker/swarm/nodes/?keys"
    deadline = time.monotonic() + 30
    while consul.request("GET", count)[1].count("127.0.0.1") < 3:
        assert sorted(m.nodes()) == sorted(sim.addrs)
        assert time.monotonic() < deadline, "the agents did not come back"
    # Removals count again in time.
    agents[0].stop()
    wait_until(lambda: sorted(m.nodes()) == sorted(sim.addrs[1:]), "the first to be gone", 30)
    assert "node removed" not in m.log().split("removals count again")[0].split("answers again")[0]
