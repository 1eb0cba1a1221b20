"""Long lists: sent as their clients take them, while containers come and go."""

import json
from urllib.parse import quote

import pytest

from lab import http
from lab.waiting import in_parallel

IMAGE = "busybox"
NODES = 3
CONTAINERS = 200
# With these a list is many times what the system keeps for a connection.
LONG = {f"long{i}": f"{i}" * 4000 for i in range(3)}


@pytest.fixture
def fleet(manager, simulate):
    """fleet(labels): a manager of some hundred containers, that has a unix socket."""

    def make(labels):
        m = manager(simulate(NODES).addrs, nodes=NODES, unix=True)

        def fill(worker):
            with m.connect(60) as c:
                for i in range(worker, CONTAINERS, 4):
                    body = {"Image": IMAGE, "Cmd": ["top"], "Labels": labels}
                    name = f"c{i}-{'a' * 100}"
                    reply = c.request("POST", f"/containers/create?name={name}", body)
                    assert reply.status == 201, reply
            return True

        assert all(in_parallel(fill, range(4)))
        return m

    return make


def _slow_reader(manager, query="all=1"):
    """Has read the head and one chunk of the list, and takes no more than it must."""
    c = http.Connection(manager.unix_address, timeout=60)
    c.send_request("GET", f"/containers/json?{query}")
    head = c.read_head()
    assert head.status == 200 and head.header("Transfer-Encoding") == "chunked", head
    return c, head, c.read_chunk()


def _rest(c, head, begun):
    return json.loads(begun + c.read_body(head))


def _ids(rows):
    return [row["Id"] for row in rows]


def test_changes_under_way(fleet):
    """Who is there all the time is in the list, once; others are, once, or are not."""
    m = fleet(LONG)
    before = m.json("GET", "/containers/json?all=1")
    readers = [_slow_reader(m) for _ in range(3)]
    for i, row in enumerate(before[::5]):
        change = (
            ("DELETE", "?force=1"),
            ("POST", "/start"),
            ("POST", f"/rename?name=other{i}"),
        )[i % 3]
        path = f"/containers/{row['Id']}{change[1]}"
        assert m.request(change[0], path).status == 204, path
        m.create(f"new{i}")
    after = m.json("GET", "/containers/json?all=1")
    throughout = set(_ids(before)) & set(_ids(after))
    assert len(throughout) >= len(before) * 4 / 5
    named = {row["Id"]: row["Names"] for row in after}
    is_told_late = False
    for reader in readers:
        rows = _rest(*reader)
        ids = _ids(rows)
        assert len(ids) == len(set(ids))
        assert throughout <= set(ids) <= set(_ids(after)) | set(_ids(before))
        is_told_late |= any("other" in n for row in rows for n in row["Names"])
        assert named[ids[-1]] == rows[-1]["Names"] if ids[-1] in named else True
        reader[0].close()
    assert is_told_late, "all rows were made before the changes"


def test_slow_readers_cost_little(fleet):
    m = fleet(LONG)
    whole = m.request("GET", "/containers/json?all=1").body
    rss = m.rss()
    readers = [_slow_reader(m) for _ in range(40)]
    assert m.request("GET", "/_ping").body == b"OK"
    assert m.rss() - rss < len(readers) * len(whole) / 3
    # Half of them go without a word, the others get all of it.
    for c, _, _ in readers[::2]:
        c.close()
    wanted = _ids(json.loads(whole))
    for reader in readers[1::2]:
        assert _ids(_rest(*reader)) == wanted
        # The connection is as good as before.
        assert reader[0].request("GET", "/_ping").body == b"OK"
        reader[0].close()


def test_replies(fleet):
    m = fleet({})
    rows = m.json("GET", "/containers/json?all=1")
    # A client that knows no chunks reads to the end.
    with m.connect() as c:
        c.send(b"GET /containers/json?all=1 HTTP/1.0\r\n\r\n")
        head = c.read_head()
        assert head.status == 200 and head.header("Transfer-Encoding") is None
        assert _ids(json.loads(c.read_to_end())) == _ids(rows)
    # What fits into one piece comes with its length.
    for query, wanted in (("limit=3", rows[:3]), ("filters=" + quote('{"name":["^none$"]}'), [])):
        reply = m.request("GET", f"/containers/json?{query}")
        assert int(reply.header("Content-Length")) == len(reply.body)
        assert _ids(reply.json()) == _ids(wanted)
        assert reply.body.endswith(b"]\n")

    # Many at once, and among them what is short.
    def read(worker):
        if worker % 4 == 3:
            return _ids(m.json("GET", f"/containers/json?limit={worker}")) == _ids(rows)[:worker]
        return _ids(m.json("GET", "/containers/json?all=1")) == _ids(rows)

    assert all(in_parallel(read, range(32)))
    # Clients that ask and go at once.
    for _ in range(30):
        c = m.connect()
        c.send_request("GET", "/containers/json?all=1")
        c.stream.reset()
    assert m.request("GET", "/_ping").body == b"OK"

    # What filters cost too much is known before the first byte, though the first rows match.
    values = [".", *(f"(a{{1,30}}){{1,30}}b{i}" for i in range(3))]
    filters = quote(json.dumps({"name": values[::-1]}))
    reply = m.request("GET", f"/containers/json?all=1&filters={filters}")
    assert reply.status == 400, reply
    assert "too much work" in reply.message()
    # Where another filter leaves few to be searched, it is no matter.
    filters = quote(json.dumps({"id": [rows[0]["Id"]], "name": values}))
    assert _ids(m.json("GET", f"/containers/json?all=1&filters={filters}")) == [rows[0]["Id"]]


def test_other_lists(manager, simulate):
    m = manager(simulate(NODES).addrs, nodes=NODES)
    names = {f"n{i}" for i in range(12)}
    for name in names:
        body = {"Name": name, "Driver": "bridge", "Labels": LONG}
        m.json("POST", "/networks/create", body)
        m.json("POST", "/volumes/create", {"Name": name, "Labels": LONG})
    for target, key in (("/networks", None), ("/volumes", "Volumes")):
        reply = m.request("GET", target)
        assert reply.header("Transfer-Encoding") == "chunked" and reply.body.endswith(b"\n")
        rows = reply.json()[key] if key else reply.json()
        own = [row for row in rows if row["Name"].split("/")[1] in names]
        assert len(own) == len(names)
        assert all(row["Labels"] == LONG for row in own)
    assert m.json("GET", "/volumes")["Warnings"] == []
    # None at all is still a list.
    filters = quote(json.dumps({"name": ["^nothing$"]}))
    assert m.request("GET", f"/networks?filters={filters}").body == b"[]\n"
    filters = quote(json.dumps({"label": ["none"]}))
    assert m.request("GET", f"/images/json?filters={filters}").body == b"[]\n"
