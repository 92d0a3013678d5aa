"""Unmodified tor clients move bytes through our relays, in every position."""

import concurrent.futures
import contextlib
import hashlib
import os
import random
import re
import socket
import threading
import time

import pytest

from conftest import MB, SLOW
from orcircuit import Circuit, RelayKeys
from orlink import Link
from tornet import HOST, TornetError, payload_server, payload_sha256, socks_connect, download
from tornet.web import recv_exact

PATHS = {
    "guard": ["ours0", "relay0", "exit0"],
    "middle": ["relay0", "ours0", "exit0"],
    "exit": ["relay0", "relay1", "ours0"],
    "all": ["ours0", "ours1", "ours2"],
    "all_reversed": ["ours2", "ours1", "ours0"],
    "between": ["ours0", "relay0", "ours1"],
}


@pytest.mark.parametrize("where", list(PATHS))
def test_download(lab, where):
    """The bytes arrive with the right SHA-256, on four circuits of the same path."""
    result = lab.fetch(path=PATHS[where], mb=MB, circuits=4, timeout=int((60 + MB) * SLOW))
    assert result["sha256_ok"]
    print("%.1f MB/s" % result["mb_per_s"])


@pytest.mark.parametrize("position", ["guard", "middle", "exit"])
def test_clients_choose_ours(lab, position):
    """A fresh client, pinned by its torrc, builds its own circuits through ours."""
    result = lab.pinned_fetch("ours0", position, mb=min(MB, 20), timeout=int(120 * SLOW))
    assert result["sha256_ok"]


@contextlib.contextmanager
def through(lab, path, client="client0", circuits=1, lifetime=600):
    """(SOCKS port, web port) with every new stream going along `path`."""
    with lab.attached(path, client, circuits), payload_server(lifetime) as (port, _):
        yield lab.node(client)["socks_port"], port


def test_hundred_parallel_streams(lab):
    """100 streams of mixed sizes at once, over circuits made of ours only."""
    sizes = [random.Random(7).choice((0, 1, 497, 498, 499, 20_000, 300_000, 1_500_000))
             for _ in range(100)]
    sums = {size: payload_sha256(size) for size in set(sizes)}
    deadline = time.monotonic() + 120 * SLOW
    with through(lab, PATHS["all"], circuits=4) as (socks, port):
        def one(size):
            with socks_connect(socks, HOST, port, 60) as sock:
                return download(sock, size, sums[size], deadline)["bytes"]
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            assert list(pool.map(one, sizes)) == sizes


def upload(socks, port, size):
    """POST `size` bytes; returns what the server counted and hashed."""
    block = os.urandom(1 << 16)
    digest = hashlib.sha256()
    with socks_connect(socks, HOST, port, 60) as sock:
        sock.sendall(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            part = block[:min(left, len(block))]
            sock.sendall(part)
            digest.update(part)
            left -= len(part)
        answer = b""
        while True:
            more = sock.recv(4096)
            if not more:
                break
            answer += more
    got, theirs = answer.split(b"\r\n\r\n", 1)[1].split()
    return int(got), theirs.decode(), digest.hexdigest()


@pytest.mark.parametrize("where", ["guard", "middle", "exit", "all"])
def test_upload(lab, where):
    size = int(MB * 250_000)
    with through(lab, PATHS[where]) as (socks, port):
        got, theirs, ours = upload(socks, port, size)
    assert (got, theirs) == (size, ours)


def test_both_directions_at_once(lab):
    size = int(MB * 200_000)
    with through(lab, PATHS["all"]) as (socks, port), \
            concurrent.futures.ThreadPoolExecutor(4) as pool:
        def down():
            with socks_connect(socks, HOST, port, 60) as sock:
                return download(sock, size, payload_sha256(size), time.monotonic() + 120 * SLOW)
        ups = [pool.submit(upload, socks, port, size) for _ in range(2)]
        downs = [pool.submit(down) for _ in range(2)]
        for job in ups:
            got, theirs, ours = job.result()
            assert (got, theirs) == (size, ours)
        assert all(job.result()["bytes"] == size for job in downs)


def test_slow_reader_beside_fast_ones(lab):
    """A stream that nobody reads holds back neither its neighbours nor memory."""
    size = int(MB * 400_000)
    with through(lab, PATHS["all"]) as (socks, port):
        slow = socks_connect(socks, HOST, port, 60)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /50000000 HTTP/1.0\r\n\r\n")
        time.sleep(1)
        with slow:
            for _ in range(3):
                with socks_connect(socks, HOST, port, 60) as sock:
                    download(sock, size, payload_sha256(size), time.monotonic() + 90 * SLOW)
            slow.settimeout(20)
            assert len(recv_exact(slow, 65536)) == 65536


def resolve(socks_port, name=None, address=None):
    """tor's SOCKS5 extensions RESOLVE (F0) and RESOLVE_PTR (F1): the answer as text."""
    with socket.create_connection((HOST, socks_port), timeout=30) as sock:
        sock.sendall(b"\x05\x01\x00")
        recv_exact(sock, 2)
        if name:
            raw = name.encode()
            sock.sendall(b"\x05\xf0\x00\x03" + bytes([len(raw)]) + raw + b"\0\0")
        else:
            sock.sendall(b"\x05\xf1\x00\x01" + socket.inet_aton(address) + b"\0\0")
        head = recv_exact(sock, 4)
        if head[1]:
            raise TornetError("RESOLVE: SOCKS code %d" % head[1])
        if head[3] == 3:
            return recv_exact(sock, recv_exact(sock, 1)[0]).decode()
        return socket.inet_ntop(socket.AF_INET if head[3] == 1 else socket.AF_INET6,
                                recv_exact(sock, 4 if head[3] == 1 else 16))


def test_names_resolved_at_the_exit(lab):
    """BEGIN by name, RESOLVE forward and reverse, and a name that does not exist."""
    with through(lab, PATHS["exit"]) as (socks, port):
        with socks_connect(socks, "web.lab.test", port, 60) as sock:
            download(sock, 1000, payload_sha256(1000), time.monotonic() + 60)
        assert resolve(socks, name="a.lab.test") == "127.0.0.1"
        assert resolve(socks, address="1.2.3.4") == "host.lab.test"
        with pytest.raises(TornetError):
            resolve(socks, name="no-such-name.invalid")
        with socks_connect(socks, "other.lab.test", port, 60) as sock:
            download(sock, 1000, payload_sha256(1000), time.monotonic() + 60)


def test_refused_and_unreachable_targets(lab):
    """A closed port is an error at once, not a hang, and the circuit goes on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        closed = probe.getsockname()[1]
    with lab.attached(PATHS["exit"]) as built, payload_server() as (port, _):
        socks = lab.node("client0")["socks_port"]
        begin = time.monotonic()
        with pytest.raises(TornetError, match="SOCKS: "):
            socks_connect(socks, HOST, closed, 60).close()
        assert time.monotonic() - begin < 10 * SLOW
        # tor says MISC where the refusal comes late; the event follows the SOCKS answer
        while not built["refused"] and time.monotonic() - begin < 20 * SLOW:
            time.sleep(0.05)
        assert any(re.search("REMOTE_REASON=(CONNECTREFUSED|MISC)", event)
                   for event in built["refused"]), built["refused"]
        with socks_connect(socks, HOST, port, 60) as sock:
            download(sock, 1000, payload_sha256(1000), time.monotonic() + 60)


def test_half_closed_streams(lab):
    """The server ends its side first, the client afterwards: nothing is lost or left."""
    listener = socket.create_server((HOST, 0))
    got = []

    def serve():
        conn, _ = listener.accept()
        with conn:
            conn.sendall(b"x" * 100_000)
            conn.shutdown(socket.SHUT_WR)
            conn.settimeout(20)
            with contextlib.suppress(OSError):
                while True:
                    more = conn.recv(4096)
                    if not more:
                        break
                    got.append(more)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener, through(lab, PATHS["exit"]) as (socks, _):
        with socks_connect(socks, HOST, listener.getsockname()[1], 60) as sock:
            sock.settimeout(30)
            assert len(recv_exact(sock, 100_000)) == 100_000
            assert sock.recv(1) == b""
    thread.join(20)
    assert not thread.is_alive()


def test_circuits_live_through_onion_key_rotation(lab):
    """A transfer in flight, its circuit, and clients who still hold the old key go on."""
    size = int(MB * 400_000)
    with through(lab, PATHS["all"]) as (socks, port):
        with socks_connect(socks, HOST, port, 60) as sock:
            sock.sendall(b"GET /%d HTTP/1.0\r\n\r\n" % size)
            recv_exact(sock, 1000)
            lab.rotate_onion("ours1") if lab.is_nonosd(lab.node("ours1")) else None
            total = 1000
            sock.settimeout(60)
            while True:
                more = sock.recv(1 << 16)
                if not more:
                    break
                total += len(more)
            assert total > size
    # The client has not seen the new descriptor yet: it uses the old key.
    assert lab.fetch(path=PATHS["all"], mb=1, timeout=int(60 * SLOW))["sha256_ok"]


def test_new_onion_key_is_published_and_works(lab):
    if not lab.is_nonosd(lab.node("ours2")):
        pytest.skip("tor has no such command")
    old = RelayKeys(lab, "ours2")
    lab.rotate_onion("ours2")
    deadline = time.time() + 90 * SLOW
    while RelayKeys(lab, "ours2").ntor == old.ntor:
        assert time.time() < deadline, "the descriptor with the new key was not published"
        time.sleep(1)
    new = RelayKeys(lab, "ours2")
    with Link(new.port) as link:
        for keys in (new, old):
            Circuit(link).create(keys)
