"""The operator's limits hold, each against a peer that goes for it; and IPv6."""

import socket
import time

import pytest

from conftest import FLAGS, PROGRAM, SLOW, rss_mib
from orcircuit import BEGIN, DATA, END, RESOLVE, RESOLVED, Circuit, Destroyed, RelayKeys
from orlink import CREATE_FAST, CREATED_FAST, DESTROY, Closed, Link
from tornet import HOST, TornetError, payload_server, pick_port_block

pytestmark = pytest.mark.skipif(PROGRAM == "tor", reason="options of nonosd")

RESOURCE = 5


@pytest.fixture
def limited(lab):
    """limited(line, ...) starts a relay of ours with one worker and these lines, and
    gives its keys."""
    def start(*lines, wait=False):
        lab.add_ours("limited", workers=1, extra=["relay:" + line for line in lines])
        lab.start(["limited"])
        if wait:
            lab.wait_relay("limited", FLAGS, timeout=int(90 * SLOW))
        deadline = time.time() + 30 * SLOW
        while True:
            try:
                return RelayKeys(lab, "limited")
            except TornetError:
                assert time.time() < deadline, lab.log_tail("limited", 20)
                time.sleep(0.2)
    yield start
    reports = lab.sanitizer_reports()
    alive = lab.pid("limited")
    lab.remove_node("limited")
    assert alive and not reports, reports


def works(port, source=None):
    """Whether a link from there gets a circuit."""
    try:
        with Link(port, source=source, timeout=5) as link:
            Circuit(link).create_fast()
            return True
    except (OSError, TornetError):
        return False


def test_links_per_address(limited):
    keys = limited("links_per_address = 20")
    held = []
    for _ in range(30):
        try:
            held.append(Link(keys.port, source="127.9.9.9", timeout=5))
        except (OSError, TornetError):
            break
    try:
        assert 15 <= len(held) <= 20
        assert not works(keys.port, "127.9.9.9")
        assert works(keys.port, "127.9.9.8")
        for link in held:
            link.close()
        deadline = time.time() + 10 * SLOW
        while not works(keys.port, "127.9.9.9"):
            assert time.time() < deadline, "closed links still count"
            time.sleep(0.2)
    finally:
        for link in held:
            link.close()


def test_link_rate(limited):
    """One address may come so often and no oftener, whatever becomes of its links; another one is not touched."""
    keys = limited("link_rate = 2", "link_burst = 10")
    taken = sum(works(keys.port, "127.9.9.7") for _ in range(30))
    assert 10 <= taken < 25, taken
    assert works(keys.port, "127.9.9.6")
    time.sleep(2)
    assert works(keys.port, "127.9.9.7")


def test_circuits_per_link(limited):
    keys = limited("circuits_per_link = 16")
    with Link(keys.port) as link:
        for _ in range(16):
            Circuit(link).create_fast()
        cmd, body = link.request(link.new_id(), CREATE_FAST, b"x" * 20)
        assert (cmd, body[0]) == (DESTROY, RESOURCE)
        link.send(link.cell(0x80000001, DESTROY, b"\0"))
        Circuit(link).create_fast()


def test_create_rate(limited):
    """Beyond its burst an address gets its rate, and another is not touched by that."""
    keys = limited("create_rate = 5", "create_burst = 20")
    counts = {CREATED_FAST: 0, DESTROY: 0}
    with Link(keys.port, source="127.9.9.9") as link:
        for _ in range(100):
            cmd, body = link.request(link.new_id(), CREATE_FAST, b"x" * 20)
            counts[cmd] += 1
            assert cmd == CREATED_FAST or body[0] == RESOURCE
        assert works(keys.port, "127.9.9.8")
    assert 20 <= counts[CREATED_FAST] <= 20 + 5 * 5 * SLOW, counts


def test_streams_per_circuit(lab, limited):
    keys = limited("streams_per_circuit = 4")
    with Link(RelayKeys(lab, "ours0").port) as link, socket.create_server((HOST, 0)) as listener:
        circuit = Circuit(link).create(RelayKeys(lab, "ours0")).extend(keys)
        target = "%s:%d" % listener.getsockname()
        for stream in range(1, 5):
            circuit.begin(target, stream)
        circuit.send(BEGIN, 5, target.encode() + b"\0\0\0\0\0")
        try:
            cmd, stream, data = circuit.receive()
            assert (cmd, stream, data[0]) == (END, 5, 11)       # END, resource limit
        except Destroyed:
            pass


def test_bandwidth_rate(lab, limited):
    """4 MB through a relay of 1 MB/s take about three seconds after the burst of 1 MB."""
    limited("bandwidth_rate = 1 MB/s", "bandwidth_burst = 1 MB", wait=True)
    begin = time.monotonic()
    lab.fetch(path=["relay0", "limited", "exit0"], mb=4, timeout=60)
    seconds = time.monotonic() - begin
    assert 2.4 < seconds < 9 * SLOW


def test_max_memory(lab, limited):
    """Circuits that nobody reads are closed, biggest first, before the process is too big."""
    keys = limited("max_memory = 128 MiB")
    exits = RelayKeys(lab, "ours0")
    with payload_server(300) as (port, _), Link(keys.port) as hog, Link(keys.port) as other:
        small = Circuit(other).create(keys).extend(exits)
        peak = 0
        try:
            for _ in range(250):
                circuit = Circuit(hog).create(keys).extend(exits)
                circuit.begin("%s:%d" % (HOST, port))
                circuit.send(DATA, 1, b"GET /100000000 HTTP/1.0\r\n\r\n")
                peak = max(peak, rss_mib(lab, "limited"))
        except (Closed, Destroyed, TornetError, OSError):
            pass
        time.sleep(1)
        peak = max(peak, rss_mib(lab, "limited"))
        small.begin("%s:%d" % (HOST, port))
    print("peak %.1f MiB" % peak)
    assert peak < 160 * SLOW


# -- IPv6 ------------------------------------------------------------------------------

def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@needs_ipv6
def test_links_over_ipv6(lab, limited):
    """A link to [::1], and EXTEND2 with an IPv6 address only, which opens one."""
    port = pick_port_block(1)
    keys = limited("or_listen = [::1]:%d" % port)
    with Link(port, host="::1") as link:
        assert Circuit(link).create(keys).layers
    first = RelayKeys(lab, "ours0")
    with Link(first.port) as link:
        circuit = Circuit(link).create(first)
        six = socket.inet_pton(socket.AF_INET6, "::1") + port.to_bytes(2, "big")
        specs = [(1, six), (2, keys.fingerprint), (3, keys.ed25519)]
        circuit.extend(keys, specifiers=specs)
        assert len(circuit.layers) == 2


@needs_ipv6
def test_exit_to_ipv6(lab):
    """BEGIN to an IPv6 address and to a name that has only one; RESOLVE of it."""
    first, last = RelayKeys(lab, "ours1"), RelayKeys(lab, "ours0")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener, \
            Link(first.port) as link:
        port = listener.getsockname()[1]
        circuit = Circuit(link).create(first).extend(last)
        for stream, name in ((1, "[::1]"), (2, "six.lab.test")):
            data = circuit.begin("%s:%d" % (name, port), stream, flags=b"\0\0\0\1")
            assert data[:5] == b"\0\0\0\0\6"
            assert data[5:21] == socket.inet_pton(socket.AF_INET6, "::1")
        circuit.send(RESOLVE, 3, b"six.lab.test\0")
        cmd, stream, data = circuit.receive()
        assert (cmd, stream, data[0], data[1]) == (RESOLVED, 3, 6, 16)
