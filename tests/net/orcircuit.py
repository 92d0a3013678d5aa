"""Circuits as a client builds them (tor-spec 5 and 6), in Python: CREATE_FAST, ntor
and ntor-v3, onion layers, relay messages. Slow, but each byte is ours to forge.
"""

import ctypes
import ctypes.util
import hashlib
import hmac
import os
import re
import socket
import struct
import time

from orlink import (CREATE2, CREATE_FAST, CREATED2, CREATED_FAST, DESTROY, RELAY, RELAY_EARLY)
from tornet import TornetError, b64pad, http_request

BEGIN, DATA, END, CONNECTED, SENDME = 1, 2, 3, 4, 5
TRUNCATE, TRUNCATED, DROP, RESOLVE, RESOLVED, BEGIN_DIR, EXTEND2, EXTENDED2 = 8, 9, 10, 11, 12, 13, 14, 15
XOFF, XON = 43, 44
RELAY_DATA = 498

# -- primitives ----------------------------------------------------------------

P = 2 ** 255 - 19
BASE = (9).to_bytes(32, "little")


def x25519(scalar, point):
    """RFC 7748, 5."""
    k = int.from_bytes(scalar, "little")
    k = (k & ~7 & (2 ** 255 - 1)) | 2 ** 254
    x1 = int.from_bytes(point, "little") & (2 ** 255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = pow(da + cb, 2, P), x1 * pow(da - cb, 2, P) % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def _libcrypto():
    lib = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
    for name in ("EVP_CIPHER_CTX_new", "EVP_aes_128_ctr", "EVP_aes_256_ctr"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.EVP_EncryptInit_ex.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_char_p] * 2
    lib.EVP_EncryptUpdate.argtypes = [ctypes.c_void_p, ctypes.c_char_p,
                                      ctypes.POINTER(ctypes.c_int), ctypes.c_char_p, ctypes.c_int]
    lib.EVP_CIPHER_CTX_free.argtypes = [ctypes.c_void_p]
    return lib


LIB = _libcrypto()


class AesCtr:
    """One AES keystream that runs on, counter from zero; key of 16 or 32 bytes."""

    def __init__(self, key):
        self.ctx = LIB.EVP_CIPHER_CTX_new()
        kind = LIB.EVP_aes_128_ctr() if len(key) == 16 else LIB.EVP_aes_256_ctr()
        if LIB.EVP_EncryptInit_ex(self.ctx, kind, None, key, b"\0" * 16) != 1:
            raise TornetError("EVP_EncryptInit_ex failed")

    def crypt(self, data):
        out, n = ctypes.create_string_buffer(len(data) + 16), ctypes.c_int()
        LIB.EVP_EncryptUpdate(self.ctx, out, ctypes.byref(n), bytes(data), len(data))
        return out.raw[:n.value]

    def __del__(self):
        LIB.EVP_CIPHER_CTX_free(self.ctx)


def hmac256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


# -- handshakes ------------------------------------------------------------------

def kdf_tor(secret, size):
    out = b"".join(hashlib.sha1(secret + bytes([i])).digest() for i in range(size // 20 + 1))
    return out[:size]


NTOR = b"ntor-curve25519-sha256-1"


class Ntor:
    """Client side of ntor (tor-spec 5.1.4)."""

    kind = 2

    def __init__(self, keys):
        self.node, self.onion = keys.fingerprint, keys.ntor
        self.secret = os.urandom(32)
        self.public = x25519(self.secret, BASE)
        self.request = self.node + self.onion + self.public

    def finish(self, reply):
        server, auth = reply[:32], reply[32:64]
        secret_input = (x25519(self.secret, server) + x25519(self.secret, self.onion)
                        + self.node + self.onion + self.public + server + NTOR)
        verify = hmac256(NTOR + b":verify", secret_input)
        wanted = hmac256(NTOR + b":mac", verify + self.node + self.onion + server
                         + self.public + NTOR + b"Server")
        if auth != wanted:
            raise TornetError("ntor: the relay's authentication is wrong")
        seed, out, block = hmac256(NTOR + b":key_extract", secret_input), b"", b""
        while len(out) < 92:
            block = hmac256(seed, block + NTOR + b":key_expand" + bytes([len(out) // 32 + 1]))
            out += block
        return out[:92]


NTOR3 = b"ntor3-curve25519-sha3_256-1"


class Ntor3:
    """Client side of ntor-v3 (proposal 332), asking for congestion control by default."""

    kind = 3

    def __init__(self, keys, message=b"\x01\x01\x00", verification=b"circuit extend"):
        encap = lambda data: struct.pack("!Q", len(data)) + data
        tag = lambda name: encap(NTOR3 + b":" + name)
        self.h = lambda name, data: hashlib.sha3_256(tag(name) + data).digest()
        self.encap, self.tag, self.ver = encap, tag, encap(verification)
        self.node, self.onion = keys.ed25519, keys.ntor
        self.secret = os.urandom(32)
        self.public = x25519(self.secret, BASE)
        shared = x25519(self.secret, self.onion)
        phase1 = shared + self.node + self.public + self.onion + NTOR3 + self.ver
        stream = hashlib.shake_256(tag(b"kdf_phase1") + phase1).digest(64)
        sealed = AesCtr(stream[:32]).crypt(message)
        head = self.node + self.onion + self.public + sealed
        mac = hashlib.sha3_256(tag(b"msg_mac") + encap(stream[32:64]) + head).digest()
        self.mac, self.request = mac, head + mac

    def finish(self, reply):
        server, auth, sealed = reply[:32], reply[32:64], reply[64:]
        secret_input = (x25519(self.secret, server) + x25519(self.secret, self.onion)
                        + self.node + self.onion + self.public + server + NTOR3 + self.ver)
        seed = self.h(b"key_seed", secret_input)
        verify = self.h(b"verify", secret_input)
        wanted = self.h(b"auth_final", verify + self.node + self.onion + server + self.public
                        + self.mac + self.encap(sealed) + NTOR3 + b"Server")
        if auth != wanted:
            raise TornetError("ntor-v3: the relay's authentication is wrong")
        stream = hashlib.shake_256(self.tag(b"kdf_final") + seed).digest(32 + 92)
        self.message = AesCtr(stream[:32]).crypt(sealed)
        return stream[32:]


class RelayKeys:
    """Public keys of a relay, from the descriptor that an authority holds."""

    def __init__(self, net, name):
        fpr = net.fingerprint(name)
        text = net.descriptor(fpr)
        key = lambda word: b64pad(re.search(r"^%s (\S+)" % word, text, re.M)[1])
        router = re.search(r"^router \S+ (\S+) (\d+)", text, re.M)
        self.fingerprint = bytes.fromhex(fpr)
        self.ntor, self.ed25519 = key("ntor-onion-key"), key("master-key-ed25519")
        self.address, self.port = router[1], int(router[2])
        self.text = text

    def specifiers(self, address=None, port=None, fingerprint=None, ed25519=None):
        """Link specifiers for EXTEND2, each part exchangeable."""
        return [(0, socket.inet_aton(address or self.address) + (port or self.port).to_bytes(2, "big")),
                (2, fingerprint or self.fingerprint), (3, ed25519 or self.ed25519)]


def extend2_body(specifiers, kind, request):
    return (bytes([len(specifiers)])
            + b"".join(bytes([t, len(data)]) + data for t, data in specifiers)
            + struct.pack("!HH", kind, len(request)) + request)


# -- circuits ----------------------------------------------------------------------

class Layer:
    """What one hop and the client share (tor-spec 5.5): Df, Db, Kf, Kb."""

    def __init__(self, keys):
        self.sent, self.received = hashlib.sha1(keys[:20]), hashlib.sha1(keys[20:40])
        self.forward, self.backward = AesCtr(keys[40:56]), AesCtr(keys[56:72])


class Circuit:
    """A circuit on a Link; hops in self.layers."""

    def __init__(self, link, cid=None):
        self.link, self.cid = link, cid or link.new_id()
        self.layers = []
        self.digest = b""           # running digest after the last cell we received
        self.sendme_inc, self.stream_inc = 100, 50

    def create_fast(self):
        x = os.urandom(20)
        _, reply = self.link.request(self.cid, CREATE_FAST, x, CREATED_FAST)
        keys = kdf_tor(x + reply[:20], 92)
        if reply[20:40] != keys[:20]:
            raise TornetError("CREATED_FAST: derivative key is wrong")
        self.layers = [Layer(keys[20:])]
        return self

    def create(self, keys, handshake=Ntor):
        hs = handshake(keys)
        _, reply = self.link.request(self.cid, CREATE2, struct.pack("!HH", hs.kind, len(hs.request))
                                     + hs.request, CREATED2)
        self.layers = [Layer(hs.finish(reply[2:2 + int.from_bytes(reply[:2], "big")]))]
        self._agree(hs)
        return self

    def _agree(self, hs):
        """Congestion control, where the hop granted it: other intervals, no stream SENDMEs."""
        self.handshake = hs
        found = re.fullmatch(rb"\x01\x02\x01(.)", getattr(hs, "message", b""), re.S)
        self.sendme_inc, self.stream_inc = (found[1][0], 0) if found else (100, 50)

    def extend(self, keys, handshake=Ntor, specifiers=None):
        hs = handshake(keys)
        self.send(EXTEND2, 0, extend2_body(specifiers or keys.specifiers(), hs.kind, hs.request),
                  early=True)
        cmd, _, data = self.receive()
        if cmd != EXTENDED2:
            raise TornetError("answer to EXTEND2 is relay command %d" % cmd)
        self.layers.append(Layer(hs.finish(data[2:2 + int.from_bytes(data[:2], "big")])))
        self._agree(hs)
        return self

    def seal(self, cmd, stream, data=b"", hop=-1, recognized=0, digest=None, length=None):
        """Body of a relay cell for one hop. `digest` and the like forge it."""
        layer = self.layers[hop]
        pad = RELAY_DATA - len(data)
        padding = b"\0" * min(4, pad) + os.urandom(max(0, pad - 4))
        head = struct.pack("!BHH", cmd, recognized, stream)
        tail = struct.pack("!H", len(data) if length is None else length) + data + padding
        layer.sent.update(head + b"\0\0\0\0" + tail)
        body = head + (layer.sent.digest()[:4] if digest is None else digest) + tail
        for one in reversed(self.layers[:hop % len(self.layers) + 1]):
            body = one.forward.crypt(body)
        return body

    def send(self, cmd, stream, data=b"", early=False, **forge):
        self.link.send(self.link.cell(self.cid, RELAY_EARLY if early else RELAY,
                                      self.seal(cmd, stream, data, **forge)))

    def open(self, body):
        """(relay command, stream, data) of a relay cell's body."""
        for layer in self.layers:
            body = layer.backward.crypt(body)
            if body[1:3] != b"\0\0":
                continue
            trial = layer.received.copy()
            trial.update(body[:5] + b"\0\0\0\0" + body[9:])
            if trial.digest()[:4] == body[5:9]:
                layer.received = trial
                self.digest = trial.digest()
                cmd, _, stream = struct.unpack("!BHH", body[:5])
                size = int.from_bytes(body[9:11], "big")
                return cmd, stream, body[11:11 + size]
        raise TornetError("a relay cell that no hop sent")

    def receive(self, within=15):
        """Next relay message; Destroyed when the circuit ends."""
        self.link.sock.settimeout(within)
        while True:
            cid, cmd, body = self.link.read_cell()
            if cid != self.cid:
                continue
            if cmd == DESTROY:
                raise Destroyed(body[0])
            if cmd == RELAY:
                return self.open(body)
            raise TornetError("command %d on the circuit" % cmd)

    def begin(self, target, stream=1, flags=b"\0\0\0\0"):
        self.send(BEGIN, stream, target.encode() + b"\0" + flags)
        cmd, _, data = self.receive()
        if cmd != CONNECTED:
            raise TornetError("BEGIN %s: relay command %d, %s" % (target, cmd, data[:1].hex()))
        return data

    def destroy_reason(self, within=10):
        """Reason of the DESTROY for this circuit; messages before it are skipped."""
        return self.link.destroy_reason(self.cid, within)

    def dir_request(self, request, stream=9, limit=1 << 20, within=20):
        """Bytes that the hop's directory answers over BEGIN_DIR."""
        self.send(BEGIN_DIR, stream)
        cmd, _, data = self.receive(within)
        if cmd != CONNECTED:
            raise TornetError("BEGIN_DIR: relay command %d" % cmd)
        for i in range(0, len(request), RELAY_DATA):
            self.send(DATA, stream, request[i:i + RELAY_DATA])
        return self.read_stream(stream, limit, within)

    def read_stream(self, stream, limit=1 << 20, within=20):
        """Everything up to END, sending the SENDMEs that are due."""
        out, cells, deadline = b"", 0, time.monotonic() + within
        while len(out) < limit and time.monotonic() < deadline:
            cmd, got, data = self.receive(within)
            if got == stream and cmd == END:
                return out
            if got == stream and cmd == DATA:
                out, cells = out + data, cells + 1
                if self.stream_inc and cells % self.stream_inc == 0:
                    self.send(SENDME, stream)
                if cells % self.sendme_inc == 0:
                    self.send(SENDME, 0, b"\x01\x00\x14" + self.digest)
        return out


class Destroyed(TornetError):
    def __init__(self, reason):
        super().__init__("DESTROY, reason %d" % reason)
        self.reason = reason
