"""A volume driver of global scope, as a storage system has one: every engine has the plugin, and all
see the same volumes."""

import contextlib
import http.server
import json
import os
import socketserver
import threading

NAME = "cloud"


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class VolumePlugin:
    def __init__(self, folder):
        self.folder = folder
        self.volumes = {}  # name -> options
        self.calls = []  # (engine's name, method, volume's name)
        self._servers = []

    def attach(self, engine):
        """The engine finds the driver from now on, as long as its host is up."""
        folder = f"/proc/{engine.dockerd_pid()}/root/run/docker/plugins"
        os.makedirs(folder, exist_ok=True)
        plugin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "engine"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                told = plugin._answer(engine.name, self.path[1:], json.loads(body or "{}"))
                data = json.dumps(told).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/vnd.docker.plugins.v1.2+json")
                self.send_header("Content-Length", str(len(data)))
                # An engine would go on asking this one when another has taken its place.
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        path = f"{folder}/{NAME}.sock"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        server = _Server(path, Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._servers.append(server)

    def close(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _answer(self, engine, method, body):
        if method == "Plugin.Activate":
            return {"Implements": ["VolumeDriver"]}
        method = method.removeprefix("VolumeDriver.")
        name = body.get("Name")
        self.calls.append((engine, method, name))
        if method == "Capabilities":
            return {"Capabilities": {"Scope": "global"}}
        if method == "List":
            return {"Volumes": [self._volume(n) for n in list(self.volumes)], "Err": ""}
        if method == "Create":
            self.volumes[name] = body.get("Opts") or {}
            os.makedirs(f"{self.folder}/{name}", exist_ok=True)
        elif name not in self.volumes:
            return {"Err": "no such volume"}
        elif method == "Remove":
            del self.volumes[name]
        return {"Volume": self._volume(name), "Mountpoint": f"{self.folder}/{name}", "Err": ""}

    def _volume(self, name):
        return {"Name": name, "Mountpoint": f"{self.folder}/{name}"}
