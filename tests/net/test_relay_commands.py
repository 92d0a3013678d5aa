"""nonosctl relay …: what the daemon shows of links, circuits, names, flags and exits, and what it refuses."""

import csv
import io
import json
import os
import re
import subprocess
import time

import pytest

import control_docs
from conftest import FLAGS, PROGRAM, SLOW
from orlink import Link
from tornet import HOST, TornetError, payload_server, pick_port_block, socks_connect
from tornet.ours import nonos_tool

pytestmark = pytest.mark.skipif(PROGRAM == "tor", reason="nonosctl")


def run(lab, name, *words):
    return subprocess.run([nonos_tool("nonosctl"), "-s", lab.control_socket(name), *words],
                          capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)


def wait_for(what, timeout):
    deadline = time.time() + timeout * SLOW
    while True:
        result = what()
        if result:
            return result
        assert time.time() < deadline, "did not come true in %d s" % (timeout * SLOW)
        time.sleep(0.5)


def test_descriptor_is_the_published_one(lab):
    shown = lab.ctl("ours0", "relay", "descriptor")
    assert shown["descriptor"].startswith("router ours0 ")
    assert shown["extra_info"].startswith("extra-info ours0 ")
    assert shown["made"] > 0 and shown["waiting_for"] is None
    assert len(shown["uploads"]) == 3
    for row in shown["uploads"]:
        assert row["http_status"] == 200 and row["in_consensus"], row
    fpr = lab.fingerprint("ours0")
    wait_for(lambda: lab.ctl("ours0", "relay", "descriptor")["descriptor"] == lab.descriptor(fpr), 30)
    text = run(lab, "ours0", "relay", "descriptor")
    assert text.returncode == 0 and "AUTHORITY" in text.stdout and "\nrouter ours0 " in text.stdout


def test_flags_and_votes(lab):
    for name in lab.ours():
        lab.wait_relay(name, FLAGS, timeout=int(60 * SLOW))
    before = lab.ctl("ours0", "relay", "flags")
    assert before["listed"] and set(FLAGS) <= set(before["flags"])
    entry = lab.consensus()["relays"][lab.fingerprint("ours0")]
    assert before["weight"] > 0 and 1 <= before["rank"] <= before["relays"]
    assert entry["nickname"] == "ours0" and before["relays"] == len(lab.consensus()["relays"])
    assert before["measured"] is False      # nobody measures in the lab
    assert [row["valid_after"] for row in before["trend"]] == sorted(row["valid_after"] for row in before["trend"])
    with_votes = lab.ctl("ours0", "relay", "flags", "--votes", "--history", "2")
    assert len(with_votes["trend"]) <= 2 and with_votes["votes_pending"] == 0
    for row in with_votes["authorities"]:
        assert row["vote"] and row["status"] == 200 and row["listed"], row
        assert "Running" in row["flags"] and row["measured_kb"] is None
        assert row["thresholds"]["guard_wfu_ppm"] == 980000
    for row in with_votes["missing"]:
        assert row["voters"] == 3
        if row["flag"] in FLAGS:
            assert row["given"] and row["votes"] >= 2 and row["needs"] is None, row
    text = run(lab, "ours0", "relay", "flags").stdout
    assert "rank" in text and "VOTES FOR" in text and "auth2" in text
    # Others who ask at the same time wait or are told so; the daemon is as it was.
    both = [subprocess.Popen([nonos_tool("nonosctl"), "-s", lab.control_socket("ours0"), "relay", "flags", "--votes"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for one in both:
        out, err = one.communicate(timeout=30)
        assert one.returncode == 0 or "try again" in err, err


def test_trend_outlives_a_restart(lab):
    lab.add_ours("again", workers=1)
    try:
        lab.start(["again"])
        lab.wait_relay("again", FLAGS[:2], timeout=int(60 * SLOW))
        rows = wait_for(lambda: [r for r in lab.ctl("again", "relay", "flags")["trend"] if r["listed"]], 30)
        assert os.path.exists(os.path.join(lab._path("again"), "data", "cache", "weights"))
        lab.stop(["again"])
        lab.start(["again"])
        kept = lab.ctl("again", "relay", "flags", "--history", "168")["trend"]
        assert rows[0]["valid_after"] in [r["valid_after"] for r in kept]
    finally:
        lab.remove_node("again")


def test_links_show_relays_alone(lab):
    """Relays of the consensus by name; a client, and whoever makes up an identity, in sums only."""
    with lab.attached(["ours0", "relay0", "exit0"]):
        shown = lab.ctl("ours0", "relay", "links")
        nick = {row["nickname"] for row in shown["links"]}
        known = {n["fingerprint"] for n in lab.by_role("auth", "relay", "exit", "ours")}
        assert "relay0" in nick
        assert {row["fingerprint"] for row in shown["links"]} <= known
        assert shown["relays"] == len(shown["links"])
        assert shown["clients"]["links"] >= 1
        for row in shown["links"]:
            assert row["version"] in (4, 5) and row["age_s"] % 60 == 0
            assert row["read_bytes"] % (1 << 20) == 0 and row["written_bytes"] % (1 << 20) == 0
            assert set(row) == {"fingerprint", "nickname", "opened_by", "canonical", "version", "age_s",
                                "read_bytes", "written_bytes"}
        count = shown["clients"]["links"]
        with Link(lab.node("ours0")["or_port"], source="127.77.1.2"):
            more = lab.ctl("ours0", "relay", "links")
            assert more["clients"]["links"] == count + 1
            assert "127.77.1.2" not in json.dumps(more)
    assert len(lab.ctl("ours0", "relay", "links", "--most", "1")["links"]) == 1
    table = run(lab, "ours0", "relay", "links")
    assert table.returncode == 0 and "FINGERPRINT" in table.stdout and "clients " in table.stdout
    rows = list(csv.DictReader(io.StringIO(run(lab, "ours0", "relay", "links", "--format", "csv").stdout)))
    assert rows and re.fullmatch("[0-9A-F]{40}", rows[0]["fingerprint"])


def test_circuits_are_counts(lab):
    path = ["ours0", "relay0", "exit0"]
    before = lab.ctl("ours0", "relay", "circuits")
    with lab.attached(path, circuits=5):
        now = lab.ctl("ours0", "relay", "circuits")
    for list_of in ("states", "ages", "queues"):
        assert sum(row["circuits"] for row in now[list_of]) == now["circuits"]
    joined = {row["state"]: row["circuits"] for row in now["states"]}["joined"]
    assert joined >= 5 and now["circuits"] >= before["circuits"]
    assert now["workers_silent"] == 0 and now["workers"] == len(lab.workers("ours0"))
    assert not re.search(r"[0-9A-F]{40}|\d+\.\d+\.\d+\.\d+", json.dumps(now))


def test_a_worker_that_does_not_answer(lab):
    """Stopped, not dead: the others' answer comes in time, and says so."""
    lab.add_ours("halting", workers=2)
    try:
        lab.start(["halting"])
        wait_for(lambda: lab.status("halting")["state"] == "running", 20)
        victim = lab.workers("halting")[0]
        os.kill(victim, 19)
        try:
            begin = time.monotonic()
            shown = lab.ctl("halting", "relay", "circuits")
            assert time.monotonic() - begin < 6 * SLOW
            assert (shown["workers"], shown["workers_silent"]) == (2, 1)
            assert "1 of 2 workers" in run(lab, "halting", "relay", "links").stdout
        finally:
            os.kill(victim, 18)
        wait_for(lambda: lab.ctl("halting", "relay", "circuits")["workers_silent"] == 0, 10)
    finally:
        lab.remove_node("halting")


def test_dns(lab):
    """Look-ups are counted, and a server that is gone is shown as down."""
    port = pick_port_block(1)
    conf = os.path.join(lab.base, "dead-resolv.conf")
    with open(conf, "w") as f:
        f.write("nameserver %s:%d\noptions timeout:1 attempts:1\n" % (HOST, port))
    shown = lab.ctl("ours0", "relay", "dns")
    assert [s["address"] for s in shown["servers"]] == ["%s:%d" % (HOST, lab.node("dns")["port"])]
    asked = shown["asked"]
    with payload_server(60) as (web, _), lab.attached(["relay0", "relay1", "ours0"]):
        with socks_connect(lab.by_role("client")[0]["socks_port"], "web.lab.test", web, 60):
            pass
    wait_for(lambda: lab.ctl("ours0", "relay", "dns")["asked"] > asked, 10)
    shown = lab.ctl("ours0", "relay", "dns")
    assert shown["usable"] and shown["servers"][0]["state"] == "up"
    assert "web.lab.test" not in json.dumps(shown)
    lab.add_ours("nodns", workers=1, extra=["relay:resolv_conf = " + conf])
    try:
        lab.start(["nodns"])
        lab.wait_relay("nodns", FLAGS, timeout=int(90 * SLOW))
        with lab.attached(["relay0", "relay1", "nodns"]):
            for n in range(5):
                try:
                    socks_connect(lab.by_role("client")[0]["socks_port"], "x%d.lab.test" % n, 80, 15).close()
                except (OSError, TornetError):
                    pass
        shown = wait_for(lambda: [s for s in lab.ctl("nodns", "relay", "dns")["servers"] if s["state"] == "down"], 60)
        assert shown[0]["failures"] >= 1
        assert "down" in run(lab, "nodns", "relay", "dns").stdout
    finally:
        lab.remove_node("nodns")


def test_bandwidth(lab):
    before = lab.ctl("ours0", "relay", "bandwidth")["days"][-1]
    lab.fetch(path=["relay0", "ours0", "exit0"], mb=5)
    time.sleep(2)
    shown = lab.ctl("ours0", "relay", "bandwidth")
    assert shown["days"][-1]["read_bytes"] >= before["read_bytes"] + 5_000_000
    assert shown["days"][-1]["written_bytes"] >= before["written_bytes"] + 5_000_000
    assert shown["read_now"] > 0 and shown["rate"] == 0
    assert "PEAK" in run(lab, "ours0", "relay", "bandwidth").stdout


def test_exit_policy(lab):
    lab.add_ours("picky", workers=1, extra=[
        "relay:exit_policy = reject 10.0.0.0/8:*, accept *:80, accept *:8000-8080, accept 192.0.2.1:*, reject *:*"])
    try:
        lab.start(["picky"])

        def test(address):
            return lab.ctl("picky", "relay", "exit-policy", "test", address)
        shown = test("1.2.3.4:80")
        assert shown["allowed"] and shown["rule"] == "accept *:80" and shown["because"] == "exit_policy"
        assert test("1.2.3.4:8080")["rule"] == "accept *:8000-8080"
        shown = test("10.1.2.3:80")
        assert not shown["allowed"] and shown["rule"] == "reject 10.0.0.0/8:*"
        assert test("1.2.3.4:81")["rule"] == "reject *:*"
        assert test("1.2.3.4")["ports"] == ["80", "8000-8080"]
        assert test("192.0.2.1")["ports"] == ["1-65535"]
        assert test("10.0.0.1")["ports"] == [] and not test("10.0.0.1")["allowed"]
        assert test("[2001:db8::1]:80")["published"] is False
        for bad in ("example.org:80", "1.2.3.4:99999", "1.2.3.4:0", "1.2.3", "::1:80:", "x" * 65):
            refused = run(lab, "picky", "relay", "exit-policy", "test", bad)
            assert refused.returncode in (1, 2) and refused.stderr and not refused.stdout, (bad, refused)
    finally:
        lab.remove_node("picky")


def test_answers_are_documented(lab):
    """nonos-control(7) has the members of each answer, and no others."""
    documented = control_docs.documented()
    for name in lab.ours():
        for words in (["descriptor"], ["flags"], ["flags", "--votes"], ["links"], ["circuits"], ["family"],
                      ["bandwidth"], ["dns"], ["exit-policy", "test", "1.2.3.4"], ["exit-policy", "test", "1.2.3.4:5"]):
            method = ".".join(["relay"] + [w for w in words if w[0].isalpha()])
            wrong = control_docs.differences(documented[method], lab.ctl(name, "relay", *words))
            assert not wrong, (words, wrong)


@pytest.mark.parametrize("words", [
    ["relay"], ["relay", "flags", "--history", "0"], ["relay", "flags", "--history", "169"],
    ["relay", "flags", "--history", "x"], ["relay", "links", "--most", "-1"], ["relay", "links", "--most", "99999"],
    ["relay", "links", "extra"], ["relay", "exit-policy", "test"], ["relay", "exit-policy"],
    ["relay", "circuits", "--votes"], ["relay", "dns", "--dry-run"], ["relay", "family", "x"],
    ["family", "new"], ["family", "show"], ["family", "new", "a", "b"],
])
def test_bad_words(lab, words):
    refused = run(lab, "ours0", *words)
    assert refused.returncode == 2 and refused.stderr.startswith("nonosctl: ") and not refused.stdout, refused


def test_family_files(lab, tmp_path):
    """The key that nonosctl makes is one that tor takes, and nothing is overwritten."""
    made = run(lab, "ours0", "family", "new", "ops", "--dir", str(tmp_path), "--json")
    ident = json.loads(made.stdout)["id"]
    secret = tmp_path / "ops.secret_family_key"
    assert (tmp_path / "ops.public_family_id").read_text().strip() == ident
    assert secret.stat().st_mode & 0o7777 == 0o600
    shown = json.loads(run(lab, "ours0", "family", "show", str(secret), "--json").stdout)
    assert shown["id"] == ident
    before = secret.read_bytes()
    for words in (["family", "new", "ops", "--dir", str(tmp_path)], ["family", "new", "../x", "--dir", str(tmp_path)],
                  ["family", "new", "x", "--dir", str(tmp_path / "no")], ["family", "show", str(tmp_path / "no")],
                  ["family", "show", str(tmp_path / "ops.public_family_id")], ["family", "show", "/dev/zero"]):
        refused = run(lab, "ours0", *words)
        assert refused.returncode == 1 and refused.stderr and not refused.stdout, refused
    assert secret.read_bytes() == before
    dry = run(lab, "ours0", "family", "new", "other", "--dir", str(tmp_path), "--dry-run")
    assert dry.returncode == 0 and not (tmp_path / "other.secret_family_key").exists()
    os.chmod(secret, 0o640)
    assert "chmod 600" in run(lab, "ours0", "family", "show", str(secret)).stderr


def test_rotating_onion_keys_twice(lab):
    lab.add_ours("turning", workers=1)
    try:
        lab.start(["turning"])
        assert run(lab, "turning", "onion", "rotate").returncode == 0
        again = run(lab, "turning", "onion", "rotate")
        assert again.returncode == 1 and "--force" in again.stderr
        assert run(lab, "turning", "onion", "rotate", "--force").returncode == 0
    finally:
        lab.remove_node("turning")
