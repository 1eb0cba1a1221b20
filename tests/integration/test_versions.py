"""API versions: what is offered, what each engine is asked in, and what old and new clients see."""

import json
import re

import pytest

from lab.fake_engine import answer, container
from lab.waiting import wait_until


def minors(engine):
    """The versions in which a fake engine was asked by the API."""
    return {int(m) for r in engine.requests for m in re.findall(r"^/v1\.(\d+)/", r.target)}


def test_ping_as_an_engine(manager, three):
    m = manager(three[:1])
    for method in ("GET", "HEAD"):
        own, theirs = m.request(method, "/_ping"), three[0].request(method, "/_ping")
        assert (own.status, own.body) == (theirs.status, theirs.body)
        for name, value in theirs.headers:
            if name.lower() in ("date", "connection"):
                continue
            assert own.header(name) is not None, (method, name)
            if name.lower() not in ("server", "content-length"):
                assert own.header(name) == value, (method, name)
        assert own.header("Swarm") == "inactive"
        assert re.fullmatch(r"Docker/swarm/\S+ \(linux\)", own.header("Server"))
    assert m.request("GET", "/v1.24/_ping").body == b"OK"
    assert m.request("GET", "/version").header("Api-Version") == "1.41"


@pytest.mark.parametrize(
    "ranges, offered",
    [
        ([("1.24", "1.41")], "1.41"),
        ([("1.12", "1.41"), ("1.24", "1.47")], "1.41"),
        ([("1.12", "1.41"), ("1.15", "1.41")], "1.41"),
        ([("1.24", "1.41"), ("1.44", "1.52")], "1.44"),
        ([("1.24", "1.30"), ("1.24", "1.41"), ("1.40", "1.52")], "1.40"),
        ([("1.44", "1.52")], "1.50"),
    ],
)
def test_offered(fake, manager, ranges, offered):
    engines = [fake(f"n{i}", api=high, min_api=low) for i, (low, high) in enumerate(ranges)]
    for i, engine in enumerate(engines):
        engine.containers = [container(f"{i + 1:064x}", f"c{i}")]
        engine.on("GET", "/top$", lambda c, r: c.sendall(answer(200, {"Titles": []})) or True)
    m = manager(engines)

    def told():
        return m.request("HEAD", "/_ping").header("Api-Version") == offered

    wait_until(told, f"{offered} to be offered", 5)
    version = m.json("GET", "/version")
    # What all of them take, and 1.24 in any case.
    lowest = min(24, max(int(low.split(".")[1]) for low, high in ranges))
    assert (version["ApiVersion"], version["MinAPIVersion"]) == (offered, f"1.{lowest}")
    assert m.request("GET", f"/v1.{lowest}/containers/json").status == 200
    assert m.request("GET", f"/v1.{lowest - 1}/containers/json").status == 400
    assert version["Components"][0]["Details"]["ApiVersion"] == offered
    for minor in (24, 30, 41, 44, 50):
        assert len(m.json("GET", f"/v1.{minor}/containers/json")) == len(engines)
        for i in range(len(engines)):
            m.json("GET", f"/v1.{minor}/containers/c{i}/top")
            m.json("GET", f"/v1.{minor}/containers/c{i}/json")
        m.json("GET", f"/v1.{minor}/containers/json?size=1")
    for engine, (low, high) in zip(engines, ranges):
        low, high = (int(v.split(".")[1]) for v in (low, high))
        assert minors(engine) and min(minors(engine)) >= low and max(minors(engine)) <= high
        # As near to the client's as the engine comes.
        asked = {r.target.split("/")[1] for r in engine.seen("GET", "/top")}
        assert asked == {f"v1.{min(max(v, low), high)}" for v in (24, 30, 41, 44, 50)}


@pytest.mark.parametrize(
    "minima, lowest",
    [(["1.12"], "1.12"), (["1.12", "1.20"], "1.20"), (["1.12", "1.24"], "1.24"), (["1.44"], "1.24")],
)
def test_old_clients(fake, manager, minima, lowest):
    """Tools that speak one fixed version are served when all engines speak it."""
    engines = [fake(f"n{i}", api="1.50", min_api=low) for i, low in enumerate(minima)]
    engines[0].containers = [container(f"{1:064x}", "c0")]
    engines[0].on("POST", "/start$", lambda c, r: c.sendall(answer(204, b"")) or True)
    m = manager(engines)

    def told():
        return m.json("GET", "/version")["MinAPIVersion"] == lowest

    wait_until(told, f"{lowest} to be told", 5)
    number = int(lowest.split(".")[1])
    assert m.request("GET", f"/v{lowest}/containers/json").status == 200
    refused = m.request("GET", f"/v1.{number - 1}/containers/json")
    assert refused.status == 400
    assert f"Minimum supported API version is {lowest}" in refused.message()
    # No engine is asked to take a host configuration that nothing judged.
    m.request("POST", f"/v{lowest}/containers/c0/start", {"Privileged": True})
    asked = [r.target for r in engines[0].seen("POST", "/start")]
    assert asked and all(int(t.split("/")[1].split(".")[1]) >= 24 for t in asked)


def test_wording(manager, three):
    m = manager(three[:1])

    def refused(thing, version):
        reply = thing.request("GET", f"/v{version}/info")
        assert reply.status == 400, reply
        # An engine tells clients before 1.24 in plain text.
        plain = reply.header("Content-Type").startswith("text/plain")
        text = reply.body.decode().strip() if plain else reply.message()
        return re.sub(r"1\.\d+", "1.N", text)

    assert refused(m, "1.99") == refused(three[0], "1.99")
    assert refused(m, "1.5") == refused(three[0], "1.5")
    # What the manager accepts does not depend on the engines of the moment.
    assert m.request("GET", "/v1.50/info").status == 200
    assert m.request("GET", "/v1.24/info").status == 200


def test_copy_of_old_clients(manager, three):
    """The way to copy before archives; engines still know it, and so does the manager."""
    m = manager(three[:1])
    m.create("source")
    for target in ("/v1.24/containers/source/copy", "/v1.41/containers/source/copy"):
        body = {"Resource": "/etc/passwd"}
        own, theirs = (t.request("POST", target, body) for t in (m, three[0]))
        assert (own.status, own.body) == (theirs.status, theirs.body)


def test_clients_of_engines_that_do_not_meet(docker, fake, manager, three):
    new = fake("new", api="1.52", min_api="1.44")
    m = manager([three[0], new])
    cli = docker(m)
    name = "constraint:node==node-1"
    assert cli.run("run", "--rm", "-e", name, "busybox", "echo", "hello") == "hello"
    cli.run("run", "-d", "--name", "kept", "-e", name, "busybox", "sleep", "1000")
    assert "node-1/kept" in cli.run("ps")
    assert cli.run("inspect", "--format", "{{.State.Status}}", "kept") == "running"
    assert cli.run("exec", "kept", "echo", "in") == "in"
    cli.run("stop", "-t", "0", "kept")
    assert cli.run("wait", "kept") == "137"
    for old in ("1.25", "1.30", "1.41"):
        cli.env["DOCKER_API_VERSION"] = old
        assert "kept" in cli.run("ps", "-a")
        assert "Nodes: 2" in cli.run("info")
        cli.run("system", "df")
    assert min(minors(new)) >= 44
    assert max(minors(new)) <= 50


def test_several_networks_on_an_engine_that_makes_one(fake, manager, three):
    """API 1.44 creates with all networks; engines before are asked for the rest."""
    engine = three[0]
    new = fake("new", api="1.52", min_api="1.44")
    m = manager([engine, new])
    for name in ("front", "back"):
        engine.json("POST", "/networks/create", {"Name": name})

    def create(name, *networks):
        config = {
            **{"Image": "busybox", "Env": ["constraint:node==node-1"], "Cmd": ["sleep", "100"]},
            "HostConfig": {"NetworkMode": networks[0]},
            "NetworkingConfig": {
                "EndpointsConfig": {n: {"Aliases": [f"{name}-{n}"]} for n in networks}
            },
        }
        return m.request("POST", f"/v1.44/containers/create?name={name}", config)

    reply = create("joined", "front", "back")
    assert reply.status == 201, reply
    made = engine.json("GET", f"/containers/{reply.json()['Id']}/json")
    networks = made["NetworkSettings"]["Networks"]
    assert set(networks) == {"front", "back"}
    assert "joined-back" in networks["back"]["Aliases"]
    shown = m.ps()["node-1/joined"]
    assert set(shown["NetworkSettings"]["Networks"]) == {"front", "back"}


def test_network_that_cannot_be_connected(fake, manager):
    """The container is not left half made, its name is free, and the refusal is the engine's."""
    engine = fake("old", api="1.41", min_api="1.24")
    refusal = {"message": "network b not found"}

    def connect(c, request):
        good = json.loads(request.body)["EndpointConfig"] == {"Aliases": ["x"]}
        c.sendall(answer(200) if good else answer(404, refusal, reason="Not Found"))
        return True

    def remove(c, request):
        engine.containers.clear()
        c.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        return True

    engine.on("POST", "^/networks/.*/connect$", connect)
    engine.on("DELETE", "^/containers/", remove)
    m = manager([engine])

    def create(**endpoints):
        config = {"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": endpoints}}
        return m.request("POST", "/v1.44/containers/create?name=one", config)

    reply = create(a={}, b={}, c={"Aliases": ["x"]})
    assert (reply.status, reply.message()) == (404, refusal["message"])
    made = json.loads(engine.seen("POST", "/containers/create")[0].body)
    assert made["NetworkingConfig"]["EndpointsConfig"] == {"a": {}}
    assert len(engine.seen("DELETE", "/containers/[0-9a-f]{64}[?]force=1&v=1$")) == 1
    assert m.ps() == {}
    reply = create(a={}, c={"Aliases": ["x"]})
    assert reply.status == 201, reply
    assert list(m.ps()) == ["old/one"]
    # The engine breaks off in the middle.
    engine.on("POST", "^/networks/.*/connect$", lambda c, r: False)
    engine.containers.clear()
    assert m.request("POST", "/v1.44/containers/create?name=two", {
        **{"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": {}}}},
    }).status == 502


# ---- info and version, as clients print them ----


def labels_of(text):
    """What stands before the colons, without what differs from host to host."""
    return [line.split(":")[0].strip() for line in text.split("\n") if ": " in line or line.endswith(":")]


def test_info_as_an_engine(docker, manager, three):
    m = manager(three)
    own, theirs = m.json("GET", "/info"), three[0].json("GET", "/info")
    assert set(theirs) - set(own) == set()
    for key in (
        *("Driver", "DriverStatus", "LoggingDriver", "CgroupDriver", "CgroupVersion"),
        *("DefaultRuntime", "Runtimes", "InitBinary", "ContainerdCommit", "RuncCommit"),
        *("SecurityOptions", "Swarm", "MemoryLimit", "SwapLimit", "PidsLimit", "OomKillDisable"),
        *("IndexServerAddress", "RegistryConfig", "LiveRestoreEnabled", "Architecture"),
    ):
        assert own[key] == theirs[key], key
    assert own["Plugins"] == {k: v or [] for k, v in theirs["Plugins"].items()}
    assert [w.split(":")[0] for w in own["Warnings"]] == [
        f"node {e.name}" for e in three for _ in e.json("GET", "/info")["Warnings"]
    ]
    status, out, err = docker(m).run("info", check=False)
    assert status == 0
    plain = docker(f"tcp://{three[0].addr}").run("info")
    assert set(labels_of(plain)) - set(labels_of(out + err)) <= {
        *("ID", "WARNING", "Labels"),
        *re.findall("WARNING.*", plain),
    }
    for line in err.split("\n"):
        assert "rror" not in line and not line.startswith("WARNING: No "), err


def test_info_of_engines_that_differ(fake, manager):
    engines = [fake("n1"), fake("n2")]
    own = [
        {
            **{"Driver": "overlay2", "DriverStatus": [["Backing", "ext4"], ["d_type", "true"]]},
            **{"Plugins": {"Volume": ["local"], "Log": ["json-file"]}, "MemoryLimit": True},
            **{"SwapLimit": True, "Runtimes": {"runc": {"path": "runc"}}, "Warnings": ["hot"]},
            **{"SecurityOptions": ["name=seccomp", "name=userns"], "CgroupVersion": "1"},
        },
        {
            **{"Driver": "vfs", "DriverStatus": [["d_type", "true"]], "CgroupVersion": "2"},
            **{"Plugins": {"Volume": ["local", "nfs"], "Log": None}, "MemoryLimit": True},
            **{"SwapLimit": False, "Runtimes": {"kata": {"path": "k"}, "runc": {"path": "x"}}},
            **{"SecurityOptions": ["name=seccomp"], "Warnings": None, "Name": 7},
        },
    ]
    for engine, fields in zip(engines, own):
        base = {"ID": engine.engine_id, "Name": engine.name, "NCPU": 2, "MemTotal": 2 << 30}
        base = {**base, "OSType": "linux", "ServerVersion": "20.10.24", **fields, "Name": engine.name}
        engine.on("GET", "^/info$", lambda c, r, b=base: c.sendall(answer(200, b)) or True)
    info = manager(engines).json("GET", "/info")
    assert info["Driver"] == "overlay2, vfs"
    assert info["DriverStatus"] == [["d_type", "true"]]
    assert info["Plugins"]["Volume"] == ["local", "nfs"]
    assert info["Plugins"]["Log"] == ["json-file"]
    assert (info["MemoryLimit"], info["SwapLimit"]) == (True, False)
    assert sorted(info["Runtimes"]) == ["kata", "runc"]
    assert info["SecurityOptions"] == ["name=seccomp"]
    assert info["Warnings"] == ["node n1: hot"]
    assert info["CgroupVersion"] == "1, 2"


def test_info_without_nodes(docker, manager):
    m = manager(["127.0.0.1:1"], nodes=0)
    info = m.json("GET", "/info")
    assert info["Warnings"] == []
    assert info["IndexServerAddress"].startswith("https://")
    status, out, err = docker(m).run("info", check=False)
    assert (status, err) == (0, ""), err
    assert "Nodes: 1" in out


def test_info_of_hostile_engines(fake, manager):
    engine = fake("odd")
    odd = {
        **{"ID": "X:Y", "Name": "odd", "NCPU": 2, "MemTotal": 1, "OSType": "linux"},
        **{"Driver": 5, "DriverStatus": {"a": 1}, "Plugins": [], "Runtimes": [1, {}]},
        **{"Warnings": [1, None, {"a": "b"}], "SecurityOptions": "x", "RegistryConfig": 0},
        **{"ContainerdCommit": {"ID": ["x"]}, "MemoryLimit": "yes", "LoggingDriver": "é" * 600},
    }
    engine.on("GET", "^/info$", lambda c, r: c.sendall(answer(200, odd)) or True)
    info = manager([engine]).json("GET", "/info")
    assert (info["Driver"], info["DriverStatus"], info["Runtimes"]) == ("", [], {})
    assert info["Warnings"] == []
    assert info["MemoryLimit"] is True


def test_version_as_an_engine(docker, manager, three):
    m = manager(three[:1])
    own, theirs = m.json("GET", "/version"), three[0].json("GET", "/version")
    assert set(theirs) - set(own) == set()
    assert set(theirs["Components"][0]["Details"]) - set(own["Components"][0]["Details"]) == set()
    assert own["Arch"] == theirs["Arch"]
    out = docker(m).run("version")
    assert re.search(r"Version: +swarm/", out)
    assert re.search(r"API version: +1\.41 \(minimum version 1\.12\)", out)
    assert re.search(r"Experimental: +false", out)
