"""A name server for the exits of a network: a handful of names, all on loopback.

  *.lab.test        A 127.0.0.1, and AAAA ::1 for six.lab.test; TTL 600
  1.2.3.4           PTR host.lab.test (tor looks up no private address)
  slow.lab.test     never answered
  anything else     does not exist
"""

import socket
import struct

from .util import HOST

A, PTR, AAAA = 1, 12, 28


def _question(packet):
    """(name, type, end offset) of the first question."""
    labels, pos = [], 12
    while packet[pos]:
        labels.append(packet[pos + 1:pos + 1 + packet[pos]].decode("ascii", "replace").lower())
        pos += 1 + packet[pos]
    kind, = struct.unpack("!H", packet[pos + 1:pos + 3])
    return ".".join(labels), kind, pos + 5


def _name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".")) + b"\0"


def answer(packet):
    """The reply to a query, or None for silence."""
    name, kind, end = _question(packet)
    if name == "slow.lab.test":
        return None
    known = name == "lab.test" or name.endswith(".lab.test") or name == "4.3.2.1.in-addr.arpa"
    data = None
    if name == "4.3.2.1.in-addr.arpa" and kind == PTR:
        data = _name("host.lab.test")
    elif name == "six.lab.test":
        data = socket.inet_pton(socket.AF_INET6, "::1") if kind == AAAA else None
    elif known and kind == A:
        data = socket.inet_aton(HOST)
    head = packet[:2] + struct.pack("!HHHHH", 0x8580 | (0 if known else 3), 1, data is not None, 0, 0)
    record = b"" if data is None else struct.pack("!HHHIH", 0xc00c, kind, 1, 600, len(data)) + data
    return head + packet[12:end] + record


def serve_dns(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, port))
    while True:
        packet, peer = sock.recvfrom(4096)
        try:
            reply = answer(packet)
        except (IndexError, struct.error):
            continue
        if reply:
            sock.sendto(reply, peer)
