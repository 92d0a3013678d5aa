"""Reads a consensus (ns flavour) into plain dictionaries."""

from .util import b64pad


def parse_consensus(text):
    """{'relays': {FINGERPRINT: {...}}, 'valid-after': …, …} (ns flavour)."""
    out, relays, cur = {"relays": {}}, {}, None
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "r":
            col = rest.split()
            cur = {"nickname": col[0],
                   "fingerprint": b64pad(col[1]).hex().upper(),
                   "address": col[5], "orport": int(col[6]), "dirport": int(col[7])}
            relays[cur["fingerprint"]] = cur
        elif cur is not None and word in ("s", "v", "pr", "w", "p"):
            cur[{"s": "flags", "v": "version", "pr": "proto", "w": "bandwidth",
                 "p": "policy"}[word]] = rest.split() if word == "s" else rest
        elif word == "directory-footer":
            cur = None
        elif cur is None and word in (
                "valid-after", "fresh-until", "valid-until", "consensus-method",
                "known-flags", "params", "bandwidth-weights",
                "required-relay-protocols", "required-client-protocols",
                "recommended-relay-protocols", "recommended-client-protocols"):
            out[word] = rest
    out["relays"] = relays
    return out
