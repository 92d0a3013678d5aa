"""A relay and a directory authority that misbehave, each a thread on 127.0.0.1."""

import contextlib
import gzip
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib

from orlink import AUTH_CHALLENGE, CELL_BODY, CERTS, NETINFO, VERSIONS, VPADDING, netinfo_body
from tornet import HOST, find_tool


def make_certificate(directory):
    """Path of a PEM file with an RSA key and a self-signed certificate."""
    path = os.path.join(str(directory), "fake.pem")
    if not os.path.exists(path):
        subprocess.run([find_tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                        "-days", "30", "-subj", "/CN=www.fake.net", "-keyout", path + ".key",
                        "-out", path + ".crt"], check=True, capture_output=True, timeout=60)
        with open(path, "w") as out:
            for part in (path + ".key", path + ".crt"):
                with open(part) as f:
                    out.write(f.read())
    return path


class Server:
    """Accepts connections on a port of its own and gives each to `handle` in a thread."""

    def __init__(self, handle):
        self.handle, self.accepted = handle, 0
        self.listener = socket.create_server((HOST, 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.stopping = threading.Event()
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._one, args=(conn,), daemon=True).start()

    def _one(self, conn):
        with contextlib.suppress(OSError, ssl.SSLError, ValueError), conn:
            conn.settimeout(120)
            self.handle(conn, self.stopping)

    def close(self):
        self.stopping.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


# -- a next hop that lies ---------------------------------------------------------

def var_cell(cmd, body, wide=True):
    return struct.pack("!IBH" if wide else "!HBH", 0, cmd, len(body)) + body


def certs_body(certs):
    return bytes([len(certs)]) + b"".join(
        bytes([t]) + struct.pack("!H", len(c)) + c for t, c in certs)


def fake_relay(certificate, behaviour, stolen=None):
    """A Server that completes TLS and then does what `behaviour` names. `stolen` are the
    CERTS of a real relay, which do not fit our TLS certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    versions = var_cell(VERSIONS, b"\0\3\0\4\0\5", wide=False)
    challenge = var_cell(AUTH_CHALLENGE, os.urandom(32) + b"\0\1\0\3")
    netinfo = struct.pack("!IB", 0, NETINFO) + netinfo_body().ljust(CELL_BODY, b"\0")
    stolen_certs = var_cell(CERTS, certs_body(sorted((stolen or {}).items())))
    garbage = var_cell(CERTS, certs_body([(t, os.urandom(150)) for t in (2, 4, 5, 7)]))
    script = {
        "tls_then_close": [],
        "close_after_versions": [versions],
        "garbage": [os.urandom(4000)],
        "versions_without_common": [var_cell(VERSIONS, b"\0\1\0\2", wide=False)],
        "no_certs": [versions, challenge, netinfo],
        "empty_certs": [versions, var_cell(CERTS, b"\0"), challenge, netinfo],
        "garbage_certs": [versions, garbage, challenge, netinfo],
        "stolen_certs": [versions, stolen_certs, challenge, netinfo],
        "certs_twice": [versions, stolen_certs * 2, challenge, netinfo],
        "huge_certs": [versions, var_cell(CERTS, b"\xff" * 65535)],
        "challenge_first": [versions, challenge, stolen_certs, netinfo],
        "short_challenge": [versions, stolen_certs, var_cell(AUTH_CHALLENGE, b"x"), netinfo],
        "netinfo_only": [versions, netinfo],
        "padding_without_end": [versions] + [var_cell(VPADDING, b"x" * 60000)] * 200,
        "silent": [None],
        "silent_after_versions": [versions, None],
    }[behaviour]

    def handle(conn, stopping):
        with context.wrap_socket(conn, server_side=True) as tls:
            for part in script:
                if part is None:
                    stopping.wait(100)
                    return
                tls.sendall(part)
            with contextlib.suppress(OSError):
                tls.settimeout(1)
                while script and not stopping.is_set() and tls.recv(4096):
                    pass
    return Server(handle)


BEHAVIOURS = ("tls_then_close", "close_after_versions", "garbage", "versions_without_common", "no_certs",
              "empty_certs", "garbage_certs", "stolen_certs", "certs_twice", "huge_certs",
              "challenge_first", "short_challenge", "netinfo_only", "padding_without_end")


# -- an authority that bombs ---------------------------------------------------------

def deflate_bomb(mib):
    packer = zlib.compressobj(9)
    block = b"network-status-version 3\n" * 42000
    return b"".join(packer.compress(block) for _ in range(mib)) + packer.flush()


ANSWERS = ("endless_body", "endless_header", "huge_length", "deflate_bomb", "gzip_bomb", "nested_gzip",
           "zstd_garbage", "empty", "binary", "one_byte_a_second", "redirect", "wrong_length",
           "endless_chunks", "no_http")


def fake_authority(pick):
    """A Server for GET and POST on a DirPort; `pick(path)` names the answer to each."""
    bomb = deflate_bomb(64)
    zipped = gzip.compress(b"\0" * (64 << 20), 9)

    def head(status="200 OK", **fields):
        return ("HTTP/1.0 %s\r\n" % status + "".join(
            "%s: %s\r\n" % (k.replace("_", "-"), v) for k, v in fields.items()) + "\r\n").encode()

    def stream(conn, stopping, block, limit=200 << 20):
        sent = 0
        while sent < limit and not stopping.is_set():
            conn.sendall(block)
            sent += len(block)

    def handle(conn, stopping):
        request = b""
        while b"\r\n\r\n" not in request and len(request) < 1 << 20:
            more = conn.recv(65536)
            if not more:
                return
            request += more
        words = request.split()
        what = pick(words[1].decode("latin-1") if len(words) > 1 else "/")
        block = b"network-status-version 3\n" * 2600
        if what == "endless_body":
            conn.sendall(head())
            stream(conn, stopping, block)
        elif what == "endless_header":
            conn.sendall(b"HTTP/1.0 200 OK\r\n")
            stream(conn, stopping, b"X-Bomb: " + b"x" * 60000 + b"\r\n")
        elif what == "huge_length":
            conn.sendall(head(Content_Length=1 << 62))
            stream(conn, stopping, block)
        elif what == "deflate_bomb":
            conn.sendall(head(Content_Encoding="deflate", Content_Length=len(bomb)) + bomb)
        elif what == "gzip_bomb":
            conn.sendall(head(Content_Encoding="gzip", Content_Length=len(zipped)) + zipped)
        elif what == "nested_gzip":
            twice = gzip.compress(zipped)
            conn.sendall(head(Content_Encoding="gzip, gzip", Content_Length=len(twice)) + twice)
        elif what == "zstd_garbage":
            conn.sendall(head(Content_Encoding="x-zstd") + b"\x28\xb5\x2f\xfd" + os.urandom(100000))
        elif what == "empty":
            conn.sendall(head(Content_Length=0))
        elif what == "binary":
            conn.sendall(head() + os.urandom(300000))
        elif what == "one_byte_a_second":
            conn.sendall(head(Content_Length=100000))
            while not stopping.wait(1):
                conn.sendall(b"n")
        elif what == "redirect":
            conn.sendall(head("302 Found", Location="http://%s:%d/loop" % conn.getsockname()))
        elif what == "wrong_length":
            conn.sendall(head(Content_Length=1000) + block)
        elif what == "endless_chunks":
            conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            stream(conn, stopping, b"ffff\r\n" + b"x" * 65535 + b"\r\n")
        else:
            conn.sendall(b"\0\xff" * 1000)
        time.sleep(0.01)
    return Server(handle)
