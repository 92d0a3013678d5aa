"""The link protocol as a client speaks it (tor-spec 2 to 4), and as nobody should.

Link() does a proper unauthenticated handshake; Raw() stops after TLS and sends
whatever it is told. 127.0.0.1 only; every wait has a limit.
"""

import contextlib
import hashlib
import re
import socket
import ssl
import struct
import time

from tornet import HOST, TornetError

CELL_BODY = 509
PADDING, CREATE, CREATED, RELAY, DESTROY, CREATE_FAST, CREATED_FAST = 0, 1, 2, 3, 4, 5, 6
VERSIONS, NETINFO, RELAY_EARLY, CREATE2, CREATED2, PADDING_NEGOTIATE = 7, 8, 9, 10, 11, 12
VPADDING, CERTS, AUTH_CHALLENGE, AUTHENTICATE = 128, 129, 130, 131


class Closed(TornetError):
    """The relay closed the link."""


def tls_client(low=None, high=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    ctx.set_ciphers("DEFAULT:@SECLEVEL=0")
    if low:
        ctx.minimum_version = low
    if high:
        ctx.maximum_version = high
    return ctx


CONTEXT = tls_client()


def tcp(port, timeout=15, source=None, host=HOST):
    """A connected socket; `source` is another loopback address to come from."""
    sock = socket.create_connection((host, port), timeout=timeout,
                                    source_address=(source, 0) if source else None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Raw:
    """TLS is up, nothing has been said."""

    def __init__(self, port, timeout=15, source=None, host=HOST, context=None):
        sock = tcp(port, timeout, source, host)
        try:
            self.sock = (context or CONTEXT).wrap_socket(sock, server_hostname="www.example.com")
        except BaseException:
            sock.close()
            raise
        self.cert = self.sock.getpeercert(binary_form=True)
        self.buf = bytearray()
        self.version = None

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionError, ssl.SSLError) as exc:
            raise Closed(str(exc)) from None

    def _need(self, count):
        while len(self.buf) < count:
            try:
                data = self.sock.recv(1 << 16)
            except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as exc:
                raise Closed(str(exc)) from None
            if not data:
                raise Closed("end of file")
            self.buf += data

    def read_cell(self):
        """(circuit id, command, body) of the next cell; Closed at the end."""
        idlen = 4 if self.version and self.version >= 4 else 2
        self._need(idlen + 1)
        cid, cmd = int.from_bytes(self.buf[:idlen], "big"), self.buf[idlen]
        start, size = idlen + 1, CELL_BODY
        if cmd == VERSIONS or cmd >= 128:
            self._need(idlen + 3)
            start, size = idlen + 3, int.from_bytes(self.buf[idlen + 1:idlen + 3], "big")
        self._need(start + size)
        body = bytes(self.buf[start:start + size])
        del self.buf[:start + size]
        return cid, cmd, body

    def cell(self, cid, cmd, body=b""):
        """A fixed-length cell, or a variable-length one where `cmd` asks for it."""
        wide = self.version and self.version >= 4
        head = struct.pack("!IB" if wide else "!HB", cid, cmd)
        if cmd == VERSIONS or cmd >= 128:
            return head + struct.pack("!H", len(body)) + body
        return head + body.ljust(CELL_BODY, b"\0")

    def versions(self, *numbers):
        self.send(self.cell(0, VERSIONS, struct.pack("!%dH" % len(numbers), *numbers)))

    def is_closed(self, within=5):
        """True when the relay ends the link within that time."""
        deadline = time.monotonic() + within
        with contextlib.suppress(socket.timeout, ssl.SSLWantReadError):
            while time.monotonic() < deadline:
                self.sock.settimeout(max(0.05, deadline - time.monotonic()))
                try:
                    self.read_cell()
                except Closed:
                    return True
        return False

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def netinfo_body(stamp=0, peer=b"\x04\x04\x7f\0\0\1", own=()):
    return struct.pack("!I", stamp) + peer + bytes([len(own)]) + b"".join(own)


class Link(Raw):
    """A link with the handshake done, as an unauthenticated client."""

    def __init__(self, port, versions=(3, 4, 5), netinfo=True, **kw):
        super().__init__(port, **kw)
        self.presented, self.order = {}, []
        try:
            self.versions(*versions)
            self._handshake(set(versions))
            if netinfo:
                self.send(self.cell(0, NETINFO, netinfo_body()))
        except BaseException:
            self.close()
            raise
        self.next_id = 0x80000000 if self.version >= 4 else 0x8000

    def _handshake(self, offered):
        _, cmd, body = self.read_cell()
        if cmd != VERSIONS:
            raise TornetError("first cell is %d, not VERSIONS" % cmd)
        self.offered_versions = [v for (v,) in struct.iter_unpack("!H", body)]
        self.version = max(offered & set(self.offered_versions), default=0)
        if not self.version:
            raise TornetError("no common link version: relay has %s" % self.offered_versions)
        while True:
            _, cmd, body = self.read_cell()
            self.order.append(cmd)
            if cmd == CERTS:
                self.presented = parse_certs(body)
            elif cmd == AUTH_CHALLENGE:
                count, = struct.unpack("!H", body[32:34])
                self.auth_methods = list(struct.unpack("!%dH" % count, body[34:34 + 2 * count]))
            elif cmd == NETINFO:
                self.netinfo = body
                return

    def new_id(self):
        self.next_id += 1
        return self.next_id

    def request(self, cid, cmd, body, *answers):
        """Send a cell; (command, body) of the answer. Only the commands in
        `answers` are right ones; without any, whatever comes for that circuit."""
        self.send(self.cell(cid, cmd, body))
        return self.answer(cid, *answers)

    def answer(self, cid, *answers):
        while True:
            got, cmd, body = self.read_cell()
            if got == cid:
                if answers and cmd not in answers:
                    raise TornetError("answer is command %d (first byte %d)" % (cmd, body[0]))
                return cmd, body

    def destroy_reason(self, cid, within=10):
        """Reason of the DESTROY that comes for this circuit; other cells are skipped."""
        self.sock.settimeout(within)
        while True:
            try:
                got, cmd, body = self.read_cell()
            except socket.timeout:
                raise TornetError("no DESTROY within %d s" % within) from None
            if got == cid and cmd == DESTROY:
                return body[0]


def parse_certs(body):
    """{type: certificate bytes} of a CERTS cell."""
    out, pos = {}, 1
    for _ in range(body[0]):
        kind, size = body[pos], int.from_bytes(body[pos + 1:pos + 3], "big")
        out[kind] = body[pos + 3:pos + 3 + size]
        pos += 3 + size
    return out


def certs_claims(link):
    """What the CERTS of a link say: identity, expiry in hours, TLS binding."""
    certs = link.presented
    hours = lambda raw: int.from_bytes(raw, "big") - time.time() / 3600
    identity = re.search(rb"\x00\x20\x04[\x00\x01](.{32})", certs[4][39:-64], re.S)
    return {"types": sorted(certs), "ed25519": identity and identity[1],
            "cross_ed25519": certs[7][:32], "expires_h": hours(certs[5][2:6]),
            "signing_expires_h": hours(certs[4][2:6]),
            "binds_tls": certs[5][7:39] == hashlib.sha256(link.cert).digest()}
