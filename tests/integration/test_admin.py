"""The operators' listener: health, readiness and metrics of a manager that runs."""

import re

from lab import http
from lab.waiting import wait_until

FAST = ["--heartbeat", "1s", "--admin", "tcp://127.0.0.1:0"]
SAMPLE = re.compile(r'([a-z_]+)(?:\{([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"\})? (\S+)')


def admin(m):
    return ("tcp", re.search(r"admin listening address=tcp://(\S+)", m.log()).group(1))


def page(m, path):
    reply = http.request(admin(m), "GET", path)
    return reply.status, reply.body.decode()


def metrics(m):
    """{(name, label's value): number}; each sample belongs to the family that was named last."""
    status, text = page(m, "/metrics")
    assert status == 200 and text.endswith("\n")
    samples, family, families = {}, None, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in families
            families.add(family)
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2] == family
        else:
            match = SAMPLE.fullmatch(line)
            assert match and match.group(1).startswith(family), line
            key = (match.group(1), match.group(3))
            assert key not in samples, line
            samples[key] = float(match.group(4))
    assert len(families) >= 12
    return samples


def test_health_ready_metrics(manager, simulate, tmp_path):
    sim = simulate(2)
    path = tmp_path / "nodes"
    path.write_text("# none yet\n")
    m = manager(f"file://{path}", *FAST)
    assert page(m, "/health")[0] == 200
    wait_until(
        lambda: page(m, "/ready") == (503, "discovery lists no node\n"), "an empty list to be told"
    )
    path.write_text("\n".join(sim.addrs) + "\n")
    wait_until(lambda: page(m, "/ready") == (200, "ready\n"), "the manager to be ready")
    wait_until(lambda: metrics(m)["swarm_nodes", "healthy"] == 2, "both nodes")
    before = metrics(m)
    m.create("web", Image="busybox")
    assert m.request("GET", "/containers/nosuch/json").status == 404
    wait_until(
        lambda: metrics(m)["swarm_containers", "stopped"]
        == before["swarm_containers", "stopped"] + 1,
        "the container",
    )
    after = metrics(m)

    def grown(name, value=None):
        return after[name, value] - before[name, value]

    assert grown("swarm_placements_total", "placed") == 1
    assert grown("swarm_placement_seconds_count") == 1
    assert grown("swarm_http_requests_total", "4xx") >= 1
    assert grown("swarm_http_requests_total", "2xx") >= 1
    assert grown("swarm_engine_calls_total", "ok") >= 1
    assert grown("swarm_engine_events_total") >= 1
    assert after["swarm_discovery_updates_total", None] == 2
    assert after["process_open_fds", None] > 5
    assert page(m, "/nosuch")[0] == 404
    assert http.request(admin(m), "POST", "/metrics").status == 405
