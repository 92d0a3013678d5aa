"""Families by a shared key: tor's authorities list ours, and tor's clients keep a family apart."""

import json
import os
import re
import subprocess
import time

import pytest

from conftest import FLAGS, PROGRAM, SLOW
from tornet import b64pad, find_tool, http_request
from tornet.ours import nonos_tool

pytestmark = pytest.mark.skipif(PROGRAM == "tor", reason="options of nonosd")


def tor_family_key(directory, name="lab"):
    """A key as tor makes it; its id."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    empty = os.path.join(directory, "empty-torrc")
    open(empty, "w").close()
    run = subprocess.run([find_tool("tor"), "-f", empty, "--defaults-torrc", empty, "--hush", "--keygen-family", name],
                         cwd=directory, capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stdout + run.stderr
    with open(os.path.join(directory, name + ".public_family_id")) as f:
        return f.read().strip()


def our_family_key(directory, name="lab"):
    """The same as nonosctl makes it."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    run = subprocess.run([nonos_tool("nonosctl"), "family", "new", name, "--dir", directory, "--json"],
                         capture_output=True, text=True, timeout=30, check=True)
    return json.loads(run.stdout)["id"]


def microdesc(net, relay):
    """What the newest consensus names as that relay's microdescriptor."""
    text = net.consensus_text(flavor="microdesc")
    fpr = bytes.fromhex(net.fingerprint(relay))
    for entry in re.split(r"(?m)^(?=r )", text)[1:]:
        lines = entry.splitlines()
        if b64pad(lines[0].split()[2]) == fpr:
            digest = next(line.split()[1] for line in lines if line.startswith("m "))
            port = net.by_role("auth")[0]["dir_port"]
            return http_request(port, "GET", "/tor/micro/d/" + digest)[2].decode()
    return ""


def family_ids(net, relay):
    return re.findall(r"(?m)^family-ids (.*)$", microdesc(net, relay))


def wait_for(what, timeout):
    deadline = time.time() + timeout * SLOW
    while not what():
        assert time.time() < deadline, "did not come true in %d s" % (timeout * SLOW)
        time.sleep(1)


def middles(net, name, count):
    """The second hops of circuits whose path tor's client chooses."""
    seen = {}
    with net.control(name) as ctl:
        ctl.cmd("SETEVENTS CIRC")
        for _ in range(count):
            cid = ctl.cmd("EXTENDCIRCUIT 0")[0][1].split()[1]
            deadline = time.monotonic() + 30 * SLOW
            while True:
                col = (ctl.event(deadline) or "").split()
                assert col, "circuit %s hangs" % cid
                if col[:2] == ["CIRC", cid] and col[2] in ("BUILT", "FAILED", "CLOSED"):
                    break
            if col[2] == "BUILT":
                hops = [hop[1:41] for hop in col[3].split(",")]
                seen[hops[1]] = seen.get(hops[1], 0) + 1
            ctl.cmd("CLOSECIRCUIT " + cid) if col[2] == "BUILT" else None
    return seen


def client(net, name, guard, middle):
    # The exit is chosen first: one of the guard's family would leave no guard.
    net.add_client(name, ["EntryNodes $" + net.fingerprint(guard), "StrictNodes 1",
                          "ExitNodes $" + net.fingerprint("exit0"),
                          "MiddleNodes " + ",".join("$" + net.fingerprint(m) for m in middle),
                          "ConfluxEnabled 0"])
    net.start([name])
    net.wait(timeout=int(90 * SLOW))


def test_one_family_with_tor(make_net, tmp_path):
    """tor's relay and two of ours hold one key: the microdescriptors say so, and a client
    that enters by one of them takes none of the others next."""
    keys = str(tmp_path / "family")
    ident = our_family_key(keys)
    member = ["FamilyId " + ident, "FamilyKeyDirectory " + keys]
    net = make_net(relays=2, exits=1, ours=2, clients=0, extra=["relay0:" + line for line in member],
                   ours_extra=["relay:family_id = " + ident, "relay:family_key_dir = " + keys])
    for name in ("ours0", "ours1", "relay0"):
        net.wait_relay(name, FLAGS[:6], timeout=int(60 * SLOW))
        wait_for(lambda name=name: family_ids(net, name) == ["ed25519:" + ident], 30)
    assert family_ids(net, "relay1") == []
    text = net.descriptor(net.fingerprint("ours0"))
    assert text.count("\nfamily-cert\n-----BEGIN FAMILY CERT-----\n") == 1
    shown = net.ctl("ours0", "relay", "family")
    assert [f["id"] for f in shown["families"]] == [ident]
    wait_for(lambda: net.ctl("ours0", "relay", "family")["network_ids"] == ["ed25519:" + ident], 30)
    wait_for(lambda: {m["nickname"] for m in net.ctl("ours0", "relay", "family")["members"]
                      if m["counts"] and m["same_id"]} == {"ours1", "relay0"}, 30)
    everybody = ("ours0", "ours1", "relay0", "relay1")
    fpr = {name: net.fingerprint(name) for name in everybody}
    client(net, "outsider", "relay1", [n for n in everybody if n != "relay1"])
    seen = middles(net, "outsider", 30)
    # Ours have much the highest weight here, so a client that may take them does.
    assert {fpr["ours0"], fpr["ours1"]} <= set(seen), seen
    for guard in ("ours0", "relay0"):
        name = "by" + guard
        client(net, name, guard, [n for n in everybody if n != guard])
        seen = middles(net, name, 30)
        assert set(seen) == {fpr["relay1"]}, (guard, seen)


@pytest.mark.long
def test_key_rotation_by_reload(make_net, tmp_path):
    """family_id = *: a key that is put in place of another is published after a reload, and a
    configuration whose key is not there is refused."""
    keys = str(tmp_path / "family")
    first = tor_family_key(keys)
    net = make_net(relays=1, exits=1, ours=1, clients=0,
                   ours_extra=["relay:family_id = *", "relay:family_key_dir = " + keys])
    net.wait_relay("ours0", FLAGS[:5], timeout=int(60 * SLOW))
    wait_for(lambda: family_ids(net, "ours0") == ["ed25519:" + first], 30)
    for name in os.listdir(keys):
        os.unlink(os.path.join(keys, name))
    refused = subprocess.run([nonos_tool("nonosctl"), "-s", net.control_socket("ours0"), "reload"], capture_output=True, text=True)
    assert refused.returncode != 0 and "family" in refused.stderr, refused
    second = tor_family_key(keys, "second")
    assert second != first
    net.ctl("ours0", "reload")
    # Within two hours authorities drop a descriptor in which nothing else has changed, and say so.
    wait_for(lambda: all(row["not_new"] for row in net.ctl("ours0", "relay", "descriptor")["uploads"]), 30)
    assert family_ids(net, "ours0") == ["ed25519:" + first]
    conf = net._path("ours0", "nonosd.conf")
    with open(conf) as f:
        text = f.read()
    with open(conf, "w") as f:
        f.write(text.replace("contact = ours0", "contact = somebody"))
    net.ctl("ours0", "reload")
    wait_for(lambda: family_ids(net, "ours0") == ["ed25519:" + second], 60)
