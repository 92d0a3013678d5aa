"""What unmodified authorities make of our descriptor."""

import base64

import pytest

from conftest import FLAGS, PROGRAM, SLOW
from orlink import Link, certs_claims


def test_all_flags_with_reachability_test(lab):
    """Every authority connects, checks the link handshake and lists each of ours with all flags."""
    for name in lab.ours():
        entry = lab.wait_relay(name, FLAGS, timeout=int(30 * SLOW))
        assert entry["nickname"] == name
        assert entry["orport"] == lab.node(name)["or_port"]


def test_all_flags_without_reachability_test(make_net):
    """The same where authorities take a relay's word; and no Exit flag without an exit policy."""
    net = make_net(relays=1, exits=1, ours=1)
    net.add_ours("nonexit", exit=False)
    net.start(["nonexit"])
    net.wait_relay("ours0", FLAGS, timeout=int(30 * SLOW))
    net.wait_relay("nonexit", [f for f in FLAGS if f != "Exit"], timeout=int(60 * SLOW))
    assert "Exit" not in net.consensus()["relays"][net.fingerprint("nonexit")]["flags"]


def test_descriptor_says_what_we_do(lab):
    if PROGRAM == "tor":
        pytest.skip("the words of our own descriptor")
    text = lab.descriptor(lab.fingerprint("ours0"))
    assert ("\nproto Cons=1-2 Desc=1-2 DirCache=2 FlowCtrl=1-2 Link=4-5 LinkAuth=3 "
            "Microdesc=1-2 Relay=2-4\n") in text
    for line in ("tunnelled-dir-server", "accept *:*", "contact ours0@tornet.invalid"):
        assert "\n%s\n" % line in text
    assert "\nextra-info-digest " in text
    assert "\nplatform nonos" in text.lower() or "\nplatform " in text


def test_status_agrees_with_the_network(lab):
    """Status names our identity, and per authority what it said and lists."""
    if PROGRAM == "tor":
        pytest.skip("nonosctl")
    for name in lab.ours():
        status = lab.status(name)
        assert status["nickname"] == name
        assert status["fingerprint"].upper() == lab.fingerprint(name)
        assert sorted(w["pid"] for w in status["workers"]) == sorted(lab.workers(name))
        assert isinstance(status["links"], int) and isinstance(status["circuits"], int)
        assert status["read_bytes"] > 0 and status["written_bytes"] > 0
        assert len(status["directory"]) == 3
        for row in status["directory"]:
            assert "200" in str(row), row
            assert "Running" in str(row), row


def test_link_presents_the_listed_identity(lab):
    """TLS certificate, Ed25519 chain, cross-certificate and descriptor are one identity."""
    node = lab.node("ours0")
    with Link(node["or_port"]) as link:
        claims = certs_claims(link)
        assert link.auth_methods == [3]
    wanted = base64.b64decode(node["ed25519"] + "=")
    assert claims["binds_tls"]
    assert claims["ed25519"] == wanted and claims["cross_ed25519"] == wanted
    assert {2, 4, 5, 7} <= set(claims["types"])
    assert claims["expires_h"] > 1 and claims["signing_expires_h"] > 24
