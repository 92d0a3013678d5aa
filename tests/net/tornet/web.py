"""The lab's web server of checksummed bytes, and what talks to it through SOCKS."""

import contextlib
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
import time

from .util import HOST, TornetError

BLOCK = 4 << 20                 # payload block of the local HTTP server


def payload_block():
    return hashlib.shake_128(b"tornet payload").digest(BLOCK)


def payload_sha256(size):
    block, digest = payload_block(), hashlib.sha256()
    for _ in range(size // BLOCK):
        digest.update(block)
    digest.update(block[:size % BLOCK])
    return digest.hexdigest()


def serve_payload(lifetime):
    """HTTP server of deterministic bytes: GET /<n> answers n bytes.

    POST swallows the body and answers its length and sha256.
    Runs in its own process; prints its port; ends after `lifetime` seconds or
    when its standard input closes.
    """
    block_fd = os.memfd_create("payload")
    os.write(block_fd, payload_block())
    srv = socket.socket()
    srv.bind((HOST, 0))
    srv.listen(64)
    print(srv.getsockname()[1], flush=True)

    def handle(conn):
        with conn, contextlib.suppress(OSError, ValueError, IndexError):
            conn.settimeout(60)
            head = b""
            while b"\r\n\r\n" not in head and len(head) < 65536:
                more = conn.recv(4096)
                if not more:
                    return
                head += more
            head, rest = head.split(b"\r\n\r\n", 1)
            method, path = head.split()[:2]
            if method == b"POST":
                size = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
                digest, got = hashlib.sha256(rest), len(rest)
                while got < size:
                    more = conn.recv(1 << 18)
                    if not more:
                        return
                    digest.update(more)
                    got += len(more)
                reply = ("%d %s" % (got, digest.hexdigest())).encode()
                conn.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                             % (len(reply), reply))
                return
            left = int(path.strip(b"/"))
            conn.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
            pos = 0
            conn.settimeout(None)
            while left:
                sent = os.sendfile(conn.fileno(), block_fd, pos % BLOCK,
                                   min(left, BLOCK - pos % BLOCK, 1 << 20))
                if not sent:
                    return
                pos += sent
                left -= sent

    def accept_loop():
        while True:
            conn, _ = srv.accept()
            threading.Thread(target=handle, args=(conn,), daemon=True).start()

    threading.Thread(target=accept_loop, daemon=True).start()
    threading.Timer(lifetime, lambda: os._exit(0)).start()
    sys.stdin.read()
    os._exit(0)


@contextlib.contextmanager
def payload_server(lifetime=1800):
    proc = subprocess.Popen(
        [sys.executable, "-m", __package__, "_serve", str(lifetime)],
        cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(proc.stdout.readline()), proc.pid
    finally:
        proc.stdin.close()
        try:
            proc.wait(5)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
        proc.stdout.close()


def recv_exact(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise TornetError("connection closed in SOCKS handshake")
        data += more
    return data


def socks_connect(socks_port, host, port, timeout, isolation=None):
    """SOCKS5 CONNECT; `isolation` is sent as the user name (own circuit)."""
    sock = socket.create_connection((HOST, socks_port), timeout=timeout)
    try:
        if isolation:
            sock.sendall(b"\x05\x01\x02")
            if recv_exact(sock, 2) != b"\x05\x02":
                raise TornetError("SOCKS: user/password refused")
            user = isolation.encode()
            sock.sendall(b"\x01" + bytes([len(user)]) + user + b"\x01x")
            if recv_exact(sock, 2)[1]:
                raise TornetError("SOCKS: bad user/password")
        else:
            sock.sendall(b"\x05\x01\x00")
            if recv_exact(sock, 2) != b"\x05\x00":
                raise TornetError("SOCKS: method refused")
        name = host.encode()
        sock.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name
                     + port.to_bytes(2, "big"))
        head = recv_exact(sock, 4)
        if head[1]:
            raise TornetError("SOCKS: reply code %d" % head[1])
        recv_exact(sock, {1: 4, 4: 16}.get(head[3]) or recv_exact(sock, 1)[0])
        recv_exact(sock, 2)
        return sock
    except BaseException:
        sock.close()
        raise


def download(sock, size, expect, deadline):
    """GET /<size> on a connected socket; checks length and sha256."""
    sock.settimeout(60)
    start = time.monotonic()
    sock.sendall(b"GET /%d HTTP/1.0\r\n\r\n" % size)
    buf = bytearray(1 << 18)
    view = memoryview(buf)
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(4096)
        if not more:
            raise TornetError("no HTTP answer through the circuit")
        head += more
    first_byte = time.monotonic()
    body = head.split(b"\r\n\r\n", 1)[1]
    digest, got = hashlib.sha256(body), len(body)
    while got < size:
        if time.monotonic() > deadline:
            raise TornetError("download timed out at %d of %d bytes" % (got, size))
        n = sock.recv_into(buf)
        if not n:
            raise TornetError("download ended at %d of %d bytes" % (got, size))
        digest.update(view[:n])
        got += n
    end = time.monotonic()
    if got != size or digest.hexdigest() != expect:
        raise TornetError("download: wrong checksum or length")
    return {"bytes": got, "seconds": end - start,
            "first_byte_s": first_byte - start, "mb_per_s": got / 1e6 / (end - start)}
