"""A real Docker engine on a host of its own: network, host name, processes and /etc/docker."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile

from . import http
from .waiting import in_parallel, wait_until

IMAGE = "busybox:latest"
BUSYBOX = "/bin/busybox"
# Where scripts/install-newer-docker puts the engines that Debian 12 does not have.
NEWER = "/usr/local/lib/swarm-test/engine-{}/usr"

# Runs as process 1 of the host; $1 host name, $2 the log, $3 an empty folder; then dockerd's arguments.
# A containerd of the machine must not be found, and files of plugins not be shared.
#
# In a chroot the root is no mount, and not the root of the mount namespace, which is where an exec into
# a container begins. So a mount of it is made in the folder, and becomes both; busybox is static, and
# so it runs while the root is the one outside.
_INIT = r"""
set -e
if ! mount --make-rprivate / 2>/dev/null; then
	mount --rbind / "$3"
	exec nsenter --mount=/proc/self/ns/mnt --wd="$3" ./bin/busybox sh -c '
		./bin/busybox mount --make-rprivate /
		./bin/busybox pivot_root . ./mnt
		./bin/busybox umount -l ./mnt
		exec ./bin/busybox chroot . /bin/sh -c "$LAB_INIT" init "$@"
	' init "$@"
fi
hostname "$1"
log=$2
shift 3
mkdir -p /run/containerd /run/docker
mount -t tmpfs none /run/containerd
mount -t tmpfs none /run/docker
exec >>"$log" 2>&1 </dev/null
dockerd "$@" &
wait
"""


# containerd 1.6 looks every 13 ms whether it has garbage to collect, which takes 1.7 % of a core for
# each engine that does nothing: so, once a second. The configuration is what dockerd wrote for it.
_CONTAINERD = """#!/bin/sh
printf '[plugins.scheduler]\n  pause_threshold = 0.0\n' >>"$2"
PATH=${PATH#*:}
exec containerd "$@"
"""


def image_archive(tag=IMAGE, extra=b""):
    """What `docker load` takes: busybox as busybox:latest, the same bytes each time. Other names and
    extra bytes, which become the file /data/extra, make images of their own."""
    layer = io.BytesIO()
    applets = subprocess.run(
        [BUSYBOX, "--list"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "root", "proc", "sys", "dev", "var", "data"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        with open(BUSYBOX, "rb") as f:
            entry = tarfile.TarInfo("bin/busybox")
            entry.size, entry.mode = os.fstat(f.fileno()).st_size, 0o755
            tar.addfile(entry, f)
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
        for name, text in (
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\n"),
            *([("data/extra", extra)] if extra else []),
        ):
            data = text if isinstance(text, bytes) else text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    layer = layer.getvalue()
    layer_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2020-01-01T00:00:00Z",
            "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [layer_id]},
            "history": [{"created": "2020-01-01T00:00:00Z"}],
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps(
        [{"Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"]}]
    ).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (
            ("layer.tar", layer),
            (config_name, config),
            ("manifest.json", manifest),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


class Engine:
    def __init__(
        self, machine, host, name, labels=(), certs=None, certs_dir=None, version=None, store=None
    ):
        """host: last part of its address. certs: a Certificates, for an engine behind TLS.
        version: 26 for that one instead of the machine's 20.10. store: the URL of a key-value
        store, in which engines of 20.10 keep networks that span them."""
        self.machine = machine
        self.name = name
        self.version = version
        self.labels = dict(labels)
        self.tls = certs
        self.link = f"e{host}"
        self.netns, self.ip = machine.add_namespace(self.link, host)
        self.addr = f"{self.ip}:{2376 if certs else 2375}"
        self.dir = f"{machine.run_dir}/e{host}"
        self.data = f"{machine.data_dir}/e{host}"
        self.log_path = f"{machine.tmp}/engine-{name}.log"
        self.socket = f"{self.dir}/docker.sock"
        self.process = None
        os.makedirs(f"{self.dir}/root")
        os.makedirs(f"{self.dir}/bin")
        with open(f"{self.dir}/bin/containerd", "w") as f:
            f.write(_CONTAINERD)
            os.fchmod(f.fileno(), 0o755)
        with open(f"{self.dir}/daemon.json", "w") as f:
            # The engine's ID is made from its key, which would be the machine's; a newer one keeps
            # it with its data.
            config = {} if version else {"deprecated-key-path": f"{self.dir}/key.json"}
            if store:
                config.update({"cluster-store": store, "cluster-advertise": self.addr})
            json.dump(config, f)
        self._certs_dir = certs_dir or (certs and certs.server(f"engine-{name}", ips=[self.ip]))

    # ---- life ----

    def start(self, driver="overlay2"):
        # Without --tls=false a plain TCP port makes it wait 15 seconds for somebody to read that.
        args = ["--tls=false"]
        if self.tls:
            d = self._certs_dir
            args = ["--tlsverify", f"--tlscacert={d.ca}"]
            args += [f"--tlscert={d.cert}", f"--tlskey={d.key}"]
        for key, value in self.labels.items():
            args += ["--label", f"{key}={value}"]
        self.process = self.machine.popen(
            ["nsenter", f"--net={self.netns}"]
            + ["unshare", "--uts", "--mount", "--propagation", "unchanged"]
            + ["--pid", "--fork", "--kill-child", "--mount-proc"]
            + ["sh", "-c", _INIT, "init", self.name, self.log_path, f"{self.dir}/root"]
            + ["--config-file", f"{self.dir}/daemon.json"]
            + ["--data-root", self.data, "--exec-root", f"{self.dir}/run"]
            + ["-p", f"{self.dir}/pid", "-H", f"unix://{self.socket}", "-H", f"tcp://{self.addr}"]
            + ["--storage-driver", driver, "--exec-opt", "native.cgroupdriver=cgroupfs"]
            + ["--cgroup-parent", f"/{self.machine.cgroup}", "--shutdown-timeout", "1"]
            + ["--insecure-registry", f"{self.machine.subnet}.0/24"]
            + args,
            env={**os.environ, "LAB_INIT": _INIT, "PATH": self._path()},
            stdin=subprocess.DEVNULL,
        )

    def _path(self):
        """An engine finds the containerd that is made for it first; a newer one its own, and the runc
        of the machine."""
        if not self.version:
            return f"{self.dir}/bin:{os.environ['PATH']}"
        top = NEWER.format(self.version)
        if not os.access(f"{top}/sbin/dockerd", os.X_OK):
            raise RuntimeError(f"{top}/sbin/dockerd is missing; scripts/setup --tests brings it")
        return f"{top}/sbin:{top}/bin:{os.environ['PATH']}"

    def wait_ready(self, timeout=60):
        def answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"engine {self.name} ended:\n{self.log_tail()}")
            return self.request("GET", "/_ping").status == 200

        wait_until(answers, f"engine {self.name} to answer", timeout)

    def boot(self, archive):
        """Starts it with the first storage driver that works here, and gives it the image."""
        for driver in ("overlay2", "vfs"):
            self.start(driver)
            try:
                self.wait_ready()
                break
            except RuntimeError:
                if driver == "vfs":
                    raise
        done = self.request("POST", "/images/load?quiet=1", archive, timeout=60)
        assert done.status == 200, done
        self.base_images = {i["Id"] for i in self.json("GET", "/images/json")}
        assert self.base_images, f"engine {self.name} did not load the image"

    def kill(self):
        """The host loses power: engine, containerd and all containers end at once."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
            # The one that was waited for is the parent; its child dies a moment later.
            wait_until(lambda: not self.listens(), f"{self.name} to die")

    def listens(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(1)
            try:
                s.connect(self.socket)
            except OSError:
                return False
            return True

    def restart_daemon(self):
        """The host comes back."""
        self.kill()
        # As a boot clears /run: what is in there names processes that other ones are by now.
        shutil.rmtree(f"{self.dir}/run", ignore_errors=True)
        for path in (f"{self.dir}/pid", self.socket):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self.start()
        self.wait_ready()

    def dockerd_pid(self):
        def children(pid):
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                return f.read().split()

        for init in children(self.process.pid):
            for child in children(init):
                with open(f"/proc/{child}/comm") as f:
                    if f.read().strip() == "dockerd":
                        return int(child)
        raise AssertionError(f"engine {self.name} has no dockerd")

    def pause(self):
        """The daemon stops answering; its containers go on."""
        os.kill(self.dockerd_pid(), signal.SIGSTOP)

    def resume(self):
        os.kill(self.dockerd_pid(), signal.SIGCONT)

    def cut(self):
        """The host is off the network: packets to it vanish."""
        self.machine.set_link(self.link, False)

    def heal(self):
        self.machine.set_link(self.link, True)

    def log_tail(self, lines=25):
        try:
            with open(self.log_path, errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return "(no log)"

    # ---- asking the engine itself, not through the manager ----

    def request(self, method, path, body=None, headers=(), timeout=30):
        return http.request(("unix", self.socket), method, path, body, headers, timeout)

    def json(self, method, path, body=None):
        reply = self.request(method, path, body)
        assert reply.status < 300, f"{self.name}: {method} {path}: {reply}"
        return json.loads(reply.body) if reply.body else None

    def load(self, tag, extra=b""):
        """An image of its own, of that name; returns its ID."""
        done = self.request("POST", "/images/load?quiet=1", image_archive(tag, extra), timeout=60)
        assert done.status == 200, done
        return self.json("GET", f"/images/{tag}/json")["Id"]

    def tags(self):
        return sorted(t for i in self.json("GET", "/images/json") for t in i["RepoTags"] or [])

    def containers(self, everything=True):
        return self.json("GET", f"/containers/json?all={int(everything)}")

    def names(self):
        return sorted(name.lstrip("/") for c in self.containers() for name in c["Names"])

    def reset(self):
        """As after boot: no containers, networks, volumes, images of tests, nothing kept of builds."""
        if not self.process or self.process.poll() is not None:
            self.restart_daemon()
        self.heal()
        self.resume()

        def remove(container):
            done = self.request("DELETE", f"/containers/{container['Id']}?force=1&v=1")
            assert done.status in (204, 404, 409), done

        in_parallel(remove, self.containers(), 8)
        wait_until(lambda: not self.containers(), f"no containers left on {self.name}")
        for network in self.json("GET", "/networks"):
            if network["Name"] not in ("bridge", "host", "none"):
                self.request("DELETE", f"/networks/{network['Id']}")
        for volume in self.json("GET", "/volumes")["Volumes"] or []:
            self.request("DELETE", f"/volumes/{volume['Name']}?force=1")
        if IMAGE not in self.tags():
            self.load(IMAGE)
        for image in self.json("GET", "/images/json"):
            for tag in image.get("RepoTags") or [image["Id"]]:
                if tag != IMAGE:
                    # Of an image without a name engines show this one.
                    name = image["Id"] if tag.startswith("<none>") else tag
                    self.request("DELETE", f"/images/{name}?force=1")
        self.request("POST", "/build/prune?all=1")
