"""Builds: with the classic builder, with BuildKit behind POST /build, and with buildx over raw
streams; by every client that is here."""

import io
import itertools
import json
import os
import shutil
import subprocess
import tarfile
from urllib.parse import quote

import pytest

from lab import http
from lab.cli import Docker, binaries, plugins_config
from lab.engine import IMAGE
from lab.waiting import in_parallel, wait_until

MIB = 1 << 20
NOTHING = f"FROM {IMAGE}\n"
COPY_AND_RUN = (
    f'FROM {IMAGE}\nCOPY content /content\nRUN cp /content /copy\nCMD ["cat", "/copy"]\n'
)
SLOW = f"FROM {IMAGE}\nRUN echo it has begun && sleep 300\n"


def _ways():
    """Every way to build: (name, client, environment, command)."""
    found = []
    for binary in binaries():
        out = subprocess.run([binary, "--version"], stdout=subprocess.PIPE, text=True, check=True)
        version = out.stdout.split()[2].rstrip(",")
        found.append((f"{version}-classic", binary, {"DOCKER_BUILDKIT": "0"}, ["build"]))
        # Clients since 23.0 build by the plugin unless they are told not to.
        name = "buildkit" if version.startswith("20.") else "buildx"
        found.append((f"{version}-{name}", binary, {"DOCKER_BUILDKIT": "1"}, ["build"]))
    return found


WAYS = _ways()
# One of each kind, where the client's version is not the point.
KINDS = list({way[0].rpartition("-")[2]: way for way in reversed(WAYS)}.values())


class Builder:
    """A client with a way to build, and a folder for its contexts."""

    _counter = itertools.count()

    def __init__(self, machine, way, manager, headers=None):
        self.name, binary, env, self.command = way
        self.manager = manager
        self.folder = f"{machine.tmp}/build-{next(self._counter)}"
        config = plugins_config(f"{self.folder}/config")
        if headers:
            path = f"{config}/config.json"
            with open(path) as f:
                values = json.load(f)
            with open(path, "w") as f:
                json.dump({**values, "HttpHeaders": headers}, f)
        self.cli = Docker(binary, f"tcp://{manager.addr}", manager.client, config=config)
        self.cli.env.update(env, BUILDKIT_PROGRESS="plain")
        self.is_buildx = self.name.endswith("buildx")

    def args(self, tag, dockerfile, *args, **files):
        """The command, with a context made for it."""
        context = f"{self.folder}/context"
        shutil.rmtree(context, ignore_errors=True)
        os.makedirs(context)
        for name, content in {"Dockerfile": dockerfile, **files}.items():
            with open(f"{context}/{name}", "w") as f:
                f.write(content)
        return [*self.command, "-t", tag, *args, context]

    def build(self, tag, dockerfile, *args, check=True, **files):
        return self.cli.run(*self.args(tag, dockerfile, *args, **files), check=check, timeout=120)


@pytest.fixture(params=KINDS, ids=lambda way: way[0])
def way(request):
    return request.param


@pytest.fixture
def builder(machine, way, three, manager):
    return Builder(machine, way, manager(three))


def holders(engines, image):
    """The names of the engines that have it."""
    return [
        e.name
        for e in engines
        for entry in e.json("GET", "/images/json")
        if f"{image}:latest" in (entry.get("RepoTags") or [])
    ]


def build_context(dockerfile):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        tar.addfile(info, io.BytesIO(dockerfile.encode()))
    return out.getvalue()


# ---- what is built can be used ----


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
def test_build_then_run(machine, way, three, manager):
    """What was just built is what runs, every time."""
    builder = Builder(machine, way, manager(three))
    for i in range(20 if "classic" not in builder.name else 3):
        builder.build("fresh", COPY_AND_RUN, content=f"content {i}\n")
        assert builder.cli.run("run", "--rm", "fresh") == f"content {i}"


def test_what_the_engine_says_is_passed_on(builder):
    status, out, err = builder.build(
        "said", f"FROM {IMAGE}\nRUN echo one  two && exit 3\n", check=False
    )
    assert status != 0
    assert "one  two" in out + err
    assert "3" in err
    status, out, err = builder.build("said", "FROM\n", check=False)
    assert status != 0
    assert "FROM" in err


def test_arguments_reach_the_build(builder):
    builder.build(
        "args",
        f"FROM {IMAGE}\nARG WORD=none\nRUN echo -n $WORD > /word\n",
        "--build-arg",
        "WORD=a&b=c %41+",
    )
    assert builder.cli.run("run", "--rm", "args", "cat", "/word") == "a&b=c %41+"


def test_buildx_load(machine, three, manager):
    """The plugin asked for by its name."""
    m = manager(three)
    b = Builder(machine, next(w for w in WAYS if w[0].endswith("buildx")), m)
    b.command = ["buildx", "build", "--load"]
    for i in range(2):
        b.build("loaded", COPY_AND_RUN, content=f"load {i}\n")
        assert b.cli.run("run", "--rm", "loaded") == f"load {i}"


def test_over_tls(machine, way, tls_engines, manager, certs):
    m = manager(tls_engines, tls=certs.server("manager", ips=["127.0.0.1"]), client=certs.client())
    b = Builder(machine, way, m)
    b.build("secret", COPY_AND_RUN, content="over TLS\n")
    assert b.cli.run("run", "--rm", "secret") == "over TLS"


def test_two_clients_at_once(machine, way, three, manager):
    m = manager(three)
    clients = [Builder(machine, way, m) for _ in range(2)]

    def work(n):
        for i in range(2):
            clients[n].build(f"twin-{n}", COPY_AND_RUN, content=f"{n} {i}\n")
            assert clients[n].cli.run("run", "--rm", f"twin-{n}") == f"{n} {i}"

    in_parallel(work, range(2))


def test_commit_then_run(three, manager, one_docker):
    m = manager(three)
    cli = one_docker(m)
    cli.run("run", "--name", "maker", IMAGE, "sh", "-c", "echo made > /made")
    for i in range(3):
        cli.run(
            *("commit", "-m", "a comment", "-a", "somebody", "--pause=false"),
            *("-c", f'CMD ["sh", "-c", "cat /made; echo {i}"]', "-c", "LABEL l=1", "maker", "made"),
        )
        assert cli.run("run", "--rm", "made").split() == ["made", str(i)]
    image = m.json("GET", "/images/made/json")
    assert (image["Comment"], image["Author"]) == ("a comment", "somebody")
    assert image["Config"]["Labels"]["l"] == "1"


# ---- where ----


def test_terms_in_arguments_choose_the_node(builder, three):
    if builder.is_buildx:
        return  # its arguments go over a stream that nobody looks into: see the next test
    for i, engine in enumerate(three):
        builder.build(
            f"placed-{i}",
            f"FROM {IMAGE}\nARG WORD\nRUN echo $WORD > /word\n",
            *("--build-arg", f"constraint:node=={engine.name}", "--build-arg", f"WORD=w{i}"),
        )
        assert holders(three, f"placed-{i}") == [engine.name]
        assert builder.cli.run("run", "--rm", f"placed-{i}", "cat", "/word") == f"w{i}"
    _, _, err = builder.build("n", NOTHING, "--build-arg", "constraint:node==none", check=False)
    assert "Unable to find a node" in err


def test_header_names_the_node(machine, way, three, manager):
    m = manager(three)
    for i, engine in enumerate(three[:2]):
        b = Builder(machine, way, m, headers={"X-Swarm-Node": engine.name})
        if b.is_buildx:
            # It sends no headers of its own, but builds where this client has built before.
            reply = m.request("POST", f"/build?node={engine.name}", build_context(NOTHING))
            assert reply.status == 200, reply
        b.build(f"named-{i}", COPY_AND_RUN, content=f"c{i}")
        assert holders(three, f"named-{i}") == [engine.name]
    reply = m.request("POST", "/build?node=nobody", build_context(NOTHING))
    assert reply.status == 404
    assert reply.message() == "No such node: nobody"


def test_builds_of_a_client_stay_on_one_node(builder, three):
    """An image that was built can be built on, though no registry has it."""
    builder.build("base", COPY_AND_RUN, content="base\n")
    for i in range(2):
        builder.build(f"on-{i}", 'FROM base\nCMD ["cat", "/copy"]\n')
        assert builder.cli.run("run", "--rm", f"on-{i}") == "base"
    assert len({tuple(holders(three, f"on-{i}")) for i in range(2)}) == 1


@pytest.mark.parametrize("kind", ["buildkit", "buildx"])
def test_node_that_is_down_is_replaced(machine, kind, three, manager):
    m = manager(three)
    builder = Builder(machine, next(w for w in WAYS if w[0].endswith(kind)), m)
    builder.build("before", COPY_AND_RUN, content="before\n")
    (home,) = [e for e in three if e.name in holders(three, "before")]
    home.kill()
    wait_until(lambda: m.status_of(home.addr) != "Healthy", "the node to be down", 60)
    builder.build("after", COPY_AND_RUN, content="after\n")
    assert builder.cli.run("run", "--rm", "after") == "after"


# ---- ends ----


def slow_build(builder, three):
    """A build that has begun, and the engine that is at it."""
    process = builder.cli.popen(*builder.args("slow", SLOW))
    wait_until(lambda: busy(three), "the build to run", 60)
    return process, busy(three)[0]


def busy(engines):
    """Those where the RUN of a slow build is under way."""
    out = subprocess.run(["ps", "-eo", "pid,args"], stdout=subprocess.PIPE, text=True, check=True)
    pids = [
        line.split()[0]
        for line in out.stdout.splitlines()
        if line.split()[1:] == ["sleep", "300"]
    ]
    return [e for e in engines if any(is_below(pid, e.process.pid) for pid in pids)]


def is_below(pid, ancestor):
    pid = int(pid)
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            with open(f"/proc/{pid}/stat") as f:
                pid = int(f.read().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def test_engine_dies_in_a_build(builder, three):
    m = builder.manager
    idle = m.descriptors()
    process, engine = slow_build(builder, three)
    engine.kill()
    try:
        _, err = process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode != 0, err
    wait_until(lambda: m.descriptors() <= idle + 8, "descriptors to be closed", 30)


def test_client_dies_in_a_build(builder, three):
    m = builder.manager
    idle = m.descriptors()
    process, _ = slow_build(builder, three)
    process.kill()
    process.wait()
    wait_until(lambda: not busy(three), "the build to be cancelled", 30)
    wait_until(lambda: m.descriptors() <= idle + 8, "descriptors to be closed", 30)


# ---- the call itself ----


def test_large_context_in_bounded_memory(three, manager):
    """200 MB stream through, and the manager's memory stays where it was."""
    m = manager(three)
    dockerfile = b"FROM scratch\nCOPY big /\n"
    size = 200 * MIB

    def entry(name, length):
        info = tarfile.TarInfo(name)
        info.size = length
        return info.tobuf()

    def chunk(data):
        return b"%x\r\n%s\r\n" % (len(data), data)

    before = m.rss()
    with http.Connection(m.address, timeout=120) as c:
        c.send(
            b"POST /build?t=large HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        c.send(chunk(entry("Dockerfile", len(dockerfile)) + dockerfile.ljust(512, b"\0")))
        c.send(chunk(entry("big", size)))
        peak = 0
        for _ in range(size // MIB):
            c.send(chunk(b"x" * MIB))
            peak = max(peak, m.rss())
        c.send(chunk(b"\0" * 1024) + b"0\r\n\r\n")
        reply = c.read_reply("POST")
    assert reply.status == 200, reply
    assert b"Successfully tagged large:latest" in reply.body, reply
    assert peak - before < 32 * MIB, (before, peak)


def test_bad_arguments(three, manager):
    m = manager(three)
    for args in ("{", "[]", '"x"', '{"a":"1","a":"2"}', '{"constraint:node":"x"}', "\0"):
        reply = m.request("POST", f"/build?buildargs={quote(args)}", b"")
        assert reply.status == 400, (args, reply)
        reply.message()
    reply = m.request("POST", "/build/cancel", b"")
    assert reply.status == 400, reply
    reply = m.request("POST", "/build/cancel?id=unknown", b"")
    assert (reply.status, reply.body) == (200, b""), reply


def test_prune(machine, three, manager):
    """Every node's cache, or that of the nodes which the request names."""
    m = manager(three)
    way = next(w for w in WAYS if w[0].endswith("buildkit"))
    for engine in three[:2]:
        b = Builder(machine, way, m, headers={"X-Swarm-Node": engine.name})
        b.build("cached", COPY_AND_RUN, content=f"{engine.name}\n")
    named = quote('{"node":["node-2"]}')
    one = m.json("POST", f"/build/prune?all=1&filters={named}")
    assert one["CachesDeleted"] and one["SpaceReclaimed"] > 0, one
    again = m.json("POST", "/build/prune?all=1&node=node-2")
    assert again == {"CachesDeleted": [], "SpaceReclaimed": 0}
    rest = m.json("POST", "/build/prune?all=1")
    assert rest["CachesDeleted"] and rest["SpaceReclaimed"] > 0, rest
    assert m.request("POST", "/build/prune?filters=%7B").status == 400
    assert m.request("POST", "/build/prune?node=nobody").status == 404
    nonsense = quote('{"nonsense":["x"]}')
    reply = m.request("POST", f"/build/prune?filters={nonsense}")
    assert reply.status >= 400, reply
