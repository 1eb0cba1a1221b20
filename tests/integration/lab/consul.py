"""A real Consul server on a host of its own."""

import base64
import json
import subprocess

from . import http
from .waiting import wait_until


class Consul:
    def __init__(self, machine, host=5):
        self.machine = machine
        self.link = f"c{host}"
        self.netns, self.ip = machine.add_namespace(self.link, host)
        self.addr = f"{self.ip}:8500"
        self.url = f"consul://{self.addr}/swarm"
        self.log_path = f"{machine.tmp}/consul-{host}.log"
        self.process = None

    def start(self):
        """As in development mode: what it knew before is gone."""
        log = open(self.log_path, "ab")
        self.process = self.machine.popen(
            ["nsenter", f"--net={self.netns}", "consul", "agent", "-dev"]
            + ["-bind", self.ip, "-client", self.ip, "-log-level", "warn"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()

        def answers():
            if self.process.poll() is not None:
                with open(self.log_path, errors="replace") as f:
                    raise RuntimeError(f"consul ended:\n{f.read()[-2000:]}")
            reply = http.request(("tcp", self.addr), "GET", "/v1/status/leader", timeout=2)
            return reply.status == 200 and len(reply.body) > 4

        wait_until(answers, "Consul to have a leader", 30)
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def request(self, method, path, body=None):
        return http.request(("tcp", self.addr), method, path, body, timeout=10)

    def keys(self, prefix="swarm"):
        """{key: value} under the prefix."""
        reply = self.request("GET", f"/v1/kv/{prefix}?recurse")
        if reply.status == 404:
            return {}
        assert reply.status == 200, reply
        return {
            e["Key"]: base64.b64decode(e["Value"] or "").decode() for e in json.loads(reply.body)
        }

    def put(self, key, value):
        assert self.request("PUT", f"/v1/kv/{key}", value.encode()).status == 200

    def delete(self, key):
        assert self.request("DELETE", f"/v1/kv/{key}?recurse").status == 200
