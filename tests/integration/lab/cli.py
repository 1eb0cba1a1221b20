"""The docker command line clients that are on this machine, plainly and under a terminal."""

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import time


# What scripts/install-newer-docker brings.
NEWER = "/usr/local/lib/swarm-test"
PLUGINS = f"{NEWER}/cli-plugins"
COMPOSE_V1 = "/usr/bin/docker-compose"


def binaries():
    """A newer docker client and that of Debian 12, each once: the first on the PATH, or, where that
    is Debian's, the one of the newer engine."""
    found = {}
    for path in (shutil.which("docker"), "/usr/bin/docker", f"{NEWER}/engine-26/usr/bin/docker"):
        if path and os.access(path, os.X_OK) and len(found) < 2:
            found.setdefault(os.path.realpath(path), path)
    if not found:
        raise RuntimeError("there is no docker client on this machine")
    return list(found.values())


def environment(host, identity=None, config="/nonexistent"):
    """Of a client: which daemon it is to speak to, and nothing else that this process was told."""
    # With the last two Compose v1 looks at other authorities than that of DOCKER_CERT_PATH.
    other = ("DOCKER_", "COMPOSE_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    env = {k: v for k, v in os.environ.items() if not k.startswith(other)}
    env.update(DOCKER_HOST=host, DOCKER_CONFIG=config)
    if identity:
        env.update(DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=identity.dir)
    return env


def plugins_config(folder):
    """Makes folder a configuration with which clients have the plugins buildx and Compose v2."""
    for plugin in ("docker-buildx", "docker-compose"):
        if not os.access(f"{PLUGINS}/{plugin}", os.X_OK):
            raise RuntimeError(f"{PLUGINS}/{plugin} is missing; scripts/setup --tests brings it")
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/config.json", "w") as f:
        json.dump({"cliPluginsExtraDirs": [PLUGINS]}, f)
    return folder


class Command:
    """A program that speaks to a daemon, and the environment that tells it to which."""

    def __init__(self, args, env, cwd=None):
        self.args = list(args)
        self.env = env
        self.cwd = cwd

    def run(self, *args, input=None, timeout=60, check=True):
        """stdout of the command; check=False: (status, stdout, stderr)."""
        if isinstance(input, str):
            input = input.encode()
        done = subprocess.run(
            [*self.args, *args],
            env=self.env,
            cwd=self.cwd,
            input=input if input is not None else b"",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
        )
        out, err = (b.decode(errors="replace") for b in (done.stdout, done.stderr))
        if not check:
            return done.returncode, out, err
        assert done.returncode == 0, f"{self._show(args)}: {done.returncode}\n{out}\n{err}"
        return out.strip()

    def fails(self, *args, **kw):
        """stderr of a command that must fail."""
        status, out, err = self.run(*args, check=False, **kw)
        assert status != 0, f"{self._show(args)} should fail; it said {out!r} {err!r}"
        return err

    def popen(self, *args, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            [*self.args, *args],
            env=self.env,
            cwd=self.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **kw,
        )

    def terminal(self, *args, rows=30, columns=90):
        return Terminal([*self.args, *args], self.env, rows, columns)

    def _show(self, args):
        return f"{os.path.basename(self.args[0])} {' '.join([*self.args[1:], *args])}"


class Docker(Command):
    def __init__(self, binary, host, identity=None, config="/nonexistent", plugins=False):
        """host: "tcp://..." or "unix://...". identity: of a client, for --tlsverify. plugins: with
        buildx (which newer clients build by, when it is there) and Compose."""
        if plugins:
            config = plugins_config(f"{config}-plugins")
        super().__init__([binary], environment(host, identity, config))


class Compose(Command):
    """Compose in the folder of a project: v1, a program of its own, or v2, the plugin of a client."""

    def __init__(self, version, project, host, identity=None, config="/nonexistent", binary=None):
        """binary: the docker client that v2 is a plugin of, and that v1 builds with."""
        binary = binary or binaries()[0]
        if version == 1:
            args = [COMPOSE_V1]
        else:
            args = [binary, "compose"]
        env = environment(host, identity, plugins_config(f"{config}-plugins"))
        env["PATH"] = f"{os.path.dirname(binary)}:{env['PATH']}"
        super().__init__(args, env, cwd=project)


class Terminal:
    """A command under a pseudo terminal of its own."""

    def __init__(self, args, env, rows, columns):
        self.args = args
        self.output = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(args[0], args, env)
            finally:
                os._exit(127)
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def expect_at_size(self, rows, columns, text, timeout=20):
        """Resizes until text comes: a client that is just starting may miss the signal."""
        deadline = time.monotonic() + timeout
        while True:
            self.resize(rows, columns)
            try:
                return self.expect(text, 0.5)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise

    def send(self, text):
        os.write(self.fd, text.encode())

    def _read(self, deadline):
        """False at the end."""
        ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"{self.args}: nothing more after {self.output[-500:]!r}")
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.output += data
        return bool(data)

    def expect(self, text, timeout=20):
        """Waits for text, and forgets everything up to it."""
        needle = text.encode()
        deadline = time.monotonic() + timeout
        while needle not in self.output:
            if not self._read(deadline):
                raise AssertionError(f"{self.args}: ended after {self.output[-500:]!r}")
        head, _, self.output = self.output.partition(needle)
        return head.decode(errors="replace")

    def wait(self, timeout=20):
        """(exit status, what was still to be read) once the command has ended."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                self.pid = 0
                return os.waitstatus_to_exitcode(status), self.output.decode(errors="replace")
            assert time.monotonic() < deadline, f"{self.args} did not end"
            time.sleep(0.01)

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.fd)
            self.pid = 0
