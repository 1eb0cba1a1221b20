"""The simulated engine against a real one: the same script, the same answers, byte for byte once
IDs, times, addresses and host facts are made equal."""

import base64
import io
import json
import re
import tarfile
import urllib.parse

import pytest

from lab import http
from lab.waiting import wait_until

IMAGE = "busybox:latest"

# What depends on the machine, and not on the request.
_RULES = [
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b[0-9a-f]{12}\b", "<short>"),
    (r"(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*Z", "<time>"),
    (r'"(Created|time|timeNano)":\d+', r'"\1":0'),
    (r'"Pid":[1-9]\d*', '"Pid":1'),
    (r'"(Size|SizeRw|VirtualSize|SizeRootFs|LayersSize)":\d+', r'"\1":0'),
    (r"Less than a second|\d+ seconds?", "<while>"),
    (r"02:42(:[0-9a-f]{2}){4}", "<mac>"),
    # Engines go on to the second kind of pools when networks have used up the first.
    (r"\b192\.168\.\d+\.\d+/20\b", "<ip>/16"),
    (r'("IPAddress":"192\.168\.\d+\.\d+","IPPrefixLen":)20\b', r"\g<1>16"),
    (r"\b(172\.\d+|192\.168)\.\d+\.\d+\b", "<ip>"),
    (r'"[^"]*/volumes/', '"<root>/volumes/'),
    (r'"[^"]*/containers/<id>/', '"<root>/containers/'),
    (r'"[^"]*/netns/', '"<netns>/'),
    (r'/[^" ]*/docker-import-[0-9]+/', "<tmp>/"),
    (r'"SpaceReclaimed":[0-9]+', '"SpaceReclaimed":0'),
    (r'"/?[a-z]+_[a-z]+[0-9]*"', '"<made up>"'),
    (r'"(HostPort|PublicPort)":"?3[2-9]\d\d\d"?', r'"\1":"<port>"'),
    (r'"(Driver|Name)":"(vfs|overlay2)"', r'"\1":"<storage>"'),
    (r'"GraphDriver":{"Data":(null|{[^}]*}),', '"GraphDriver":{"Data":null,'),
    (r',"PATH=/bin"', ""),
    (r'"Env":\["PATH=/bin"\]', '"Env":null'),
]


def normal(text):
    for pattern, replacement in _RULES:
        text = re.sub(pattern, replacement, text)
    return text


class Script:
    """Sends requests to one engine and notes what comes back."""

    def __init__(self, address, is_real=False, archive=None):
        self.address = address
        self.is_real = is_real
        self.archive = archive
        self.notes = []

    def send(self, method, path, body=None, note=True, headers=()):
        """body: bytes are sent as an archive, anything else as JSON."""
        headers = dict(headers)
        if isinstance(body, bytes):
            headers.setdefault("Content-Type", "application/x-tar")
        elif body is not None:
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        reply = http.request(self.address, method, path, body, headers)
        if note:
            kind = (reply.header("Content-Type"), reply.header("Docker-Experimental"))
            text = reply.body.decode("utf-8", "replace")
            self.notes.append((f"{method} {path}", reply.status, kind, normal(text)))
        return reply

    def create(self, name, cmd=("top",), note=True, **more):
        body = {"Image": IMAGE, "Cmd": list(cmd), **more}
        return self.send("POST", f"/containers/create?name={name}", body, note)

    def images(self, query="", **filters):
        """The list, in an order that does not depend on which second they were made in."""
        text = urllib.parse.quote(json.dumps(filters))
        reply = self.send("GET", f"/images/json?filters={text}{query}", note=False)
        listed = [normal(json.dumps(i, separators=(",", ":"))) for i in reply.json()]
        self.notes.append(("images", filters, query, reply.status, sorted(listed)))

    def runs(self, name):
        """top has said something, and so heeds signals. A simulated one does from the start."""
        path = f"/containers/{name}/logs?stdout=1&tail=1"
        if self.is_real:
            wait_until(lambda: self.send("GET", path, note=False).body, f"{name} to run")

    def now(self):
        return self.send("GET", "/info", note=False).json()["SystemTime"]

    def events(self, since, until, filters=None):
        query = urllib.parse.quote(json.dumps(filters or {}))
        path = f"/events?since={since}&until={until}&filters={query}"
        reply = self.send("GET", path, note=False)
        return [normal(line) for line in reply.body.decode().splitlines()]

    def settled_at(self, start=None, last=None):
        """The engine's time once all is told that was done before: an event may be written later
        than the answer to what caused it. With last, that action has been told since start."""
        since = _unix(start or self.now())
        seen = [None]

        def quiet():
            until = self.now()
            before, seen[0] = seen[0], self.events(since, _unix(until))
            told = not last or any(f'"Action":"{last}"' in x for x in seen[0])
            return until if told and before == seen[0] else None

        return wait_until(quiet, "the engine to have told all its events", interval=0.25)

    def filters(self, path, note=True, method="GET", **filters):
        query = urllib.parse.quote(json.dumps(filters))
        return self.send(method, f"{path}{'&' if '?' in path else '?'}filters={query}", note=note)


def lifecycle(s):
    s.create("web", Labels={"b": "2", "a": "1"}, Env=["A=b"])
    for step in ("start", "start", "pause", "pause", "start", "unpause", "unpause", "stop"):
        s.send("POST", f"/containers/web/{step}")
        if step == "start":
            s.runs("web")
        s.send("GET", "/containers/json?all=1")
    for step in ("stop", "kill", "pause", "start", "restart?t=1", "rename?name=shop"):
        s.send("POST", f"/containers/web/{step}")
    s.send("GET", "/containers/shop/json")
    s.send("POST", "/containers/shop/rename?name=shop")
    s.send("POST", "/containers/shop/rename?name=a!")
    s.send("POST", "/containers/shop/kill?signal=NONE")
    s.send("POST", "/containers/shop/kill?signal=99")
    s.send("DELETE", "/containers/shop")
    s.send("POST", "/containers/shop/kill")
    s.send("POST", "/containers/shop/wait")
    s.send("GET", "/containers/shop/json")
    s.send("DELETE", "/containers/shop")
    s.send("GET", "/containers/shop/json")
    s.send("POST", "/containers/shop/kill")


def refused_creates(s):
    s.create("web", note=False)
    for name in ("web", "/web", "a", "a/b", "-x"):
        s.create(urllib.parse.quote(name, safe=""))
    s.send("POST", "/containers/create", {"Image": "nope"})
    s.send("POST", "/containers/create", {"Image": "nope:1"})
    s.send("POST", "/containers/create", {})
    s.send("POST", "/containers/create")
    for more in (
        {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "abc"}]}}},
        {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "99999"}]}}},
        {"HostConfig": {"PortBindings": {"xx/tcp": [{"HostPort": "1"}]}}},
        {"HostConfig": {"Memory": 1000}},
        {"HostConfig": {"Memory": 8000000, "MemoryReservation": 9000000}},
        {"HostConfig": {"RestartPolicy": {"Name": "sometimes"}}},
        {"HostConfig": {"VolumesFrom": ["nobody"]}},
        {"HostConfig": {"Links": ["nobody:x"]}},
        {"HostConfig": {"Binds": ["/a:b"]}},
        {"Env": ["=x"]},
        {"Labels": {"a": 1}},
        {"Cmd": 5},
    ):
        body = {"Image": IMAGE, "Cmd": ["top"], **more}
        s.send("POST", "/containers/create?name=bad", body)
    s.send("GET", "/containers/json?all=1")


def inspected(s):
    s.create(
        "full",
        Hostname="h",
        User="root",
        WorkingDir="/tmp",
        Tty=True,
        StopSignal="SIGINT",
        ExposedPorts={"80/tcp": {}, "53/udp": {}},
        HostConfig={
            "Memory": 10000000,
            "NanoCpus": 500000000,
            "CpuShares": 512,
            "NetworkMode": "none",
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
            "CapAdd": ["NET_ADMIN"],
        },
    )
    s.send("GET", "/containers/full/json")
    s.send("POST", "/containers/full/update", {"Memory": 90000000})
    s.send("POST", "/containers/full/update", {"Memory": 12000000, "MemorySwap": -1})
    s.send("GET", "/containers/full/json")
    s.create("quoted", ["a b", '"c"'], Entrypoint="/x")
    s.filters("/containers/json?all=1", name=["quoted"])


def ports(s):
    binding = {"80/tcp": [{"HostPort": "8080"}]}
    exposed = {"80/tcp": {}, "90/tcp": {}}
    s.create("p1", ExposedPorts=exposed, HostConfig={"PortBindings": binding})
    s.create("p2", ExposedPorts=exposed, HostConfig={"PortBindings": binding})
    s.send("POST", "/containers/p1/start")
    s.runs("p1")
    s.send("GET", "/containers/p1/json")
    s.send("POST", "/containers/p2/start")
    assert "already allocated" in s.notes[-1][3]
    s.send("POST", "/containers/p1/stop?t=1")
    s.send("POST", "/containers/p2/start")
    s.send("DELETE", "/containers/p2?force=1")
    s.create("p3", ExposedPorts={"90/tcp": {}}, HostConfig={"PublishAllPorts": True})
    s.send("POST", "/containers/p3/start")
    s.filters("/containers/json", name=["p3"])


def programs(s):
    for name, cmd in (
        ("t", ["true"]),
        ("f", ["false"]),
        ("e", ["sh", "-c", "echo out; echo err >&2; exit 3"]),
    ):
        s.create(name, cmd)
        s.send("POST", f"/containers/{name}/start")
        s.send("POST", f"/containers/{name}/wait")
    s.send("GET", "/containers/e/logs?stdout=1&tail=1")
    s.send("GET", "/containers/e/logs?stderr=1")
    s.send("GET", "/containers/e/logs?stdout=1&tail=0")
    s.send("GET", "/containers/e/logs")
    s.create("tty", ["echo", "x"], Tty=True)
    s.send("POST", "/containers/tty/start")
    s.send("POST", "/containers/tty/wait")
    s.send("GET", "/containers/tty/logs?stdout=1")
    s.create("rm", ["sh", "-c", "exit 4"], HostConfig={"AutoRemove": True})
    s.send("POST", "/containers/rm/start")
    wait_until(
        lambda: s.send("GET", "/containers/rm/json", note=False).status == 404,
        "the container to remove itself",
    )
    s.filters("/containers/json?all=1", exited=["3"])


def filters(s):
    s.create("one", Labels={"k": "v"}, note=False)
    s.create("two", note=False)
    s.send("POST", "/containers/two/start", note=False)
    for f in (
        {"name": ["o"]},
        {"name": ["^/two$"]},
        {"label": ["k"]},
        {"label": ["k=w"]},
        {"label": {"k=v": True}},
        {"status": ["running"]},
        {"status": ["created", "exited"]},
        {"ancestor": ["busybox"]},
        {"ancestor": ["nope"]},
        {"before": ["two"]},
        {"since": ["one"]},
        {"network": ["bridge"]},
        {"volume": ["x"]},
        {"health": ["none"]},
        {"is-task": ["false"]},
        {"nonsense": ["a"]},
        {"status": ["nonsense"]},
        {"health": ["nonsense"]},
        {"is-task": ["maybe"]},
        {"before": ["nobody"]},
        {"exited": ["x"]},
        {"publish": ["x"]},
    ):
        s.filters("/containers/json?all=1", **f)
    s.send("GET", "/containers/json?limit=1")
    s.send("GET", "/containers/json?limit=x")
    s.filters("/networks", driver=["bridge"], note=False)
    s.filters("/networks", nonsense=["a"])
    s.filters("/volumes", nonsense=["a"])
    s.filters("/images/json", nonsense=["a"])
    s.filters("/images/json", dangling=["true"])


def volumes(s):
    s.send("POST", "/volumes/create", {"Name": "v1", "Labels": {"a": "b"}})
    s.send("POST", "/volumes/create", {"Name": "v1"})
    s.send("POST", "/volumes/create", {"Name": "a/b"})
    s.send("GET", "/volumes/v1")
    s.create("user", HostConfig={"Binds": ["v1:/data:ro"]})
    s.send("GET", "/containers/user/json")
    s.send("DELETE", "/volumes/v1")
    s.send("DELETE", "/containers/user?v=1")
    s.send("GET", "/volumes")
    s.send("DELETE", "/volumes/v1")
    s.send("DELETE", "/volumes/v1")
    s.send("GET", "/volumes/v1")


def networks(s):
    s.send("POST", "/networks/create", {"Name": "n1", "Labels": {"a": "b"}})
    s.send("POST", "/networks/create", {"Name": "n1", "CheckDuplicate": True})
    for body in (
        {"Name": "n2", "Driver": "overlay"},
        {"Name": "bridge"},
        {"Name": ""},
    ):
        s.send("POST", "/networks/create", body)
    s.send("GET", "/networks/n1")
    s.send("GET", "/networks/none-such")
    s.create(
        "member",
        HostConfig={"NetworkMode": "n1"},
        NetworkingConfig={"EndpointsConfig": {"n1": {"Aliases": ["al"]}}},
    )
    s.send("POST", "/containers/member/start")
    s.send("GET", "/containers/member/json")
    s.send("GET", "/networks/n1")
    s.send("DELETE", "/networks/n1")
    s.send("POST", "/networks/bridge/connect", {"Container": "member"})
    s.send("POST", "/networks/bridge/connect", {"Container": "member"})
    s.send("POST", "/networks/n1/disconnect", {"Container": "member"})
    s.send("POST", "/networks/n1/disconnect", {"Container": "member"})
    s.send("POST", "/networks/n1/connect", {"Container": "nobody"})
    s.send("GET", "/containers/member/json")
    s.send("DELETE", "/containers/member?force=1")
    s.send("DELETE", "/networks/n1")
    s.send("DELETE", "/networks/n1")
    s.send("DELETE", "/networks/bridge")
    s.create("lost", HostConfig={"NetworkMode": "none-such"})
    s.send("POST", "/containers/lost/start")


def images(s):
    s.send("GET", "/images/nope/json")
    s.send("POST", "/images/busybox/tag?repo=some/name&tag=v1")
    s.send("POST", "/images/nope/tag?repo=x")
    s.send("POST", "/images/busybox/tag?repo=UPPER")
    s.create("user")
    s.send("DELETE", "/images/some/name:v1")
    s.send("DELETE", "/images/busybox")
    s.send("DELETE", "/images/nope")


def tar_of(*entries):
    """(name, text), (name, None) for a folder, (name, "->", target) for a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text, *target in entries:
            entry = tarfile.TarInfo(name)
            entry.mtime = 1600000000
            if target:
                entry.type, entry.linkname = tarfile.SYMTYPE, target[0]
            elif text is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            else:
                entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()) if text and not target else None)
    return out.getvalue()


def saved(body):
    """What an archive of images says about them."""
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        images = []
        for entry in manifest or []:
            layers = [name in tar.getnames() for name in entry["Layers"]]
            config = tar.extractfile(entry["Config"]).read()
            images.append((entry["Config"], entry["RepoTags"], layers, config))
        return sorted(images)


def archives(s):
    for query in ("", "?quiet=1"):
        s.send("POST", f"/images/load{query}", s.archive)
    for body in (
        b"",
        b"garbage" * 300,
        s.archive[:1000],
        tar_of(("x", "y")),
        tar_of(("manifest.json", "[]")),
        tar_of(("manifest.json", "{")),
        tar_of(("manifest.json", '[{"Config":"c.json","RepoTags":["a:b"],"Layers":[]}]')),
    ):
        s.send("POST", "/images/load", body)
    for path in ("/images/nope/get", "/images/get?names=nope", "/images/get?names=busybox&names=x"):
        s.send("GET", path)
    s.send("POST", "/images/busybox/tag?repo=busybox&tag=two", note=False)
    s.send("POST", "/images/busybox/tag?repo=a/b&tag=three", note=False)
    image = s.send("GET", "/images/busybox/json", note=False).json()["Id"]
    for path in ("busybox/get", "busybox:two/get", f"{image}/get", f"get?names={image[7:19]}"):
        reply = s.send("GET", f"/images/{path}", note=False)
        s.notes.append((path.replace(image, ""), reply.header("Content-Type"), saved(reply.body)))
    both = s.send("GET", "/images/get?names=busybox&names=a/b:three", note=False).body
    s.notes.append(("both", saved(both), saved(s.send("GET", "/images/get", note=False).body)))
    s.send("DELETE", f"/images/{image}?force=1", note=False)
    s.send("GET", "/images/json")
    s.send("POST", "/images/load", both)
    s.send("GET", "/images/json")
    s.notes.append(("same", s.send("GET", "/images/busybox/json", note=False).json()["Id"] == image))
    s.send("GET", "/images/busybox/history")
    s.send("DELETE", "/images/a/b:three")
    s.send("DELETE", "/images/busybox:two")


def imports(s):
    path = "/images/create?fromSrc=-"
    s.send("POST", f"{path}&repo=imp&tag=v1&message=hello&changes=CMD%20top", tar_of(("a", "b")))
    s.send("GET", "/images/imp:v1/json")
    s.send("GET", "/images/imp:v1/history")
    s.send("POST", path, tar_of(("a", "b"), ("d", None)))
    s.send("POST", path, b"")
    s.send("POST", path, b"garbage" * 300)
    s.send("POST", f"{path}&repo=UPPER", tar_of(("a", "b")))
    s.images()
    for f in (
        {"dangling": ["true"]},
        {"dangling": ["false"]},
        {"reference": ["imp"]},
        {"reference": ["*:v1", "busy*"]},
        {"before": ["imp:v1"]},
        {"since": ["busybox"]},
        {"label": ["x"]},
    ):
        s.images(**f)
    for f in ({"dangling": ["maybe"]}, {"since": ["nope"]}, {"until": ["1h"]}):
        s.filters("/images/json", **f)
    for f in (
        {"dangling": ["maybe"]},
        {"until": ["x"]},
        {"until": ["1h", "2h"]},
        {"until": ["1h"]},
        {"label": ["x"]},
        {"nonsense": ["x"]},
    ):
        s.filters("/images/prune", method="POST", **f)
    s.filters("/images/prune", method="POST", **{"label!": ["x"], "dangling": ["true"]}, note=False)
    s.images()
    s.create("user", note=False)
    s.filters("/images/prune", method="POST", dangling=["false"])


def commits(s):
    s.create("c1", Labels={"l": "m"}, Env=["X=y"], note=False)
    query = "repo=com&tag=x&comment=why&author=me"
    changes = "changes=ENV%20A%3DB%20C%3D%22d%20e%22&changes=EXPOSE%2080&changes=LABEL%20q%3Dr"
    s.send("POST", f"/commit?container=c1&{query}&{changes}", {})
    s.send("GET", "/images/com:x/json")
    s.send("GET", "/images/com:x/history")
    s.send("POST", "/commit?container=c1&repo=com&tag=y", {"Cmd": ["ls"], "Env": ["Q=r"]})
    s.send("GET", "/images/com:y/json")
    s.send("POST", "/commit?container=c1")
    s.send("POST", "/commit?container=nobody")
    s.send("POST", "/commit?container=c1&repo=UPPER")
    s.send("POST", "/commit?container=c1&changes=FROM%20x")
    s.create("c2", Image="com:x", HostConfig={})
    s.send("GET", "/containers/c2/json")
    s.send("DELETE", "/images/com:x")
    s.send("DELETE", "/images/busybox?force=1")
    s.send("DELETE", "/containers/c2")
    s.send("DELETE", "/containers/c1")
    s.send("DELETE", "/images/com:x?noprune=1")
    s.send("DELETE", "/images/com:y")
    s.images()
    s.filters("/images/prune", method="POST", note=False)
    s.images("&all=1")


def path_stat(reply):
    """X-Docker-Container-Path-Stat, without the times and the sizes of folders."""
    text = reply.header("X-Docker-Container-Path-Stat")
    if text is None:
        return None
    stat = json.loads(base64.b64decode(text))
    stat.pop("mtime")
    if stat["mode"] >> 31:
        stat.pop("size")
    return stat


def members(body):
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return [
            (m.name, m.type, m.mode & 0o7777, m.linkname, m.isfile() and tar.extractfile(m).read())
            for m in tar
        ]


def files(s):
    def stat(path, name="c1"):
        reply = s.send("HEAD", f"/containers/{name}/archive?path={path}", note=False)
        s.notes.append(("stat", path, reply.status, path_stat(reply)))

    def get(path):
        reply = s.send("GET", f"/containers/c1/archive?path={path}", note=False)
        s.notes.append(
            (path, reply.status, reply.header("Content-Type"), path_stat(reply), members(reply.body))
        )

    s.create("c1", HostConfig={}, note=False)
    for path in ("/", "/etc", "/etc/passwd", "etc", "/tmp/", "/etc/../tmp", "/nope", "/tmp/x"):
        stat(path)
    stat("/", "nobody")
    s.send("HEAD", "/containers/c1/archive")
    s.send("GET", "/containers/c1/archive")
    s.send("GET", "/containers/c1/archive?path=/nope")
    s.send("GET", "/containers/nobody/archive?path=/nope")
    s.send("GET", "/containers/c1/changes")
    some = tar_of(("a", "bcd"), ("d", None), ("d/e", "xyz"), ("l", "->", "a"), ("deep/er/f", "g"))
    for where in ("nobody/archive?path=/tmp", "c1/archive?path=/nope", "c1/archive"):
        s.send("PUT", f"/containers/{where}", some)
    s.send("PUT", "/containers/c1/archive?path=/etc/passwd", some)
    s.send("PUT", "/containers/c1/archive?path=/tmp", some)
    s.send("PUT", "/containers/c1/archive?path=/tmp", b"garbage" * 300)
    s.send("PUT", "/containers/c1/archive?path=/tmp", some[:700])
    s.send("PUT", "/containers/c1/archive?path=/tmp", b"")
    s.send("PUT", "/containers/c1/archive?path=/tmp", tar_of(("../../etc/shadow", "x")))
    s.send("PUT", "/containers/c1/archive?path=/tmp", tar_of(("/abs", "y")))
    strict = "/containers/c1/archive?path=/tmp&noOverwriteDirNonDir=1"
    s.send("PUT", strict, tar_of(("d", "now a file")))
    s.send("PUT", strict, tar_of(("a", None)))
    s.send("PUT", "/containers/c1/archive?path=/tmp/d&copyUIDGID=1", tar_of(("n" * 150, "b")))
    for path in ("/tmp/a", "/tmp/d", "/tmp/d/e", "/tmp/l", "/tmp/d/", "/tmp/deep", "/etc/passwd"):
        stat(path)
        get(path)
    changes = s.send("GET", "/containers/c1/changes", note=False).json()
    s.notes.append(("changes", sorted((c["Path"], c["Kind"]) for c in changes)))
    s.send("GET", "/containers/c1/json?size=1")
    s.send("GET", "/containers/json?all=1&size=1")
    s.send("GET", "/containers/json?all=1&size=0")
    reply = s.send("GET", "/containers/c1/export", note=False)
    inside = [m for m in members(reply.body) if m[0].startswith("tmp")]
    s.notes.append(("export", reply.status, reply.header("Content-Type"), inside))
    s.send("GET", "/containers/nobody/export")
    s.send("GET", "/containers/nobody/changes")
    s.send("POST", "/containers/c1/copy", {})
    s.send("POST", "/containers/c1/start", note=False)
    s.send("PUT", "/containers/c1/archive?path=/root", tar_of(("live", "1")))
    get("/root/live")


def builds(s):
    def build(dockerfile, query="", *files):
        context = tar_of(("Dockerfile", dockerfile), *files)
        s.send("POST", f"/build?nocache=1&{query}", context)

    dockerfile = """
# A comment.
FROM busybox
ENV A=b C="d e"
ENV OLD old form
LABEL l=m \\
      n="o p"
WORKDIR /w
WORKDIR sub
COPY x y/ /dst/
ADD x /single
COPY y /folder/
RUN echo hi
USER root
EXPOSE 80 53/udp
VOLUME /v
ARG Z=1
STOPSIGNAL SIGINT
ENTRYPOINT ["/e", "$A"]
CMD top -b
"""
    context = [("x", "hello"), ("y", None), ("y/z", "1")]
    build(dockerfile, "t=b:1&rm=1", *context)
    s.send("GET", "/images/b:1/json")
    s.send("GET", "/images/b:1/history")
    s.images("&all=1")
    s.images("&all=0")
    s.create("made", [], Image="b:1", HostConfig={}, note=False)
    s.send("GET", "/containers/made/json")
    s.send("DELETE", "/containers/made?v=1", note=False)
    build("FROM busybox\nENV A=b\n", "t=b:2&t=other")
    build("FROM busybox\nENV A=b\n", "t=b:3&q=1")
    build("FROM busybox\nRUN echo out; exit 3\n", "rm=1&forcerm=1")
    build("FROM busybox\nRUN [\"sh\", \"-c\", \"echo err >&2\"]\n", "rm=1")
    build("FROM busybox\nCOPY nothere /x\n")
    build("FROM busybox\nCOPY no*there /x\n")
    build("FROM busybox\nNONSENSE x\n")
    for text in ("", "# nothing\n", "ENV A=b\n", "FROM busybox\nENV\n", "FROM busybox\nENV A\n"):
        build(text)
    build("FROM busybox\n", "t=just")
    stages = "FROM busybox AS one\nRUN true\nFROM one\nCOPY --from=one /etc/passwd /p\n"
    build(stages, "t=multi&rm=1")
    build(stages, "t=first&target=one")
    build(stages, "t=first&target=nope")
    given = urllib.parse.quote('{"W":"ww"}')
    labels = urllib.parse.quote('{"q":"r"}')
    build(
        "ARG V=latest\nFROM busybox:${V}\nARG W\nENV E=$W-${W:-x}-${X:-y}\nLABEL a=$W\n",
        f"t=args&rm=1&buildargs={given}&labels={labels}",
    )
    s.send("GET", "/images/args/json")
    build("FROM busybox\nENV A=b\n", f"buildargs={given}")
    build("FROM scratch\nCOPY x /x\n", "t=scr", ("x", "hello"))
    build("FROM scratch\n", "t=scr")
    build("FROM busybox\n", "t=UPPER")
    build("FROM busybox\n", "buildargs=x")
    s.send("POST", "/build?dockerfile=other", tar_of(("Dockerfile", "FROM busybox\n")))
    s.send("POST", "/build?dockerfile=./sub/D", tar_of(("sub/D", "FROM busybox\n")))
    s.send("POST", "/build", b"")
    s.send("POST", "/build", b"garbage" * 300)
    s.send("GET", "/containers/json?all=1")
    s.send("DELETE", "/images/b:1")
    s.send("DELETE", "/images/multi")
    s.send("DELETE", "/images/busybox")


def prunes(s):
    s.create("one", Labels={"a": "b"}, note=False)
    s.create("two", note=False)
    s.send("POST", "/containers/two/start", note=False)
    s.send("POST", "/networks/create", {"Name": "n1", "Labels": {"a": "b"}}, note=False)
    s.send("POST", "/networks/create", {"Name": "n2", "Labels": {"c": "d"}}, note=False)
    s.send("POST", "/volumes/create", {"Name": "v1", "Labels": {"a": "b"}}, note=False)
    s.send("POST", "/volumes/create", {"Name": "v2", "Labels": {"c": "d"}}, note=False)
    s.create("user", HostConfig={"Binds": ["v2:/data"], "NetworkMode": "n2"}, note=False)
    s.send("POST", "/containers/user/start", note=False)
    for kind in ("containers", "networks", "volumes"):
        for f in (
            {"nonsense": ["1"]},
            {"until": ["1h"]},
            {"until": ["1h", "2h"]},
            {"until": ["nonsense"]},
            {"until": ["2020-01-01T00:00:00Z"]},
            {"until": ["2020-01-01T00:00:00"]},
            {"until": ["2020-01-01"]},
            {"until": ["1000000000"]},
            {"label": ["x"]},
            {"label": ["a=c"]},
            {"label!": ["a"]},
            {"all": ["1"]},
            {"label": ["a=b"]},
            {},
        ):
            s.filters(f"/{kind}/prune", method="POST", **f)
    s.send("GET", "/networks/n2")
    s.send("GET", "/volumes")


def disk_usage(s):
    s.send("GET", "/system/df")
    s.create("one", HostConfig={"Binds": ["v1:/data"]}, note=False)
    s.send("POST", "/commit?container=one&repo=com&tag=x", note=False)
    s.send("POST", "/images/create?fromSrc=-&repo=imp", tar_of(("a", "b" * 1000)), note=False)
    reply = s.send("GET", "/system/df", note=False).json()
    images = sorted((i["RepoTags"], i["Containers"], i["SharedSize"] > 0) for i in reply["Images"])
    s.notes.append(("images", images, sorted(reply)))
    s.notes.append(("volumes", [(v["Name"], v["UsageData"]) for v in reply["Volumes"]]))
    s.notes.append(("containers", [sorted(c) for c in reply["Containers"]]))


def not_here(s):
    """What an engine refuses that is in no swarm, and has no plugins and no BuildKit at work."""
    for method, path, *body in (
        ("GET", "/swarm"),
        ("POST", "/swarm/init", {}),
        ("POST", "/swarm/join", {}),
        ("POST", "/swarm/leave"),
        ("POST", "/swarm/update", {}),
        ("POST", "/swarm/update?version=1", {}),
        ("POST", "/swarm/update?version=x", {}),
        ("GET", "/swarm/unlockkey"),
        ("POST", "/swarm/unlock", {}),
        ("GET", "/services"),
        ("GET", "/services/x"),
        ("POST", "/services/create", {}),
        ("POST", "/services/x/update", {}),
        ("POST", "/services/x/update?version=1", {}),
        ("DELETE", "/services/x"),
        ("GET", "/services/x/logs"),
        ("GET", "/services/x/logs?stdout=1"),
        ("GET", "/nodes/x"),
        ("DELETE", "/nodes/x"),
        ("POST", "/nodes/x/update", {}),
        ("POST", "/nodes/x/update?version=1", {}),
        ("GET", "/tasks"),
        ("GET", "/tasks/x"),
        ("GET", "/tasks/x/logs"),
        ("GET", "/tasks/x/logs?stdout=1"),
        ("GET", "/secrets"),
        ("POST", "/secrets/create", {}),
        ("GET", "/secrets/x"),
        ("DELETE", "/secrets/x"),
        ("POST", "/secrets/x/update", {}),
        ("POST", "/secrets/x/update?version=1", {}),
        ("GET", "/configs"),
        ("POST", "/configs/create", {}),
        ("GET", "/configs/x"),
        ("DELETE", "/configs/x"),
        ("POST", "/configs/x/update", {}),
        ("POST", "/configs/x/update?version=1", {}),
        ("GET", "/plugins"),
        ("GET", "/plugins/x/json"),
        ("DELETE", "/plugins/x"),
        ("POST", "/plugins/x/enable"),
        ("POST", "/plugins/x/enable?timeout=0"),
        ("POST", "/plugins/x/disable"),
        ("POST", "/plugins/x/push"),
        ("POST", "/plugins/x/upgrade?remote=x", {}),
        ("POST", "/plugins/pull?remote=x", {}),
        ("POST", "/plugins/x/set"),
        ("POST", "/plugins/x/set", ["a=b"]),
        ("POST", "/plugins/create?name=x", b""),
        ("PUT", "/volumes/x?version=1"),
        ("POST", "/build/prune"),
        ("POST", "/build/cancel"),
        ("POST", "/build/cancel?id=x"),
        ("POST", "/session"),
        ("POST", "/grpc"),
        ("GET", "/containers/x/checkpoints"),
        ("POST", "/containers/x/checkpoints"),
        ("GET", "/images/x/attestations"),
        ("GET", "/images/search?term=x&limit=x"),
        ("GET", "/images/search?term=x&limit=200"),
        ("POST", "/auth"),
        ("POST", "/images/busybox/push?tag=latest"),
        ("GET", "/distribution/UPPER/json"),
    ):
        s.send(method, path, *body)


def paths(s):
    for method, path in (
        ("GET", "/_ping"),
        ("HEAD", "/_ping"),
        ("GET", "/v1.41/_ping"),
        ("GET", "/v1.99/version"),
        ("GET", "/v1.5/version"),
        ("GET", "/vX/version"),
        ("GET", "/nonsense"),
        ("PUT", "/containers/json"),
        ("GET", "/containers//json"),
        ("GET", "/containers/json/"),
        ("DELETE", "/containers/nobody"),
        ("GET", "/containers/nobody/logs?stdout=1"),
        ("GET", "/containers/nobody/stats"),
        ("GET", "/containers/nobody/top"),
        ("GET", "/exec/nobody/json"),
        ("GET", "/nodes"),
        ("GET", "/services"),
        ("GET", "/events?since=x"),
        ("GET", "/events?since=3&until=1"),
    ):
        s.send(method, path)


def execs(s):
    s.create("web", note=False)
    s.send("POST", "/containers/web/exec", {"Cmd": ["true"]})
    s.send("POST", "/containers/web/start", note=False)
    s.send("POST", "/containers/web/exec", {"Cmd": []})
    body = {"Cmd": ["sh", "-c", "exit 4"], "AttachStdout": True}
    made = s.send("POST", "/containers/web/exec", body).json()["Id"]
    s.notes.append(("inspect", normal(s.send("GET", f"/exec/{made}/json", note=False).body.decode())))
    started = s.send("POST", f"/exec/{made}/start", {"Detach": True}, note=False)
    s.notes.append(("start", started.status, started.body))
    done = wait_until(
        lambda: (
            lambda r: r if not r.json()["Running"] and r.json()["ExitCode"] is not None else None
        )(s.send("GET", f"/exec/{made}/json", note=False)),
        "the exec instance to end",
    )
    s.notes.append(("inspect", normal(done.body.decode())))


def events(s):
    start = s.settled_at()
    # To this signal every program ends at once; top would miss another one while it still starts.
    s.create(
        "ev",
        Labels={"x": "y"},
        StopSignal="SIGKILL",
        HostConfig={"Binds": ["vol:/data"]},
        note=False,
    )
    for step in ("start", "pause", "unpause", "stop", "start", "kill", "rename?name=ev2"):
        s.send("POST", f"/containers/ev/{step}", note=False)
        if step == "kill":
            s.send("POST", "/containers/ev/wait", note=False)
    s.send("POST", "/networks/create", {"Name": "en"}, note=False)
    s.send("DELETE", "/networks/en", note=False)
    s.send("POST", "/images/busybox/tag?repo=other", note=False)
    s.send("DELETE", "/images/other:latest", note=False)
    s.send("DELETE", "/containers/ev2", note=False)
    since = _unix(start)
    until = _unix(s.settled_at(start, "destroy"))
    for more in ({}, {"type": ["container"]}, {"event": ["start", "die"]}, {"label": ["x=y"]}):
        lines = told_once(s.events(since, until, more))
        # The engine tells of networks, volumes and containers from different threads.
        s.notes.append(("events", json.dumps(more), sorted(lines)))
        own = [x for x in lines if '"Type":"container"' in x]
        s.notes.append(("events of containers, in order", json.dumps(more), in_order(own)))


def told_once(lines):
    """An engine that hears from containerd of a pause only after it has unpaused tells of both once
    more (moby, daemon/monitor.go: the word of containerd is believed over its own)."""
    told = []
    for line in lines:
        again = '"Action":"pause"' in line or '"Action":"unpause"' in line
        if not again or line not in told:
            told.append(line)
    return told


def in_order(lines):
    """A stop and the end that it caused are told by two threads: the end comes first here."""
    lines = list(lines)
    for i in range(len(lines) - 1):
        if '"Action":"stop"' in lines[i] and '"Action":"die"' in lines[i + 1]:
            lines[i], lines[i + 1] = lines[i + 1], lines[i]
    return lines


class Raw:
    """A connection that becomes a raw stream."""

    def __init__(self, address, path, body=None, upgrade=True):
        self.stream = http.Stream(address)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n"
        if upgrade:
            head += "Connection: Upgrade\r\nUpgrade: tcp\r\n"
        data = json.dumps(body).encode() if body is not None else b""
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        self.stream.send(head.encode() + b"\r\n" + data)
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            more = self.stream.recv()
            assert more, self.data
            self.data += more
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        self.head = sorted(x for x in lines if not x.startswith("date:"))

    def read(self, size):
        while len(self.data) < size:
            more = self.stream.recv()
            assert more, self.data
            self.data += more
        data, self.data = self.data[:size], self.data[size:]
        return data

    def rest(self):
        while True:
            more = self.stream.recv()
            if not more:
                return self.data
            self.data += more


def streams(s):
    for upgrade in (True, False):
        name = f"cat{upgrade:d}"
        s.create(name, ["cat"], OpenStdin=True, StdinOnce=True, note=False)
        query = "stream=1&stdin=1&stdout=1&stderr=1"
        raw = Raw(s.address, f"/containers/{name}/attach?{query}", upgrade=upgrade)
        s.notes.append(("head", raw.head))
        raw.stream.send(b"before\n")
        s.send("POST", f"/containers/{name}/start")
        s.notes.append(("echo", raw.read(8 + 7)))
        raw.stream.send(b"after\n")
        s.notes.append(("echo", raw.read(8 + 6)))
        raw.stream.shutdown_write()
        s.notes.append(("end", raw.rest()))
        s.send("POST", f"/containers/{name}/wait")
        s.send("GET", f"/containers/{name}/logs?stdout=1")
    s.create("web", ["sleep", "100"], note=False)
    s.send("POST", "/containers/web/start", note=False)
    for tty in (False, True):
        body = {"Cmd": ["echo", "hi"], "AttachStdout": True, "Tty": tty}
        made = s.send("POST", "/containers/web/exec", body, note=False).json()["Id"]
        raw = Raw(s.address, f"/exec/{made}/start", {"Detach": False, "Tty": tty})
        s.notes.append(("exec", raw.head, raw.rest()))
    s.create("term", ["cat"], Tty=True, OpenStdin=True, note=False)
    s.send("POST", "/containers/term/start", note=False)
    raw = Raw(s.address, "/containers/term/attach?stream=1&stdin=1&stdout=1")
    raw.stream.send(b"x\r")
    s.notes.append(("terminal", raw.read(6)))
    raw.stream.send(b"\x04")
    s.notes.append(("end of it", raw.rest()))
    s.send("POST", "/containers/term/wait")


class WebSocket:
    """A client of attach/ws that sees the frames as they are."""

    def __init__(self, address, path):
        self.stream = http.Stream(address)
        self.stream.send(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self._more()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        status, *lines = head.decode().lower().split("\r\n")
        # An engine says "Switching Protocols" here and "UPGRADED" elsewhere.
        self.head = [status[:12], *sorted(x for x in lines if not x.startswith("date:"))]

    def _more(self):
        more = self.stream.recv()
        assert more, self.data
        self.data += more

    def send(self, kind, payload, final=True):
        mask = b"\x11\x22\x33\x44"
        size = len(payload)
        head = bytes([(0x80 if final else 0) | kind])
        if size < 126:
            head += bytes([0x80 | size])
        else:
            head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        self.stream.send(head + mask + masked)

    def frame(self):
        while len(self.data) < 2 or len(self.data) < self._size():
            self._more()
        size = self._size()
        frame, self.data = self.data[:size], self.data[size:]
        return frame

    def _size(self):
        size = self.data[1] & 127
        return 2 + size if size < 126 else 4 + int.from_bytes(self.data[2:4], "big")


def websockets(s):
    for path in ("/containers/nobody/attach/ws?stream=1",):
        s.send("GET", path)
    s.create("cat", ["cat"], OpenStdin=True, note=False)
    reply = s.send("GET", "/containers/cat/attach/ws?stream=1", note=False)
    s.notes.append(("no handshake", reply.status, reply.body))
    s.send("POST", "/containers/cat/start", note=False)
    query = "stream=1&stdin=1&stdout=1&stderr=1"
    ws = WebSocket(s.address, f"/containers/cat/attach/ws?{query}")
    s.notes.append(("head", ws.head))
    for kind, payload in ((2, b"hi\n"), (1, b"ho\n"), (9, b"p"), (2, b"x" * 300 + b"\n")):
        ws.send(kind, payload)
        s.notes.append(("frame", ws.frame()))
    old = WebSocket(s.address, f"/v1.24/containers/cat/attach/ws?{query}")
    s.notes.append(("head", old.head))
    old.send(2, b"text\n")
    s.notes.append(("frames", old.frame(), ws.frame()))
    s.send("POST", "/containers/cat/kill", note=False)
    s.notes.append(("end", ws.frame(), ws.stream.recv(), old.frame(), old.stream.recv()))
    # The engine's streams are all joined, whichever is asked for.
    for name, command in (("out", "echo out"), ("err", "echo err >&2")):
        s.create(name, ["sh", "-c", command], note=False)
        s.send("POST", f"/containers/{name}/start", note=False)
        s.send("POST", f"/containers/{name}/wait", note=False)
        ws = WebSocket(s.address, f"/containers/{name}/attach/ws?logs=1&stdout=1")
        s.notes.append(("past", ws.frame()))


def stats(s):
    s.create("one", note=False)
    for query in ("stream=0", "stream=0&one-shot=1", "stream=1&one-shot=1", "one-shot=1"):
        s.send("GET", f"/containers/one/stats?{query}")
    s.send("POST", "/containers/one/start", note=False)
    for query in ("stream=0", "stream=0&one-shot=1"):
        reply = s.send("GET", f"/containers/one/stats?{query}", note=False).json()
        zero = reply["preread"].startswith("0001")
        s.notes.append((query, zero, sorted(reply), sorted(reply["cpu_stats"])))
    for args in ("", "?ps_args=aux"):
        reply = s.send("GET", f"/containers/one/top{args}", note=False).json()
        s.notes.append(("top", reply["Titles"], [row[-1] for row in reply["Processes"]]))
    s.send("GET", "/containers/one/top?ps_args=-o%20pid", note=False)


def waits(s):
    s.create("ww", ["sh", "-c", "exit 3"], note=False)
    s.send("POST", "/containers/ww/wait")
    waiting = http.Stream(s.address)
    waiting.send(
        "POST /containers/ww/wait?condition=next-exit HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    data = waiting.recv()
    s.notes.append(("head at once", data.startswith(b"HTTP/1.1 200 ")))
    removed = http.Stream(s.address)
    removed.send(
        "POST /containers/ww/wait?condition=removed HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    )
    data2 = removed.recv()
    s.send("POST", "/containers/ww/start")
    while b"StatusCode" not in data:
        data += waiting.recv()
    s.notes.append(("next exit", data.partition(b"\r\n\r\n")[2]))
    s.send("POST", "/containers/ww/wait?condition=not-running")
    s.send("DELETE", "/containers/ww")
    while b"StatusCode" not in data2:
        data2 += removed.recv()
    s.notes.append(("removed", data2.partition(b"\r\n\r\n")[2]))
    s.send("POST", "/containers/ww/wait?condition=removed")


def _unix(text):
    """RFC 3339 to seconds with nanoseconds."""
    import calendar
    import time

    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return f"{seconds}.{fraction or '0':0<9}"


SCRIPTS = [
    lifecycle,
    refused_creates,
    inspected,
    ports,
    programs,
    filters,
    volumes,
    networks,
    images,
    archives,
    imports,
    commits,
    builds,
    files,
    prunes,
    disk_usage,
    not_here,
    paths,
    execs,
    events,
    streams,
    websockets,
    stats,
    waits,
]


def compare(simulated, real):
    assert [n[0] for n in simulated] == [n[0] for n in real]
    for ours, theirs in zip(simulated, real):
        if ours == theirs:
            continue
        a, b = repr(ours), repr(theirs)
        at = next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), min(len(a), len(b)))
        start = max(0, at - 60)
        pytest.fail(
            f"{ours[0]}\nsimulated: ...{a[start : at + 200]}\nreal:      ...{b[start : at + 200]}"
        )


def tidy(engine, archive):
    """What other tests do not expect: images without names, and none of busybox."""
    for path in ("/containers/prune", "/images/prune"):
        engine.request("POST", path)
    engine.request("POST", "/images/load?quiet=1", archive)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.__name__)
def test_like_a_real_engine(script, simulate, three, archive):
    """Each script, against both, from the same state on."""
    engine = three[0]
    notes = []
    version = http.request(("tcp", engine.addr), "GET", "/version").json()
    sim = simulate(1, "--server-version", version["Version"], "--name", engine.name)
    fresh = Script(("tcp", sim.addrs[0]))
    fresh.send("DELETE", "/images/busybox")
    fresh.send("POST", "/images/load", archive)
    for address, is_real in ((sim.addrs[0], False), (engine.addr, True)):
        s = Script(("tcp", address), is_real, archive)
        try:
            script(s)
        finally:
            if is_real:
                tidy(engine, archive)
        notes.append(s.notes)
    compare(*notes)


# ---- What only a simulated engine can do ----


def fault(sim, kind, seconds=30.0, **more):
    body = json.dumps({"kind": kind, "seconds": seconds, **more}).encode()
    reply = http.request(("tcp", sim.addrs[0]), "POST", "/_simulator/fault", body)
    assert reply.status == 204, reply


def ping(sim, timeout=5):
    return http.request(("tcp", sim.addrs[0]), "GET", "/_ping", timeout=timeout)


def is_refused(sim):
    try:
        ping(sim, 0.5)
        return False
    except OSError:
        return True


def test_fault_is_off_by_default(simulate):
    sim = simulate(1)
    body = b'{"kind":"close","seconds":30}'
    reply = http.request(("tcp", sim.addrs[0]), "POST", "/_simulator/fault", body)
    assert reply.status == 404
    assert ping(sim).status == 200


@pytest.mark.parametrize("kind", ["hang", "close", "garbage", "slow", "truncate", "down", "error"])
def test_fault(simulate, kind):
    """Each shows, and is over when it is said to be."""
    sim = simulate(1, "--control")
    address = ("tcp", sim.addrs[0])
    fault(sim, kind, 1.5 if kind == "down" else 30, ms=60000)
    if kind in ("hang", "slow"):
        with pytest.raises(TimeoutError):
            ping(sim, timeout=0.3)
    elif kind in ("close", "truncate"):
        with pytest.raises((http.Ended, ConnectionError, AssertionError)):
            http.request(address, "GET", "/info")
    elif kind == "garbage":
        with pytest.raises(ValueError):
            http.request(address, "GET", "/info").json()
    elif kind == "error":
        assert ping(sim).status == 500
    else:
        wait_until(lambda: is_refused(sim), "it to be down")
    if kind != "down":
        fault(sim, "none")
    assert wait_until(lambda: ping(sim).status == 200, "the fault to be over")


def test_hanging_requests_are_answered_after_the_fault(simulate):
    sim = simulate(1, "--control")
    fault(sim, "hang", 0.5)
    assert ping(sim).body == b"OK"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"kind":"hang"}', b'{"kind":"hang","seconds":-1}',
             b'{"kind":"what","seconds":1}', b'{"kind":"hang","seconds":1e99}']
)
def test_bad_fault(simulate, body):
    sim = simulate(1, "--control")
    reply = http.request(("tcp", sim.addrs[0]), "POST", "/_simulator/fault", body)
    assert reply.status == 400
    assert ping(sim).status == 200


def test_nodes_differ_and_seeds_repeat(simulate):
    """Every node has its own name, ID and labels; one seed gives the same again."""
    seen = []
    for _ in range(2):
        sim = simulate(6, "--seed", "5", "--label", "rack=r{i%3}", "--containers", "2")
        infos = [http.request(("tcp", a), "GET", "/info").json() for a in sim.addrs]
        ids = [
            [c["Id"] for c in http.request(("tcp", a), "GET", "/containers/json").json()]
            for a in sim.addrs
        ]
        assert [i["Name"] for i in infos] == [f"sim-{n}" for n in range(6)]
        assert [i["Labels"] for i in infos] == [[f"rack=r{n % 3}"] for n in range(6)]
        assert len({i["ID"] for i in infos}) == 6
        assert len({c for each in ids for c in each}) == 12
        seen.append(([i["ID"] for i in infos], ids))
    assert seen[0] == seen[1]


def test_registry(simulate):
    """What one engine pushes, another pulls, under the same ID and digest."""
    sim = simulate(2)
    one, two = (Script(("tcp", a)) for a in sim.addrs)
    auth = {"X-Registry-Auth": "e30="}
    path = "/images/create?fromSrc=-&repo=reg:5000/own&tag=v1"
    made = one.send("POST", path, tar_of(("a", "b"))).json()["status"]
    for query in ("?tag=v1", ""):
        lines = one.send("POST", f"/images/reg:5000/own/push{query}", headers=auth).body
        assert b'"Pushed"' in lines and b"v1: digest: sha256:" in lines, lines
    pulled = two.send("POST", "/images/create?fromImage=reg:5000/own&tag=v1").body
    assert b"Pulling from own" in pulled and b"Downloaded newer image" in pulled
    again = two.send("POST", "/images/create?fromImage=reg:5000/own:v1").body
    assert b"Image is up to date" in again
    images = [s.send("GET", "/images/reg:5000/own:v1/json").json() for s in (one, two)]
    assert [i["Id"] for i in images] == [made, made]
    assert images[0]["RepoDigests"] == images[1]["RepoDigests"] != []
    # By that digest too; and the name goes with its last tag.
    digest = images[0]["RepoDigests"][0]
    two.send("DELETE", "/images/reg:5000/own:v1")
    assert two.send("GET", f"/images/{digest}/json").status == 404
    assert two.send("POST", f"/images/create?fromImage={digest}").status == 200
    assert two.send("GET", f"/images/{digest}/json").json()["Id"] == made
    distribution = two.send("GET", "/distribution/reg:5000/own:v1/json").json()
    assert digest.endswith("@" + distribution["Descriptor"]["digest"])


def test_registry_refuses(simulate):
    s = Script(("tcp", simulate(1).addrs[0]))
    auth = {"X-Registry-Auth": "e30="}
    s.send("POST", "/images/busybox/tag?repo=notfound/x&tag=1")
    refused = s.send("POST", "/images/notfound/x/push?tag=1", headers=auth)
    assert refused.status == 200 and b"errorDetail" in refused.body
    missing = s.send("POST", "/images/nope/push?tag=1", headers=auth)
    assert b"An image does not exist locally with the tag: nope" in missing.body
    assert s.send("GET", "/distribution/notfound/x/json").status == 403
    unknown = f"/images/create?fromImage=busybox@sha256:{'0' * 64}"
    assert s.send("POST", unknown).status == 404
    for password, status in (("right", 200), ("wrong", 401)):
        reply = s.send("POST", "/auth", {"username": "u", "password": password})
        assert reply.status == status
    assert [i["name"] for i in s.send("GET", "/images/search?term=nginx").json()] == ["nginx"]


def test_hostile_archives(simulate):
    """Neither bytes nor cuts at any place end the engine, or change what it answers with."""
    sim = simulate(1)
    s = Script(("tcp", sim.addrs[0]))
    s.create("files")
    whole = s.send("GET", "/images/busybox/get").body
    targets = ("/images/load", "/images/create?fromSrc=-", "/build")
    for path in (*targets, "/containers/files/archive?path=/tmp"):
        method = "PUT" if "archive" in path else "POST"
        for body in (whole[:512], whole[:700], whole[:-1024], b"\0" * 10240, b"\xff" * 2000):
            assert s.send(method, path, body).status in (200, 400, 500)
        # The client leaves in the middle.
        stream = http.Stream(s.address)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\n\r\n"
        stream.send(head.encode() + whole[:3000])
        stream.close()
        assert ping(sim).status == 200
    big = tar_of(("big", "x" * (2 << 20)))
    reply = s.send("PUT", "/containers/files/archive?path=/tmp", big)
    assert reply.status == 500 and b"no space left on device" in reply.body


def test_build_that_is_left(simulate):
    """A client that leaves while a step runs takes the step's container along."""
    s = Script(("tcp", simulate(1).addrs[0]))
    context = tar_of(("Dockerfile", "FROM busybox\nRUN sleep 1000\n"))
    stream = http.Stream(s.address)
    head = f"POST /build HTTP/1.1\r\nHost: x\r\nContent-Length: {len(context)}\r\n\r\n"
    stream.send(head.encode() + context)
    wait_until(lambda: s.send("GET", "/containers/json").json(), "the step to run")
    stream.close()
    wait_until(lambda: not s.send("GET", "/containers/json?all=1").json(), "it to be gone")


def test_output_is_bounded(simulate):
    """Ten megabytes through cat: all come back, and what is kept for logs is little."""
    sim = simulate(1)
    s = Script(("tcp", sim.addrs[0]))
    s.create("cat", ["cat"], OpenStdin=True, StdinOnce=True)
    raw = Raw(s.address, "/containers/cat/attach?stream=1&stdin=1&stdout=1")
    s.send("POST", "/containers/cat/start")
    line = b"x" * 1023 + b"\n"
    got = 0
    for _ in range(160):
        raw.stream.send(line * 64)
        got += len(raw.stream.recv(1 << 20))
    raw.stream.shutdown_write()
    assert got + len(raw.rest()) >= 160 * 64 * 1024
    logs = http.request(s.address, "GET", "/containers/cat/logs?stdout=1")
    assert 16 * 1024 < len(logs.body) < 256 * 1024
