"""What the docker client can do with one engine, it can do with the cluster."""

import json
import os
import re
import select
import tarfile
import time
from urllib.parse import quote

import pytest

from lab.engine import IMAGE
from lab.waiting import wait_until


@pytest.fixture
def cluster(manager, three):
    return manager(three, unix=True)


@pytest.fixture
def cli(docker, cluster):
    return docker(cluster)


def engine_with(engines, name):
    found = [e for e in engines if name in e.names()]
    assert len(found) == 1, {e.name: e.names() for e in engines}
    return found[0]


def state(cli, name):
    return cli.run("inspect", "--format", "{{.State.Status}}", name)


UNTIL_GO = "while [ ! -e /go ]; do sleep 0.1; done"

# ---- run ----


def test_run_in_the_foreground(cli, three):
    status, out, err = cli.run(
        "run", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 42", check=False
    )
    assert (status, out, err) == (42, "out\n", "err\n")
    status, out, _ = cli.run("run", "--rm", IMAGE, "sh", "-c", "exit 0", check=False)
    assert (status, out) == (0, "")
    status, _, err = cli.run("run", "--rm", IMAGE, "/no/such/program", check=False)
    assert status == 127, err
    assert "no such file" in err
    wait_until(lambda: sum(len(e.names()) for e in three) == 1, "only the first to be left")


def test_run_leaves_nothing_out(cli):
    """A fast writer: every line arrives, in order."""
    out = cli.run("run", "--rm", IMAGE, "seq", "1", "50000")
    assert out.split() == [str(i) for i in range(1, 50001)]


def test_run_with_terminal(cli):
    terminal = cli.terminal("run", "-it", "--rm", IMAGE, "sh")
    terminal.expect("/ #")
    terminal.send("echo got''ten; exit 5\n")
    terminal.expect("gotten")
    assert terminal.wait()[0] == 5


def test_volumes(cli, three):
    cli.run("run", "--name", "w1", "-v", "kept:/data", IMAGE, "sh", "-c", "echo stuff >/data/f")
    node = engine_with(three, "w1").name
    out = cli.run(
        *("run", "--rm", "-v", "kept:/data", "-e", f"constraint:node=={node}"),
        *(IMAGE, "cat", "/data/f"),
    )
    assert out == "stuff"
    out = cli.run("run", "--rm", "--volumes-from", "w1", IMAGE, "cat", "/data/f")
    assert out == "stuff"
    out = cli.run("run", "--rm", "-v", "/etc:/host:ro", IMAGE, "ls", "/host/hostname")
    assert out == "/host/hostname"


def test_published_port_answers(cli, three):
    cli.run(
        *("run", "-d", "-p", "8080:80", "--name", "web", IMAGE),
        *("sh", "-c", "echo served >/tmp/index.html; httpd -f -p 80 -h /tmp"),
    )
    ip = engine_with(three, "web").ip
    assert cli.run("port", "web").startswith(f"80/tcp -> {ip}:8080")
    assert cli.run("port", "web", "80").split("\n")[0] == f"{ip}:8080"
    assert f"{ip}:8080->80/tcp" in cli.run("ps", "--format", "{{.Ports}}")


# ---- one container's life ----


def test_life(cli, three):
    container = cli.run("create", "--name", "life", IMAGE, "sleep", "1000")
    assert re.fullmatch("[0-9a-f]{64}", container)
    engine = engine_with(three, "life")
    assert state(cli, "life") == "created"
    assert cli.run("start", "life") == "life"
    assert state(cli, f"{engine.name}/life") == "running"
    cli.run("pause", container)
    assert state(cli, container[:12]) == "paused"
    assert cli.run("ps", "--filter", "status=paused", "--format", "{{.Names}}") == (
        f"{engine.name}/life"
    )
    cli.run("unpause", container[:7])
    assert state(cli, f"/{engine.name}/life") == "running"
    started = cli.run("inspect", "--format", "{{.State.StartedAt}}", "life")
    cli.run("restart", "-t", "0", "life")
    assert cli.run("inspect", "--format", "{{.State.StartedAt}}", "life") != started
    cli.run("update", "--memory", "64m", "--memory-swap", "64m", "life")
    memory = cli.run("inspect", "--format", "{{.HostConfig.Memory}}", "life")
    assert memory == str(64 << 20)
    cli.run("rename", "life", "afterlife")
    assert engine.names() == ["afterlife"]
    assert "No such container: life" in cli.fails("start", "life")
    cli.run("kill", "-s", "KILL", "afterlife")
    assert cli.run("wait", "afterlife") == "137"
    assert cli.run("ps", "-q") == ""
    assert "Exited (137)" in cli.run("ps", "-a", "--format", "{{.Status}}")
    cli.run("start", "afterlife")
    cli.run("stop", "-t", "0", "afterlife")
    assert state(cli, "afterlife") == "exited"
    cli.run("rm", "afterlife")
    assert engine.names() == []
    error = cli.fails("inspect", "--type", "container", "afterlife")
    assert "No such container: afterlife" in error


def test_wait_ends_when_the_container_does(cli):
    cli.run("run", "-d", "--name", "waited", IMAGE, "sh", "-c", f"{UNTIL_GO}; exit 9")
    waiting = cli.popen("wait", "waited")
    cli.run("exec", "waited", "touch", "/go")
    out, err = waiting.communicate(timeout=20)
    assert (out, err) == (b"9\n", b"")


def test_stopped_at_once_shown_at_once(cluster, three):
    """Read your own writes, a hundred times."""
    container = cluster.create("flip")
    with cluster.connect() as c:
        for _ in range(25):
            for action, status in (("start", "running"), ("kill", "exited")):
                assert c.request("POST", f"/containers/flip/{action}").status == 204
                shown = c.request("GET", "/containers/json?all=1").json()
                assert [(e["Id"], e["State"]) for e in shown] == [(container, status)]


# ---- looking inside ----


def test_logs(cli):
    cli.run("run", "--name", "log", IMAGE, "sh", "-c", "for i in 1 2 3; do echo line $i; done")
    assert cli.run("logs", "log") == "line 1\nline 2\nline 3"
    assert cli.run("logs", "--tail", "1", "log") == "line 3"
    assert re.match(r"20\d\d-.*Z line 1", cli.run("logs", "-t", "log"))


def test_logs_follow(cli):
    script = f"echo first; {UNTIL_GO}; echo last"
    cli.run("run", "-d", "--name", "fol", IMAGE, "sh", "-c", script)
    following = cli.popen("logs", "-f", "fol")
    assert following.stdout.readline() == b"first\n"
    cli.run("exec", "fol", "touch", "/go")
    out, _ = following.communicate(timeout=20)
    assert out == b"last\n"
    assert following.returncode == 0


def test_attach(cli):
    cli.run("create", "-i", "--name", "att", IMAGE, "cat")
    cli.run("start", "att")
    attached = cli.popen("attach", "att", stdin=-1)
    attached.stdin.write(b"one\n")
    attached.stdin.flush()
    assert attached.stdout.readline() == b"one\n"
    out, _ = attached.communicate(b"two\n", timeout=20)
    assert out == b"two\n"
    assert attached.returncode == 0
    wait_until(lambda: state(cli, "att") == "exited", "cat to end with its input")


def test_exec(cli):
    cli.run("run", "-d", "--name", "ex", IMAGE, "sleep", "1000")
    assert cli.run("exec", "ex", "echo", "here") == "here"
    assert cli.run("exec", "-i", "ex", "cat", input="through") == "through"
    status, out, err = cli.run("exec", "ex", "sh", "-c", "echo x >&2; exit 4", check=False)
    assert (status, out, err) == (4, "", "x\n")
    assert cli.run("exec", "-e", "A=b", "-w", "/tmp", "ex", "sh", "-c", "echo $A; pwd") == "b\n/tmp"
    cli.run("exec", "-d", "ex", "touch", "/tmp/made")
    wait_until(
        lambda: cli.run("exec", "ex", "ls", "/tmp") == "made", "the detached program to have run"
    )


def test_many_execs_in_a_row(cli):
    cli.run("run", "-d", "--name", "ex", IMAGE, "sleep", "1000")
    for i in range(20):
        assert cli.run("exec", "ex", "echo", str(i)) == str(i)


def test_copy(cli, tmp_path):
    cli.run("run", "-d", "--name", "cpy", IMAGE, "sleep", "1000")
    data = os.urandom(3 << 20)
    (tmp_path / "in").write_bytes(data)
    cli.run("cp", str(tmp_path / "in"), "cpy:/tmp/file")
    assert cli.run("exec", "cpy", "wc", "-c", "/tmp/file") == f"{3 << 20} /tmp/file"
    cli.run("cp", "cpy:/tmp/file", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == data
    error = cli.fails("cp", "cpy:/no/such", str(tmp_path / "x"))
    assert "/no/such" in error


def test_export_diff_top_stats(cli, tmp_path):
    cli.run("run", "-d", "--name", "lk", IMAGE, "sh", "-c", "touch /new; sleep 1000")
    wait_until(lambda: "A /new" in cli.run("diff", "lk").split("\n"), "the file to be made")
    cli.run("export", "-o", str(tmp_path / "tar"), "lk")
    with tarfile.open(tmp_path / "tar") as tar:
        assert {"new", "bin/busybox"} <= set(tar.getnames())
    assert "sleep 1000" in cli.run("top", "lk")
    stats = cli.run("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", "lk")
    assert re.match(r"\S*lk \S+", stats)


def test_commit(cli, three):
    cli.run("run", "--name", "src", IMAGE, "sh", "-c", "echo kept >/note")
    image = cli.run("commit", "-m", "words", "src", "made:1")
    assert image.startswith("sha256:")
    node = engine_with(three, "src").name
    assert "made:1" in cli.run("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    # Only that node has it; the container goes there by itself.
    for _ in range(3):
        out = cli.run("run", "--name", "dst", "made:1", "cat", "/note")
        assert out == "kept"
        assert engine_with(three, "dst").name == node
        cli.run("rm", "dst")


def test_commit_leaves_the_containers_own_labels(mixed, manager, one_docker):
    """An ID and terms are those of one container; the client's labels are the image's too."""
    m = manager(mixed)
    cli = one_docker(m)
    own = {f"com.docker.swarm.{name}" for name in ("id", "constraints", "affinities")}
    name_of = lambda key: m.json("GET", f"/containers/{key}/json")["Name"]
    for engine in mixed[1:]:
        terms = ["-e", f"constraint:node=={engine.name}", "-e", "affinity:image==~busybox"]
        cli.run("create", "--name", "first", "--label", "mine=1", *terms, IMAGE, "true")
        labels = m.json("GET", "/containers/first/json")["Config"]["Labels"]
        assert own <= set(labels)
        swarm_id = labels["com.docker.swarm.id"]
        cli.run("commit", "-c", "LABEL added=2", "first", "made")
        made = engine.json("GET", "/images/made/json")["Config"]["Labels"]
        assert made == {"mine": "1", "added": "2", **dict.fromkeys(own, "")}
        # Past the manager: nothing but its own ID finds it.
        engine.json("POST", "/containers/create?name=past", {"Image": "made"})
        wait_until(lambda: name_of("past") == "/past", "it to be known")
        assert name_of(swarm_id) == "/first"
        # A client that copies the image's labels.
        m.json("POST", "/containers/create?name=new", {"Image": "made", "Labels": made})
        new = m.json("GET", "/containers/new/json")["Config"]["Labels"]["com.docker.swarm.id"]
        assert re.fullmatch("[0-9a-f]{64}", new) and new != swarm_id
        # An image that was committed past the manager has them all, and its containers their own.
        engine.json("POST", "/commit?container=first&repo=whole", {})
        wait_until(lambda: m.request("GET", "/images/whole/json").status == 200, "the image")
        m.json("POST", "/containers/create?name=newer", {"Image": "whole"})
        assert name_of(swarm_id) == "/first"
        cli.run("rm", "first", "past", "new", "newer")
        cli.run("rmi", "made", "whole")


# ---- the cluster as one ----


def test_ps_over_all_nodes(cli, three):
    for engine in three:
        where = f"constraint:node=={engine.name}"
        cli.run("run", "-d", "--name", f"on-{engine.name}", "-e", where, IMAGE, "top")
    names = cli.run("ps", "--format", "{{.Names}}").split()
    assert sorted(names) == [f"{e.name}/on-{e.name}" for e in three]
    one = cli.run("ps", "--filter", "node=node-2", "--format", "{{.Names}}")
    assert one == "node-2/on-node-2"
    one = cli.run("ps", "--filter", "name=on-node-3", "--format", "{{.Names}}")
    assert one == "node-3/on-node-3"
    assert len(cli.run("ps", "-n", "2", "-q").split()) == 2
    assert cli.run("ps", "--filter", "ancestor=nothing-has-it", "-q") == ""
    assert len(cli.run("ps", "--filter", f"ancestor={IMAGE}", "-q").split()) == 3


def test_inspect_names_the_node(cluster, three):
    container = cluster.run("ins")
    engine = engine_with(three, "ins")
    inspected = cluster.json("GET", "/containers/ins/json")
    info = engine.json("GET", "/info")
    assert inspected["Id"] == container
    assert inspected["Name"] == "/ins"
    node = inspected["Node"]
    assert node["Name"] == engine.name
    assert node["Addr"] == engine.addr
    assert node["IP"] == engine.ip
    assert node["ID"].split("|")[0] == info["ID"]
    assert node["Cpus"] == info["NCPU"]
    assert node["Labels"]["disk"] == engine.labels["disk"]
    # Apart from what the cluster adds, it is the engine's own answer.
    own = engine.json("GET", "/containers/ins/json")
    for key in ("Created", "Path", "Args", "State", "Image", "Config", "Mounts", "Driver"):
        assert inspected[key] == own[key], key


def test_names_and_ids(cluster, three):
    container = cluster.run("named")
    node = engine_with(three, "named").name
    labels = cluster.json("GET", "/containers/named/json")["Config"]["Labels"]
    swarm_id = labels["com.docker.swarm.id"]
    assert re.fullmatch("[0-9a-f]{64}", swarm_id)
    ids = [container, container[:12], container[:5], swarm_id, swarm_id[:12]]
    for key in ("named", "/named", f"{node}/named", *ids):
        found = cluster.json("GET", f"/containers/{key}/json")
        assert found["Id"] == container, key
    for key in ("name", "NAMED", f"nowhere/named", "zz", container + "0"):
        reply = cluster.request("GET", f"/containers/{key}/json")
        assert reply.status == 404, key
        assert "No such container" in reply.message()


def test_same_name_on_two_nodes(cluster, three):
    """Made behind the manager's back: both are listed, the bare name is refused as ambiguous."""
    for engine in three[:2]:
        engine.json("POST", "/containers/create?name=twin", {"Image": IMAGE, "Cmd": ["true"]})
    wait_until(lambda: len(cluster.ps()) == 2, "both to be listed")
    assert sorted(cluster.ps()) == ["node-1/twin", "node-2/twin"]
    reply = cluster.request("GET", "/containers/twin/json")
    assert reply.status in (400, 409), reply
    assert "node-1/twin" in reply.message() and "node-2/twin" in reply.message()
    assert cluster.request("GET", "/containers/node-2/twin/json").json()["Node"]["Name"] == "node-2"
    assert cluster.request("DELETE", "/containers/node-1/twin").status == 204
    assert cluster.request("GET", "/containers/twin/json").json()["Node"]["Name"] == "node-2"


def test_awkward_names(cluster, three):
    """Names that are also words of the API's paths reach the right container."""
    names = ["containers", "v1", "json", "exec", "start", "create", "v1.41", "a.b-c_d"]
    for name in names:
        container = cluster.create(name)
        for key in (name, f"{cluster.node_of(container)}/{name}"):
            reply = cluster.request("POST", f"/v1.41/containers/{key}/start")
            assert reply.status in (204, 304), (key, reply)
            assert cluster.json("GET", f"/v1.30/containers/{key}/json")["Id"] == container
    listed = sorted(n.split("/")[1] for n in cluster.ps("all=0"))
    assert listed == sorted(names)


def test_info_version_ping(cli, cluster, three):
    info = cluster.json("GET", "/info")
    assert info["Containers"] == 0
    assert info["NCPU"] == sum(e.json("GET", "/info")["NCPU"] for e in three)
    assert [n["Name"] for n in cluster.nodes().values()] == [e.name for e in three]
    version = cluster.json("GET", "/version")
    assert version["Version"].startswith("swarm/")
    api = version["ApiVersion"]
    assert tuple(map(int, api.split("."))) >= (1, 41)
    cli.run("info")
    cli.run("version")
    ping = cluster.request("GET", "/_ping")
    assert (ping.status, ping.body) == (200, b"OK")
    assert ping.header("Api-Version") == api
    head = cluster.request("HEAD", "/_ping")
    assert (head.status, head.body) == (200, b"")
    assert head.header("Api-Version") == api


def test_events(cli, cluster, three):
    listening = cli.popen("events", "--format", "{{json .}}")
    # It has to be there before something happens; the engine's own events tell nothing of that.
    os.set_blocking(listening.stdout.fileno(), True)
    wait_until(lambda: "GET" and len(connections_to(cluster)) >= 1, "the client to be connected")
    first = None
    for attempt in range(50):
        name = f"ev-{attempt}"
        cluster.run(name)
        if select.select([listening.stdout], [], [], 0.5)[0]:
            first = json.loads(listening.stdout.readline())
            break
    assert first is not None
    assert first["Type"] in ("container", "network", "image", "volume")
    attributes = first["Actor"]["Attributes"]
    assert attributes["node.name"] in {e.name for e in three}
    assert {"node.id", "node.addr", "node.ip"} <= set(attributes)
    # Some versions of the client take SIGTERM as no reason to end while they wait for events.
    listening.kill()
    listening.communicate(timeout=10)


def connections_to(cluster):
    with open("/proc/net/tcp") as f:
        wanted = f":{cluster.port:04X}"
        return [line for line in f if line.split()[1].endswith(wanted) and line.split()[3] == "01"]


def test_events_since_until(cluster, three):
    container = cluster.run("ev")
    cluster.request("DELETE", "/containers/ev?force=1")
    filters = json.dumps({"type": ["container"], "container": [container]}).replace(" ", "")
    until = int(time.time()) + 1
    reply = cluster.request("GET", f"/events?since=1&until={until}&filters={quote(filters)}")
    assert reply.status == 200
    events = [json.loads(line) for line in reply.body.splitlines() if line]
    actions = [e["Action"] for e in events]
    assert actions[:2] == ["create", "start"]
    assert actions[-1] == "destroy"
    assert {e["Actor"]["ID"] for e in events} == {container}


def test_images(cli, cluster, three):
    listed = cluster.json("GET", "/images/json")
    assert [i["RepoTags"] for i in listed] == [[IMAGE]]
    assert listed[0]["Id"] in three[0].base_images
    assert cli.run("images", "-q", "--no-trunc") == listed[0]["Id"]
    assert cli.run("inspect", "--type", "image", "--format", "{{.Id}}", IMAGE) == listed[0]["Id"]


def test_pull(cli, cluster, three, registry):
    """From a real registry, onto every node; a missing image fails."""
    reference = registry.push(three[0], IMAGE, "pulled")
    out = cli.run("pull", reference)
    for engine in three:
        assert engine.name in out, out
        tags = [t for i in engine.json("GET", "/images/json") for t in i["RepoTags"]]
        assert reference in tags
    assert cli.run("run", "--rm", reference, "echo", "from it") == "from it"
    error = cli.fails("pull", f"{registry.addr}/missing:1")
    assert "missing" in error or "not found" in error


def test_create_pulls_what_is_missing(cli, three, registry):
    reference = registry.push(three[0], IMAGE, "lazy")
    assert cli.run("run", "--rm", reference, "echo", "pulled first") == "pulled first"


# ---- what no engine has ----


def test_not_an_endpoint(cluster):
    for path in ("/", "/nothing/like/it", "/containers", "/containers/x/y/z", "/v1.41"):
        reply = cluster.request("GET", path)
        assert reply.status == 404, (path, reply)
        reply.message()


LISTS = ["/containers/json", "/images/json", "/networks", "/volumes", "/events"]


@pytest.mark.parametrize("path", LISTS)
def test_unknown_filters_are_refused(cluster, path):
    """What is not understood must not look like 'everything': that ends in rm -f."""
    filters = quote(json.dumps({"no-such-filter": ["x"]}))
    reply = cluster.request("GET", f"{path}?filters={filters}")
    assert reply.status == 400, reply
    assert "no-such-filter" in reply.message()
    for bad in ("{", "[]", '"x"', '{"name":1}'):
        reply = cluster.request("GET", f"{path}?filters={quote(bad)}")
        assert reply.status == 400, (bad, reply)
        reply.message()


def test_bad_bodies(cluster):
    json_type = {"Content-Type": "application/json"}
    bodies = [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe"]
    for body in [*bodies, b'{"Image":1}', b'{"Image":"busybox","Env":"x"}']:
        with cluster.connect() as c:
            reply = c.request("POST", "/containers/create", body, json_type)
            assert reply.status == 400, (body, reply)
            reply.message()
    reply = cluster.request("POST", "/containers/create", {"Image": "nothing-like-it"})
    assert reply.status == 404, reply
    assert "nothing-like-it" in reply.message()
    reply = cluster.request("POST", "/containers/create?name=%20bad", {"Image": IMAGE})
    assert reply.status == 400, reply
    assert cluster.request("POST", "/containers/none/start").status == 404
    assert cluster.request("DELETE", "/containers/none").status == 404
    assert cluster.request("POST", "/exec/none/start", {"Detach": True}).status == 404


def test_errors_of_the_engine_pass_through(cluster):
    cluster.run("up")
    reply = cluster.request("DELETE", "/containers/up")
    assert reply.status == 409, reply
    assert "running container" in reply.message()
    reply = cluster.request("POST", "/containers/up/unpause")
    assert reply.status in (409, 500) and "is not paused" in reply.message()
    reply = cluster.request("POST", "/containers/up/kill?signal=NONSENSE")
    assert reply.status in (400, 500) and "NONSENSE" in reply.message().upper()


def test_unix_socket(docker, cluster):
    """The same over the manager's unix socket."""
    cli = docker(f"unix://{cluster.unix_path}")
    assert cli.run("run", "-i", "--rm", IMAGE, "cat", input="over unix") == "over unix"
    assert cli.run("ps", "-aq") == ""


def test_fields_that_are_not_known_are_kept(cluster, fake, manager):
    """The engine gets what the client sent, but for what was meant for the scheduler."""
    engine = fake()
    m = manager([engine])
    config = {
        "Image": IMAGE,
        "Env": ["A=1", "constraint:node==*", "affinity:container!=x", "B=constraint:no"],
        "Labels": {"own": "label"},
        "FromTheFuture": {"deep": [1, {"er": None}], "big": 1234567890123456789},
        "HostConfig": {"AlsoNew": True, "Memory": 4096},
    }
    m.request("POST", "/v1.41/containers/create?name=fut&platform=linux", config)
    sent = engine.seen("POST", "/containers/create")
    assert len(sent) == 1
    body = json.loads(sent[0].body)
    assert body["FromTheFuture"] == config["FromTheFuture"]
    assert body["HostConfig"]["AlsoNew"] is True
    assert body["Env"] == ["A=1", "B=constraint:no"]
    assert body["Labels"]["own"] == "label"
    assert json.loads(body["Labels"]["com.docker.swarm.constraints"]) == ["node==*"]
    assert json.loads(body["Labels"]["com.docker.swarm.affinities"]) == ["container!=x"]
    assert re.fullmatch("[0-9a-f]{64}", body["Labels"]["com.docker.swarm.id"])
    assert "name=fut" in sent[0].target and "platform=linux" in sent[0].target
