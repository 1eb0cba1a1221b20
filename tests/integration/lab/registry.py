"""A real image registry on the bridge; engines of the lab accept it without TLS."""

import subprocess

from . import http
from .waiting import wait_until


class Registry:
    def __init__(self, machine):
        self.machine = machine
        self.addr = f"{machine.bridge_ip}:5000"
        self.process = None

    def start(self):
        config = f"{self.machine.tmp}/registry.yml"
        with open(config, "w") as f:
            f.write(
                "version: 0.1\nlog: {level: error}\n"
                f"storage: {{filesystem: {{rootdirectory: {self.machine.data_dir}/registry}}}}\n"
                f"http: {{addr: '{self.addr}'}}\n"
            )
        with open(f"{self.machine.tmp}/registry.log", "wb") as log:
            self.process = self.machine.popen(
                ["docker-registry", "serve", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(
            lambda: http.request(("tcp", self.addr), "GET", "/v2/").status == 200,
            "the registry to answer",
        )
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
