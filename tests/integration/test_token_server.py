"""The token server as a process: agents, restarts, crashes, TLS."""

import json
import signal
import ssl
import threading
import urllib.error
import urllib.request

import pytest

from lab import swarm
from lab.swarm import Join, Process
from lab.waiting import holds_for, wait_until

HTTP = ["--discovery-opt", "token.scheme=http"]
ADDRS = ["10.1.2.3:2375", "10.1.2.4:2375"]


class TokenServer(Process):
    def __init__(self, machine, data, port=None, identity=None, verify=False):
        self.port = port or machine.free_ports()
        self.addr = f"127.0.0.1:{self.port}"
        self.identity = identity
        tls = []
        if identity:
            tls = [f"--tlscert={identity.cert}", f"--tlskey={identity.key}"]
            tls += [f"--tlscacert={identity.ca}", "--tlsverify"] if verify else ["--tls"]
        super().__init__(
            machine,
            ["--debug", "token-server", "-H", f"tcp://{self.addr}", "--data-dir", data, *tls],
        )

        def listens():
            assert self.is_running(), self.log()
            return "listening" in self.log()

        wait_until(listens, "the token server to listen")

    def request(self, method, path, body=None, client=None):
        """(status, text)"""
        context = None
        if self.identity:
            context = ssl.create_default_context(cafile=self.identity.ca)
            if client:
                context.load_cert_chain(client.cert, client.key)
        url = f"{'https' if self.identity else 'http'}://{self.addr}{path}"
        data = body.encode() if body is not None else None
        request = urllib.request.Request(url, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def nodes(self, token):
        status, text = self.request("GET", f"/clusters/{token}")
        assert status == 200, (status, text)
        return json.loads(text)


def create(machine, server, *options):
    code, out, err = swarm.run(machine, "create", *options, f"token://{server.addr}")
    assert code == 0, err
    assert out.endswith("\n") and len(out) == 33, out
    return out.strip()


def listed(machine, *args):
    code, out, err = swarm.run(machine, "list", "--timeout", "5s", *args)
    return code, out.split(), err


def test_create_join_list(machine, start, tmp_path):
    server = start(TokenServer, tmp_path / "data")
    token = create(machine, server, *HTTP)
    url = f"token://{server.addr}/{token}"
    assert listed(machine, *HTTP, url) == (0, [], "")
    beat = ["--heartbeat", "1s", "--ttl", "3s"]
    agents = [start(Join, addr, url, *HTTP, *beat) for addr in ADDRS]
    wait_until(lambda: server.nodes(token) == ADDRS, "both to be registered")
    assert listed(machine, *HTTP, url) == (0, ADDRS, "")
    holds_for(lambda: server.nodes(token) == ADDRS, "both renewed", 4)
    agents[0].stop()
    assert server.nodes(token) == ADDRS[1:]
    agents[1].kill()
    assert server.nodes(token) == ADDRS[1:]
    wait_until(lambda: server.nodes(token) == [], "the killed one to expire", 10)
    # A token is a secret, in the server's log as well.
    assert token not in server.log()
    assert all(token not in agent.log().replace(url, "") for agent in agents)


def test_url_without_server_is_explained(machine):
    for command in (["list"], ["join", f"--advertise={ADDRS[0]}"]):
        code, out, err = swarm.run(machine, *command, "token://0123456789abcdef0123456789abcdef")
        assert (code != 0, out) == (True, "")
        assert "token://host[:port]/path/TOKEN" in err and "swarm token-server" in err


def test_restart_keeps_everything(machine, start, tmp_path):
    server = start(TokenServer, tmp_path / "data")
    token = create(machine, server, *HTTP)
    for addr in ADDRS:
        assert server.request("POST", f"/clusters/{token}?ttl=4", addr)[0] == 200
    server.stop()
    server = start(TokenServer, tmp_path / "data", port=server.port)
    # Both have a whole TTL again; one uses it.
    assert server.nodes(token) == ADDRS
    url = f"token://{server.addr}/{token}"
    start(Join, ADDRS[0], url, *HTTP, "--heartbeat", "1s", "--ttl", "4s")
    wait_until(lambda: server.nodes(token) == ADDRS[:1], "the other to expire", 10)


def test_agents_get_over_an_outage(machine, start, tmp_path):
    server = start(TokenServer, tmp_path / "data")
    token = create(machine, server, *HTTP)
    url = f"token://{server.addr}/{token}"
    agent = start(Join, ADDRS[0], url, *HTTP, "--heartbeat", "1s", "--ttl", "3s")
    wait_until(lambda: "registered addr=" in agent.log(), "the registration to be confirmed")
    server.kill()
    wait_until(lambda: "registration lost" in agent.log(), "the agent to notice")
    server = start(TokenServer, tmp_path / "data", port=server.port)
    wait_until(lambda: "registration regained" in agent.log(), "the agent to be back")
    assert server.nodes(token) == ADDRS[:1]


def test_killed_at_any_moment(machine, start, tmp_path):
    """What was confirmed is there after SIGKILL, however often."""
    confirmed, token = set(), None
    for round_number in range(5):
        server = start(TokenServer, tmp_path / "data")
        token = token or create(machine, server, *HTTP)
        assert set(server.nodes(token)) >= confirmed
        over = threading.Event()

        def register(first):
            number = first
            while not over.is_set():
                addr = f"n{round_number}-{number}:2375"
                try:
                    status, _ = server.request("POST", f"/clusters/{token}?ttl=600", addr)
                except OSError:
                    return
                if status == 200:
                    confirmed.add(addr)
                number += 4

        threads = [threading.Thread(target=register, args=(i,)) for i in range(4)]
        before = len(confirmed)
        for thread in threads:
            thread.start()
        wait_until(lambda: len(confirmed) > before + 20 + 7 * round_number, "registrations")
        server.kill()
        over.set()
        for thread in threads:
            thread.join()
    server = start(TokenServer, tmp_path / "data")
    assert set(server.nodes(token)) >= confirmed


def test_one_server_a_folder(machine, start, tmp_path):
    start(TokenServer, tmp_path / "data")
    args = ["token-server", "-H", "tcp://127.0.0.1:0", "--data-dir", tmp_path / "data"]
    code, _, err = swarm.run(machine, *args)
    assert code != 0 and "in use" in err


@pytest.mark.parametrize("verify", [False, True])
def test_tls(machine, start, certs, tmp_path, verify):
    identity = certs.server("token-server", ips=["127.0.0.1"])
    client = certs.client("token-client")
    server = start(TokenServer, tmp_path / "data", identity=identity, verify=verify)
    ca = ["--discovery-opt", f"token.cacertfile={identity.ca}"]
    cert = ["--discovery-opt", f"token.certfile={client.cert}"]
    cert += ["--discovery-opt", f"token.keyfile={client.key}"]
    good = ca + cert if verify else ca
    token = create(machine, server, *good)
    url = f"token://{server.addr}/{token}"
    start(Join, ADDRS[0], url, *good, "--heartbeat", "1s", "--ttl", "3s")
    wait_until(lambda: listed(machine, *good, url) == (0, ADDRS[:1], ""), "the registration")
    # An authority that is not known, plain text, and no certificate where one is asked for.
    for wrong in ([], HTTP, ca if verify else None):
        if wrong is not None:
            code, out, err = listed(machine, *wrong, url)
            assert code != 0 and out == [] and token not in err
    # Certificates are read again without dropping anybody.
    server.send_signal(signal.SIGHUP)
    wait_until(lambda: "certificates read again" in server.log(), "the new certificates")
    assert listed(machine, *good, url) == (0, ADDRS[:1], "")
