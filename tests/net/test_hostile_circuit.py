"""Peers that break circuits: the right DESTROY reason, and the link and its other
circuits go on.

Reasons (tor-spec 5.4): 1 protocol, 5 resource limit, 6 connect failed, 7 wrong identity,
8 channel closed, 11 destroyed, 12 no such service.
"""

import os
import socket
import struct
import threading
import time

import pytest

from conftest import SLOW, rss_mib
from orcircuit import (BASE, BEGIN, BEGIN_DIR, CONNECTED, DATA, DROP, END, EXTEND2, EXTENDED2,
                       RESOLVE, RESOLVED, SENDME, TRUNCATE, TRUNCATED, XOFF, XON, Circuit,
                       Destroyed, Ntor, Ntor3, RelayKeys, extend2_body, x25519)
from orlink import (CREATE, CREATE2, CREATE_FAST, CREATED2, CREATED_FAST, DESTROY, RELAY,
                    RELAY_EARLY, Closed, Link)
from tornet import HOST, TornetError, payload_server

pytestmark = pytest.mark.hostile

PROTOCOL, RESOURCE, CONNECT_FAILED, IDENTITY, CHANNEL = 1, 5, 6, 7, 8


@pytest.fixture
def keys(lab):
    return RelayKeys(lab, "ours0")


@pytest.fixture
def link(lab, keys):
    """A link to ours0; a second circuit on it must survive whatever the test does."""
    with Link(keys.port) as one:
        witness = Circuit(one).create(keys)
        yield one
        one.sock.settimeout(15)
        answer = witness.dir_request(b"GET /tor/server/authority HTTP/1.0\r\n\r\n", limit=4000)
        assert answer.startswith(b"HTTP/1."), answer[:60]


@pytest.fixture(scope="module", autouse=True)
def honest(lab):
    yield
    assert lab.fetch(path=["ours0", "ours1", "ours2"], mb=1, timeout=int(60 * SLOW))["sha256_ok"]


# -- creation ----------------------------------------------------------------------

def test_handshakes(keys, link):
    """The three handshakes a client may use, the answers checked with our own crypto."""
    assert Circuit(link).create_fast().layers
    assert Circuit(link).create(keys, Ntor).layers
    circuit = Circuit(link).create(keys, Ntor3)
    assert circuit.handshake.message[:3] == b"\x01\x02\x01"
    plain = Circuit(link).create(keys, lambda k: Ntor3(k, message=b"\0"))
    assert plain.sendme_inc == 100


def ntor_body(keys, node=None, onion=None, public=None):
    return (node or keys.fingerprint) + (onion or keys.ntor) + (public or x25519(os.urandom(32), BASE))


def create2(kind, data, length=None):
    return struct.pack("!HH", kind, len(data) if length is None else length) + data


BAD_CREATES = {
    "wrong_identity": lambda k: create2(2, ntor_body(k, node=os.urandom(20))),
    "zero_point": lambda k: create2(2, ntor_body(k, public=b"\0" * 32)),
    "order_eight_point": lambda k: create2(2, ntor_body(k, public=bytes.fromhex(
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"))),
    "truncated": lambda k: create2(2, ntor_body(k)[:83]),
    "too_long": lambda k: create2(2, ntor_body(k) + b"x"),
    "length_lies": lambda k: create2(2, ntor_body(k), length=60000),
    "length_506": lambda k: create2(2, ntor_body(k), length=506),
    "empty": lambda k: create2(2, b""),
    "tap": lambda k: create2(0, b"x" * 186),
    "fast_in_create2": lambda k: create2(1, b"x" * 20),
    "unknown_type": lambda k: create2(0x1234, b"x" * 84),
    "ntor3_bad_mac": lambda k: create2(3, Ntor3(k).request[:-1] + b"\0"),
    "ntor3_short": lambda k: create2(3, b"x" * 100),
    "ntor3_wrong_identity": lambda k: create2(3, os.urandom(32) + Ntor3(k).request[32:]),
    "ntor3_other_purpose": lambda k: create2(3, Ntor3(k, verification=b"something else").request),
    "ntor3_lying_extension": lambda k: create2(3, Ntor3(k, message=b"\x02\x01\xff").request),
    "ntor3_empty_message": lambda k: create2(3, Ntor3(k, message=b"").request),
}


@pytest.mark.parametrize("what", list(BAD_CREATES))
def test_bad_create2(keys, link, what):
    cid = link.new_id()
    cmd, body = link.request(cid, CREATE2, BAD_CREATES[what](keys))
    assert cmd == DESTROY
    assert body[0] == PROTOCOL


def test_wrong_onion_key(keys, link):
    """Refused, or answered in a way that proves nothing (tor does the latter)."""
    other = RelayKeys.__new__(RelayKeys)
    other.__dict__.update(keys.__dict__, ntor=x25519(os.urandom(32), BASE))
    for handshake in (Ntor, Ntor3):
        with pytest.raises(TornetError):
            Circuit(link).create(other, handshake)


def test_ntor3_unknown_extensions_are_ignored(keys, link):
    circuit = Circuit(link).create(keys, lambda k: Ntor3(k, message=b"\x03\x01\x00\x70\x02ab\xf0\x00"))
    assert circuit.layers and circuit.sendme_inc != 100


def test_create_tap(link):
    cid = link.new_id()
    cmd, body = link.request(cid, CREATE, b"x" * 186)
    assert cmd == DESTROY and body[0] in (PROTOCOL, 2, 3)


def test_circuit_id_rules(keys):
    """Id 0, an id from the other half, an id in use: refused, and the old circuit decides."""
    for cid in (0, 0x00000005):
        with Link(keys.port) as link:
            link.sock.settimeout(5)
            try:
                cmd, body = link.request(cid, CREATE_FAST, b"x" * 20)
                assert cmd == DESTROY and body[0] == PROTOCOL
            except (Closed, socket.timeout):
                pass
    with Link(keys.port) as link:
        circuit = Circuit(link).create(keys)
        link.sock.settimeout(5)
        try:
            cmd, body = link.request(circuit.cid, CREATE_FAST, b"x" * 20)
            assert cmd == DESTROY and body[0] == PROTOCOL
        except (Closed, socket.timeout):
            pass


def test_answers_from_a_client(keys, link):
    """CREATED, CREATED_FAST and CREATED2 towards the relay mean nothing it asked for."""
    for cmd in (2, CREATED_FAST, CREATED2):
        circuit = Circuit(link).create(keys)
        link.send(link.cell(circuit.cid, cmd, b"\0\x40" + b"x" * 100))
        circuit.send(DROP, 0)


def test_cells_for_unknown_circuits(link):
    """RELAY and DESTROY for circuits that never were are dropped (or answered by DESTROY)."""
    for i in range(50):
        for cmd in (RELAY, RELAY_EARLY, DESTROY, CREATED2):
            link.send(link.cell(0x90000000 + i, cmd, os.urandom(500)))


def test_destroy_twice_and_reuse(keys, link):
    circuit = Circuit(link).create(keys)
    for _ in range(2):
        link.send(link.cell(circuit.cid, DESTROY, b"\xff"))
    Circuit(link, circuit.cid).create(keys)


# -- relay cells ---------------------------------------------------------------------

def destroyed(circuit, *reasons):
    assert circuit.destroy_reason() in (reasons or (PROTOCOL,))


def test_bad_digest(keys, link):
    circuit = Circuit(link).create(keys)
    circuit.send(DROP, 0, digest=b"\1\2\3\4")
    destroyed(circuit)


def test_unrecognized_cell_at_the_last_hop(keys, link):
    circuit = Circuit(link).create(keys)
    link.send(link.cell(circuit.cid, RELAY, os.urandom(509)))
    destroyed(circuit)


def test_recognized_field_set(keys, link):
    circuit = Circuit(link).create(keys)
    circuit.send(DROP, 0, recognized=1)
    destroyed(circuit)


@pytest.mark.parametrize("length", [499, 500, 0xffff])
def test_relay_length_too_long(keys, link, length):
    circuit = Circuit(link).create(keys)
    circuit.send(DATA, 1, b"x" * 498, length=length)
    destroyed(circuit)


def test_relay_early_flood(keys, link):
    """Eight RELAY_EARLY cells may pass; the ninth ends the circuit."""
    circuit = Circuit(link).create(keys)
    for _ in range(8):
        circuit.send(DROP, 0, early=True)
    assert circuit.dir_request(b"GET /tor/server/authority HTTP/1.0\r\n\r\n", limit=100)
    circuit = Circuit(link).create(keys)
    for _ in range(9):
        circuit.send(DROP, 0, early=True)
    destroyed(circuit)


def test_relay_early_flood_on_many_circuits(keys, link):
    for _ in range(30):
        circuit = Circuit(link).create_fast()
        for _ in range(40):
            circuit.send(DROP, 0, early=True)
        destroyed(circuit)


@pytest.mark.parametrize("cmd,stream,data", [
    (200, 0, b"x"), (200, 7, b"x"), (0, 0, b""), (DROP, 0, b"x" * 498), (DATA, 77, b"x"),
    (END, 77, b"\6"), (END, 77, b""), (CONNECTED, 77, b""), (RESOLVED, 77, b"\0"), (XON, 77, b"\0\0\0\0\0"),
], ids=lambda v: repr(v)[:12])
def test_harmless_oddities(keys, link, cmd, stream, data):
    """Unknown commands and messages for streams that are gone do not end the circuit
    without need: it works on, or the reason is protocol."""
    circuit = Circuit(link).create(keys)
    circuit.send(cmd, stream, data)
    try:
        circuit.dir_request(b"GET /tor/server/authority HTTP/1.0\r\n\r\n", limit=100)
    except Destroyed as exc:
        assert exc.reason == PROTOCOL


# -- SENDME ------------------------------------------------------------------------------

def test_sendme_that_nobody_owes(keys, link):
    circuit = Circuit(link).create(keys)
    circuit.send(SENDME, 0, b"\x01\x00\x14" + b"x" * 20)
    destroyed(circuit)


def read_cells(circuit, count):
    while count:
        count -= circuit.receive()[0] == DATA


@pytest.mark.parametrize("handshake", [Ntor, Ntor3])
@pytest.mark.parametrize("forgery", ["digest", "early", "short", "length"])
def test_forged_sendme(lab, keys, link, handshake, forgery):
    """A SENDME that does not prove what was read ends the circuit."""
    circuit = Circuit(link).create(keys).extend(RelayKeys(lab, "ours1"), handshake)
    with payload_server(120) as (port, _):
        circuit.begin("%s:%d" % (HOST, port))
        circuit.send(DATA, 1, b"GET /10000000 HTTP/1.0\r\n\r\n")
        read_cells(circuit, circuit.sendme_inc - (forgery == "early"))
        digest = circuit.digest
        body = {"digest": b"\x01\x00\x14" + os.urandom(20), "early": b"\x01\x00\x14" + digest,
                "short": b"\x01\x00\x14" + digest[:10], "length": b"\x01\xff\xff" + digest}[forgery]
        circuit.send(SENDME, 0, body)
        destroyed(circuit, PROTOCOL, 11)


def test_sendme_replayed(lab, keys, link):
    """The right SENDME twice: the second proves nothing new."""
    circuit = Circuit(link).create(keys).extend(RelayKeys(lab, "ours1"))
    with payload_server(120) as (port, _):
        circuit.begin("%s:%d" % (HOST, port))
        circuit.send(DATA, 1, b"GET /10000000 HTTP/1.0\r\n\r\n")
        read_cells(circuit, 100)
        body = b"\x01\x00\x14" + circuit.digest
        time.sleep(0.5)             # it has sent enough for a second SENDME to be due
        circuit.send(SENDME, 0, body)
        circuit.send(SENDME, 0, body)
        destroyed(circuit, PROTOCOL, 11)


def test_stream_sendme_flood(lab, keys, link):
    """Stream SENDMEs beyond what was delivered do not open the window without bound."""
    circuit = Circuit(link).create(keys).extend(RelayKeys(lab, "ours1"))
    with payload_server(120) as (port, _):
        circuit.begin("%s:%d" % (HOST, port))
        circuit.send(DATA, 1, b"GET /30000000 HTTP/1.0\r\n\r\n")
        try:
            for _ in range(200):
                circuit.send(SENDME, 1)
            got = len(circuit.read_stream(1, limit=1 << 20, within=5))
            assert got <= 1 << 20
        except (Destroyed, Closed) as exc:
            assert getattr(exc, "reason", PROTOCOL) in (PROTOCOL, 11)
        except socket.timeout:
            pass


# -- streams -------------------------------------------------------------------------------

@pytest.mark.parametrize("target", [
    b"", b"\0", b"nocolon\0", b":80\0", b"127.0.0.1:\0", b"127.0.0.1:0\0", b"127.0.0.1:65536\0",
    b"127.0.0.1:-1\0", b"127.0.0.1:80x\0", b"127.0.0.1:80", b"[::1:80\0", b"[]:80\0", b"[::1]\0",
    b"999.1.1.1:80\0", b"a" * 480 + b":80\0", b"\xff\xfe\x00:80\0", b"foo..bar:80\0", b"*.x:80\0",
    b"example.onion:80\0", b"::::::::::80\0", b"1.2.3.4:80\0\0\0"], ids=lambda t: repr(t)[:16])
def test_bad_begin(keys, link, target):
    """A BEGIN that makes no sense is answered by END; the circuit goes on or ends."""
    circuit = Circuit(link).create_fast()
    circuit = Circuit(link).create(keys)
    circuit.send(BEGIN, 5, target)
    if target == b"1.2.3.4:80\0\0\0":     # goes nowhere from this machine; the answer may take long
        return
    try:
        cmd, stream, data = circuit.receive(within=30)
        assert (cmd, stream) == (END, 5)
        assert len(data) >= 1
    except Destroyed as exc:
        assert exc.reason == PROTOCOL


def test_begin_on_stream_zero_and_twice(lab, keys, link):
    circuit = Circuit(link).create(keys).extend(RelayKeys(lab, "ours1"))
    with payload_server(60) as (port, _):
        target = ("%s:%d" % (HOST, port)).encode() + b"\0\0\0\0\0"
        circuit.begin("%s:%d" % (HOST, port), stream=3)
        circuit.send(BEGIN, 3, target)
        try:
            while True:
                cmd, stream, _ = circuit.receive(within=2)
                assert cmd == END and stream == 3
        except socket.timeout:
            pass
        except Destroyed as exc:
            assert exc.reason in (PROTOCOL, 11)
    circuit = Circuit(link).create(keys)
    circuit.send(BEGIN, 0, b"127.0.0.1:80\0\0\0\0\0")
    try:
        circuit.receive(within=2)
    except socket.timeout:
        pass
    except Destroyed as exc:
        assert exc.reason == PROTOCOL


@pytest.mark.parametrize("data", [b"", b"\0", b"x" * 498, b"a.b.c.d.in-addr.arpa\0",
                                  b"1.2.3.in-addr.arpa\0", b"x" * 300 + b"\0", b"\xff\xff\0"],
                         ids=lambda d: repr(d)[:14])
def test_bad_resolve(keys, link, data):
    circuit = Circuit(link).create(keys)
    circuit.send(RESOLVE, 6, data)
    try:
        cmd, stream, answer = circuit.receive(within=30)
        assert stream == 6 and cmd in (RESOLVED, END)
        if cmd == RESOLVED:
            assert answer[0] in (0xF0, 0xF1)
    except Destroyed as exc:
        assert exc.reason == PROTOCOL


def test_single_hop_exit_is_refused(keys, link):
    """An exit is no one-hop proxy for clients; BEGIN_DIR works on one hop."""
    circuit = Circuit(link).create(keys)
    with payload_server(60) as (port, _):
        circuit.send(BEGIN, 1, ("%s:%d" % (HOST, port)).encode() + b"\0\0\0\0\0")
        try:
            cmd, _, _ = circuit.receive()
            assert cmd == END
        except Destroyed as exc:
            assert exc.reason == PROTOCOL


def test_many_streams(lab, keys, link):
    """More streams on one circuit than it may have: refused by END or the circuit ends."""
    circuit = Circuit(link).create(keys).extend(RelayKeys(lab, "ours1"))
    with socket.create_server((HOST, 0), backlog=5) as listener:
        target = ("%s:%d" % listener.getsockname()).encode() + b"\0\0\0\0\0"
        try:
            for stream in range(1, 1500):
                circuit.send(BEGIN, stream, target)
            circuit.destroy_reason(within=3)
        except (TornetError, socket.timeout):
            pass


# -- extension ---------------------------------------------------------------------------------

@pytest.fixture
def next_keys(lab):
    return RelayKeys(lab, "relay0")


def bad_extend(circuit, body, early=True):
    circuit.send(EXTEND2, 0, body, early=early)
    return circuit.destroy_reason(within=20 * SLOW)


BAD_EXTENDS = {
    "empty": lambda k: b"",
    "no_specifiers": lambda k: extend2_body([], 2, ntor_body(k)),
    "count_lies": lambda k: b"\xff" + extend2_body(k.specifiers(), 2, ntor_body(k))[1:],
    "specifier_too_long": lambda k: b"\x01\x00\xff" + b"x" * 100,
    "short_address": lambda k: extend2_body([(0, b"\x7f\0\0")] + k.specifiers()[1:], 2, ntor_body(k)),
    "short_identity": lambda k: extend2_body([k.specifiers()[0], (2, b"x" * 19)], 2, ntor_body(k)),
    "no_identity": lambda k: extend2_body(k.specifiers()[:1], 2, ntor_body(k)),
    "no_address": lambda k: extend2_body(k.specifiers()[1:], 2, ntor_body(k)),
    "identity_twice": lambda k: extend2_body(k.specifiers() + [(2, k.fingerprint)], 2, ntor_body(k)),
    "zero_identity": lambda k: extend2_body(k.specifiers(fingerprint=b"\0" * 20), 2, ntor_body(k)),
    "port_zero": lambda k: extend2_body(
        [(0, b"\x7f\0\0\1\0\0")] + k.specifiers()[1:], 2, ntor_body(k)),
    "handshake_too_long": lambda k: extend2_body(k.specifiers(), 2, b"")[:-2] + b"\xff\xff",
    "tap": lambda k: extend2_body(k.specifiers(), 0, b"x" * 186),
    "fast": lambda k: extend2_body(k.specifiers(), 1, b"x" * 20),
}


@pytest.mark.parametrize("what", list(BAD_EXTENDS))
def test_bad_extend2(keys, link, next_keys, what):
    circuit = Circuit(link).create(keys)
    assert bad_extend(circuit, BAD_EXTENDS[what](next_keys)) in (PROTOCOL, CONNECT_FAILED, 11)


def test_extend_in_plain_relay_cell(keys, link, next_keys):
    """EXTEND2 must come in RELAY_EARLY."""
    circuit = Circuit(link).create(keys)
    circuit.send(EXTEND2, 0, extend2_body(next_keys.specifiers(), 2, ntor_body(next_keys)))
    try:
        cmd, _, _ = circuit.receive(within=3)
        assert cmd != EXTENDED2, "extended by a plain RELAY cell"
    except socket.timeout:
        pass
    except Destroyed as exc:
        assert exc.reason == PROTOCOL


def test_extend_to_itself(lab, keys, link):
    circuit = Circuit(link).create(keys)
    assert bad_extend(circuit, extend2_body(keys.specifiers(), 2, ntor_body(keys))) in (
        PROTOCOL, CONNECT_FAILED, 11)


def test_extend_back_to_the_previous_hop(lab, keys, link):
    """relay → ours1 → relay again: ours1 refuses, and the client sees the circuit end."""
    first, second = keys, RelayKeys(lab, "ours1")
    circuit = Circuit(link).create(first).extend(second)
    assert bad_extend(circuit, extend2_body(first.specifiers(), 2, ntor_body(first))) in (PROTOCOL, 11)


def test_extend_twice(lab, keys, link, next_keys):
    """A second EXTEND2 to a hop that has a next hop already."""
    circuit = Circuit(link).create(keys).extend(next_keys)
    other = RelayKeys(lab, "relay1")
    circuit.send(EXTEND2, 0, extend2_body(other.specifiers(), 2, ntor_body(other)), early=True, hop=0)
    destroyed(circuit, PROTOCOL, 11)


def test_extend_to_a_closed_port(keys, link, next_keys):
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        closed = probe.getsockname()[1]
    circuit = Circuit(link).create(keys)
    reason = bad_extend(circuit, extend2_body(
        next_keys.specifiers(port=closed, fingerprint=os.urandom(20)), 2, ntor_body(next_keys)))
    assert reason in (CONNECT_FAILED, CHANNEL, 11)


@pytest.mark.parametrize("which", ["fingerprint", "ed25519"])
def test_extend_to_another_identity(keys, link, next_keys, which):
    """The relay at that address is not the one asked for: never a circuit to it."""
    wrong = {"fingerprint": os.urandom(20)} if which == "fingerprint" else {
        "ed25519": x25519(os.urandom(32), BASE)}
    circuit = Circuit(link).create(keys)
    reason = bad_extend(circuit, extend2_body(
        next_keys.specifiers(**wrong), 2, ntor_body(next_keys)))
    assert reason in (PROTOCOL, CONNECT_FAILED, IDENTITY, CHANNEL, 11)


def test_extend_answered_by_destroy(keys, link, next_keys):
    """The next hop refuses the handshake: DESTROY comes back, with a neutral reason."""
    circuit = Circuit(link).create(keys)
    reason = bad_extend(circuit, extend2_body(
        next_keys.specifiers(), 2, ntor_body(next_keys, node=os.urandom(20))))
    assert reason in (11, CHANNEL)


def test_truncate(keys, link, next_keys):
    """TRUNCATE with and without a reason: TRUNCATED, then the hop is the last again."""
    for body in (b"\0", b"", b"\xff" * 20):
        circuit = Circuit(link).create(keys).extend(next_keys)
        circuit.send(TRUNCATE, 0, body, hop=0)
        del circuit.layers[1:]
        try:
            assert circuit.receive()[0] == TRUNCATED
        except Destroyed as exc:
            assert not body and exc.reason == PROTOCOL, (body, exc)
            continue
        circuit.extend(next_keys, Ntor3)


def test_destroy_passes_on(lab, keys, link, next_keys):
    """The end of the next hop's process reaches the client as DESTROY, neutral reason."""
    lab.add_ours("shortlived", program="tor", exit=True)
    try:
        lab.start(["shortlived"])
        lab.wait_relay("shortlived", clients=False)
        circuit = Circuit(link).create(keys).extend(RelayKeys(lab, "shortlived"))
        lab.stop(["shortlived"], grace=0)
        destroyed(circuit, 11, CHANNEL)
    finally:
        lab.remove_node("shortlived")


# -- floods ----------------------------------------------------------------------------------

@pytest.mark.bounds
def test_create_flood(lab, keys):
    """3,000 ntor handshakes from two links as fast as they go: answered or refused for lack
    of resources, and others are served meanwhile."""
    links = [Link(keys.port) for _ in range(2)]
    counts = {CREATED2: 0, DESTROY: 0}
    try:
        ids = []
        for link in links:
            cells = b""
            for _ in range(1500):
                cid = link.new_id()
                cells += link.cell(cid, CREATE2, create2(2, ntor_body(keys, public=os.urandom(32))))
            link.sock.settimeout(60)
            thread = threading.Thread(target=link.send, args=(cells,), daemon=True)
            thread.start()
            ids.append(thread)
        with Link(keys.port) as other:
            begin = time.monotonic()
            Circuit(other).create(keys)
            assert time.monotonic() - begin < 10 * SLOW
        for link in links:
            for _ in range(1500):
                _, cmd, body = link.read_cell()
                counts[cmd] += 1
                if cmd == DESTROY:
                    assert body[0] in (PROTOCOL, RESOURCE)
    finally:
        for link in links:
            link.close()
    assert counts[CREATED2] > 100, counts


@pytest.mark.bounds
def test_circuits_without_end_on_one_link(lab, keys):
    """10,000 circuits on a link: refused beyond its limit, memory stays put."""
    before = rss_mib(lab, "ours0")
    made = refused = 0
    with Link(keys.port) as link:
        link.sock.settimeout(60)
        for _ in range(50):
            link.send(b"".join(link.cell(link.new_id(), CREATE_FAST, b"x" * 20) for _ in range(200)))
            for _ in range(200):
                _, cmd, body = link.read_cell()
                made += cmd == CREATED_FAST
                refused += cmd == DESTROY
        grown = rss_mib(lab, "ours0") - before
    print("%d made, %d refused, %.1f MiB more" % (made, refused, grown))
    assert made + refused == 10000
    assert grown < 150 * SLOW


@pytest.mark.bounds
def test_readers_that_stop(lab, keys):
    """100 circuits ask for far more than anybody reads: what the relay keeps for them is bounded."""
    before = rss_mib(lab, "ours0")
    second = RelayKeys(lab, "ours1")
    with payload_server(300) as (port, _), Link(keys.port) as link:
        for _ in range(100):
            circuit = Circuit(link).create(keys).extend(second)
            circuit.begin("%s:%d" % (HOST, port))
            circuit.send(DATA, 1, b"GET /100000000 HTTP/1.0\r\n\r\n")
        time.sleep(3)
        grown = rss_mib(lab, "ours0") - before
        with Link(keys.port) as other:
            Circuit(other).create(keys)
    print("%.1f MiB more" % grown)
    assert grown < 120 * SLOW
