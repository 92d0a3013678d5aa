"""Directory clients, next hops and authorities that mean harm."""

import itertools
import os
import re
import socket
import time

import pytest

from conftest import PROGRAM, SLOW, rss_mib
from fakes import ANSWERS, BEHAVIOURS, fake_authority, fake_relay, make_certificate
from orcircuit import (BASE, BEGIN_DIR, CONNECTED, DATA, END, EXTEND2, Circuit, Destroyed, RelayKeys,
                       extend2_body, x25519)
from orlink import Closed, Link
from tornet import HOST, TornetError, proc_rss

pytestmark = pytest.mark.hostile


@pytest.fixture
def keys(lab):
    return RelayKeys(lab, "ours0")


@pytest.fixture
def circuit(keys):
    with Link(keys.port) as link:
        yield Circuit(link).create(keys)


# -- clients of our cache ---------------------------------------------------------------

def get(circuit, path, headers="", **kw):
    return circuit.dir_request(("GET %s HTTP/1.0\r\n%s\r\n" % (path, headers)).encode(), **kw)


def status_of(answer):
    return int(re.match(rb"HTTP/1\.[01] (\d+)", answer)[1])


@pytest.mark.parametrize("path,wanted", [
    ("/tor/server/authority", {200}),
    ("/tor/status-vote/current/consensus-microdesc", {200}),
    ("/tor/status-vote/current/consensus.z", {200}),
    ("/tor/keys/all", {200}),
    ("/tor/nothing", {404}), ("/", {404}), ("/../../etc/passwd", {400, 404}),
    ("/tor/micro/d/" + "A" * 43, {404}),
    ("/tor/micro/d/x", {400, 404}), ("/tor/micro/d/" + "-".join(["A" * 43] * 200), {400, 404}),
    ("/tor/keys/fp-sk/zz-zz", {400, 404}), ("/tor/server/fp/xyz", {400, 404}),
    ("/tor/server/d/" + "00" * 20 + ".z", {404}),
    ("/tor/status-vote/current/consensus/" + "+".join(["00" * 20] * 50), {404}),
])
def test_requests(circuit, path, wanted):
    """What a cache has it gives, what it has not is 404, what is nonsense 400 or 404."""
    answer = get(circuit, path, limit=4 << 20)
    deadline = time.time() + 30 * SLOW
    while wanted == {200} and status_of(answer) != 200 and time.time() < deadline:
        time.sleep(1)           # it may not have fetched it yet
        answer = get(circuit, path, limit=4 << 20)
    assert status_of(answer) in wanted, answer[:100]
    if 200 in wanted:
        assert len(answer) > 500


@pytest.mark.parametrize("request_bytes", [
    b"POST /tor/ HTTP/1.0\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 3000,
    b"DELETE / HTTP/1.0\r\n\r\n", b"GET\r\n\r\n", b"GET /tor/\0\1\2 HTTP/1.0\r\n\r\n", b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"\0" * 600 + b"\r\n\r\n", os.urandom(5000),
    b"GET /tor/server/authority HTTP/1.0\r\nContent-Length: -1\r\n\r\n",
    b"GET /tor/server/authority HTTP/1.0\r\nIf-Modified-Since: " + b"9" * 3000 + b"\r\n\r\n",
    b"GET /tor/server/authority HTTP/1.0\r\nAccept-Encoding: " + b"gzip," * 1000 + b"\r\n\r\n",
], ids=range(11))
def test_broken_requests(circuit, request_bytes):
    """Answered with an error or ended; never a hang of anything else."""
    try:
        answer = circuit.dir_request(request_bytes, limit=1 << 20, within=3)
        assert not answer or answer.startswith(b"HTTP/1.")
    except socket.timeout:
        pass                    # it waits for the rest of a body that will not come


def test_endless_request(keys):
    """Headers without end: the stream ends long before they do."""
    with Link(keys.port) as link:
        circuit = Circuit(link).create(keys)
        circuit.send(BEGIN_DIR, 9)
        assert circuit.receive()[0] == CONNECTED
        circuit.send(DATA, 9, b"GET / HTTP/1.0\r\n")
        for _ in range(400):
            circuit.send(DATA, 9, b"X-Long: " + b"x" * 488 + b"\r\n")
        try:
            assert circuit.receive(within=5)[0] in (END, DATA, 5)
        except (Destroyed, Closed, socket.timeout):
            pass
        circuit = Circuit(link).create(keys)
        assert status_of(get(circuit, "/tor/server/authority")) == 200


def test_request_byte_by_byte(circuit):
    request = b"GET /tor/server/authority HTTP/1.0\r\n\r\n"
    circuit.send(BEGIN_DIR, 4)
    assert circuit.receive()[0] == CONNECTED
    for i in range(len(request)):
        circuit.send(DATA, 4, request[i:i + 1])
    assert status_of(circuit.read_stream(4)) == 200


@pytest.mark.bounds
def test_many_requests_left_unread(lab, keys):
    """200 streams ask for the consensus and read nothing: memory stays put."""
    before = rss_mib(lab, "ours0")
    with Link(keys.port) as link:
        for _ in range(20):
            circuit = Circuit(link).create(keys)
            for stream in range(1, 11):
                circuit.send(BEGIN_DIR, stream)
                circuit.send(DATA, stream, b"GET /tor/status-vote/current/consensus HTTP/1.0\r\n\r\n")
        time.sleep(1)
        grown = rss_mib(lab, "ours0") - before
        with Link(keys.port) as other:
            assert status_of(get(Circuit(other).create(keys), "/tor/server/authority")) == 200
    assert grown < 60 * SLOW


# -- next hops ------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("fake"))


def extend_to(keys, link, target, port):
    """DESTROY reason of an attempt to extend to `target`'s identities on `port`."""
    circuit = Circuit(link).create(keys)
    request = target.fingerprint + target.ntor + x25519(os.urandom(32), BASE)
    # Another identity than any real relay's, so that no existing link is taken.
    specs = target.specifiers(port=port, fingerprint=os.urandom(20), ed25519=x25519(os.urandom(32), BASE))
    circuit.send(EXTEND2, 0, extend2_body(specs, 2, request), early=True)
    return circuit


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_next_hop_misbehaves(lab, keys, certificate, behaviour):
    """No circuit comes of it: DESTROY to the client, and the relay goes on."""
    target = RelayKeys(lab, "relay0")
    with Link(target.port) as real:
        stolen = dict(real.presented)
    with fake_relay(certificate, behaviour, stolen) as fake, Link(keys.port) as link:
        circuit = extend_to(keys, link, target, fake.port)
        reason = circuit.destroy_reason(within=30 * SLOW)
        assert fake.accepted
        assert reason in (1, 6, 7, 8, 10, 11)
        assert Circuit(link).create(keys).layers


def test_silent_next_hops(lab, keys, certificate):
    """50 extensions wait for hops that never speak; others extend meanwhile."""
    target, good = RelayKeys(lab, "relay0"), RelayKeys(lab, "relay1")
    with fake_relay(certificate, "silent") as fake, \
            fake_relay(certificate, "silent_after_versions") as other, Link(keys.port) as link:
        for i in range(50):
            extend_to(keys, link, target, (fake, other)[i % 2].port)
        begin = time.monotonic()
        Circuit(link).create(keys).extend(good)
        assert time.monotonic() - begin < 5 * SLOW


# -- authorities ------------------------------------------------------------------------------

@pytest.mark.bounds
@pytest.mark.skipif(PROGRAM == "tor", reason="needs nonosd's configuration")
def test_authority_that_bombs(lab):
    """One of four authorities answers every request with something worse than the one before.
    The relay keeps following the other three, in little memory, and still answers."""
    cycle, asked = itertools.cycle(ANSWERS), []

    def pick(path):
        asked.append((path, next(cycle)))
        return asked[-1][1]
    with fake_authority(pick) as fake:
        line = "directory:authority = bomber %s:%d orport=1 v3ident=%s fingerprint=%s" % (
            HOST, fake.port, os.urandom(20).hex().upper(), os.urandom(20).hex().upper())
        lab.add_ours("bombed", extra=[line])
        try:
            lab.start(["bombed"])
            peak, deadline = 0, time.time() + 20
            lab.wait_relay("bombed", timeout=int(60 * SLOW), clients=False)
            while time.time() < deadline and len(asked) < len(ANSWERS):
                pid = lab.pid("bombed")
                assert pid, lab.log_tail("bombed", 20)
                peak = max(peak, proc_rss(pid)["rss_kib"] / 1024)
                lab.status("bombed")
                time.sleep(0.2)
            print("%d requests, keeper's peak %.1f MiB" % (len(asked), peak))
            assert asked, "the fake authority was never asked"
            assert peak < 150 * SLOW
            assert lab.fetch(path=["bombed", "relay0", "exit0"], mb=0.5)["sha256_ok"]
        finally:
            lab.remove_node("bombed")


@pytest.mark.skipif(PROGRAM == "tor", reason="needs nonosd's configuration")
@pytest.mark.parametrize("what", ANSWERS)
def test_only_bombs(lab, what):
    """Every authority bombs, always with the same: no consensus, no crash, bounded memory."""
    with fake_authority(lambda path: what) as fake:
        lines = ["directory:authority = bomber%d %s:%d orport=1 v3ident=%s fingerprint=%s" % (
            i, HOST, fake.port, os.urandom(20).hex().upper(), os.urandom(20).hex().upper())
            for i in range(3)]
        lab.add_ours("victim", extra=lines, only_extra_authorities=True, workers=1)
        try:
            lab.start(["victim"])
            peak, deadline = 0, time.time() + 3
            while time.time() < deadline:
                assert lab.pid("victim"), lab.log_tail("victim", 20)
                peak = max(peak, proc_rss(lab.pid("victim"))["rss_kib"] / 1024)
                time.sleep(0.1)
            lab.status("victim")
            assert fake.accepted
            assert peak < 150 * SLOW
        finally:
            lab.remove_node("victim")
