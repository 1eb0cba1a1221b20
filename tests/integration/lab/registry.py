"""Real image registries on the bridge, one for everybody and one with a password; engines of the
lab accept them without TLS."""

import base64
import json
import subprocess

from . import http
from .waiting import wait_until


# The one user of a private registry. The file that lets it in was made by `htpasswd -B`.
USER, PASSWORD = "lab", "not-to-be-logged"
HTPASSWD = "lab:$2b$05$5vBW1ObsiCEDZtIqAo6cSu.S5p.NwEL2PaWNW1bHkTgB1huBBQGYq\n"


class Registry:
    def __init__(self, machine, is_private=False):
        self.machine = machine
        self.is_private = is_private
        self.addr = f"{machine.bridge_ip}:{5001 if is_private else 5000}"
        self.process = None

    def auth(self, password=PASSWORD):
        """The header with which clients send their credentials along."""
        login = {"username": USER, "password": password, "serveraddress": self.addr}
        text = json.dumps(login if self.is_private else {})
        return {"X-Registry-Auth": base64.urlsafe_b64encode(text.encode()).decode()}

    def start(self):
        name = f"registry-{self.addr.rpartition(':')[2]}"
        base = f"{self.machine.tmp}/{name}"
        config, auth = f"{base}.yml", ""
        if self.is_private:
            with open(f"{base}.htpasswd", "w") as f:
                f.write(HTPASSWD)
            auth = f"auth: {{htpasswd: {{realm: lab, path: '{base}.htpasswd'}}}}\n"
        with open(config, "w") as f:
            f.write(
                "version: 0.1\nlog: {level: error}\n"
                f"storage: {{filesystem: {{rootdirectory: {self.machine.data_dir}/{name}}}}}\n"
                f"http: {{addr: '{self.addr}'}}\n{auth}"
            )
        with open(f"{base}.log", "wb") as log:
            self.process = self.machine.popen(
                ["docker-registry", "serve", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(
            lambda: http.request(("tcp", self.addr), "GET", "/v2/").status in (200, 401),
            "the registry to answer",
        )
        return self

    def push(self, engine, image, name, tag="1"):
        """What that engine has as `image` goes into the registry; returns its reference there."""
        reference = f"{self.addr}/{name}"
        done = engine.request("POST", f"/images/{image}/tag?repo={reference}&tag={tag}")
        assert done.status == 201, done
        done = engine.request(
            "POST", f"/images/{reference}/push?tag={tag}", headers=self.auth(), timeout=60
        )
        assert done.status == 200 and b"errorDetail" not in done.body, done
        engine.request("DELETE", f"/images/{reference}:{tag}")
        return f"{reference}:{tag}"

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
