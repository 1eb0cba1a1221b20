"""An engine in Python that answers like one, and misbehaves exactly as told.

It speaks enough of the API for a manager to accept it as a healthy node, keeps the raw bytes of
every request, and hands requests to the behaviours that a test has set before its own answers.
"""

import json
import re
import secrets
import select
import socket
import ssl
import threading
import urllib.parse

OS = {"OSType": "linux", "Architecture": "x86_64"}


class Request:
    def __init__(self, raw, method, target, headers, body):
        self.raw, self.method, self.target = raw, method, target
        self.headers, self.body = headers, body
        # "/v1.41/containers/json?all=1" -> "/containers/json"
        self.path = re.sub(r"^/v[0-9.]+", "", target.split("?", 1)[0])

    def header(self, name):
        values = [v for k, v in self.headers if k.lower() == name.lower()]
        return ", ".join(values) if values else None


def answer(status, body=b"", content_type="application/json", reason="OK"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _server_context(identity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    context.load_verify_locations(identity.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class FakeEngine:
    def __init__(self, name="fake", engine_id=None, api="1.41", min_api="1.12", labels=(), tls=None):
        """tls: an Identity to serve with, to clients of the same authority alone."""
        self.name, self.api, self.min_api = name, api, min_api
        self._context = tls and _server_context(tls)
        self.engine_id = engine_id or f"FAKE:{name}"
        self.labels = list(labels)
        self.containers = []  # list entries, as /containers/json gives them
        self.images = [
            {
                **{"Id": "sha256:" + "0" * 64, "RepoTags": ["busybox:latest"], "RepoDigests": []},
                **{"Created": 1700000000, "Size": 1000, "VirtualSize": 1000, "Labels": None},
                **{"ParentId": "", "SharedSize": -1, "Containers": -1},
            }
        ]
        self.requests = []
        self._behaviours = []  # (method, path pattern, function(conn, request))
        self._early = []
        self._connections = set()
        self._events = set()
        self._lock = threading.Lock()
        self._events_lock = threading.Lock()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(256)
        self.addr = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    # ---- what a test does with it ----

    def on(self, method, pattern, behaviour):
        """behaviour(connection socket, Request) answers such requests from now on: it sends what
        it likes; the connection is closed when it returns False, kept when True."""
        with self._lock:
            self._behaviours.insert(0, (method, re.compile(pattern), behaviour))

    def on_head(self, method, pattern, behaviour):
        """The same before the request's body is read: Request.body holds what has come of it. The
        connection is closed afterwards."""
        with self._lock:
            self._early.insert(0, (method, re.compile(pattern), behaviour))

    def on_all(self, behaviour):
        self.on(None, "", behaviour)

    def behave(self):
        with self._lock:
            self._behaviours.clear()
            self._early.clear()

    def seen(self, method, pattern):
        with self._lock:
            return [
                r for r in self.requests if r.method == method and re.search(pattern, r.target)
            ]

    def drop_connections(self):
        with self._lock:
            connections = list(self._connections)
        for c in connections:
            try:
                # Of the socket below, with TLS: a cut says no farewell.
                socket.socket.shutdown(c, socket.SHUT_RDWR)
            except OSError:
                pass

    def emit(self, event):
        """To all that listen to /events now; an object, or bytes as they are."""
        data = event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n"
        chunk = b"%x\r\n%s\r\n" % (len(data), data)
        with self._lock:
            listeners = list(self._events)
        for c in listeners:
            try:
                with self._events_lock:
                    c.sendall(chunk)
            except OSError:
                pass
        return len(listeners)

    def open_connections(self):
        with self._lock:
            return len(self._connections)

    def close(self):
        self._closed = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.drop_connections()

    # ---- serving ----

    def _accept(self):
        while not self._closed:
            try:
                c, _ = self._listener.accept()
            except OSError:
                return
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._begin, args=(c,), daemon=True).start()

    def _begin(self, c):
        if self._context:
            try:
                c = self._context.wrap_socket(c, server_side=True)
            except OSError:
                c.close()
                return
        with self._lock:
            self._connections.add(c)
        self._serve(c)

    def _serve(self, c):
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = c.recv(65536)
                    if not data:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = [
                    (k, v.strip()) for k, _, v in (line.partition(":") for line in lines[1:])
                ]
                names = {k.lower(): v for k, v in headers}
                early = Request(head, method, target, headers, buffer)
                with self._lock:
                    behaviours = list(self._early)
                for wanted, pattern, behaviour in behaviours:
                    if wanted in (None, method) and pattern.search(early.path):
                        with self._lock:
                            self.requests.append(early)
                        behaviour(c, early)
                        return
                body = b""
                if "chunked" in names.get("transfer-encoding", ""):
                    while True:
                        while b"\r\n" not in buffer:
                            buffer += self._recv(c)
                        size, _, buffer = buffer.partition(b"\r\n")
                        size = int(size, 16)
                        while len(buffer) < size + 2:
                            buffer += self._recv(c)
                        body += buffer[:size]
                        buffer = buffer[size + 2 :]
                        if size == 0:
                            break
                else:
                    size = int(names.get("content-length", 0))
                    while len(buffer) < size:
                        buffer += self._recv(c)
                    body, buffer = buffer[:size], buffer[size:]
                request = Request(head, method, target, headers, body)
                with self._lock:
                    self.requests.append(request)
                    behaviours = list(self._behaviours)
                for wanted, pattern, behaviour in behaviours:
                    if wanted in (None, method) and pattern.search(request.path):
                        if not behaviour(c, request):
                            return
                        break
                else:
                    if not self._answer(c, request):
                        return
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._connections.discard(c)
                self._events.discard(c)
            c.close()

    @staticmethod
    def _recv(c):
        data = c.recv(65536)
        if not data:
            raise OSError("ended")
        return data

    def _answer(self, c, request):
        path, body = request.path, b""
        if path == "/_ping":
            head = (
                f"HTTP/1.1 200 OK\r\nApi-Version: {self.api}\r\nOstype: linux\r\n"
                "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n"
            )
            c.sendall(head.encode() + (b"" if request.method == "HEAD" else b"OK"))
            return True
        if path == "/events":
            c.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            with self._lock:
                self._events.add(c)
            ended = select.poll()
            ended.register(c, select.POLLIN)
            while True:
                # Others write to it meanwhile, and one TLS connection is no place for two at a time.
                ended.poll()
                with self._events_lock:
                    if not c.recv(65536):
                        return False
        match = re.match(r"^/containers/([^/]+)/json$", path)
        if path == "/version":
            body = {
                **{"Version": "20.10.24", "ApiVersion": self.api, "MinAPIVersion": self.min_api},
                **{"Os": "linux", "Arch": "amd64", "KernelVersion": "6.1", "GitCommit": "fake"},
            }
        elif path == "/info":
            body = {
                **{"ID": self.engine_id, "Name": self.name, "NCPU": 2, "MemTotal": 2 << 30},
                **{"ServerVersion": "20.10.24", "Driver": "overlay2", "KernelVersion": "6.1"},
                **{"OperatingSystem": "Fake", "Labels": self.labels, "Containers": 0},
                **OS,
            }
        elif path == "/containers/json":
            body = self.containers
        elif match:
            return self._inspect(c, match.group(1))
        elif path == "/images/json":
            body = self.images
        elif path == "/networks":
            body = []
        elif path == "/containers/create" and request.method == "POST":
            return self._create(c, request)
        elif path == "/volumes":
            body = {"Volumes": [], "Warnings": None}
        else:
            c.sendall(answer(404, {"message": "page not found"}, reason="Not Found"))
            return True
        c.sendall(answer(200, body))
        return True

    def _create(self, c, request):
        query = dict(urllib.parse.parse_qsl(request.target.partition("?")[2]))
        container_id = secrets.token_hex(32)
        name = query.get("name") or container_id[:8]
        entry = container(container_id, name, state="created")
        entry["Labels"] = json.loads(request.body).get("Labels") or {}
        self.containers.append(entry)
        c.sendall(answer(201, {"Id": container_id, "Warnings": []}, reason="Created"))
        return True

    def _inspect(self, c, container_id):
        for entry in self.containers:
            if not isinstance(entry, dict) or entry.get("Id") != container_id:
                continue
            try:
                c.sendall(answer(200, inspect_of(entry)))
            except (KeyError, TypeError):  # as odd as its entry is
                c.sendall(answer(500, {"message": "broken"}, reason="Internal Server Error"))
            return True
        message = {"message": f"No such container: {container_id}"}
        c.sendall(answer(404, message, reason="Not Found"))
        return True


def container(container_id, name, state="running"):
    """An entry of /containers/json."""
    return {
        **{"Id": container_id, "Names": [f"/{name}"], "Image": "busybox", "ImageID": "sha256:" + "0" * 64},
        **{"Command": "sleep 1000", "Created": 1700000000, "Ports": [], "Labels": {}},
        **{"State": state, "Status": "Up 1 minute", "HostConfig": {"NetworkMode": "default"}},
        **{"NetworkSettings": {"Networks": {}}, "Mounts": []},
    }


def inspect_of(entry):
    return {
        **{"Id": entry["Id"], "Name": entry["Names"][0], "Image": entry["ImageID"]},
        **{"Created": "2023-11-14T22:13:20Z", "Path": "sleep", "Args": ["1000"], "Mounts": []},
        "State": {
            **{"Status": entry["State"], "Running": entry["State"] == "running", "Pid": 1},
            **{"Paused": False, "Restarting": False, "Dead": False, "ExitCode": 0},
            **{"StartedAt": "2023-11-14T22:13:21Z", "FinishedAt": "0001-01-01T00:00:00Z"},
        },
        "Config": {"Image": "busybox", "Labels": entry["Labels"], "Env": [], "Tty": False},
        "HostConfig": {"NetworkMode": "default", "PortBindings": {}},
        "NetworkSettings": {"Networks": {}, "Ports": {}},
    }
