"""A real etcd server on a host of its own, in which engines of 20.10 keep networks that span them."""

import subprocess

from . import http
from .waiting import wait_until


class Etcd:
    def __init__(self, machine, host=6):
        self.machine = machine
        self.link = f"k{host}"
        self.netns, self.ip = machine.add_namespace(self.link, host)
        self.addr = f"{self.ip}:2379"
        self.log_path = f"{machine.tmp}/etcd-{host}.log"
        self.process = None

    def start(self):
        own = f"http://{self.addr}"
        with open(self.log_path, "ab") as log:
            self.process = self.machine.popen(
                ["nsenter", f"--net={self.netns}", "etcd", "--enable-v2", "--unsafe-no-fsync"]
                + ["--data-dir", f"{self.machine.tmp}/{self.link}"]
                + ["--listen-client-urls", own, "--advertise-client-urls", own]
                + ["--listen-peer-urls", f"http://{self.ip}:2380"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

        def answers():
            if self.process.poll() is not None:
                with open(self.log_path, errors="replace") as f:
                    raise RuntimeError(f"etcd ended:\n{f.read()[-2000:]}")
            return http.request(("tcp", self.addr), "GET", "/health", timeout=2).status == 200

        wait_until(answers, "etcd to answer", 30)
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
