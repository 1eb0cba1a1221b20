"""What bench/run measures of one fleet. Each function fills some rows of the sheet."""

import json
import os
import re
import resource
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

from common import median, say
from fleet import IMAGE, Certificate, Fleet, Sample, connect, start_haproxy, unverified

MB = 1e6


class Sheet:
    """Rows by what they tell, columns by size. A cell is a text, and a number to reckon with."""

    def __init__(self, sizes):
        self.sizes = sizes
        self.cells, self.expected = {}, {}
        self.short = []

    def set(self, what, size, text, number=None, expected="", most=None, why=""):
        """expected is for readers; more than `most` of the number is short of it, and `why` says
        what was seen of the reason."""
        self.cells.setdefault(what, {})[size] = (text, number)
        if expected:
            self.expected[what] = expected
        is_short = most is not None and number is not None and number > most
        if is_short:
            self.short.append(f"{what}, {size:,} engines: {text}, expected {expected}"
                              + (f". {why}" if why else ""))
        say(f"{size} engines: {what}: {text}" + (f" (expected: {expected})" if expected else "")
            + (": NOT MET" if is_short else ""))

    def verdict(self):
        """What is not as expected, a line each."""
        lines = self.short or ["nothing"]
        return "Not met:\n\n" + "".join(f"- {line}\n" for line in lines)

    def growth(self, what):
        """The cost at the largest size by that at 100."""
        numbers = {s: n for s, (_, n) in self.cells[what].items() if n}
        last = self.sizes[-1]
        if last <= 100 or 100 not in numbers or last not in numbers:
            return ""
        return f"x {numbers[last] / numbers[100]:.1f}"

    def rows(self):
        for what, cells in self.cells.items():
            yield (what, *(cells.get(s, ("", None))[0] for s in self.sizes), self.growth(what),
                   self.expected.get(what, ""))

    def head(self):
        return ("what", *(f"{s:,} engines" for s in self.sizes), "growth", "expected")


class Measure:
    """One fleet and its manager, and where the numbers go."""

    def __init__(self, bench, fleet, prefix=""):
        self.bench, self.options, self.fleet = bench, bench.options, fleet
        self.prefix = prefix
        self.idle_share = 0  # of a core

    def set(self, what, text, number=None, expected="", **more):
        self.bench.sheet.set(self.prefix + what, self.fleet.count, text, number, expected, **more)

    def load(self, *argv, port=None, host="127.0.0.1"):
        """(what the program told, seconds of CPU that the manager took)"""
        kind, clients, count, target = argv
        tls = ["--tls"] if self.fleet.tls else []
        before = self.fleet.manager.cpu()
        done = subprocess.run(
            [self.bench.load_program, *tls, kind, f"{host}:{port or self.fleet.port}", str(clients),
             str(count), target], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise OSError(f"load {kind} {target} failed: {done.stderr.strip()[-200:]}")
        told = {k: float(v) for k, v in (pair.split("=") for pair in done.stdout.split())}
        return told, self.fleet.manager.cpu() - before

    def attempt(self, fn, *args):
        """A measurement that fails is told in the table, and does not end the others."""
        try:
            fn(*args)
        except (OSError, ValueError, KeyError, IndexError, ConnectionError) as failure:
            why = re.sub(r"[0-9a-f]{64}", "ID", " ".join(str(failure).split()))
            self.set(f"FAILED: {fn.__name__}", why[:70], 1, "to work", most=0)

    # ---- Start, memory, rest ----

    def start(self):
        """False: the inventory did not become complete."""
        fleet = self.fleet
        small, large = fleet.count == 1000, fleet.count == 10000
        times, sizes, ours, theirs = [], [], [], []
        for _ in range(1 if fleet.count > 1000 else self.options.starts):
            fleet.stop_manager()
            before = fleet.simulator.cpu()
            fleet.start_manager()
            seconds = fleet.wait_ready(fleet.count * fleet.containers)
            if seconds is None:
                self.set("start to complete inventory",
                         f"not after {self.options.ready_limit} s: {fleet.state()}")
                return False
            times.append(seconds)
            sizes.append(fleet.manager.memory("VmRSS"))
            ours.append(fleet.manager.cpu())
            theirs.append(fleet.simulator.cpu() - before)
        busy = [self.per_core(cpu, times) for cpu in (ours, theirs)]
        cores = os.cpu_count()
        self.set("start to complete inventory", f"{median(times):.2f} s", median(times),
                 "2 s at 1,000, 60 s at 10,000" if small or large else "",
                 most={1000: 2, 10000: 60}.get(fleet.count),
                 why=f"The manager's one thread was at work for {busy[0]:.0%} of it, the process of "
                     f"the engines for {busy[1]:.0%}: {sum(busy) / cores:.0%} of {cores} cores")
        self.set("manager's CPU until then", f"{median(ours):.2f} s", median(ours))
        self.set("simulated engines' CPU until then", f"{median(theirs):.2f} s", median(theirs))
        rss, containers = median(sizes), fleet.count * fleet.containers
        self.set("memory then (VmRSS)", f"{rss / MB:.0f} MB", rss,
                 "100 MB at 1,000, 1,200 MB at 10,000" if small or large else "",
                 most={1000: 100 * MB, 10000: 1200 * MB}.get(fleet.count))
        own = max(0, rss - self.bench.empty)
        self.set("memory per container", f"{own / containers / 1024:.2f} KiB", own / containers)
        self.set("memory per node", f"{own / fleet.count / 1024:.1f} KiB", own / fleet.count)
        return True

    @staticmethod
    def per_core(cpu, times):
        return median(c / t for c, t in zip(cpu, times))

    def idle(self):
        time.sleep(3)
        before, start = self.fleet.manager.cpu(), time.monotonic()
        time.sleep(self.options.idle)
        share = (self.fleet.manager.cpu() - before) / (time.monotonic() - start)
        self.idle_share = share
        self.set("idle, CPU", f"{share:.1%} of a core", share, "2 % at 1,000, 15 % at 10,000",
                 most={1000: 0.02, 10000: 0.15}.get(self.fleet.count))

    def idle_nodes(self):
        """Of nodes that have nothing, once connections that were needed at the start are closed."""
        self.fleet.start_manager()
        if self.fleet.wait_ready(0) is None:
            raise OSError(f"not ready: {self.fleet.state()}")
        time.sleep(10)
        each = (self.fleet.manager.memory("VmRSS") - self.bench.empty) / self.fleet.count
        self.set("memory of a node without containers", f"{each / 1024:.1f} KiB", each, "64 KiB",
                 most=64 * 1024)

    def peak(self):
        peak = self.fleet.manager.memory("VmHWM")
        self.set("memory, peak (VmHWM)", f"{peak / MB:.0f} MB", peak)
        rss = self.fleet.simulator.memory("VmHWM")
        self.set("simulated engines: peak, start", f"{rss / MB:.0f} MB, {self.fleet.seconds:.1f} s")

    # ---- Lists ----

    def whole_list(self):
        """As a client sees it: the first byte, and the last."""
        target = "/v1.41/containers/json?all=1"
        rows = self.fleet.count * self.fleet.containers
        count = max(2, min(20, 200_000 // rows))
        firsts = [self.first_byte(target) * 1000 for _ in range(count)]
        self.set("ps, all rows: first byte", f"{median(firsts):.1f} ms", median(firsts),
                 "5 ms at 30,000 rows", most=5)
        told, _ = self.load("get", 1, count, target)
        self.set("ps, all rows: whole",
                 f"{told['p50_us'] / 1000:.0f} ms, {told['bytes'] / MB:.1f} MB", told["p50_us"],
                 "60 ms at 30,000 rows", most=60_000 if rows <= 30_000 else None,
                 why=f"The slowest took {told['max_us'] / 1000:.0f} ms; the client reads and drops "
                     f"it on the same {os.cpu_count()} cores")

    def first_byte(self, target):
        """Seconds until it comes; the rest is not waited for."""
        with socket.create_connection(("127.0.0.1", self.fleet.port), 120) as s:
            if self.fleet.tls:
                s = unverified().wrap_socket(s)
            start = time.monotonic()
            s.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            data = s.recv(1 << 20)
            first = time.monotonic() - start
            if not data.startswith(b"HTTP/1.1 200"):
                raise OSError(f"{target}: {data[:200]!r}")
            return first

    def filtered_lists(self):
        """One container among all, found in each way; it has stopped, as no other has."""
        labels = {"bench": "one"}
        one = self.fleet.post("/v1.41/containers/create?name=bench-one",
                              {"Image": IMAGE, "Cmd": ["top"], "Labels": labels})["Id"]
        self.fleet.post(f"/v1.41/containers/{one}/start")
        self.fleet.post(f"/v1.41/containers/{one}/stop")
        filters = [("name", "bench-one"), ("id", one), ("label", "bench=one"), ("node", "sim-7"),
                   ("status", "exited")]
        self.list_time("ps -n 100", "/v1.41/containers/json?limit=100")
        for key, value in filters:
            query = urllib.parse.quote(json.dumps({key: [value]}))
            self.list_time(f"ps --filter {key}", f"/v1.41/containers/json?all=1&filters={query}")

    def list_time(self, what, target):
        told, _ = self.load("get", 1, self.affordable(target, 100), target)
        self.set(f"{what}, p50", f"{told['p50_us'] / 1000:.2f} ms, {told['bytes'] / 1000:.1f} kB",
                 told["p50_us"])

    def affordable(self, target, most, seconds=2):
        """So many requests, or as many as fit into the time."""
        told, _ = self.load("get", 1, 3, target)
        return min(most, max(5, int(seconds * 1e6 / told["p50_us"])))

    def info(self):
        told, _ = self.load("get", 1, self.affordable("/v1.41/info", 500, 3), "/v1.41/info")
        self.set("info, p50", f"{told['p50_us'] / 1000:.2f} ms, {told['bytes'] / 1000:.1f} kB",
                 told["p50_us"])
        self.set("info, p99", f"{told['p99_us'] / 1000:.2f} ms", told["p99_us"])

    # ---- One container through the manager, and through HAProxy ----

    def proxied(self):
        fleet, scheme = self.fleet, "https" if self.fleet.tls else "http"
        haproxy, port = start_haproxy(self.bench, fleet.engines[0], fleet.tls)
        target = fleet.inspect_target()
        try:
            for clients in (1, 16):
                theirs, ours = [], []
                for _ in range(self.options.rounds):
                    for process, at, out in ((haproxy, port, theirs),
                                             (fleet.manager, fleet.port, ours)):
                        out.append(Sample(f"{scheme}://127.0.0.1:{at}{target}", clients,
                                          [process, fleet.simulator], self.options.seconds))
                self.tell_proxied(clients, ours, theirs)
        finally:
            haproxy.stop()

    def tell_proxied(self, clients, ours, theirs):
        what = f"inspect, {clients} client{'s' if clients > 1 else ''}"
        rate = median(s.rate for s in ours)
        self.set(f"{what}, rate", f"{rate:.0f}/s, HAProxy {median(s.rate for s in theirs):.0f}/s")
        cpu = median(s.cpu_us[0] for s in ours)
        self.set(f"{what}, CPU per request",
                 f"{cpu:.0f} us, HAProxy {median(s.cpu_us[0] for s in theirs):.0f} us", cpu)
        ratio = median(o.cpu_us[0] / t.cpu_us[0] for o, t in zip(ours, theirs))
        busy = median((o.cpu_us[0] - self.idle_share * 1e6 / o.rate) / t.cpu_us[0]
                      for o, t in zip(ours, theirs))
        self.set(f"{what}, ratio to HAProxy", f"{ratio:.2f}", ratio, "at most 1.5",
                 most=1.5 if clients > 1 else None,
                 why=f"Without what {self.fleet.count:,} nodes cost when nothing is asked, of which "
                     f"HAProxy has one: {busy:.2f}")
        if clients == 1:
            return
        shares = {"manager": median(s.share[0] for s in ours),
                  "engines": median(s.share[1] for s in ours),
                  "wrk": median(s.wrk_share for s in ours)}
        first = max(shares, key=shares.get)
        limit = (first if shares[first] > 0.85 else
                 "all cores" if sum(shares.values()) > 0.85 * os.cpu_count() else "nobody")
        self.set(f"{what}, the limit", f"{limit}: "
                 + ", ".join(f"{k} {v:.0%}" for k, v in shares.items()))

    def latency(self):
        """What the way through the manager adds to a request of one client."""
        target, count = self.fleet.inspect_target(), 2000
        host, port = self.fleet.engines[0].rsplit(":", 1)
        more = {"p50_us": [], "p99_us": []}
        for _ in range(self.options.rounds):
            direct, _ = self.load("get", 1, count, target, host=host, port=port)
            through, _ = self.load("get", 1, count, target)
            for key in more:
                more[key].append(max(0, through[key] - direct[key]) / 1000)
        for key, most in (("p50_us", 0.3), ("p99_us", 1)):
            self.set(f"inspect, added latency, {key[:3]}", f"{median(more[key]):.2f} ms",
                     median(more[key]), f"{most} ms", most=most,
                     why=f"From {min(more[key]):.2f} to {max(more[key]):.2f} ms in "
                         f"{len(more[key])} rounds; client, manager and engine share "
                         f"{os.cpu_count()} cores")

    # ---- Placing ----

    def placement(self):
        """Decisions with a constraint, an affinity, a port and a memory reservation, over as many
        nodes and containers in memory: the slowest of the strategies."""
        program = os.path.join(os.path.dirname(self.bench.load_program), "place")
        done = subprocess.run(
            [program, str(self.fleet.count), str(self.fleet.containers), "2000"],
            stdout=subprocess.PIPE, text=True)
        rows = [dict(re.findall(r"(\w+)=([\d.]+)", line)) for line in done.stdout.splitlines()
                if line.startswith("four conditions")]
        if done.returncode != 0 or not rows:
            raise OSError(f"place failed: {done.returncode}")
        late = max(float(row["p99_us"]) for row in rows)
        rate = min(float(row["decisions_per_s"]) for row in rows)
        self.set("placement: p99 of a decision", f"{late:.0f} us", late,
                 "100 us at 1,000, 1,000 us at 10,000",
                 most={1000: 100, 10000: 1000}.get(self.fleet.count))
        self.set("placement: decisions on one core", f"{rate:,.0f}/s", 1e6 / rate,
                 "10,000/s at 10,000", most={10000: 100}.get(self.fleet.count))

    # ---- Creating ----

    def create(self):
        count = self.options.creates
        one, _ = self.load("create", 1, 10, IMAGE)
        count = min(count, max(10, int(5e6 / one["p50_us"])))
        one, _ = self.load("create", 1, count, IMAGE)
        self.set("create+start, 1 client, p50", f"{one['p50_us'] / 1000:.2f} ms", one["p50_us"])
        with Pings(self.fleet) as pings:
            many, cpu = self.load("create", 32, 5 * count, IMAGE)
        self.set("create+start, 32 clients", f"{many['count'] / many['seconds']:.0f}/s")
        each = cpu * 1e6 / many["count"]
        self.set("create+start, manager's CPU", f"{each:.0f} us each", each)
        self.set("_ping meanwhile, p99", pings.text(), pings.p99(), "10 ms", most=10)

    # ---- Many clients ----

    def burst(self):
        """A thousand TLS clients that come at once, and what others notice of it."""
        with Pings(self.fleet) as pings:
            told, cpu = self.load("get", 1000, 1000, "/_ping")
        self.set("1,000 new clients at once", f"{told['seconds']:.2f} s, manager's CPU {cpu:.2f} s",
                 told["seconds"])
        self.set("_ping of another meanwhile, p99", pings.text(), pings.p99(), "10 ms", most=10)

    def streams(self, kind, count):
        """Idle streams, and what each costs the manager."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        count = min(count, (limit - 1500) // 2)  # two descriptors each
        container = self.fleet.engine_container()
        head = {"logs -f": f"GET /v1.41/containers/{container}/logs?follow=1&stdout=1 HTTP/1.1\r\n"
                           "Host: x\r\n\r\n",
                "attach": f"POST /v1.41/containers/{container}/attach?stream=1&stdout=1 HTTP/1.1\r\n"
                          "Host: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"}[kind]
        # Memory that others have used and left would hide what these need.
        self.fleet.stop_manager()
        self.fleet.start_manager()
        if self.fleet.wait_ready() is None:
            raise OSError("the nodes are not healthy again")
        time.sleep(1)
        before, cpu = self.fleet.manager.memory("VmRSS"), self.fleet.manager.cpu()
        start, clients = time.monotonic(), []
        context = unverified()
        try:
            for first in range(0, count, 100):
                some = []
                for _ in range(min(100, count - first)):
                    s = socket.create_connection(("127.0.0.1", self.fleet.port), 60)
                    clients.append(s)
                    if self.fleet.tls:
                        clients[-1] = s = context.wrap_socket(s)
                    s.sendall(head.encode())
                    some.append(s)
                for s in some:
                    if not s.recv(4096).startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")):
                        raise OSError(f"{kind}: no stream")
            seconds = time.monotonic() - start
            each = (self.fleet.manager.memory("VmRSS") - before) / count
            self.set(f"{count:,} idle {kind}, memory each", f"{each / 1024:.1f} KiB", each,
                     "" if self.fleet.tls else "64 KiB",
                     most=None if self.fleet.tls else 64 * 1024)
            self.set(f"{count:,} idle {kind}, opened in",
                     f"{seconds:.1f} s, manager's CPU {self.fleet.manager.cpu() - cpu:.1f} s")
        finally:
            for s in clients:
                s.close()


class Pings:
    """Another client, who asks for _ping every few milliseconds over one connection."""

    def __init__(self, fleet, every=0.005):
        self.fleet, self.every = fleet, every
        self.times, self.failed = [], ""
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            c = connect("127.0.0.1", self.fleet.port, self.fleet.tls, 30)
            while not self.ended.wait(self.every):
                start = time.monotonic()
                c.request("GET", "/_ping")
                c.getresponse().read()
                self.times.append((time.monotonic() - start) * 1000)
            c.close()
        except (OSError, ssl.SSLError) as failure:
            self.failed = str(failure)

    def __enter__(self):
        self.thread.start()
        time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(60)

    def p99(self):
        times = sorted(self.times)
        return times[(len(times) - 1) * 99 // 100] if times else None

    def text(self):
        if self.failed or not self.times:
            return f"failed: {self.failed}"
        return f"{self.p99():.1f} ms (most {max(self.times):.1f})"


def measure_size(bench, engines):
    options = bench.options
    containers = options.containers or (100 if engines >= 10000 else 30)
    fleet = Fleet(bench, engines, containers)
    m = Measure(bench, fleet)
    m.set("containers", f"{engines * containers:,}")
    try:
        if not m.start():
            return
        for step in (m.idle, m.whole_list, m.info, m.proxied, m.latency, m.filtered_lists, m.create):
            m.attempt(step)
        m.peak()
        if engines == 100:
            m.attempt(m.streams, "logs -f", options.streams)
            m.attempt(m.streams, "attach", options.streams)
    finally:
        fleet.stop()
    m.attempt(m.placement)
    if engines == 100:
        measure_tls(bench, engines, containers)
    if engines == 1000:
        for tls in (None, Certificate(bench.folder)):
            measure_idle_nodes(bench, engines, tls)


def measure_idle_nodes(bench, engines, tls):
    fleet = Fleet(bench, engines, 0, tls=tls)
    m = Measure(bench, fleet, "TLS: " if tls else "")
    try:
        m.attempt(m.idle_nodes)
    finally:
        fleet.stop()


def measure_tls(bench, engines, containers):
    """The same over TLS on both sides."""
    fleet = Fleet(bench, engines, containers, tls=Certificate(bench.folder))
    m = Measure(bench, fleet, "TLS: ")
    try:
        if not m.start():
            return
        for step in (m.proxied, m.latency, m.create, m.burst):
            m.attempt(step)
        m.attempt(m.streams, "logs -f", options_tls_streams(bench))
    finally:
        fleet.stop()


def options_tls_streams(bench):
    """Handshakes in the one process of the clients take their time."""
    return min(bench.options.streams, 2000)
