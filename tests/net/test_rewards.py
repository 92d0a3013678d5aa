"""Relays earn what real authorities measured: epochs close once, in order, and for everybody alike."""

import json
import os
import signal
import time

import pytest

from conftest import PROGRAM, SLOW
from tornet import Money, Network, TornetError
from tornet.money import TOKEN, tool
from tornet.util import HOST, pick_port_block

pytestmark = [
    pytest.mark.restarts,
    pytest.mark.skipif(PROGRAM == "tor", reason="the ledger of ours")]

OURS = ("ours0", "ours1", "ours2")
STAKES = (2000, 20000, 60000)
EPOCH_S = 20


@pytest.fixture(scope="module")
def money(tmp_path_factory):
    """Three relays, registered and staked; ours0 writes the journal and is the auditor."""
    net = Network(str(tmp_path_factory.mktemp("r") / "n"))
    try:
        net.create(authorities=3, relays=0, exits=0, clients=0, ours=3)
        m = Money(net, "ours0", epoch_s=int(EPOCH_S * max(1, SLOW)), auditors=1)
        m.configure("ours0", auditor="auditor0")
        m.configure("ours1")
        m.configure("ours2")
        net.start()
        net.wait(int(120 * SLOW))
        for i, name in enumerate(OURS):
            m.operator("op%d" % i, name, STAKES[i], days=30 if i else 0)
        m.wait_closed(m.closed() + 3)
        yield m
    finally:
        net.stop()


def roots(money):
    """Every closed epoch as the journal has it."""
    return [money.ctl("rewards", "epoch", str(n)) for n in range(money.closed())]


def restart(money, sig=signal.SIGKILL):
    """The writer dies, and is started again."""
    pid = money.net.pid(money.writer)
    os.kill(pid, sig)
    deadline = time.time() + 20
    while money.net.pid(money.writer) and time.time() < deadline:
        time.sleep(0.05)
    money.net.start([money.writer])


def verify(money, name=None):
    """Replay the journal of a stopped or running node."""
    result = tool("ledger", "verify", "--db", money.database(name))
    assert result["agrees"], result
    return result


def test_sum_is_budget(money):
    """What the relays of an epoch are due adds up to its budget, to the unit."""
    paid = 0
    for epoch in roots(money):
        assert sum(int(r["due"]) for r in epoch["due"]) == int(epoch["total"])
        if any(int(r["due"]) for r in epoch["due"]):
            assert epoch["total"] == epoch["budget"]
            assert epoch["state"] == "normal" and epoch["consensuses"] > 0
            paid += 1
    assert paid >= 1
    supply = money.ctl("ledger", "supply")
    parts = ("addresses", "staked", "rewards", "reserve", "treasury", "vault", "burnt")
    assert sum(int(supply[p]) for p in parts) == int(supply["total"]) == 800000000 * TOKEN
    verify(money)


def test_explained(money):
    """Each term of what a relay earned; the weight is what the authorities measured."""
    last = money.closed() - 1
    for name in OURS:
        told = money.ctl("rewards", "explain", str(last), money.relay_id(name))
        terms = told["terms"]
        assert terms["running"] == told["consensuses"] and terms["excluded"] is None
        assert int(terms["weight"]) > 0 and len(told["steps"]) >= 5
        assert money.ctl("rewards", "explain", str(last), money.net.node(name)["fingerprint"]) == told
    assert money.ctl("rewards", "explain", str(last), money.relay_id("ours2"))["terms"]["tier"] == "Silver"


def test_tells_risks(money):
    """A relay whose stake is taken back is told so before the epoch ends; one that earns is told nothing."""
    assert money.ctl("rewards", "pending")["risks"] == []
    stake = money.ctl("stake", "status", money.accounts["op0"])["stakes"][0]["stake"]
    money.ctl("stake", "release", stake, "--key-file", money.key("op0"))
    time.sleep(1.5)
    told = money.ctl("rewards", "pending")["risks"]
    assert any("no stake" in r["what"] and "deposit" in r["do"] for r in told), told
    assert any("no stake" in a["what"] for a in money.net.status(money.writer)["attention"])
    money.ctl("transfer", money.accounts["op0"], "5000", "--key-file", money.key("holder"))
    money.ctl("stake", "deposit", "5000", "--key-file", money.key("op0"))
    time.sleep(1.5)
    assert money.ctl("rewards", "pending")["risks"] == []


def test_refusals_leave_no_trace(money):
    before = money.ctl("ledger", "head")["height"]
    for words, name in (
            (("transfer", money.accounts["op0"], "500000000"), "overdrawn"),
            (("stake", "release", "00" * 32, "--amount", "1"), "stake-unknown"),
            (("stake", "deposit", "1", "--relay", "11" * 32), "relay-unknown")):
        with pytest.raises(TornetError, match=name):
            money.ctl(*words, "--key-file", money.key("holder"))
    shown = money.ctl("transfer", money.accounts["op0"], "1", "--key-file", money.key("holder"), "--dry-run")
    assert shown["dry_run"] and shown["object"]["message"]["amount"] == str(TOKEN)
    heights = [e for e in money.ctl("ledger", "history", money.accounts["holder"])["postings"] if e["height"] > before]
    assert heights == []


@pytest.mark.long
def test_auditors_agree(tmp_path):
    """Two of two auditors, each with a measurement of its own: the same root, evidence and all, to the bit."""
    net = Network(str(tmp_path / "n"))
    try:
        net.create(authorities=3, relays=0, exits=0, clients=0, ours=2)
        m = Money(net, "ours0", epoch_s=int(20 * SLOW), auditors=2, threshold=2, start_in=int(30 * SLOW))
        m.configure("ours0", auditor="auditor0")
        m.configure("ours1", auditor="auditor1")
        net.start()
        net.wait(int(120 * SLOW))
        for i, name in enumerate(("ours0", "ours1")):
            m.operator("op%d" % i, name, 5000)
        m.wait_closed(3, timeout=int(150 * SLOW))
        for n in range(m.closed()):
            epoch = m.ctl("rewards", "epoch", str(n))
            assert len(json.loads(m.ctl("ledger", "proof", "--index", str(epoch["entry"]))["entry"])["signatures"]) == 2
        assert int(epoch["total"]) == int(epoch["budget"]) > 0
        m.wait_height("ours1", epoch["entry"] + 1)
        assert net.ctl("ours1", "rewards", "epoch", str(n)) == epoch
        # A signature of another root, and one by no auditor, are named and spoil nothing.
        told = wait_for_attestation(m, "ours1")
        wrong = json.loads(json.dumps(told))
        wrong["message"]["total"] = str(int(wrong["message"]["total"]) + 1)
        with pytest.raises(TornetError, match="these differ: total|no epoch waits"):
            m.ctl("ledger", "attest", "--attestation", json.dumps(wrong))
        wrong = json.loads(json.dumps(told))
        del wrong["consensuses"][0]
        wrong["message"]["root"] = "0x" + "00" * 32
        with pytest.raises(TornetError, match="was not taken there|no epoch waits"):
            m.ctl("ledger", "attest", "--attestation", json.dumps(wrong))
        m.wait_closed(m.closed() + 1)
        verify(m)
        net.stop(["ours1"])
        verify(m, "ours1")
    finally:
        net.stop()


@pytest.mark.long
def test_missed_consensuses(tmp_path):
    """Who was away while consensuses were valid, the writer too, gets them from the other auditor: both must sign."""
    net = Network(str(tmp_path / "n"))
    try:
        net.create(authorities=3, relays=0, exits=0, clients=0, ours=2)
        m = Money(net, "ours0", epoch_s=int(20 * SLOW), auditors=2, threshold=2, start_in=int(30 * SLOW))
        other = "%s:%d" % (HOST, pick_port_block(1))
        m.configure("ours0", auditor="auditor0", more=["ledger:consensus_from = " + other])
        m.configure("ours1", auditor="auditor1", more=["ledger:journal_listen = " + other])
        net.start()
        net.wait(int(120 * SLOW))
        m.operator("op0", "ours0", 5000)
        m.wait_closed(1, timeout=int(150 * SLOW))
        for name in ("ours1", "ours0"):
            first = m.closed()
            os.kill(net.pid(name), signal.SIGKILL)
            time.sleep(2.5 * m.epoch_s)
            net.start([name])
            m.wait_closed(first + 4, timeout=int(200 * SLOW))
            assert "came from another auditor" in net.log_tail(name, 2000), name
            for n in range(first, first + 4):
                epoch = m.ctl("rewards", "epoch", str(n))
                assert epoch["consensuses"] > 0, epoch
                entry = json.loads(m.ctl("ledger", "proof", "--index", str(epoch["entry"]))["entry"])
                assert len(entry["signatures"]) == 2
        verify(m)
    finally:
        net.stop()


def wait_for_attestation(money, name):
    """The auditor's signature of the next epoch, as soon as that is over."""
    deadline = time.time() + 60 + 3 * money.epoch_s
    while True:
        try:
            return money.net.ctl(name, "ledger", "attestation")["attestation"]
        except TornetError as exc:
            assert "not ended" in str(exc) or "being fetched" in str(exc), exc
        assert time.time() < deadline, money.net.log_tail(name, 20)
        time.sleep(0.2)


@pytest.mark.long
def test_killed_around_the_close(money):
    """kill -9 before, while and after epochs close: none is left out and none closed twice."""
    first = money.closed()
    for delay in (0.2, 0.6, 1.1):
        deadline = time.time() + 3 * money.epoch_s
        before = money.closed()
        while money.closed() == before and time.time() < deadline:
            ends = money.net.status(money.writer)["ledger"]["epoch_ends"]
            if time.time() >= ends:
                break
            time.sleep(0.1)
        time.sleep(delay)
        restart(money)
    # Away for two epochs, then caught up one by one.
    money.net.stop([money.writer])
    verify(money)
    time.sleep(2 * money.epoch_s)
    money.net.start([money.writer])
    last = money.wait_closed(first + 3, timeout=8 * money.epoch_s)
    seen = [e["epoch"] for e in roots(money)]
    assert seen == list(range(len(seen))) and len(seen) >= last
    entries = [e["entry"] for e in roots(money)]
    assert entries == sorted(set(entries))
    verify(money)


def test_claim(money):
    """What was earned is proved by a file, claimed once, and final."""
    account = money.accounts["op1"]
    bundle = os.path.join(money.home, "claim.json")
    before = money.ctl("rewards", "claims", account)
    receipt = money.ctl("rewards", "claim", "--out", bundle, "--key-file", money.key("op1"))
    assert receipt["type"] == "RewardClaim"
    after = money.ctl("rewards", "claims", account)
    assert int(after["claimed"]) >= int(before["claimable"]) and after["submitted"] == "0"
    stages = {row["state"]: row["amount"] for row in after["stages"]}
    assert list(stages) == ["earned", "attested", "submitted", "final"] and int(stages["earned"]) > 0
    assert stages["submitted"] == "0" and int(stages["attested"]) + int(stages["final"]) == int(after["earned"])
    assert {row["state"] for row in before["stages"]} == set(stages)
    history = money.ctl("rewards", "history", account)["epochs"]
    assert all(row["state"] == "final" for row in history if row["epoch"] <= after["claims"][0]["epoch"])
    assert after["claims"][0]["state"] == "final" and after["claims"][0]["entry"] == receipt["index"]
    held = int(money.ctl("ledger", "balance", account)["balance"])
    assert held == TOKEN + int(after["claimed"])
    with open(bundle) as f:
        assert json.load(f)["account"] == account
    verdict = tool("claim", "verify", bundle, "--genesis", money.genesis)
    assert verdict["account"] == account
    # The same claim again changes nothing.
    again = money.ctl("ledger", "proof", "--index", str(receipt["index"]))
    entry = json.loads(again["entry"])
    assert entry
    if money.ctl("rewards", "claims", account)["claimable"] == "0":
        with pytest.raises(TornetError, match="nothing can be claimed"):
            money.ctl("rewards", "claim", "--key-file", money.key("op1"))


def test_claim_at_a_follower(money):
    """What the writer took is submitted at once, though the journal here shows it only later; then it is final."""
    def stages():
        return {row["state"]: int(row["amount"] or 0) for row in money.net.ctl("ours2", "rewards", "claims", account)["stages"]}

    account = money.accounts["op2"]
    money.wait_height("ours2", money.ctl("ledger", "head")["height"])
    receipt = money.net.ctl("ours2", "rewards", "claim", "--key-file", money.key("op2"))
    claimed = int(receipt["message"]["cumulativeAmount"])
    at_once = stages()
    assert claimed > 0 and at_once["submitted"] + at_once["final"] >= claimed
    money.wait_height("ours2", receipt["index"] + 1)
    later = stages()
    assert later["final"] >= claimed and later["submitted"] == 0


@pytest.mark.long
def test_claims_by_itself(money):
    """With the payout account's key: by amount, once there is that much."""
    name = money.writer
    money.configure(name, auditor="auditor0", more=[
        "ledger:claim_key = " + money.key("op0"), "ledger:claim_above = 1"])
    money.net.stop([name])
    money.net.start([name])
    deadline = time.time() + 4 * money.epoch_s
    while True:
        state = money.ctl("rewards", "claims", money.accounts["op0"])
        if int(state["claimed"]):
            break
        assert time.time() < deadline, money.net.log_tail(name, 20)
        time.sleep(0.5)
    assert int(state["claims"][-1]["amount"]) >= TOKEN
    verify(money)
