"""Who extends to whom, over links that either side opened; ours as the only caches."""

import os
import time

import pytest

from conftest import FLAGS, SLOW
from tornet import HOST
from tornet.util import proc_tree


def sockets(pids):
    """Established TCP connections of these processes: {(local, remote) ports}."""
    inodes = set()
    for pid in pids:
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                link = os.readlink("/proc/%d/fd/%s" % (pid, fd))
            except OSError:
                continue
            if link.startswith("socket:["):
                inodes.add(link[8:-1])
    with open("/proc/net/tcp") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    port = lambda text: int(text.split(":")[1], 16)
    return {(port(r[1]), port(r[2])) for r in rows if r[3] == "01" and r[9] in inodes}


def links_between(net, a, b):
    """(links that a opened to b's ORPort, links that b opened to a's)."""
    of_a, of_b = (sockets(proc_tree(net.pid(n))) for n in (a, b))
    both = {pair for pair in of_a if pair[::-1] in of_b}
    return (sum(remote == net.node(b)["or_port"] for _, remote in both),
            sum(local == net.node(a)["or_port"] for local, _ in both))


def newcomer(lab, name):
    """One more of ours, with one worker; gives a tor relay that has no link with it yet but
    knows it: tor takes an incoming link for a client's until its consensus lists the peer."""
    lab.add_ours(name, workers=1)
    lab.start([name])
    lab.wait_relay(name, FLAGS, timeout=int(90 * SLOW))
    fresh = [n["name"] for n in lab.by_role("relay", "exit")
             if links_between(lab, name, n["name"]) == (0, 0)]
    assert fresh, "every relay has a link with the newcomer already"
    return fresh[0]


def test_tor_reuses_a_link_that_we_opened(lab):
    peer = newcomer(lab, "opener")
    spare = "relay0" if peer != "relay0" else "relay1"
    last = "exit0" if peer != "exit0" else "exit1"
    try:
        lab.fetch(path=["opener", peer, last], mb=1)
        assert links_between(lab, "opener", peer) == (1, 0)
        lab.fetch(path=[peer, "opener", last], mb=1)
        lab.fetch(path=[spare, peer, "opener"], mb=1)
        assert links_between(lab, "opener", peer) == (1, 0)
    finally:
        lab.remove_node("opener")


def test_we_reuse_a_link_that_tor_opened(lab):
    peer = newcomer(lab, "listener")
    spare = "relay0" if peer != "relay0" else "relay1"
    last = "exit0" if peer != "exit0" else "exit1"
    try:
        lab.fetch(path=[peer, "listener", last], mb=1)
        assert links_between(lab, "listener", peer) == (0, 1)
        lab.fetch(path=["listener", peer, last], mb=1)
        lab.fetch(path=[spare, "listener", peer, last], mb=1)
        assert links_between(lab, "listener", peer) == (0, 1)
    finally:
        lab.remove_node("listener")


@pytest.mark.parametrize("path", [
    ["ours0", "ours1", "exit0"], ["ours1", "ours0", "exit0"],
    ["relay0", "ours1", "ours2"], ["ours2", "relay1", "ours0"],
    ["exit1", "ours0", "relay0", "ours1", "exit0"],
    ["ours0", "ours1", "ours2", "relay0", "exit0"]],
    ids=lambda path: "-".join(path))
def test_every_order(lab, path):
    assert lab.fetch(path=path, mb=1, timeout=int(60 * SLOW))["sha256_ok"]


def test_many_circuits_share_few_links(lab):
    """200 circuits between two of ours need no more links than there are workers."""
    result = lab.circuits(["ours0", "ours1", "exit0"], count=200, timeout=int(60 * SLOW))
    assert result["built"] == 200, result
    opened, accepted = links_between(lab, "ours0", "ours1")
    workers = max(1, len(lab.workers("ours0")))
    assert opened <= workers and accepted <= workers


def test_bootstrap_with_ours_as_only_caches(lab):
    """A client that can reach no authority and knows one of ours as its only fall-back
    gets consensus, certificates and microdescriptors, works, and follows the next consensus."""
    ours = [lab.node(n) for n in lab.ours()]
    extra = ["FallbackDir %s:1 orport=%d id=%s" % (HOST, n["or_port"], n["fingerprint"])
             for n in ours[:1]]
    extra += ["UseDefaultFallbackDirs 0", "StrictNodes 1",
              "EntryNodes " + ",".join("$" + n["fingerprint"] for n in ours)]
    lab.add_client("cached", extra, dead_authorities=True)
    try:
        lab.start(["cached"])
        deadline = time.time() + 90 * SLOW
        with lab.pollers() as get:
            while lab.bootstrap_phase(get, "cached") < 100:
                assert time.time() < deadline, lab.log_tail("cached", 15)
                time.sleep(0.2)
            first = get("cached").getinfo("consensus/valid-after")
            peers = get("cached").getinfo("orconn-status")
            for line in peers.splitlines():
                assert any(n["fingerprint"] in line for n in ours) or "CONNECTED" not in line, peers
            assert not lab.unknown_to(get, "cached", [
                n["fingerprint"] for n in lab.by_role("relay", "exit")])
            result = lab.fetch(path=["ours1", "relay0", "exit0"], mb=1, client="cached")
            assert result["sha256_ok"]
            while get("cached").getinfo("consensus/valid-after") == first:
                assert time.time() < deadline, "no newer consensus through our caches"
                time.sleep(0.5)
    finally:
        lab.remove_node("cached")
