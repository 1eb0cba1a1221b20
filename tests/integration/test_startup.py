"""The command line: one clear line on stderr and the right status, before anything listens."""

import os
import re
import signal
import socket
import threading

import pytest

from lab import swarm
from lab.fake_engine import answer, container
from lab.waiting import wait_until

GOOD = "nodes://127.0.0.1:1"


def failing(machine, *args, status=None, env=None):
    code, out, err = swarm.run(machine, *args, env=env)
    assert code in ((1, 2) if status is None else (status,)), (code, out, err)
    lines = err.strip().split("\n")
    assert len(lines) == 1, err
    return lines[0]


MANAGE = ["manage", "-H", "tcp://127.0.0.1:0"]
JOIN = ["join", "--discovery", "consul://127.0.0.1:1/x"]

USAGE = [
    (["nonsense"], "nonsense"),
    (["manage", "--nonsense", GOOD], "nonsense"),
    (["--nonsense"], "nonsense"),
    (MANAGE, "discovery required to manage a cluster. See 'swarm manage --help'."),
    ([*MANAGE, "--strategy"], "strategy"),
    ([*MANAGE, "--strategy", "luck", GOOD], "luck"),
    ([*MANAGE, "--filter", "coffee", GOOD], "coffee"),
    ([*MANAGE, "--heartbeat", "soon", GOOD], "soon"),
    ([*MANAGE, "--heartbeat", "0s", GOOD], "heartbeat"),
    ([*MANAGE, "--engine-refresh-min-interval", "0s", GOOD],
     "min refresh interval should be a positive number"),
    ([*MANAGE, "--engine-refresh-min-interval", "9s", "--engine-refresh-max-interval", "5s", GOOD],
     "max refresh interval cannot be less than min refresh interval"),
    ([*MANAGE, "--engine-failure-retry", "0", GOOD], "invalid failure retry count"),
    ([*MANAGE, "--cluster-opt", "swarm.overcommit=-1.5", GOOD],
     "swarm.overcommit should be larger than -1, -1.500000 is invalid"),
    ([*MANAGE, "--cluster-opt", "swarm.createretry=-2", GOOD],
     "swarm.createretry can not be negative, -2 is invalid"),
    ([*MANAGE, GOOD, "and-another"], "and-another"),
    (["manage", "-H", "tcp://127.0.0.1:99999", GOOD], "127.0.0.1:99999"),
    (["manage", "-H", "ftp://127.0.0.1:1", GOOD], "ftp://127.0.0.1:1"),
    ([*JOIN], "missing mandatory --advertise flag"),
    ([*JOIN, "--advertise", "nohost"],
     "--advertise should be of the form ip:port or hostname:port"),
    ([*JOIN, "--advertise", "1.2.3.4:0"],
     "--advertise should be of the form ip:port or hostname:port"),
    ([*JOIN, "--advertise", "1.2.3.4:65536"],
     "--advertise should be of the form ip:port or hostname:port"),
    ([*JOIN, "--addr", "1.2.3.4:2375", "--delay", "-1s"],
     "--delay should not be a negative number"),
    ([*JOIN, "--addr", "1.2.3.4:2375", "--heartbeat", "100ms"],
     "--heartbeat should be at least one second"),
    ([*JOIN, "--addr", "1.2.3.4:2375", "--heartbeat", "5s", "--ttl", "5s"],
     "--ttl must be strictly superior to the heartbeat value"),
    (["list", "--timeout", "0s", GOOD], "--timeout should be a positive number"),
    ([*MANAGE, "--tlsverify", GOOD], "--tls"),
    ([*MANAGE, "--tlscert", "/x", "--tlskey", "/y", GOOD], "--tls"),
]


@pytest.mark.parametrize("args, text", USAGE, ids=lambda v: v if isinstance(v, str) else "")
def test_usage(machine, args, text):
    assert text in failing(machine, *args)


DISCOVERY = [
    "nonsense://x",
    "nodes://",
    "nodes://host",
    "nodes://1.2.3.4:0",
    "1.2.3.4:99999",
    "nodes://10.0.0.[1:1000000000]:2375",
    "nodes://10.0.0.[9:1]:2375",
    "consul://",
    "file://",
    "token://",
]


@pytest.mark.parametrize("url", DISCOVERY)
def test_discovery_urls(machine, url):
    line = failing(machine, *MANAGE, url)
    assert "discovery" in line or url.split("://")[-1][:8] in line, line


def test_address_in_use(machine):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        line = failing(machine, "manage", "-H", f"tcp://127.0.0.1:{port}", GOOD, status=1)
        assert str(port) in line and "in use" in line


def test_address_that_is_not_ours(machine):
    line = failing(machine, "manage", "-H", "tcp://192.0.2.1:2375", GOOD, status=1)
    assert "192.0.2.1:2375" in line


def test_unix_socket_path(machine, tmp_path):
    line = failing(machine, "manage", "-H", f"unix://{tmp_path}/no/such/dir/s", GOOD, status=1)
    assert "no/such/dir" in line
    line = failing(machine, "manage", "-H", f"unix:///{'x' * 200}", GOOD)
    assert "xxx" in line


# ---- certificates ----


@pytest.fixture(scope="module")
def identity(certs):
    return certs.server("startup", ips=["127.0.0.1"])


def tls(identity, **changes):
    files = {"ca": identity.ca, "cert": identity.cert, "key": identity.key, **changes}
    args = [f"--tls{'cacert' if k == 'ca' else k}={v}" for k, v in files.items()]
    return [*MANAGE, "--tlsverify", *args, GOOD]


def test_certificates(machine, identity, certs, tmp_path):
    other = certs.server("startup-other", ips=["127.0.0.1"])
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    assert "/no/such" in failing(machine, *tls(identity, cert="/no/such"), status=1)
    assert "/no/such" in failing(machine, *tls(identity, key="/no/such"), status=1)
    assert "/no/such" in failing(machine, *tls(identity, ca="/no/such"), status=1)
    for bad in (garbage, empty, tmp_path):
        for what in ("ca", "cert", "key"):
            assert str(bad) in failing(machine, *tls(identity, **{what: bad}), status=1)
    assert "match" in failing(machine, *tls(identity, key=other.key), status=1)


def test_nothing_listens_before_all_is_well(machine, identity):
    port = machine.free_ports()
    args = tls(identity, cert="/no/such")
    args[2] = f"tcp://127.0.0.1:{port}"
    failing(machine, *args, status=1)
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", port)) != 0


# ---- what works ----


def test_version_and_help(machine):
    for args in (["-v"], ["--version"]):
        code, out, err = swarm.run(machine, *args)
        assert (code, err) == (0, "")
        assert re.fullmatch(r"swarm version \d+\.\d+\.\d+\n", out)
    for args in (["--help"], ["help"], *([c, "--help"] for c in ("manage", "join", "list"))):
        code, out, err = swarm.run(machine, *args)
        assert (code, err) == (0, ""), args
        assert out.startswith("Usage:") or "swarm" in out
    _, out, _ = swarm.run(machine, "--help")
    for command in ("manage", "join", "list", "simulate"):
        assert re.search(rf"^\s+{command}", out, re.M), command


def test_list(machine, tmp_path):
    code, out, _ = swarm.run(machine, "list", "nodes://10.0.0.[9:11]:2375")
    assert (code, out.split()) == (0, ["10.0.0.9:2375", "10.0.0.10:2375", "10.0.0.11:2375"]) or (
        code,
        sorted(out.split()),
    ) == (0, sorted(["10.0.0.9:2375", "10.0.0.10:2375", "10.0.0.11:2375"]))
    hosts = tmp_path / "hosts"
    hosts.write_text("# ours\n10.0.0.1:2375\n\n10.0.0.2:2375 # the other\n")
    code, out, _ = swarm.run(machine, "list", f"file://{hosts}")
    assert (code, out.split()) == (0, ["10.0.0.1:2375", "10.0.0.2:2375"])
    code, out, _ = swarm.run(machine, "list", "1.2.3.4:1,1.2.3.4:2")
    assert (code, out.split()) == (0, ["1.2.3.4:1", "1.2.3.4:2"])


def test_list_waits_for_the_store_until_its_timeout(machine):
    code, _, err = swarm.run(machine, "list", "--timeout", "2s", "consul://127.0.0.1:1/x")
    assert code == 1 and err.strip()


def test_old_forms_of_options(machine, start):
    """One dash or two, = or a blank, program options in front, the discovery as an argument, or
    in the environment."""
    for args, env in (
        (["-l", "debug", "manage", "-H=tcp://127.0.0.1:PORT", "-strategy=binpack", GOOD], None),
        (["--log-level=debug", "manage", "--host", "tcp://127.0.0.1:PORT", GOOD], None),
        (["-D", "m", "-H", "127.0.0.1:PORT", "-discovery", GOOD], None),
        (["manage"], {"SWARM_DISCOVERY": GOOD, "SWARM_HOST": "tcp://127.0.0.1:PORT"}),
    ):
        port = machine.free_ports()
        args = [a.replace("PORT", str(port)) for a in args]
        env = env and {k: v.replace("PORT", str(port)) for k, v in env.items()}
        process = start(swarm.Process, args, env=env)
        reply = wait_until(
            lambda: swarm.http.request(("tcp", f"127.0.0.1:{port}"), "GET", "/_ping"),
            f"{args} to listen",
        )
        assert reply.status == 200
        assert process.is_running()


def test_several_listeners(machine, start, tmp_path):
    ports = [machine.free_ports(), machine.free_ports()]
    path = tmp_path / "sock"
    process = start(
        swarm.Process,
        ["manage", "-H", f"tcp://127.0.0.1:{ports[0]}", "-H", f"127.0.0.1:{ports[1]}"]
        + ["-H", f"unix://{path}", GOOD],
    )
    for address in (*(("tcp", f"127.0.0.1:{port}") for port in ports), ("unix", str(path))):
        reply = wait_until(lambda: swarm.http.request(address, "GET", "/_ping"), f"{address}")
        assert reply.status == 200
    # A socket is for its owner and group alone, and goes with the manager.
    assert os.stat(path).st_mode & 0o007 == 0
    process.stop()
    assert not path.exists()


def test_stale_unix_socket_is_replaced(machine, start, tmp_path):
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
    start(swarm.Process, ["manage", "-H", f"unix://{path}", GOOD])
    wait_until(lambda: swarm.http.request(("unix", str(path)), "GET", "/_ping"), "the new one")
    line = failing(machine, "manage", "-H", f"unix://{path}", GOOD, status=1)
    assert str(path) in line


def test_shutdown_waits_for_what_is_running(machine, manager, fake):
    """SIGTERM: requests in flight are answered, new connections are not taken."""
    engine = fake()
    engine.containers = [container("c" * 64, "target")]
    m = manager([engine])
    begun, go = threading.Event(), threading.Event()

    def slow(c, request):
        begun.set()
        go.wait(10)
        c.sendall(answer(200, {"Titles": ["PID"], "Processes": []}))
        return True

    engine.on("GET", "/top$", slow)
    with m.connect() as c:
        c.send_request("GET", "/containers/target/top")
        assert begun.wait(10)
        m.send_signal(signal.SIGTERM)

        def refused():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", m.port)) != 0

        wait_until(refused, "new connections to be refused")
        go.set()
        assert c.read_reply().status == 200
    wait_until(lambda: not m.is_running(), "it to end")
    assert m.process.returncode == 0
    assert not m.complaints()
    m.process = None
