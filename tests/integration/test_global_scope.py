"""Networks and volumes that span nodes, with real engines: overlay networks, which engines of 20.10
keep in a key-value store, and a volume driver of global scope."""

import json

import pytest

from lab.engine import Engine
from lab.etcd import Etcd
from lab.volume_plugin import VolumePlugin
from lab.waiting import in_parallel

SLEEP = ("--stop-signal", "KILL", "busybox", "sleep", "1000")


@pytest.fixture(scope="module")
def engines_with_store(machine, archive):
    store = Etcd(machine).start()
    url = f"etcd://{store.addr}/networks"
    engines = [Engine(machine, 41 + i, f"wide-{i + 1}", store=url) for i in range(2)]
    try:
        in_parallel(lambda e: e.boot(archive), engines)
        yield engines
    finally:
        for engine in engines:
            engine.kill()
        store.kill()


@pytest.fixture
def engines(engines_with_store):
    yield engines_with_store
    in_parallel(lambda e: e.reset(), engines_with_store)


@pytest.fixture
def cluster(manager, engines):
    return manager(engines)


@pytest.fixture
def cli(one_docker, cluster):
    return one_docker(cluster)


@pytest.fixture
def plugin(engines, tmp_path):
    made = VolumePlugin(str(tmp_path))
    for engine in engines:
        made.attach(engine)
    yield made
    made.close()


def on(node):
    return ("-e", f"constraint:node==wide-{node}")


def networks(cli):
    shown = cli.run("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")
    return sorted(line for line in shown.splitlines() if "wide " in line)


# ---- overlay networks ----


def test_a_network_spans_nodes(cli, cluster, engines):
    """Containers of two nodes find each other by name, and the network is there once."""
    # Compose and old clients name no driver.
    made = cluster.json("POST", "/networks/create", {"Name": "wide"})
    assert made["Warning"] == ""
    assert networks(cli) == ["wide overlay global"]
    for engine in engines:
        ids = [n["Id"] for n in engine.json("GET", "/networks") if n["Name"] == "wide"]
        assert ids == [made["Id"]]
    assert "already exists" in cli.fails("network", "create", "-d", "overlay", "wide")

    cli.run("run", "-d", "--name", "one", "--net", "wide", *on(1), *SLEEP)
    alias = ("--net", made["Id"], "--network-alias", "other")
    cli.run("run", "-d", "--name", "two", *alias, *on(2), *SLEEP)
    for asks, name in (("one", "two"), ("one", "other"), ("two", "one")):
        assert " 0% packet loss" in cli.run("exec", asks, "ping", "-c", "1", "-w", "10", name)
    names = cli.run("ps", "-f", "network=wide", "--format", "{{.Names}}").split()
    assert sorted(names) == ["wide-1/one", "wide-2/two"]
    # It pins nothing: without a constraint both nodes get some.
    for name in ("three", "four"):
        cli.run("run", "-d", "--name", name, "--net", "wide", *SLEEP)
    assert {cluster.node_of(name) for name in ("three", "four")} == {"wide-1", "wide-2"}
    cli.run("network", "disconnect", "wide", "four")
    cli.run("network", "connect", "--alias", "late", "wide", "four")
    assert " 0% packet loss" in cli.run("exec", "one", "ping", "-c", "1", "-w", "10", "late")

    assert "active endpoints" in cli.fails("network", "rm", "wide")
    cli.run("rm", "-f", "one", "two", "three", "four")
    cli.run("network", "rm", "wide")
    assert networks(cli) == []
    for engine in engines:
        assert "wide" not in [n["Name"] for n in engine.json("GET", "/networks")]


def test_the_node_of_a_member_dies(cli, cluster, engines):
    """Its end point is taken away by force through the other node; the network lives on."""
    cli.run("network", "create", "-d", "overlay", "wide")
    cli.run("run", "-d", "--name", "one", "--net", "wide", *on(1), *SLEEP)
    cli.run("run", "-d", "--name", "two", "--net", "wide", *on(2), *SLEEP)
    ends = lambda: {e["Name"] for e in engines[0].json("GET", "/networks/wide")["Containers"].values()}
    assert len(ends()) == 2
    engines[1].kill()
    cluster.wait_status(engines[1].addr, "Disconnected")
    assert networks(cli) == ["wide overlay global"]
    assert "wide-2" in cli.fails("network", "disconnect", "wide", "two")
    cli.run("network", "disconnect", "-f", "wide", "two")
    assert ends() == {"one"}
    cli.run("run", "--rm", "--net", "wide", "busybox", "ping", "-c", "1", "-w", "10", "one")
    cli.run("rm", "-f", "one")
    cli.run("network", "rm", "wide")
    assert networks(cli) == []


# ---- volumes of a global driver ----


def volumes(cli):
    shown = cli.run("volume", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")
    return sorted(shown.splitlines())


def test_a_volume_spans_nodes(cli, cluster, engines, plugin):
    """The driver makes it once, every node uses it, and it goes once."""
    cli.run("volume", "create", "-d", "cloud", "-o", "size=1", "--label", "a=b", "disk")
    assert plugin.volumes == {"disk": {"size": "1"}}
    assert volumes(cli) == ["disk cloud global"]
    (inspected,) = json.loads(cli.run("volume", "inspect", "disk"))
    assert (inspected["Name"], inspected["Scope"]) == ("disk", "global")
    cli.run("run", "--rm", "-v", "disk:/x", *on(1), "busybox", "sh", "-c", "echo shared > /x/file")
    assert cli.run("run", "--rm", "-v", "disk:/x", *on(2), "busybox", "cat", "/x/file") == "shared"
    for name in ("one", "two"):
        cli.run("run", "-d", "--name", name, "-v", "disk:/x", *SLEEP)
    assert {cluster.node_of(name) for name in ("one", "two")} == {"wide-1", "wide-2"}
    assert volumes(cli) == ["disk cloud global"]
    shown = cli.run("ps", "-f", "volume=disk", "--format", "{{.Names}}").split()
    assert sorted(n.split("/")[1] for n in shown) == ["one", "two"]
    assert [call[1:] for call in plugin.calls if call[1] == "Create"] == [("Create", "disk")]

    # In use on either node it stays.
    for name in ("one", "two"):
        assert "in use" in cli.fails("volume", "rm", "disk")
        assert "disk" in plugin.volumes
        cli.run("rm", "-f", name)
    cli.run("volume", "rm", "disk")
    assert plugin.volumes == {} and volumes(cli) == []
    assert [call[1:] for call in plugin.calls if call[1] == "Remove"] == [("Remove", "disk")]


def test_a_node_with_the_volume_dies(cli, cluster, engines, plugin):
    """The others have it still, also one that was made with a container."""
    made_with = ("-v", "other:/x", "--volume-driver", "cloud")
    cli.run("volume", "create", "-d", "cloud", "disk")
    asked = lambda: plugin.calls.count(("wide-2", "List", None))
    before = asked()
    cli.run("create", "--name", "one", *made_with, *on(1), *SLEEP)
    assert asked() == before + 1
    # It is known there now.
    cli.run("create", "--name", "two", *made_with, *on(1), *SLEEP)
    assert asked() == before + 1
    engines[0].kill()
    cluster.wait_status(engines[0].addr, "Disconnected")
    assert volumes(cli) == ["disk cloud global", "other cloud global"]
    for name in ("disk", "other"):
        cli.run("run", "--rm", "-v", f"{name}:/x", "busybox", "touch", "/x/file")
        assert name in cli.run("volume", "inspect", name)
    cli.run("volume", "rm", "disk")
    assert list(plugin.volumes) == ["other"]
