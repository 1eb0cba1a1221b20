"""A fleet of simulated engines, a manager over it, and HAProxy beside it."""

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import time
import urllib.parse

from common import Process, die, free_port, haproxy_config, wait_listening

IMAGE = "busybox:latest"


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(host, port, tls, timeout=120):
    if tls:
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=unverified())
    return http.client.HTTPConnection(host, port, timeout=timeout)


class Certificate:
    """One certificate for everybody: nothing is verified, only paid for."""

    def __init__(self, folder):
        self.cert, self.key = f"{folder}/cert.pem", f"{folder}/key.pem"
        done = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "30", "-subj", "/CN=bench", "-keyout", self.key, "-out", self.cert],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            die(f"openssl: {done.stdout}")
        self.both = f"{folder}/both.pem"
        with open(self.both, "w") as both:
            for path in (self.key, self.cert):
                with open(path) as f:
                    both.write(f.read())
        self.options = ["--tls", "--tlscert", self.cert, "--tlskey", self.key]


class Fleet:
    """Engines, all on one port, each on an address of its own; and a manager when it is started."""

    def __init__(self, bench, engines, containers, tls=None, more=()):
        self.bench = bench
        self.count = engines
        self.containers = containers
        self.tls = tls
        self.manager = None
        self.port = None
        start = time.monotonic()
        self.simulator = bench.start(
            "simulate",
            [bench.swarm, "simulate", "-n", str(engines), "-H", f"tcp://127.1.0.1:{free_port()}",
             "--spread-addresses", "--containers", str(containers), "--seed", "1",
             "--events-kept", "16", "--label", "disk={ssd|hdd}", "--label", "zone=z{i%8}",
             "--log-level", "error", *(tls.options if tls else ()), *more],
            stdout=subprocess.PIPE, text=True)
        lines = [self.simulator.popen.stdout.readline().strip() for _ in range(engines)]
        self.simulator.check()
        self.seconds = time.monotonic() - start
        self.engines = [re.sub(r"^tcp://", "", line) for line in lines]
        self.list = f"{bench.folder}/engines"
        with open(self.list, "w") as f:
            f.write("".join(f"{engine}\n" for engine in self.engines))

    def start_manager(self, port=None, log_level="error"):
        self.port = port or free_port()
        self.manager = self.bench.start(
            "manage",
            [self.bench.swarm, "manage", "-H", f"tcp://127.0.0.1:{self.port}", "--log-level",
             log_level, *(self.tls.options if self.tls else ()), f"file://{self.list}"],
            stdout=subprocess.DEVNULL)

    def hear_of_nodes(self, until):
        """Listens until the manager has told of every node that it is complete."""
        filters = urllib.parse.quote(json.dumps({"event": ["engine_connect"]}))
        left = self.count
        while left > 0 and time.monotonic() < until:
            self.manager.check()
            c = connect("127.0.0.1", self.port, self.tls, max(0.1, until - time.monotonic()))
            try:
                c.request("GET", f"/events?since=1&filters={filters}")
                reply = c.getresponse()
                left = self.count
                while left > 0 and reply.readline():
                    left -= 1
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)  # it does not listen yet
            finally:
                c.close()

    def wait_ready(self, containers=None):
        """Seconds until all nodes are healthy, and have so many containers; None = too long. To ask
        for that again and again would be work for the manager, which has a line for each node."""
        start = time.monotonic()
        until = start + self.bench.options.ready_limit
        self.hear_of_nodes(until)
        seconds = time.monotonic() - start
        while not self.is_ready(containers):
            self.manager.check()
            time.sleep(0.2)
            seconds = time.monotonic() - start
            if time.monotonic() > until:
                return None
        return seconds

    def get(self, target, timeout=120):
        c = connect("127.0.0.1", self.port, self.tls, timeout)
        try:
            c.request("GET", target)
            reply = c.getresponse()
            body = reply.read()
            if reply.status != 200:
                raise OSError(f"GET {target}: {reply.status} {body[:200]!r}")
            return body
        finally:
            c.close()

    def post(self, target, body=None):
        c = connect("127.0.0.1", self.port, self.tls)
        try:
            c.request("POST", target, json.dumps(body) if body is not None else None,
                      {"Content-Type": "application/json"})
            reply = c.getresponse()
            text = reply.read()
            if reply.status not in (201, 204):
                raise OSError(f"POST {target}: {reply.status} {text[:200]!r}")
            return json.loads(text) if text else None
        finally:
            c.close()

    def state(self):
        """(healthy nodes, containers) as the manager has them, or None."""
        try:
            info = json.loads(self.get("/info"))
        except (OSError, http.client.HTTPException, ValueError):
            return None
        healthy = sum(1 for row in info.get("SystemStatus") or []
                      if row[0].strip().endswith("Status") and row[1] == "Healthy")
        return healthy, info["Containers"]

    def is_ready(self, containers):
        state = self.state()
        return (state is not None and state[0] == self.count
                and containers in (None, state[1]))

    def engine_container(self, n=0):
        """The ID of a container of that engine, asked there."""
        host, port = self.engines[n].rsplit(":", 1)
        c = connect(host, int(port), self.tls)
        try:
            c.request("GET", "/v1.41/containers/json?limit=1")
            return json.loads(c.getresponse().read())[0]["Id"]
        finally:
            c.close()

    def inspect_target(self):
        return f"/v1.41/containers/{self.engine_container()}/json"

    def stop_manager(self):
        if self.manager:
            self.manager.stop()
            self.manager = None

    def stop(self):
        self.stop_manager()
        self.simulator.stop()


def start_haproxy(bench, engine, tls=None):
    """A reverse proxy before one engine, and nothing more; (process, port)."""
    port = free_port()
    config = haproxy_config(bench.folder, port, engine, tls.both if tls else None)
    process = bench.start("haproxy", ["haproxy", "-db", "-f", config], stdout=subprocess.DEVNULL)
    wait_listening(port, process.check)
    return process, port


class Sample:
    """One run of wrk on one server: its rate, and CPU per request of who took part."""

    def __init__(self, url, clients, processes, seconds):
        before = [p.cpu() for p in processes]
        start = time.monotonic()
        wrk = subprocess.Popen(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", url],
                               stdout=subprocess.PIPE, text=True)
        out = wrk.stdout.read()
        _, status, usage = os.wait4(wrk.pid, 0)
        wrk.returncode = status
        elapsed = time.monotonic() - start
        after = [p.cpu() for p in processes]
        done = re.search(r"(\d+) requests in", out)
        if status != 0 or not done or int(done.group(1)) == 0:
            raise OSError(f"wrk {url}: {out}")
        if re.search(r"Non-2xx|Socket errors", out):
            raise OSError(f"not all requests were answered well: wrk {url}: {out}")
        self.requests = int(done.group(1))
        self.rate = self.requests / elapsed
        self.cpu_us = [(b - a) * 1e6 / self.requests for a, b in zip(before, after)]
        # Shares of one core.
        self.share = [(b - a) / elapsed for a, b in zip(before, after)]
        self.wrk_share = (usage.ru_utime + usage.ru_stime) / elapsed
