"""What relays earned, computed again and checked by programs that are not ours: tests/nonos1.py, tests/js."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from conftest import PROGRAM, SLOW
from tornet import Money, Network
from tornet.money import tool

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tests"))
import nonos1  # noqa: E402

pytestmark = [pytest.mark.long, pytest.mark.skipif(PROGRAM == "tor", reason="the ledger of ours")]


@pytest.fixture(scope="module")
def money(tmp_path_factory):
    """Three relays of one operator each; ours0 writes the journal and is the auditor."""
    net = Network(str(tmp_path_factory.mktemp("r") / "n"))
    try:
        net.create(authorities=3, relays=0, exits=0, clients=0, ours=3)
        m = Money(net, "ours0", epoch_s=int(20 * max(1, SLOW)))
        for i in range(3):
            m.configure("ours%d" % i, auditor=None if i else "auditor0")
        net.start()
        net.wait(int(120 * SLOW))
        for i, stake in enumerate((2000, 20000, 60000)):
            m.operator("op%d" % i, "ours%d" % i, stake, days=30 if i else 0)
        m.wait_closed(m.closed() + 3)
        yield m
    finally:
        net.stop()


def js_packages():
    """Where the packages of the independent verifier are, or None."""
    place = os.environ.get("NONOS_JS", "")
    return place if shutil.which("node") and os.path.isdir(os.path.join(place, "node_modules", "viem")) else None


def test_recomputed(money):
    """What an epoch paid follows from what it shows, by two programs of which one is not ours."""
    for n in range(money.closed()):
        inputs, epoch = money.ctl("rewards", "inputs", str(n)), money.ctl("rewards", "epoch", str(n))
        path = os.path.join(money.home, "inputs.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(inputs, f)
        ours = tool("rewards", "compute", path)
        assert ours == nonos1.compute(inputs)
        assert ours["total"] == epoch["total"]
        assert {"0x" + i: r["due"] for i, r in ours["relays"].items()} == {r["relay"]: r["due"] for r in epoch["due"]}
    best = money.ctl("stake", "optimize", "50000")["options"]
    assert best[0]["yield_bp"] >= best[-1]["yield_bp"] > 0
    assert {"Bronze", "Silver", "Gold"} == {o["tier"] for o in best}


@pytest.mark.skipif(not js_packages(), reason="needs node and contrib/check.sh js; NONOS_JS names build/js")
def test_independent_verifier(money):
    """A bundle of a real journal before viem, ethers, OpenZeppelin's tree and node's Ed25519."""
    path = os.path.join(money.home, "independent.json")
    bundle = money.ctl("rewards", "bundle", money.accounts["op1"])
    with open(path, "w", encoding="utf-8") as f:
        json.dump(bundle, f)
    told = tool("claim", "verify", path, "--genesis", money.genesis)
    run = subprocess.run(["node", os.path.join(TOP, "tests", "js", "verify_claim.mjs"),
                          os.path.join(TOP, "ledger", "nonos-eip712.json"), path, told["network"]],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["amount"] == told["earned"] == bundle["amount"]
