#!/usr/bin/env python3
"""Vectors for the circuit handshakes and the onion layer, stdlib only.

  gen_handshake.py > handshake.json      write them anew
  gen_handshake.py --check               compare with the file beside this one

Independent of the C code: X25519 after RFC 7748, AES after FIPS 197, the rest
from hashlib. The ntor-v3 code is first put through the vectors at the end of
Tor's proposal 332, AES through those of SP 800-38A. Every "random" value is a
hash of its name, so two runs agree.
"""

import hashlib
import hmac
import json
import os
import struct
import sys

# -- AES in counter mode ---------------------------------------------------------


def _tables():
    exp, log, x = [0] * 256, [0] * 256, 1
    for i in range(255):
        exp[i], log[x] = x, i
        x ^= (x << 1) ^ (0x11B if x & 0x80 else 0)
        x &= 0xFF
    sbox = []
    for v in range(256):
        inv = 0 if v == 0 else exp[(255 - log[v]) % 255]
        r = 0x63
        for shift in range(5):
            r ^= (inv << shift | inv >> (8 - shift)) & 0xFF
        sbox.append(r)
    return sbox


SBOX = _tables()


def _xtime(v):
    return (v << 1 ^ (0x1B if v & 0x80 else 0)) & 0xFF


def _expand(key):
    words = [list(key[i:i + 4]) for i in range(0, len(key), 4)]
    n, rcon = len(words), 1
    for i in range(n, 4 * (n + 7)):
        w = list(words[-1])
        if i % n == 0:
            w = [SBOX[b] for b in w[1:] + w[:1]]
            w[0] ^= rcon
            rcon = _xtime(rcon)
        elif n > 6 and i % n == 4:
            w = [SBOX[b] for b in w]
        words.append([a ^ b for a, b in zip(words[i - n], w)])
    return [sum(words[i:i + 4], []) for i in range(0, len(words), 4)]


def aes_block(round_keys, block):
    s = [a ^ b for a, b in zip(block, round_keys[0])]
    for n, rk in enumerate(round_keys[1:], 1):
        s = [SBOX[s[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if n < len(round_keys) - 1:
            mixed = []
            for c in range(0, 16, 4):
                col, total = s[c:c + 4], s[c] ^ s[c + 1] ^ s[c + 2] ^ s[c + 3]
                mixed += [col[i] ^ total ^ _xtime(col[i] ^ col[(i + 1) % 4]) for i in range(4)]
            s = mixed
        s = [a ^ b for a, b in zip(s, rk)]
    return bytes(s)


class Ctr:
    """One keystream with a counter that starts at `start`."""

    def __init__(self, key, start=0):
        self.keys, self.counter, self.rest = _expand(key), start, b""

    def crypt(self, data):
        while len(self.rest) < len(data):
            self.rest += aes_block(self.keys, self.counter.to_bytes(16, "big"))
            self.counter += 1
        out = bytes(a ^ b for a, b in zip(data, self.rest))
        self.rest = self.rest[len(data):]
        return out


def check_aes():
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    start = int("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 16)
    for key, want in (("2b7e151628aed2a6abf7158809cf4f3c", "874d6191b620e3261bef6864990db6ce"),
                      ("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                       "601ec313775789a5b7a7f504bbf3d228")):
        assert Ctr(bytes.fromhex(key), start).crypt(plain).hex() == want


# -- X25519 ------------------------------------------------------------------------

P = 2 ** 255 - 19


def x25519(scalar, point):
    k = int.from_bytes(scalar, "little") & ~7 & (2 ** 255 - 1) | 2 ** 254
    x1 = int.from_bytes(point, "little") & (2 ** 255 - 1)
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        x3, z3 = pow(da + cb, 2, P), x1 * pow(da - cb, 2, P) % P
        x2, z2 = aa * bb % P, (aa - bb) * (aa + 121665 * (aa - bb)) % P
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(secret):
    return x25519(secret, (9).to_bytes(32, "little"))


def fixed(name, size=32):
    return hashlib.shake_256(b"nonos handshake vector: " + name.encode()).digest(size)


def circuit_keys(raw):
    return {"df": raw[:20], "db": raw[20:40], "kf": raw[40:56], "kb": raw[56:72]}


# -- CREATE_FAST (tor-spec 5.1.5, 5.2.1) ---------------------------------------------

def fast():
    x, y = fixed("fast x", 20), fixed("fast y", 20)
    raw = b"".join(hashlib.sha1(x + y + bytes([i])).digest() for i in range(5))
    return {"x": x, "y": y, "reply": y + raw[:20], **circuit_keys(raw[20:92])}


# -- ntor (tor-spec 5.1.4, 5.2.2) ----------------------------------------------------

NTOR = b"ntor-curve25519-sha256-1"


def hm(tag, data):
    return hmac.new(NTOR + tag, data, hashlib.sha256).digest()


def ntor():
    ident = fixed("ntor id", 20)
    b, x, y = fixed("ntor b"), fixed("ntor x"), fixed("ntor y")
    B, X, Y = public(b), public(x), public(y)
    # As the client sees it; the C test runs the server too.
    secret = x25519(x, Y) + x25519(x, B) + ident + B + X + Y + NTOR
    auth = hm(b":mac", hm(b":verify", secret) + ident + B + Y + X + NTOR + b"Server")
    seed, raw, block = hm(b":key_extract", secret), b"", b""
    for i in range(1, 4):
        block = hmac.new(seed, block + NTOR + b":key_expand" + bytes([i]), hashlib.sha256).digest()
        raw += block
    return {"id": ident, "b": b, "B": B, "x": x, "X": X, "y": y, "Y": Y,
            "onion": ident + B + X, "reply": Y + auth, **circuit_keys(raw[:72])}


# -- ntor-v3 (proposal 332) ----------------------------------------------------------

NTOR3 = b"ntor3-curve25519-sha3_256-1"


def encap(s):
    return struct.pack("!Q", len(s)) + s


def h3(tag, data):
    return hashlib.sha3_256(encap(NTOR3 + tag) + data).digest()


def kdf(tag, data, size):
    return hashlib.shake_256(encap(NTOR3 + tag) + data).digest(size)


def ntor3(ident, b, x, y, verification, client_msg, server_msg, keystream):
    B, X, Y = public(b), public(x), public(y)
    tail = NTOR3 + encap(verification)
    Bx = x25519(x, B)
    keys = kdf(b":kdf_phase1", Bx + ident + X + B + tail, 64)
    encrypted = Ctr(keys[:32]).crypt(client_msg)
    mac = h3(b":msg_mac", encap(keys[32:]) + ident + B + X + encrypted)
    secret = x25519(x, Y) + Bx + ident + B + X + Y + tail
    stream = kdf(b":kdf_final", h3(b":key_seed", secret), 32 + keystream)
    answer = Ctr(stream[:32]).crypt(server_msg)
    auth = h3(b":auth_final", h3(b":verify", secret) + ident + B + Y + X + mac
              + encap(answer) + NTOR3 + b"Server")
    return {"id": ident, "b": b, "B": B, "x": x, "X": X, "y": y, "Y": Y,
            "verification": verification, "client_msg": client_msg, "server_msg": server_msg,
            "onion": ident + B + X + encrypted + mac, "reply": Y + auth + answer,
            "keystream": stream[32:]}


PROP332 = {
    "b": "4051daa5921cfa2a1c27b08451324919538e79e788a81b38cbed097a5dff454a",
    "id": "9fad2af287ef942632833d21f946c6260c33fae6172b60006e86e4a6911753a2",
    "x": "b825a3719147bcbe5fb1d0b0fcb9c09e51948048e2e3283d2ab7b45b5ef38b49",
    "y": "4865a5b7689dafd978f529291c7171bc159be076b92186405d13220b80e2a053",
    "client_msg": "68656c6c6f20776f726c64",
    "verification": "78797a7a79",
    "server_msg": "486f6c61204d756e646f",
    "B": "f8307a2bc1870b00b828bb74dbb8fd88e632a6375ab3bcd1ae706aaa8b6cdd1d",
    "X": "252fe9ae91264c91d4ecb8501f79d0387e34ad8ca0f7c995184f7d11d5da4f46",
    "Y": "4bf4814326fdab45ad5184f5518bd7fae25dc59374062698201a50a22954246d",
    "onion": "9fad2af287ef942632833d21f946c6260c33fae6172b60006e86e4a6911753a2"
             "f8307a2bc1870b00b828bb74dbb8fd88e632a6375ab3bcd1ae706aaa8b6cdd1d"
             "252fe9ae91264c91d4ecb8501f79d0387e34ad8ca0f7c995184f7d11d5da4f46"
             "3bebd9151fd3b47c180abc9e044d53565f04d82bbb3bebed3d06cea65db8be9c"
             "72b68cd461942088502f67",
    "reply": "4bf4814326fdab45ad5184f5518bd7fae25dc59374062698201a50a22954246d"
             "2fc5f8773ca824542bc6cf6f57c7c29bbf4e5476461ab130c5b18ab0a9127665"
             "1202c3e1e87c0d32054c",
    "keystream": "9c19b631fd94ed86a817e01f6c80b0743a43f5faebd39cfaa8b00fa8bcc65c3b"
                 "feaa403d91acbd68a821bf6ee8504602b094a254392a07737d5662768c7a9fb1"
                 "b2814bb34780eaee6e867c773e28c212ead563e98a1cd5d5b4576f5ee61c59bd"
                 "e025ff2851bb19b721421694f263818e3531e43a9e4e3e2c661e2ad547d8984c"
                 "aa28ebecd3e4525452299be26b9185a20a90ce1eac20a91f2832d731b54502b0"
                 "9749b5a2a2949292f8cfcbeffb790c7790ed935a9d251e7e336148ea83b063a5"
                 "618fcff674a44581585fd22077ca0e52c59a24347a38d1a1ceebddbf238541f2"
                 "26b8f88d0fb9c07a1bcd2ea764bbbb5dacdaf5312a14c0b9e4f06309b0333b4a",
}


def check_ntor3():
    v = {k: bytes.fromhex(s) for k, s in PROP332.items()}
    made = ntor3(v["id"], v["b"], v["x"], v["y"], v["verification"], v["client_msg"],
                 v["server_msg"], 256)
    for name, value in v.items():
        assert made[name] == value, name


def ntor3_circuit():
    made = ntor3(fixed("ntor3 id"), fixed("ntor3 b"), fixed("ntor3 x"), fixed("ntor3 y"),
                 b"circuit extend", b"\1\1\0", b"\1\2\1\x1f", 72)
    return {**made, **circuit_keys(made["keystream"])}


# -- the onion layer (tor-spec 5.5, 6.1) -----------------------------------------------

def onion():
    """Three cells each way through one hop; the digest field is filled, then all is encrypted."""
    raw = fixed("onion keys", 72)
    k = circuit_keys(raw)
    out = {"keys": raw}
    for way, seed, key in (("forward", k["df"], k["kf"]), ("backward", k["db"], k["kb"])):
        digest, stream, cells = hashlib.sha1(seed), Ctr(key), []
        for i in range(3):
            data = fixed("onion %s %d" % (way, i), 100 * i)
            plain = struct.pack("!BHHIH", 2, 0, 7 + i, 0, len(data)) + data
            plain = plain.ljust(509, b"\0")
            digest.update(plain)
            full = digest.digest()
            sealed = plain[:5] + full[:4] + plain[9:]
            cells.append({"plain": plain, "cell": stream.crypt(sealed), "digest": full})
        out[way] = cells
    return out


def to_hex(v):
    if isinstance(v, bytes):
        return v.hex()
    if isinstance(v, dict):
        return {k: to_hex(x) for k, x in v.items()}
    return [to_hex(x) for x in v]


def main():
    check_aes()
    check_ntor3()
    doc = {"fast": fast(), "ntor": ntor(), "ntor3_circuit": ntor3_circuit(), "onion": onion()}
    doc = {**to_hex(doc), "ntor3_prop332": PROP332}
    text = json.dumps(doc, indent=1, sort_keys=True) + "\n"
    if sys.argv[1:] != ["--check"]:
        sys.stdout.write(text)
        return 0
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "handshake.json")
    with open(path, encoding="ascii") as f:
        return 0 if f.read() == text else 1


if __name__ == "__main__":
    sys.exit(main())
