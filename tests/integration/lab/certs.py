"""Certificates made with openssl: one authority each, servers, clients, and broken ones."""

import collections
import os
import subprocess

Identity = collections.namedtuple("Identity", "dir ca cert key")


def _openssl(*args):
    done = subprocess.run(("openssl",) + args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {args[0]}: {done.stdout.decode()}")


class Certificates:
    """An authority and what it signed. Every identity is a folder as `docker` wants it: ca.pem,
    cert.pem, key.pem."""

    def __init__(self, folder, name="lab"):
        self.folder = folder
        os.makedirs(folder)
        self.ca = f"{folder}/ca.pem"
        self._ca_key = f"{folder}/ca-key.pem"
        self._made = {}
        self._key(self._ca_key)
        _openssl(
            *("req", "-x509", "-new", "-key", self._ca_key, "-out", self.ca, "-days", "30"),
            *("-subj", f"/CN={name} authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    @staticmethod
    def _key(path):
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)

    def _issue(self, name, extensions, days="30"):
        d = f"{self.folder}/{name}"
        os.makedirs(d, exist_ok=True)
        with open(f"{d}/ext", "w") as f:
            f.write("\n".join(extensions) + "\n")
        self._key(f"{d}/key.pem")
        _openssl("req", "-new", "-key", f"{d}/key.pem", "-out", f"{d}/csr", "-subj", f"/CN={name}")
        _openssl(
            *("x509", "-req", "-in", f"{d}/csr", "-CA", self.ca, "-CAkey", self._ca_key),
            *("-CAcreateserial", "-CAserial", f"{d}/serial", "-days", days),
            *("-extfile", f"{d}/ext", "-out", f"{d}/cert.pem"),
        )
        if not os.path.exists(f"{d}/ca.pem"):
            os.symlink(self.ca, f"{d}/ca.pem")
        return Identity(d, f"{d}/ca.pem", f"{d}/cert.pem", f"{d}/key.pem")

    def server(self, name, ips=(), names=(), days="30"):
        """For servers that are clients too (managers are both): both purposes."""
        san = [f"IP:{ip}" for ip in ips] + [f"DNS:{n}" for n in names]
        extensions = ["extendedKeyUsage=serverAuth,clientAuth"]
        if san:
            extensions.append("subjectAltName=" + ",".join(san))
        return self._issue(name, extensions, days)

    def client(self, name="client", days="30"):
        return self._issue(name, ["extendedKeyUsage=clientAuth"], days)
