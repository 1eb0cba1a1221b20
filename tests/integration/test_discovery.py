"""Where nodes come from: lists, files, a token server, Consul; and what drops them."""

import http.server
import json
import signal
import threading

import pytest

from lab import swarm
from lab.swarm import Join
from lab.waiting import holds_for, wait_until

FAST = ["--heartbeat", "1s"]


def known(m):
    return sorted(m.nodes())


# ---- lists ----


def test_lists_and_ranges(manager, simulate):
    sim = simulate(5)
    first, last = sim.base, sim.base + 4
    m = manager(f"nodes://127.0.0.1:[{first}:{last}]", nodes=5)
    assert known(m) == sorted(sim.addrs)
    m = manager(",".join(sim.addrs[:2]), nodes=2)
    assert known(m) == sorted(sim.addrs[:2])


def test_engine_of_this_machine(manager, three):
    """By its socket; ports that it publishes are on this machine."""
    m = manager(f"nodes://unix://{three[0].socket}", nodes=1)
    ports = {"80/tcp": [{"HostPort": "8080"}]}
    m.run("web", ExposedPorts={"80/tcp": {}}, HostConfig={"PortBindings": ports})
    entry = m.ps()["node-1/web"]
    assert {p["IP"] for p in entry["Ports"] if "PublicPort" in p} == {"127.0.0.1"}
    node = m.json("GET", "/containers/web/json")["Node"]
    assert (node["IP"], node["Addr"]) == ("127.0.0.1", f"unix://{three[0].socket}")


# ---- files ----


def test_file(manager, simulate, tmp_path):
    sim = simulate(4)
    path = tmp_path / "nodes"
    path.write_text(f"# the first\n{sim.addrs[0]}\n\n  {sim.addrs[1]}   # with a blank\n")
    m = manager(f"file://{path}", *FAST, nodes=2)
    path.write_text("\n".join(sim.addrs) + "\n")
    m.wait_healthy(4)
    path.write_text(sim.addrs[3] + "\n")
    wait_until(lambda: known(m) == [sim.addrs[3]], "three to be gone")
    # Replaced as editors do it.
    fresh = tmp_path / "new"
    fresh.write_text("\n".join(sim.addrs[2:]))
    fresh.rename(path)
    wait_until(lambda: known(m) == sorted(sim.addrs[2:]), "the new file to be read")


def test_file_with_bad_lines(manager, simulate, tmp_path):
    """The good lines count; the bad ones are told of."""
    sim = simulate(2)
    path = tmp_path / "nodes"
    path.write_text(
        f"{sim.addrs[0]}\nnot an address\n1.2.3.4\n10.0.0.[1:1000000000]:2375\n%s%n%x:1\n"
        f"{sim.addrs[1]}\n"
    )
    m = manager(f"file://{path}", *FAST, nodes=2)
    assert known(m) == sorted(sim.addrs)
    assert "not an address" in m.log()


def test_file_that_goes_away(manager, simulate, tmp_path):
    """Missing, unreadable or empty: the nodes stay."""
    sim = simulate(2)
    path = tmp_path / "nodes"
    text = "\n".join(sim.addrs) + "\n"
    path.write_text(text)
    m = manager(f"file://{path}", *FAST, nodes=2)

    def stays():
        return known(m) == sorted(sim.addrs)

    path.unlink()
    holds_for(stays, "both nodes without the file", 3)
    path.write_text("")
    holds_for(stays, "both nodes with an empty file", 3)
    path.write_text(sim.addrs[0] + "\n")
    wait_until(lambda: known(m) == [sim.addrs[0]], "a good file to count again")


# ---- a token server ----


class TokenServer(http.server.ThreadingHTTPServer):
    """What the hub of old did, in memory."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), TokenHandler)
        self.clusters = {}
        self.broken = None  # (status, body) instead of everything
        self.posts = []
        self.addr = "127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


class TokenHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _path(self):
        return self.path.split("?")[0].strip("/").split("/")

    def do_GET(self):
        if self.server.broken:
            return self._send(*self.server.broken)
        parts = self._path()
        if parts[-2:-1] == ["clusters"] and parts[-1] in self.server.clusters:
            return self._send(200, json.dumps(self.server.clusters[parts[-1]]).encode())
        return self._send(404, b"no such cluster")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.posts.append((self.path, body))
        parts = self._path()
        if parts[-1] == "clusters":
            self.server.clusters["newtoken"] = []
            return self._send(200, b"newtoken")
        known = self.server.clusters.setdefault(parts[-1], [])
        if body not in known:
            known.append(body)
        return self._send(200, b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def token_server():
    server = TokenServer()
    yield server
    server.shutdown()
    server.server_close()


HTTP = ["--discovery-opt", "token.scheme=http"]


def test_token(manager, start, simulate, token_server, machine):
    sim = simulate(3)
    url = f"token://{token_server.addr}/path/abc123"
    for addr in sim.addrs[:2]:
        start(Join, addr, url, *HTTP, "--heartbeat", "1s", "--ttl", "3s")
    wait_until(lambda: len(token_server.clusters.get("abc123", [])) == 2, "two registrations")
    path, _ = token_server.posts[0]
    assert path == "/path/clusters/abc123?ttl=3"
    posts = len(token_server.posts)
    wait_until(lambda: len(token_server.posts) >= posts + 4, "the beats to go on")
    m = manager(url, *HTTP, *FAST, nodes=2)
    token_server.clusters["abc123"].append(sim.addrs[2])
    m.wait_healthy(3)
    for broken in ((500, b"oops"), (200, b"{not json"), (200, b"[]"), (200, b'{"a":1}')):
        token_server.broken = broken
        holds_for(lambda: known(m) == sorted(sim.addrs), f"nodes kept after {broken}", 2.5)
    token_server.broken = None
    code, out, _ = swarm.run(machine, "list", *HTTP, url)
    assert (code, sorted(out.split())) == (0, sorted(sim.addrs))


# ---- Consul ----

BEAT = ["--heartbeat", "2s", "--ttl", "20s"]


def test_consul_keys(start, consul):
    """The keys and values that agents already deployed write, under a session."""
    start(Join, "10.1.2.3:2375", f"consul://{consul.addr}/my/prefix", *BEAT)
    keys = wait_until(lambda: consul.keys("my/prefix"), "the key")
    assert keys == {"my/prefix/docker/swarm/nodes/10.1.2.3:2375": "10.1.2.3:2375"}
    entry = json.loads(consul.request("GET", "/v1/kv/my/prefix?recurse").body)[0]
    session = json.loads(consul.request("GET", f"/v1/session/info/{entry['Session']}").body)[0]
    assert session["Behavior"] == "delete"
    assert session["TTL"] == "10s"


def test_consul_path_option(start, consul, machine):
    option = ["--discovery-opt", "kv.path=own/path"]
    start(Join, "10.1.2.3:2375", f"consul://{consul.addr}", *option, *BEAT)
    wait_until(lambda: consul.keys("own/path") == {"own/path/10.1.2.3:2375": "10.1.2.3:2375"}, "it")
    code, out, _ = swarm.run(machine, "list", *option, f"consul://{consul.addr}")
    assert (code, out) == (0, "10.1.2.3:2375\n")


def test_consul_nodes_come_and_go(manager, start, simulate, consul):
    sim = simulate(3)
    agents = [start(Join, addr, consul.url, *BEAT) for addr in sim.addrs]
    m = manager(consul.url, *FAST, nodes=3)
    # Ended in order: gone at once.
    agents[0].stop()
    wait_until(lambda: known(m) == sorted(sim.addrs[1:]), "the first to be gone", 10)
    # Killed: gone when its time to live is over.
    agents[1].kill()
    holds_for(lambda: known(m) == sorted(sim.addrs[1:]), "not before its time", 3)
    wait_until(lambda: known(m) == [sim.addrs[2]], "the second to be gone", 60)
    # Entries of others count as well.
    consul.put(f"swarm/docker/swarm/nodes/{sim.addrs[0]}", sim.addrs[0])
    wait_until(lambda: known(m) == sorted([sim.addrs[0], sim.addrs[2]]), "an entry of another")


def test_consul_key_that_was_removed_comes_back(start, consul):
    start(Join, "10.1.2.3:2375", consul.url, *BEAT)
    wait_until(lambda: len(consul.keys()) == 1, "the key")
    consul.delete("swarm")
    wait_until(lambda: len(consul.keys()) == 1, "it to be back with the next beat", 10)
    # Overwritten without a session it would never expire; the agent takes it again.
    consul.delete("swarm")
    consul.put("swarm/docker/swarm/nodes/10.1.2.3:2375", "10.1.2.3:2375")

    def has_session():
        entries = json.loads(consul.request("GET", "/v1/kv/swarm?recurse").body)
        return entries and entries[0].get("Session")

    wait_until(has_session, "the agent to hold the key again", 15)


def test_consul_answers_nothing(manager, simulate, consul):
    """All keys are gone at once: suspicious, and nobody is dropped."""
    sim = simulate(3)
    for addr in sim.addrs:
        consul.put(f"swarm/docker/swarm/nodes/{addr}", addr)
    m = manager(consul.url, *FAST, nodes=3)
    consul.delete("swarm")
    holds_for(lambda: known(m) == sorted(sim.addrs), "the nodes to be kept", 4)
    consul.put(f"swarm/docker/swarm/nodes/{sim.addrs[1]}", sim.addrs[1])
    wait_until(lambda: known(m) == [sim.addrs[1]], "a real answer to count")


def test_consul_with_bad_entries(manager, simulate, consul):
    sim = simulate(2)
    # A store elsewhere must not point to sockets of this machine.
    bad = ["nonsense", "", "x" * 5000, "1.2.3.4:99999", "unix:///var/run/docker.sock"]
    for i, value in enumerate(bad):
        consul.put(f"swarm/docker/swarm/nodes/bad-{i}", value)
    for addr in sim.addrs:
        consul.put(f"swarm/docker/swarm/nodes/{addr}", addr)
    m = manager(consul.url, *FAST, nodes=2)
    assert known(m) == sorted(sim.addrs)


def test_consul_is_not_there_at_start(manager, start, simulate, consul):
    """Manager and agent wait for it."""
    sim = simulate(1)
    consul.kill()
    m = manager(consul.url, *FAST, nodes=0)
    start(Join, sim.addrs[0], consul.url, *BEAT)
    assert known(m) == []
    consul.start()
    m.wait_healthy(1, 40)


def test_consul_is_cut_off(manager, start, simulate, consul, machine):
    """Packets vanish instead of being refused."""
    sim = simulate(2)
    for addr in sim.addrs:
        start(Join, addr, consul.url, *BEAT)
    m = manager(consul.url, *FAST, nodes=2)
    machine.set_link(consul.link, False)
    try:
        holds_for(lambda: known(m) == sorted(sim.addrs), "both nodes", 10, 0.5)
    finally:
        machine.set_link(consul.link, True)
    wait_until(lambda: len(consul.keys()) == 2, "both to be registered again", 60)
    assert known(m) == sorted(sim.addrs)


def test_agent_ends_in_order(start, consul):
    """SIGTERM and SIGINT: it takes its entry away and ends with status 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        agent = start(Join, "10.1.2.3:2375", consul.url, *BEAT)
        wait_until(lambda: len(consul.keys()) == 1, "the key")
        agent.stop(signum=number)
        assert consul.keys() == {}
