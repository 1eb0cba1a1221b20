"""Requests as SDKs send them, to an engine and to a manager over one engine: the same status, the
same kind of body with the same members, the same headers."""

import json
import re
import urllib.parse

import pytest

from lab import http
from lab.likeness import shape, shape_differences
from lab.waiting import in_parallel

CONTAINER = {"Image": "busybox", "Cmd": ["sleep", "1000"], "StopSignal": "KILL", "Tty": False}
JSON = [("Content-Type", "application/json")]

# Method, path, body; @exec is the exec instance that was made last.
REQUESTS = [
    ("GET", "/_ping", None),
    ("HEAD", "/_ping", None),
    ("GET", "/version", None),
    ("GET", "/info", None),
    ("GET", "/nosuch", None),
    ("GET", "/containers", None),
    ("GET", "/containers/json?all=1", None),
    ("GET", "/containers/json?limit=x", None),
    ("GET", "/containers/json?filters=nonsense", None),
    ("GET", '/containers/json?filters={"name":["one"]}', None),
    ("GET", '/containers/json?filters={"name":{"one":true}}', None),
    ("POST", "/containers/create?name=one", CONTAINER),
    ("POST", "/containers/create?name=one", CONTAINER),
    ("POST", "/containers/create", b"{nonsense"),
    ("POST", "/containers/create", b""),
    ("POST", "/containers/create", {}),
    ("POST", "/containers/create", {"Image": ""}),
    ("POST", "/containers/create", {**CONTAINER, "HostConfig": {"Memory": 1}}),
    ("POST", "/containers/create", {**CONTAINER, "NoSuchField": {"a": 1}, "Env": None}),
    ("POST", "/containers/create?name=!", CONTAINER),
    ("POST", "/containers/one/start", None),
    ("POST", "/containers/one/start", None),
    ("POST", "/containers/nosuch/start", None),
    ("GET", "/containers/json", None),
    ("GET", "/containers/one/json", None),
    ("GET", "/containers/one/json?size=1", None),
    ("GET", "/containers/nosuch/json", None),
    ("GET", "/containers/one/top", None),
    ("GET", "/containers/one/top?ps_args=-nosuch", None),
    ("GET", "/containers/one/changes", None),
    ("GET", "/containers/one/stats?stream=0&one-shot=1", None),
    ("GET", "/containers/nosuch/stats?stream=0", None),
    ("GET", "/containers/one/logs", None),
    ("GET", "/containers/one/logs?stdout=1", None),
    ("GET", "/containers/nosuch/logs?stdout=1", None),
    ("HEAD", "/containers/one/archive?path=/etc/passwd", None),
    ("HEAD", "/containers/one/archive?path=/nosuch", None),
    ("GET", "/containers/one/archive?path=/etc/passwd", None),
    ("GET", "/containers/one/archive", None),
    ("PUT", "/containers/one/archive?path=/nosuch", b"x"),
    ("POST", "/containers/one/resize?h=x&w=1", None),
    ("POST", "/containers/one/exec", {"Cmd": ["true"], "AttachStdout": True}),
    ("GET", "/exec/@exec/json", None),
    ("POST", "/exec/@exec/start", {"Detach": True}),
    ("POST", "/containers/one/exec", {"Cmd": []}),
    ("POST", "/containers/nosuch/exec", {"Cmd": ["true"]}),
    ("GET", "/exec/nosuch/json", None),
    ("POST", "/exec/nosuch/start", {"Detach": True}),
    ("POST", "/containers/one/pause", None),
    ("POST", "/containers/one/unpause", None),
    ("POST", "/containers/one/update", {"PidsLimit": 100}),
    ("POST", "/containers/one/update", {"Memory": 1}),
    ("POST", "/containers/one/rename", None),
    ("POST", "/containers/one/rename?name=two", None),
    ("POST", "/containers/two/kill?signal=NOSUCH", None),
    ("POST", "/containers/nosuch/wait", None),
    ("POST", "/containers/two/attach?stream=0", None),
    ("DELETE", "/containers/two", None),
    ("POST", "/containers/two/stop", None),
    ("POST", "/containers/two/stop", None),
    ("POST", "/containers/two/wait", None),
    ("POST", "/commit?container=two&repo=made", None),
    ("POST", "/commit?container=nosuch", None),
    ("GET", "/containers/two/export", None),
    ("DELETE", "/containers/two?v=1", None),
    ("DELETE", "/containers/two", None),
    ("POST", "/containers/prune", None),
    ("GET", "/images/json", None),
    ("GET", "/images/busybox/json", None),
    ("GET", "/images/nosuch/json", None),
    ("GET", "/images/busybox/history", None),
    ("POST", "/images/busybox/tag?repo=other", None),
    ("POST", "/images/nosuch/tag?repo=other", None),
    ("DELETE", "/images/other", None),
    ("DELETE", "/images/made", None),
    ("DELETE", "/images/nosuch", None),
    ("POST", "/images/prune", None),
    ("GET", "/networks", None),
    ("GET", "/networks/bridge", None),
    ("GET", "/networks/nosuch", None),
    ("POST", "/networks/create", {"Name": "net", "Driver": "bridge"}),
    ("POST", "/networks/create", {"Name": "net", "Driver": "bridge", "CheckDuplicate": True}),
    ("POST", "/networks/create", {}),
    ("POST", "/networks/net/connect", {"Container": "nosuch"}),
    ("DELETE", "/networks/net", None),
    ("DELETE", "/networks/nosuch", None),
    ("POST", "/networks/prune", None),
    ("GET", "/volumes", None),
    ("POST", "/volumes/create", {"Name": "vol"}),
    ("GET", "/volumes", None),
    ("GET", "/volumes/vol", None),
    ("GET", "/volumes/nosuch", None),
    ("DELETE", "/volumes/vol", None),
    ("DELETE", "/volumes/nosuch", None),
    ("POST", "/volumes/prune", None),
    ("GET", "/system/df", None),
    ("GET", "/events?since=1&until=2", None),
    ("GET", "/plugins", None),
    ("GET", "/plugins/nosuch/json", None),
    ("GET", "/swarm", None),
    ("GET", "/nodes", None),
    ("GET", "/services", None),
    ("GET", "/tasks", None),
    ("GET", "/secrets", None),
    ("GET", "/configs", None),
    ("POST", "/auth", {"username": "x", "password": "y", "serveraddress": "127.0.0.1:1"}),
    ("POST", "/build/prune", None),
    # Methods that a path is not known to take: engines answer HEAD in few places.
    *[
        ("HEAD", path, None)
        for path in (
            *("/version", "/info", "/events", "/system/df", "/nosuch"),
            *("/containers/json", "/containers/nosuch/json", "/containers/nosuch/logs?stdout=1"),
            *("/images/json", "/images/busybox/json", "/images/busybox/get"),
            *("/networks", "/networks/bridge", "/volumes", "/volumes/nosuch", "/plugins", "/nodes"),
        )
    ],
    *[(method, "/containers/json", None) for method in ("PUT", "DELETE", "PATCH", "POST")],
    *[("OPTIONS", path, None) for path in ("/version", "/containers/create", "/nosuch", "/")],
]

# Headers that clients read.
HEADERS = ("Content-Type", "Api-Version", "Docker-Experimental", "Ostype", "X-Docker-Container-Path-Stat")

# Members of replies that only one of them has, and why.
EXPECTED = [
    (r"GET /(version|info): ", "these are of the cluster, not of one engine"),
    (r"GET /containers/\w+/json\S*: \.Node: only on the right", "where the container runs"),
    (r"GET /system/df: \.Nodes: only on the right", "how much it is on each node"),
    (r"GET /networks\S*: \S*\.Gateway: only on", "an engine that was started again tells it"),
    (r".*com\.docker\.swarm\.id: only on the right", "a container carries its ID in the cluster"),
]


def ask(address, version, requests):
    """[(request, status, {header: value}, body)]"""
    out, exec_id = [], ""
    for method, path, body in requests:
        target = f"/v{version}{path.replace('@exec', exec_id)}"
        target = urllib.parse.quote(target, safe="/?=&!")
        headers = JSON if method == "POST" else []
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        reply = http.request(address, method, target, body, headers, timeout=60)
        if path.endswith("/exec") and reply.status == 201:
            exec_id = reply.json()["Id"]
        out.append((f"{method} {path}", reply))
    return out


def kind(reply):
    value = reply.header("Content-Type", "").partition(";")[0]
    try:
        return shape(json.loads(reply.body)) if value == "application/json" else value
    except ValueError:
        return "not JSON"


def differences(request, left, right):
    found = []
    # Older engines answer 500 to what is the client's mistake.
    if left.status != right.status and (left.status, right.status) != (500, 400):
        found.append(f"status {left.status} {left.body[:200]} and {right.status} {right.body[:200]}")
        return found
    for name in HEADERS:
        values = [(r.header(name) or "").lower() for r in (left, right)]
        if name in ("X-Docker-Container-Path-Stat", "Api-Version"):
            values = [bool(v) for v in values]
        if values[0] and values[0] != values[1]:
            found.append(f"{name}: {values[0]!r} and {values[1]!r}")
    if not found:
        kinds = [kind(r) for r in (left, right)]
        if isinstance(kinds[0], str) or isinstance(kinds[1], str):
            found += [f"body: {kinds[0]} and {kinds[1]}"] if kinds[0] != kinds[1] else []
        else:
            found += shape_differences(*kinds)
    return found


@pytest.mark.parametrize("version, api", [(None, "1.24"), (None, "1.41"), (26, "1.45")])
def test_replies(version, api, pair, manager):
    left, right = pair(version)
    swarm = manager([right])
    addresses = [("unix", left.socket), swarm.address]
    runs = in_parallel(lambda address: ask(address, api, REQUESTS), addresses)
    found = []
    for (request, of_engine), (_, of_manager) in zip(*runs):
        for what in differences(request, of_engine, of_manager):
            line = f"{request}: {what}"
            if not any(re.match(pattern, line) for pattern, _ in EXPECTED):
                found.append(line)
    assert not found, "\n".join(found)
