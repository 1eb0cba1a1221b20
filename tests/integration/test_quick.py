"""The walk through the README: real engines, TLS on both sides, Consul; and what breaks it."""

import json

import pytest

from lab.swarm import Join, Manager
from lab.waiting import holds_for, in_parallel, wait_until

IMAGE = "busybox"
HEARTBEAT = ["--heartbeat", "2s", "--ttl", "20s"]


@pytest.fixture
def cluster(start, tls_engines, consul, certs, machine):
    """Three engines behind TLS, an agent for each, Consul, and a manager as the README types it."""
    for engine in tls_engines:
        start(Join, engine.addr, consul.url, *HEARTBEAT)
    wait_until(lambda: len(consul.keys()) == 3, "three registrations")
    return tls_engines


@pytest.fixture
def manager_tls(certs, machine):
    return certs.server("manager", ips=["127.0.0.1", machine.bridge_ip], names=["localhost"])


@pytest.fixture
def start_manager(start, cluster, consul, certs, manager_tls):
    def make(**kw):
        return start(
            Manager,
            consul.url,
            *("--strategy", "random"),
            *("--heartbeat", "2s"),
            tls=manager_tls,
            client=certs.client(),
            any_address=True,
            nodes=3,
            **kw,
        )

    return make


def test_walk(docker, start_manager, cluster):
    cli = docker(start_manager())
    cli.run(
        *("run", "-d", "-p", "80:80", "--name", "edge_webserver"),
        *("-e", "constraint:zone==external", "-e", "constraint:disk==ssd"),
        *("-t", IMAGE, "sleep", "1000"),
    )
    beside = "affinity:container==edge_webserver"
    cli.run("run", "-d", "--name", "app_1", "-e", beside, IMAGE, "top")
    # Only tls-2 is both; the engine itself says so too.
    assert cluster[1].names() == ["app_1", "edge_webserver"]
    names = cli.run("ps", "--format", "{{.Names}}").split()
    assert sorted(names) == ["tls-2/app_1", "tls-2/edge_webserver"]
    ports = cli.run("ps", "--filter", "name=edge_webserver", "--format", "{{.Ports}}")
    assert f"{cluster[1].ip}:80->80/tcp" in ports
    # Nobody else can have that port there, and nobody else has those labels.
    error = cli.fails(
        *("run", "-d", "-p", "80:80", "-e", "constraint:zone==external"),
        *("-e", "constraint:disk==ssd", IMAGE, "top"),
    )
    assert "Unable to find a node that satisfies the following conditions" in error

    assert cli.run("run", "-i", "--rm", IMAGE, "cat", input="hi\n", timeout=20) == "hi"
    # What is sent last is not lost, however much it is.
    data = "x" * 300000
    assert cli.run("run", "-i", "--rm", IMAGE, "wc", "-c", input=data) == "300000"
    assert cli.run("run", "-i", "--rm", IMAGE, "cat", input=data) == data


WHEN_RESIZED = "while ! stty size | grep -q '40 100'; do sleep 0.1; done; echo RESI''ZED\n"


def test_terminals(docker, start_manager, cluster):
    cli = docker(start_manager())
    terminal = cli.terminal("run", "-it", "--rm", "--name", "term", IMAGE, "sh")
    terminal.expect("/ #")
    terminal.send(WHEN_RESIZED)
    terminal.expect_at_size(40, 100, "RESIZED")

    second = cli.terminal("exec", "-it", "term", "sh")
    second.expect("/ #")
    second.send(WHEN_RESIZED)
    second.expect_at_size(40, 100, "RESIZED")
    second.send("exit 7\n")
    assert second.wait(10)[0] == 7

    terminal.send("exit 3\n")
    assert terminal.wait(10)[0] == 3
    wait_until(lambda: not any(e.names() for e in cluster), "--rm to have removed it")


def test_manager_dies_and_comes_back(one_docker, start_manager, cluster):
    manager = start_manager()
    cli = one_docker(manager)
    for i in range(6):
        cli.run("run", "-d", "--name", f"stay_{i}", IMAGE, "sleep", "1000")
    before = cli.run("ps", "-q", "--no-trunc").split()
    assert len(before) == 6
    manager.kill()
    running = [c["Id"] for e in cluster for c in e.containers(everything=False)]
    assert sorted(running) == sorted(before)

    cli = one_docker(start_manager())
    assert sorted(cli.run("ps", "-q", "--no-trunc").split()) == sorted(before)
    names = {n.split("/")[1] for n in cli.run("ps", "--format", "{{.Names}}").split()}
    assert names == {f"stay_{i}" for i in range(6)}
    # It knows the names, so they are still taken.
    assert "already" in cli.fails("create", "--name", "stay_0", IMAGE)
    cli.run("rm", "-f", *before)


def test_consul_is_down(one_docker, start_manager, cluster, consul):
    """For longer than any time to live: nothing changes. It comes back empty: still nothing."""
    manager = start_manager()
    cli = one_docker(manager)
    cli.run("run", "-d", "--name", "before", IMAGE, "sleep", "1000")
    consul.kill()

    def works():
        nodes = manager.nodes()
        return len(nodes) == 3 and all(n["Status"] == "Healthy" for n in nodes.values())

    holds_for(works, "three healthy nodes without Consul", 30, interval=0.5)
    cli.run("run", "-d", "--name", "meanwhile", IMAGE, "sleep", "1000")
    holds_for(works, "three healthy nodes without Consul", 30, interval=0.5)
    names = {n.split("/")[1] for n in cli.run("ps", "--format", "{{.Names}}").split()}
    assert names == {"before", "meanwhile"}

    consul.start()
    wait_until(lambda: len(consul.keys()) == 3, "the agents to register again", 60)
    holds_for(works, "three healthy nodes after Consul came back", 5, interval=0.2)


def test_engine_is_stopped(one_docker, start_manager, cluster):
    manager = start_manager()
    cli = one_docker(manager)
    for engine in cluster:
        name = engine.name
        cli.run(
            "run", "-d", "--name", f"on-{name}", "-e", f"constraint:node=={name}", IMAGE, "top"
        )
    cluster[0].pause()
    manager.wait_status(cluster[0].addr, "Unhealthy", 90)
    states = [manager.status_of(e.addr) for e in cluster]
    assert states == ["Unhealthy", "Healthy", "Healthy"]
    listed = {n.split("/")[1] for n in cli.run("ps", "--format", "{{.Names}}").split()}
    assert listed == {"on-tls-2", "on-tls-3"}
    everything = cli.run("ps", "-a", "--format", "{{.Names}} {{.Status}}")
    assert "tls-1/on-tls-1 Host Down" in everything
    # New ones go elsewhere, and its name stays taken.
    for _ in range(6):
        cli.run("run", "-d", IMAGE, "top")
    assert "already" in cli.fails("create", "--name", "on-tls-1", IMAGE)
    assert "No healthy node" in cli.fails(
        "run", "-e", "constraint:node==tls-1", IMAGE, "true"
    ) or "Unable to find a node" in cli.fails("run", "-e", "constraint:node==tls-1", IMAGE, "true")
    cluster[0].resume()
    manager.wait_status(cluster[0].addr, "Healthy", 60)
    assert len(cluster[0].containers(everything=False)) == 1
    assert cli.run("exec", "on-tls-1", "echo", "back") == "back"


def test_hundred_creates_of_one_name(manager, five):
    m = manager(five)

    def create(_):
        reply = m.request(
            "POST", "/containers/create?name=only-one", {"Image": IMAGE, "Cmd": ["true"]}
        )
        return reply.status, reply.json()

    replies = in_parallel(create, range(100))
    assert sorted(status for status, _ in replies) == [201] + [409] * 99
    winner = next(body["Id"] for status, body in replies if status == 201)
    for status, body in replies:
        if status == 409:
            assert "The name only-one is already" in body["message"], body
    assert [c["Id"] for e in five for c in e.containers()] == [winner]


def test_one_port_on_five_nodes(manager, five):
    """Five at once, 200 times over: never twice on one node, never one too few."""
    m = manager(five)
    config = {
        "Image": IMAGE,
        "Cmd": ["true"],
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}},
    }

    def create(_):
        with m.connect() as c:
            reply = c.request("POST", "/containers/create", config)
            assert reply.status == 201, reply
            inspected = c.request("GET", f"/containers/{reply.json()['Id']}/json").json()
            return inspected["Id"], inspected["Node"]["Name"]

    def remove(container):
        reply = m.request("DELETE", f"/containers/{container}?force=1")
        assert reply.status == 204, reply

    for turn in range(200):
        placed = in_parallel(create, range(5))
        assert len({node for _, node in placed}) == 5, f"round {turn}: {placed}"
        if turn == 0:
            sixth = m.request("POST", "/containers/create", config)
            assert sixth.status == 503, sixth
            assert "[port 80 (Bridge mode)]" in sixth.message()
        in_parallel(remove, [container for container, _ in placed])


def test_info_and_version(docker, start_manager):
    m = start_manager()
    cli = docker(m)
    info = json.loads(cli.run("info", "--format", "{{json .}}"))
    assert info["ServerVersion"].startswith("swarm/")
    pairs = {key.strip(): value for key, value in info["SystemStatus"]}
    assert pairs["Strategy"] == "random"
    assert pairs["Nodes"] == "3"
    assert pairs["Filters"] == (
        "health, port, containerslots, dependency, affinity, constraint, whitelist"
    )
    assert cli.run("version", "--format", "{{.Server.Version}}").startswith("swarm/")
