"""Peers that break the link protocol: closed or ignored as it asks, and nobody else notices."""

import os
import random
import socket
import ssl
import struct
import time
import warnings

import pytest

from conftest import LINKS, SLOW, rss_mib
from orcircuit import Circuit
from orlink import (AUTH_CHALLENGE, AUTHENTICATE, CELL_BODY, CERTS, CREATE_FAST, NETINFO, PADDING,
                    PADDING_NEGOTIATE, RELAY, VERSIONS, VPADDING, Closed, Link, Raw, netinfo_body,
                    tcp, tls_client)
from tornet import TornetError

pytestmark = pytest.mark.hostile


@pytest.fixture
def port(lab):
    return lab.node("ours0")["or_port"]


@pytest.fixture(autouse=True)
def honest(lab):
    """After each attack the relay still carries a checked download."""
    yield
    assert lab.fetch(path=["ours0", "ours1", "ours2"], mb=0.2, timeout=int(60 * SLOW))["sha256_ok"]


def var_cell(cmd, body):
    return struct.pack("!IBH", 0, cmd, len(body)) + body


@pytest.mark.parametrize("low,high", [(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
                                      (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)],
                         ids=["1.2", "1.3"])
def test_tls_versions_spoken(port, low, high):
    with Link(port, context=tls_client(low, high)) as link:
        Circuit(link).create_fast()


def test_old_tls_is_refused(port):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = tls_client(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    with pytest.raises((ssl.SSLError, OSError)):
        Raw(port, context=context).close()


@pytest.mark.parametrize("versions,spoken", [((4,), 4), ((5,), 5), ((3, 4, 5, 6, 999), 5), ((4, 4), 4)])
def test_link_versions(port, versions, spoken):
    with Link(port, versions=versions) as link:
        assert link.version == spoken
        Circuit(link).create_fast()


NOT_TLS = {
    "http": b"GET / HTTP/1.0\r\n\r\n",
    "random": random.Random(1).randbytes(5000),
    "huge_record": b"\x16\x03\x01\xff\xff" + b"\1" * 70000,
    "alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "short_hello": b"\x16\x03\x01\x00\x04\x01\x00\xff\xff",
    "ssl2": b"\x80\x2e\x01\x00\x02" + b"\0" * 44,
}


@pytest.mark.parametrize("what", list(NOT_TLS))
def test_not_tls(port, what):
    """Something else than TLS: the connection ends, where TLS can tell."""
    with tcp(port, timeout=10) as sock:
        try:
            sock.sendall(NOT_TLS[what])
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
        except ConnectionError:
            pass


BAD_STARTS = {
    "no_common_version": struct.pack("!HBH3H", 0, VERSIONS, 6, 1, 2, 99),
    "odd_versions": struct.pack("!HBH", 0, VERSIONS, 5) + b"\0\4\0\5\0",
    "empty_versions": struct.pack("!HBH", 0, VERSIONS, 0),
    "create_first": struct.pack("!HB", 1, CREATE_FAST) + b"\0" * CELL_BODY,
    "netinfo_first": struct.pack("!HB", 0, NETINFO) + b"\0" * CELL_BODY,
    "certs_first": struct.pack("!HBH", 0, CERTS, 1) + b"\0",
    "unknown_first": struct.pack("!HBH", 0, 200, 1) + b"\0",
    "huge_first": struct.pack("!HBH", 0, 200, 65535) + b"\0" * 65535,
    "random": random.Random(2).randbytes(3000),
}


@pytest.mark.parametrize("what", list(BAD_STARTS))
def test_bad_first_cell(port, what):
    """The link ends, or nothing comes back; there is no answer to it."""
    with Raw(port) as raw:
        raw.sock.settimeout(3)
        with pytest.raises((Closed, socket.timeout)):
            raw.send(BAD_STARTS[what])
            raw.read_cell()


def test_huge_versions_list(port):
    """65,534 bytes of versions are odd but not wrong: spoken to, or closed."""
    with Raw(port) as raw:
        try:
            raw.send(struct.pack("!HBH", 0, VERSIONS, 65534) + b"\0\5" * 32767)
            assert raw.read_cell()[1] == VERSIONS
        except Closed:
            pass


def half_open(port):
    """A link after VERSIONS, before our NETINFO."""
    link = Link(port, netinfo=False)
    link.sock.settimeout(10)
    return link


BEFORE_NETINFO = {
    "create_fast": lambda l: l.cell(0x80000001, CREATE_FAST, b"x" * 20),
    "relay": lambda l: l.cell(0x80000001, RELAY, b"x" * 20),
    "second_versions": lambda l: var_cell(VERSIONS, b"\0\4\0\5"),
    "auth_challenge": lambda l: var_cell(AUTH_CHALLENGE, b"x" * 36),
    "authenticate_without_certs": lambda l: var_cell(AUTHENTICATE, struct.pack("!HH", 3, 352) + b"x" * 352),
    "certs_lying_count": lambda l: var_cell(CERTS, b"\xff\x02\x00\x05hello"),
    "certs_lying_length": lambda l: var_cell(CERTS, b"\x01\x04\xff\xff" + b"x" * 40),
    "certs_twice": lambda l: var_cell(CERTS, b"\0") * 2,
    "certs_type_twice": lambda l: var_cell(CERTS, b"\x02" + b"\x04\x00\x04abcd" * 2),
    "certs_garbage": lambda l: var_cell(CERTS, b"\x04" + b"".join(
        bytes([t]) + struct.pack("!H", 200) + os.urandom(200) for t in (2, 4, 6, 7))),
    "certs_of_the_relay_itself": lambda l: var_cell(CERTS, bytes([len(l.presented)]) + b"".join(
        bytes([t]) + struct.pack("!H", len(c)) + c for t, c in l.presented.items())),
}


@pytest.mark.parametrize("what", list(BEFORE_NETINFO))
def test_out_of_order_in_handshake(port, what):
    """Cells that may not come here end the link, or are dropped, but never get an answer
    and never make the peer a relay."""
    with half_open(port) as link:
        link.send(BEFORE_NETINFO[what](link))
        try:
            link.send(link.cell(0, NETINFO, netinfo_body()))
            Circuit(link).create_fast()
        except Closed:
            return
        assert what in ("second_versions", "auth_challenge", "certs_twice",
                        "certs_lying_count"), "the relay accepted it"


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_forged_authenticate(port, kind):
    """The relay's own certificates and a made-up signature do not authenticate anybody."""
    with half_open(port) as link:
        certs = bytes([len(link.presented)]) + b"".join(
            bytes([t]) + struct.pack("!H", len(c)) + c for t, c in link.presented.items())
        body = b"AUTH0003" + os.urandom(344)
        try:
            link.send(var_cell(CERTS, certs))
            link.send(var_cell(AUTHENTICATE, struct.pack("!HH", kind, len(body)) + body))
            link.send(link.cell(0, NETINFO, netinfo_body()))
            Circuit(link).create_fast()
        except Closed:
            return
        pytest.fail("a link with a forged AUTHENTICATE was accepted")


NETINFOS = {
    "empty_addresses": netinfo_body(peer=b"\4\4\0\0\0\0"),
    "ipv6": netinfo_body(peer=b"\6\x10" + b"\0" * 15 + b"\1"),
    "many_own": netinfo_body(own=[b"\4\4\1\2\3\4"] * 60),
    "far_future": netinfo_body(stamp=0xffffffff),
    "long_ago": netinfo_body(stamp=1),
}


@pytest.mark.parametrize("what", list(NETINFOS))
def test_odd_netinfo(port, what):
    """Unusual but legal NETINFOs open the link."""
    with half_open(port) as link:
        link.send(link.cell(0, NETINFO, NETINFOS[what]))
        Circuit(link).create_fast()


@pytest.mark.parametrize("body", [netinfo_body(peer=b"\xf0\x04abcd"),
                                  b"\0\0\0\0\4\xff" + b"x" * 503,
                                  b"\0\0\0\0\4\4\1\1\1\1\xff" + b"\4\xff" * 249])
def test_netinfo_lengths_lie(port, body):
    """Unknown types and lengths beyond the cell: closed or tolerated, not followed."""
    with half_open(port) as link:
        try:
            link.send(link.cell(0, NETINFO, body))
            Circuit(link).create_fast()
        except Closed:
            pass


IGNORED = {
    "padding": lambda l: l.cell(0, PADDING, b"x"),
    "padding_with_circuit": lambda l: l.cell(0x80000077, PADDING, b"x"),
    "vpadding_empty": lambda l: var_cell(VPADDING, b""),
    "vpadding_huge": lambda l: var_cell(VPADDING, b"x" * 65535),
    "unknown_fixed": lambda l: l.cell(0, 99, b"x"),
    "unknown_variable": lambda l: var_cell(222, b"x" * 300),
    "unknown_variable_huge": lambda l: var_cell(255, b"x" * 65535),
    "padding_negotiate_stop": lambda l: l.cell(0, PADDING_NEGOTIATE, b"\0\1\0\0\0\0"),
    "padding_negotiate_start": lambda l: l.cell(0, PADDING_NEGOTIATE, b"\0\2\0\x10\0\x20"),
}


@pytest.mark.parametrize("what", list(IGNORED))
def test_ignored_on_open_link(port, what):
    """Padding and what is not known yet is dropped, and the link goes on."""
    with Link(port) as link:
        link.send(IGNORED[what](link) * 20)
        Circuit(link).create_fast()


REPEATED = {
    "versions": lambda l: var_cell(VERSIONS, b"\0\4\0\5"),
    "certs": lambda l: var_cell(CERTS, b"\0"),
    "auth_challenge": lambda l: var_cell(AUTH_CHALLENGE, b"x" * 36),
    "authenticate": lambda l: var_cell(AUTHENTICATE, b"\0\3\0\0"),
    "netinfo": lambda l: l.cell(0, NETINFO, netinfo_body()),
    "padding_negotiate_garbage": lambda l: l.cell(0, PADDING_NEGOTIATE, b"\xff" * 30),
}


@pytest.mark.parametrize("what", list(REPEATED))
def test_handshake_cells_on_open_link(port, what):
    """Closed or dropped; in any case no change of who the peer is."""
    with Link(port) as link:
        try:
            link.send(REPEATED[what](link))
            Circuit(link).create_fast()
        except Closed:
            pass


def test_tiny_writes(port):
    """A slow but correct peer: one byte per record is still a link."""
    with Link(port) as link:
        cid = link.new_id()
        for i, byte in enumerate(link.cell(cid, CREATE_FAST, b"y" * 20)):
            link.send(bytes([byte]))
            if i % 100 == 0:
                time.sleep(0.001)
        assert link.answer(cid)[0] == 6


def test_everything_cut_short(port):
    """Whatever the relay has half of, the peer may vanish."""
    link_bytes = [b"", b"\0", struct.pack("!HBH", 0, VERSIONS, 4), struct.pack("!HBH", 0, VERSIONS, 4) + b"\0"]
    for data in link_bytes:
        raw = Raw(port)
        raw.send(data) if data else None
        raw.close()
    for cut in (1, 4, 5, 100, 513):
        link = Link(port)
        link.send(link.cell(link.new_id(), CREATE_FAST, b"z" * 20)[:cut])
        link.close()
    for cut in (1, 2, 6, 7, 8, 5000):
        link = Link(port)
        link.send(var_cell(VPADDING, b"x" * 10000)[:cut])
        link.close()


def test_slow_loris(lab, port):
    """200 peers that stop in the middle of TLS, of VERSIONS, of a cell: others are served."""
    held = []
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    try:
        for i in range(200):
            if i % 3 == 0:
                sock = tcp(port)
                sock.sendall(hello[:i % len(hello)])
            elif i % 3 == 1:
                raw = Raw(port)
                raw.send(struct.pack("!HBH", 0, VERSIONS, 4)[:i % 5])
                sock = raw.sock
            else:
                link = Link(port)
                link.send(var_cell(VPADDING, b"x" * 65000)[:100 + i])
                sock = link.sock
            held.append(sock)
        begin = time.monotonic()
        with Link(port) as link:
            Circuit(link).create_fast()
        assert time.monotonic() - begin < 5 * SLOW
        lab.fetch(path=["ours0", "ours1", "ours2"], mb=0.5, timeout=int(60 * SLOW))
    finally:
        for sock in held:
            sock.close()


@pytest.mark.bounds
def test_reader_that_stops(lab, port):
    """CREATE_FAST without end from a peer that reads no answers: its link may stall or
    be closed, memory may not follow."""
    before = rss_mib(lab, "ours0")
    with Link(port) as link:
        link.sock.settimeout(3)
        sent = 0
        try:
            for _ in range(100):
                cells = b"".join(link.cell(link.new_id(), CREATE_FAST, b"x" * 20) for _ in range(200))
                link.send(cells)
                sent += 200
        except (Closed, socket.timeout, OSError):
            pass
        with Link(port) as other:
            Circuit(other).create_fast()
        grown = rss_mib(lab, "ours0") - before
    assert grown < 150, "%d MiB for %d circuits nobody reads of" % (grown, sent)


def sources():
    """Loopback addresses for many peers, none of them the honest ones'."""
    while True:
        for low in range(1, 255):
            for high in range(1, 255):
                yield "127.77.%d.%d" % (high, low)


@pytest.mark.bounds
def test_links_opened_and_left(lab, port):
    """LINKS links from many addresses: a part silent after TCP, a part after TLS, a part
    whole with a circuit. Then half vanish without a word. Memory and service stand."""
    before, held, refused = rss_mib(lab, "ours0"), [], 0
    where = sources()
    for i in range(LINKS):
        try:
            source = next(where)
            if i % 10 < 5:
                held.append(tcp(port, source=source))
            elif i % 10 < 8:
                held.append(Raw(port, source=source).sock)
            else:
                link = Link(port, source=source)
                link.send(link.cell(link.new_id(), CREATE_FAST, b"x" * 20))
                held.append(link.sock)
        except (OSError, TornetError):
            refused += 1
        if i % 250 == 249:
            with Link(port) as link:
                Circuit(link).create_fast()
    try:
        grown = rss_mib(lab, "ours0") - before
        assert lab.fetch(path=["ours0", "ours1", "ours2"], mb=1, timeout=int(60 * SLOW))["sha256_ok"]
        for sock in held[::2]:
            sock.close()
        assert lab.fetch(path=["ours0", "ours1", "ours2"], mb=1, timeout=int(60 * SLOW))["sha256_ok"]
    finally:
        for sock in held:
            sock.close()
    print("%d held, %d refused, %.1f MiB more" % (len(held), refused, grown))
    assert refused < LINKS / 2
    assert grown < 60 * SLOW + LINKS * 0.1 * SLOW, "%d MiB for %d links" % (grown, len(held))
