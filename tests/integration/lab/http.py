"""HTTP by hand over TCP, TLS and unix sockets: exact bytes out, everything in kept, half-close.

An address is ("tcp", "ip:port"), ("unix", path) or ("tls", "ip:port", Identity or ssl.SSLContext).
"""

import json
import socket
import ssl


def tls_context(identity):
    """What a client with this identity uses; ca, cert, key; cert may be None."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(identity.ca)
    if identity.cert:
        context.load_cert_chain(identity.cert, identity.key)
    return context


class Stream:
    """A byte stream whose two directions end separately."""

    def __init__(self, address, timeout=15):
        kind = address[0]
        self._tls = None
        if kind == "unix":
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(address[1])
            return
        host, _, port = address[1].rpartition(":")
        self.sock = socket.create_connection((host.strip("[]"), int(port)), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if kind == "tls":
            context = address[2]
            if not isinstance(context, ssl.SSLContext):
                context = tls_context(context)
            # Memory BIOs, because a wrapped socket cannot close only its sending half.
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._in, self._out, server_hostname=host.strip("[]"))
            self._unread = b""
            self._pump(self._tls.do_handshake)

    def _flush(self):
        pending = self._out.read()
        if pending:
            self.sock.sendall(pending)

    def _pump(self, operation, *args):
        while True:
            try:
                result = operation(*args)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        if self._tls:
            for i in range(0, len(data), 16384):
                self._pump(self._tls.write, data[i : i + 16384])
        else:
            self.sock.sendall(data)

    def recv(self, size=65536):
        """b"" at the end of the stream. TLS that ends without close_notify raises."""
        if not self._tls:
            return self.sock.recv(size)
        if self._unread:
            data, self._unread = self._unread[:size], self._unread[size:]
            return data
        try:
            return self._pump(self._tls.read, size)
        except ssl.SSLZeroReturnError:
            return b""

    def shutdown_write(self):
        if self._tls:
            # unwrap() sends our close_notify and looks for the peer's: OpenSSL takes data that has
            # come by then for an error, and the connection is lost. So it is read before.
            try:
                while data := self._tls.read(65536):
                    self._unread += data
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                pass
            try:
                self._tls.unwrap()
            except ssl.SSLWantReadError:
                pass  # ours is sent; the peer's comes when it likes
            self._flush()
        else:
            self.sock.shutdown(socket.SHUT_WR)

    def shutdown_tcp(self):
        """FIN only, on TLS too: what an impolite client does."""
        self.sock.shutdown(socket.SHUT_WR)

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def close(self):
        self.sock.close()

    def reset(self):
        """RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Reply:
    def __init__(self, status, reason, headers, body=b"", version="HTTP/1.1"):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body
        self.version = version

    def header(self, name, default=None):
        values = [v for k, v in self.headers if k.lower() == name.lower()]
        return ", ".join(values) if values else default

    def json(self):
        return json.loads(self.body)

    def message(self):
        """The text of an error reply; fails if it is not one."""
        assert self.header("Content-Type", "").startswith("application/json"), self
        message = self.json()["message"]
        assert isinstance(message, str) and message, self
        return message

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.headers} {self.body[:500]!r}>"


class Ended(OSError):
    """The connection ended before the reply did."""


class Connection:
    """One connection, any number of requests, one after the other or pipelined."""

    def __init__(self, address, timeout=15):
        self.stream = Stream(address, timeout)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()

    def send(self, data):
        self.stream.send(data)

    def send_request(self, method, target, body=None, headers=()):
        """body: bytes, an object to be sent as JSON, or None. headers: dict or list of pairs."""
        headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
        names = {k.lower() for k, _ in headers}
        if body is not None and not isinstance(body, (bytes, bytearray)):
            body = json.dumps(body).encode()
            if "content-type" not in names:
                headers.append(("Content-Type", "application/json"))
        if "host" not in names:
            headers.insert(0, ("Host", "docker"))
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(body))))
        elif body is None and method in ("POST", "PUT") and "content-length" not in names:
            headers.append(("Content-Length", "0"))
        head = f"{method} {target} HTTP/1.1\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in headers) + "\r\n"
        self.send(head.encode("latin-1") + (body or b""))

    # ---- reading ----

    def _more(self):
        data = self.stream.recv()
        if not data:
            raise Ended(f"ended after {bytes(self.buffer[:200])!r}")
        self.buffer += data

    def _take(self, size):
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def read_line(self):
        return self.read_until(b"\n").rstrip(b"\r\n").decode("latin-1")

    def read_exactly(self, size):
        while len(self.buffer) < size:
            self._more()
        return self._take(size)

    def read_until(self, needle):
        """Raw bytes up to and with needle."""
        while needle not in self.buffer:
            self._more()
        return self._take(self.buffer.index(needle) + len(needle))

    def read_to_end(self):
        while True:
            more = self.stream.recv()
            if not more:
                return self._take(len(self.buffer))
            self.buffer += more

    def read_head(self):
        status_line = self.read_line()
        version, status, reason = (status_line.split(" ", 2) + [""])[:3]
        headers = []
        while True:
            line = self.read_line()
            if not line:
                return Reply(int(status), reason, headers, version=version)
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))

    def read_chunk(self):
        """One chunk of a chunked body; b"" for the last one (and its trailers)."""
        size = int(self.read_line().split(";")[0], 16)
        if size == 0:
            while self.read_line():
                pass
            return b""
        data = self.read_exactly(size)
        assert self.read_exactly(2) == b"\r\n"
        return data

    def read_body(self, head, method="GET"):
        if method == "HEAD" or head.status in (101, 204, 304) or 100 <= head.status < 200:
            return b""
        if "chunked" in head.header("Transfer-Encoding", ""):
            chunks = []
            while True:
                chunks.append(self.read_chunk())
                if not chunks[-1]:
                    return b"".join(chunks)
        length = head.header("Content-Length")
        if length is not None:
            return self.read_exactly(int(length))
        return self.read_to_end()

    def read_reply(self, method="GET"):
        """The next final reply (interim ones are passed over)."""
        while True:
            reply = self.read_head()
            if reply.status < 200 and reply.status != 101:
                continue
            reply.body = self.read_body(reply, method)
            return reply

    def request(self, method, target, body=None, headers=()):
        self.send_request(method, target, body, headers)
        return self.read_reply(method)

    def is_closed(self):
        """Waits for the peer to close and nothing else to come."""
        try:
            return not self.buffer and self.stream.recv() == b""
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return True


def request(address, method, target, body=None, headers=(), timeout=15):
    headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if not any(k.lower() == "connection" for k, _ in headers):
        headers.append(("Connection", "close"))
    with Connection(address, timeout) as connection:
        return connection.request(method, target, body, headers)


def frames(data):
    """Splits docker's multiplexed stream into [(1 or 2, bytes)]."""
    out, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        end = at + 8 + size
        assert at + 8 <= end <= len(data), f"half a frame: {data[at : at + 100]!r}"
        out.append((data[at], data[at + 8 : end]))
        at = end
    return out


def stdout_of(data):
    return b"".join(payload for kind, payload in frames(data) if kind == 1)
