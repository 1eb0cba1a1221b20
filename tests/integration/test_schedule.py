"""Placement: constraints, affinities, strategies, names, ports, resources and slots."""

import json

import pytest

from lab.engine import IMAGE
from lab.waiting import in_parallel, wait_until

MIB = 1 << 20


@pytest.fixture
def cluster(manager, five):
    return manager(five)


def env(*terms):
    return {"Env": list(terms)}


def names_of(five):
    return {e.name: e.names() for e in five}


# ---- constraints ----


@pytest.mark.parametrize(
    "terms, allowed",
    [
        (["constraint:disk==ssd"], {"node-1", "node-2"}),
        (["constraint:disk!=ssd"], {"node-3", "node-4", "node-5"}),
        (["constraint:disk==ssd", "constraint:zone==external"], {"node-2"}),
        (["constraint:disk==s*"], {"node-1", "node-2"}),
        (["constraint:zone==/^ex/"], {"node-2", "node-3"}),
        (["constraint:zone!=/ternal$/"], {"node-5"}),
        (["constraint:node==node-4"], {"node-4"}),
        (["constraint:node==/node-[15]/"], {"node-1", "node-5"}),
        (["constraint:node!=node-1", "constraint:disk==ssd"], {"node-2"}),
        (["constraint:rack==*"], {"node-1", "node-2", "node-3", "node-4", "node-5"}),
        (["constraint:nosuchlabel!=x", "constraint:node==node-3"], {"node-3"}),
        (["constraint:ostype==linux", "constraint:node==node-2"], {"node-2"}),
        (["constraint:storagedriver==/overlay2|vfs/", "constraint:rack==a"], {"node-4"}),
        # Where most of the soft ones hold, among the nodes where the hard ones do.
        (["constraint:disk==~tape", "constraint:rack==b"], {"node-5"}),
        (["constraint:disk==~ssd", "constraint:zone==external"], {"node-2"}),
        (["constraint:disk==~ssd", "constraint:rack==~b", "constraint:zone==external"], {"node-2"}),
        (["constraint:disk==~tape", "constraint:zone==external"], {"node-2", "node-3"}),
        (["whitelist:node==node-1|node-3"], {"node-1", "node-3"}),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_constraints(cluster, terms, allowed):
    seen = set()
    for _ in range(3):  # as many as node-5 has slots
        seen.add(cluster.node_of(cluster.create(**env(*terms))))
    assert seen <= allowed
    if len(allowed) > 1:
        assert len(seen) > 1, "spread uses more than one of the nodes that are allowed"


def test_constraints_as_labels(cluster):
    labels = {"com.docker.swarm.constraints": json.dumps(["rack==a"])}
    assert cluster.node_of(cluster.create(Labels=labels)) == "node-4"
    bad = cluster.create(expect=400, Labels={"com.docker.swarm.constraints": "[not json"})
    assert "com.docker.swarm.constraints" in bad


@pytest.mark.parametrize(
    "terms, line",
    [
        (["constraint:disk==tape"], "[disk==tape]"),
        (["constraint:disk==ssd", "constraint:rack==a"], "[disk==ssd rack==a]"),
        (["affinity:container==nobody"], "[container==nobody (soft=false)]"),
        (["affinity:image==nothing"], "[image==nothing (soft=false)]"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_nothing_fits(cluster, terms, line):
    message = cluster.create(expect=503, **env(*terms))
    first, *rest = message.split("\n")
    assert first == "Unable to find a node that satisfies the following conditions "
    # One line for each filter up to the one that refused, then why.
    assert rest[:2] == ["[available container slots]", line], message
    assert rest[2].startswith("affinity: 5 of 5 nodes" if "soft" in line else "constraint: 5 of 5")


BAD = [
    "constraint:node==/",
    "constraint:node==/(/",
    "constraint:node==/[/",
    "constraint:node",
    "constraint:==x",
    "constraint:node==",
    "constraint:no de==x",
    "constraint:1x==y",
    "constraint:x>=3",
    "affinity:container==/",
    "affinity:container==/a{99999}/",
    "whitelist:node==/",
    "constraint:node==/" + "(a+)+" * 300 + "/",
]


@pytest.mark.parametrize("term", BAD, ids=range(len(BAD)))
def test_bad_expressions(cluster, term):
    """400, and nothing else is affected: the next create works."""
    for _ in range(20):
        reply = cluster.request("POST", "/containers/create", {"Image": IMAGE, **env(term)})
        assert reply.status == 400, reply
        reply.message()
    cluster.create("next-one", **env("constraint:node==node-1"))


def test_expressions_that_explode(cluster):
    """Patterns that take other matchers forever."""
    for term in ("constraint:node==/^(a+)+$/", "constraint:node==/(x*)*(x*)*(x*)*y/"):
        body = {"Image": IMAGE, **env(term)}
        reply = cluster.request("POST", "/containers/create", body, timeout=5)
        assert reply.status == 503, reply


def test_bad_expressions_a_thousand_times(cluster):
    def bad(_):
        with cluster.connect() as c:
            for _ in range(100):
                body = {"Image": IMAGE, **env("constraint:node==/")}
                assert c.request("POST", "/containers/create", body).status == 400

    in_parallel(bad, range(10))
    cluster.create("after-all")


# ---- affinities and dependencies ----


def test_affinity_to_containers(cluster):
    first = cluster.run("first")
    home = cluster.node_of(first)
    for key in ("first", first, "f*", "/^first$/"):
        near = cluster.create(**env(f"affinity:container=={key}"))
        assert cluster.node_of(near) == home, key
    for _ in range(5):
        assert cluster.node_of(cluster.create(**env("affinity:container!=first"))) != home
    assert cluster.node_of(cluster.create(**env("affinity:container==~nobody"))) in {
        f"node-{i}" for i in range(1, 6)
    }


def test_affinity_to_labels(cluster):
    cluster.create("db", Labels={"role": "db"}, **env("constraint:node==node-3"))
    assert cluster.node_of(cluster.create(**env("affinity:role==db"))) == "node-3"
    assert cluster.node_of(cluster.create(**env("affinity:role==/^d/"))) == "node-3"


def test_affinity_to_images(cluster, five):
    five[3].request("POST", f"/images/{IMAGE}/tag?repo=special&tag=v1")

    def tags():
        return [t for i in cluster.json("GET", "/images/json") for t in i["RepoTags"] or []]

    wait_until(lambda: "special:v1" in tags(), "the tag to be known")
    for term in ("image==special:v1", "image==special"):
        assert cluster.node_of(cluster.create(**env(f"affinity:{term}"))) == "node-4"
    # An image that only one node has draws the container there by itself.
    assert cluster.node_of(cluster.create(Image="special:v1")) == "node-4"


def test_dependencies(cluster):
    cluster.run("base", **env("constraint:node==node-5"))
    for host in (
        {"VolumesFrom": ["base"]},
        {"VolumesFrom": ["base:ro"]},
        {"Links": ["base:alias"]},
        {"NetworkMode": "container:base"},
    ):
        name = cluster.create(HostConfig=host)
        assert cluster.node_of(name) == "node-5", host
        assert cluster.request("POST", f"/containers/{name}/start").status == 204
        cluster.request("DELETE", f"/containers/{name}?force=1")
    message = cluster.create(expect=503, HostConfig={"VolumesFrom": ["nobody"]})
    assert "[--volumes-from=nobody]" in message
    cluster.run("other", **env("constraint:node==node-1"))
    message = cluster.create(
        expect=503, HostConfig={"VolumesFrom": ["base"], "Links": ["other:o"]}
    )
    assert "[--volumes-from=base --link=other:o]" in message


# ---- strategies ----


def test_spread(cluster):
    """Equal ones differ by one at most, among the nodes that can take them."""
    nodes = [cluster.node_of(cluster.create(Cmd=["true"])) for _ in range(13)]
    counts = {n: nodes.count(n) for n in set(nodes)}
    # node-5 has three slots.
    assert counts.pop("node-5") in (2, 3)
    assert max(counts.values()) - min(counts.values()) <= 1, counts


def test_binpack(manager, five):
    m = manager(five, "--strategy", "binpack")
    nodes = {m.node_of(m.create(HostConfig={"Memory": 8 * MIB})) for _ in range(3)}
    assert len(nodes) == 1
    assert m.json("GET", "/info")["SystemStatus"]
    m = manager(five, "--strategy", "binpacking")


def test_random(manager, five):
    m = manager(five, "--strategy", "random")
    nodes = {m.node_of(m.create(Cmd=["true"])) for _ in range(20)}
    assert len(nodes) >= 3


def test_memory_is_not_given_away_twice(cluster, five):
    """As many at once as fit, and not one more."""
    total = five[0].json("GET", "/info")["MemTotal"]
    share = int(total * 0.4)

    def create(_):
        return cluster.request(
            "POST", "/containers/create", {"Image": IMAGE, "HostConfig": {"Memory": share}}
        )

    replies = in_parallel(create, range(15))
    assert sorted(r.status for r in replies) == [201] * 10 + [503] * 5
    for reply in replies:
        if reply.status == 503:
            assert reply.message().startswith("no resources available to schedule container")
    assert [len(e.names()) for e in five] == [2] * 5
    gone = next(r.json()["Id"] for r in replies if r.status == 201)
    assert cluster.request("DELETE", f"/containers/{gone}").status == 204
    assert create(0).status == 201


def test_cpu_shares_are_cpus(cluster, five):
    """CpuShares counts CPUs of the node, and reaches the engine as its share of 1024."""
    cpus = five[0].json("GET", "/info")["NCPU"]
    name = cluster.create(HostConfig={"CpuShares": 1})
    shares = cluster.json("GET", f"/containers/{name}/json")["HostConfig"]["CpuShares"]
    assert shares == -(-1024 // cpus)
    # What no node has as CPUs is a weight: it is passed on, and takes none.
    for _ in range(3):
        name = cluster.create(HostConfig={"CpuShares": cpus * 10})
        inspected = cluster.json("GET", f"/containers/{name}/json")
        assert inspected["HostConfig"]["CpuShares"] == cpus * 10
    assert "no resources" in cluster.create(expect=503, HostConfig={"NanoCpus": cpus * 10**10})


def test_slots(cluster, five):
    """containerslots=3 on node-5; stopped ones count."""
    for _ in range(3):
        cluster.create(**env("constraint:node==node-5"))
    message = cluster.create(expect=503, **env("constraint:node==node-5"))
    assert "[available container slots]" in message
    assert len(five[4].names()) == 3


def test_slots_in_a_race(cluster, five):
    def create(_):
        body = {"Image": IMAGE, **env("constraint:node==node-5")}
        return cluster.request("POST", "/containers/create", body).status

    assert sorted(in_parallel(create, range(12))) == [201] * 3 + [503] * 9
    assert len(five[4].names()) == 3


# ---- ports ----


def port(host_port, protocol="tcp", ip=""):
    return {
        "ExposedPorts": {f"80/{protocol}": {}},
        "HostConfig": {
            "PortBindings": {f"80/{protocol}": [{"HostIp": ip, "HostPort": str(host_port)}]}
        },
    }


def test_ports(cluster):
    on = env("constraint:node==node-1")
    cluster.create("web", **port(8080), **on)
    # A stopped one keeps its port.
    for ip in ("", "127.0.0.1", "0.0.0.0", "::"):
        message = cluster.create(expect=503, **port(8080, ip=ip), **on)
        assert "[port 8080 (Bridge mode)]" in message
    cluster.create(**port(8080, "udp"), **on)
    assert "[port 8080" in cluster.create(expect=503, **port(8080, "udp"), **on)
    cluster.create(**port(8081), **on)
    cluster.create(**port(8090, ip="127.0.0.1"), **on)
    cluster.create(**port(8090, ip="127.0.0.2"), **on)
    # Any port of the engine's choice is never in the way.
    for _ in range(3):
        cluster.create(**port(""), **on)
    cluster.request("DELETE", "/containers/web")
    cluster.create(**port(8080), **on)


def test_ports_in_host_mode(cluster):
    host = {"HostConfig": {"NetworkMode": "host"}, "ExposedPorts": {"9000/tcp": {}}}
    nodes = {cluster.node_of(cluster.create(**host)) for _ in range(5)}
    assert len(nodes) == 5
    assert "[port 9000/tcp (Host mode)]" in cluster.create(expect=503, **host)


# ---- names ----


def test_names_are_unique_in_the_cluster(cluster, five):
    cluster.create("taken", **env("constraint:node==node-1"))
    message = cluster.create("taken", expect=409, **env("constraint:node==node-2"))
    assert message.startswith("Conflict") and "The name taken is already assigned." in message
    cluster.create("other", **env("constraint:node==node-2"))
    reply = cluster.request("POST", "/containers/other/rename?name=taken")
    assert reply.status == 409, reply
    assert "The name taken is already assigned." in reply.message()
    assert names_of(five)["node-2"] == ["other"]
    assert cluster.request("POST", "/containers/taken/rename?name=free").status == 204
    cluster.create("taken")


def test_renames_in_a_race(cluster, five):
    for i in range(10):
        cluster.create(f"from-{i}")
    statuses = in_parallel(
        lambda i: cluster.request("POST", f"/containers/from-{i}/rename?name=target").status,
        range(10),
    )
    assert sorted(statuses) == [204] + [409] * 9
    assert [n for names in names_of(five).values() for n in names].count("target") == 1


def test_a_failed_create_leaves_no_reservation(cluster):
    config = port(7000)
    for _ in range(3):
        reply = cluster.request(
            "POST", "/containers/create?name=again", {**config, "Image": "nothing-like-it"}
        )
        assert reply.status == 404, reply
    for _ in range(5):
        cluster.create(**config, **{"Cmd": ["true"]})
    cluster.create("again")


def test_removed_means_free(cluster):
    """Name and port are free as soon as the removal was answered."""
    with cluster.connect() as c:
        for _ in range(20):
            body = {"Image": IMAGE, **port(7001), **env("constraint:node==node-2")}
            reply = c.request("POST", "/containers/create?name=turn", body)
            assert reply.status == 201, reply
            assert c.request("DELETE", "/containers/turn").status == 204


def test_swarm_id_is_not_the_users_choice(cluster):
    message = cluster.create("mine", expect=409, Labels={"com.docker.swarm.id": "a" * 64})
    assert "com.docker.swarm.id" in message


def test_reschedule_policies_are_checked(cluster):
    assert "invalid reschedule policy: x" in cluster.create(expect=400, **env("reschedule:x"))
