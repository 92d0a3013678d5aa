"""The part of demo.sh after the build: network, download, what each relay carried, what each earned."""

import json
import os
import shutil
import subprocess
import sys
import time

from tornet import Money, Network, TornetError, payload_sha256
from tornet.money import TOKEN, tool
from tornet.ours import nonos_tool

OURS = ("ours0", "ours1", "ours2")
STAKES = ((2000, 0), (20000, 30), (60000, 90))      # tokens, days locked
EPOCH_S = 20
FLAGS = ("Running", "Valid", "Fast", "Stable", "V2Dir", "Guard", "Exit")


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def show_relays(net):
    print("\n%-7s %-42s %7s %9s %9s %9s" % (
        "relay", "fingerprint", "workers", "circuits", "read MB", "sent MB"))
    for name in OURS:
        s = net.status(name)
        print("%-7s %-42s %7d %9d %9.1f %9.1f" % (
            name, s["fingerprint"], len(s["workers"]), s["circuits"],
            s["read_bytes"] / 1e6, s["written_bytes"] / 1e6))
    print(flush=True)


def tokens(units):
    return "%.4f" % (int(units) / TOKEN)


def show_earnings(money, first, last):
    """Which relay earned what in the epochs first to last - 1."""
    print("\n%-7s %10s %5s %-9s %8s %8s %s" % (
        "relay", "stake", "days", "tier", "weight", "running", "".join("   epoch %2d" % n for n in range(first, last))))
    for (stake, days), name in zip(STAKES, OURS):
        told = [money.ctl("rewards", "explain", str(n), money.relay_id(name)) for n in range(first, last)]
        terms = told[-1]["terms"]
        print("%-7s %10d %5d %-9s %8d %5d/%-2d %s" % (
            name, stake, days, terms["tier"], int(terms["weight"]) // 10 ** 6, terms["running"],
            told[-1]["consensuses"], "".join("%11s" % tokens(t["terms"]["due"]) for t in told)))
    paid = [money.ctl("rewards", "epoch", str(n)) for n in range(first, last)]
    for epoch in paid:
        if sum(int(r["due"]) for r in epoch["due"]) != int(epoch["budget"]):
            raise TornetError("epoch %d paid something else than its budget" % epoch["epoch"])
    print("%-54s%s\n" % ("budget, of the reserve", "".join("%11s" % tokens(e["budget"]) for e in paid)), flush=True)


def explain(money, name, epoch):
    say("nonosctl rewards explain %d %s" % (epoch, name))
    for i, step in enumerate(money.ctl("rewards", "explain", str(epoch), money.relay_id(name))["steps"]):
        print("    %d. %s" % (i + 1, step))


def verify_elsewhere(bundle):
    """By a program that shares no code with ours, where its packages are (contrib/check.sh js fetches them)."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    packages = os.environ.get("NONOS_JS", os.path.join(root, "build", "js"))
    if not shutil.which("node") or not os.path.isdir(os.path.join(packages, "node_modules")):
        say("node, or its packages in build/js, are not here (\"contrib/check.sh js\" fetches them): no second verifier")
        return
    run = subprocess.run(["node", os.path.join(root, "tests", "js", "verify_claim.mjs"),
                          os.path.join(root, "ledger", "nonos-eip712.json"), bundle],
                         capture_output=True, text=True, timeout=120, env=dict(os.environ, NONOS_JS=packages))
    if run.returncode:
        raise TornetError("the verifier made of npm packages refuses the claim: %s" % run.stderr[-500:])
    told = json.loads(run.stdout)
    say("a second verifier, of viem, ethers and OpenZeppelin's Merkle tree, accepts it, too: %s tokens of %s up to epoch %s" % (
        tokens(told["amount"]), told["account"], told["epoch"]))


def earn(money):
    """Operators register and stake; epochs close; what was earned is explained, proved and claimed."""
    say("three operators register their relays and stake; an epoch is %d s" % EPOCH_S)
    for i, name in enumerate(OURS):
        money.operator("operator%d" % i, name, *STAKES[i])
    # The first epoch that all of them are part of from its start.
    first = money.net.status(money.writer)["ledger"]["epoch"] + 1
    say("waiting until two epochs are closed, by what the authorities measured")
    money.wait_closed(first + 2, timeout=6 * EPOCH_S + 60)
    show_earnings(money, first, first + 2)
    explain(money, "ours2", first + 1)
    money.wait_height("ours2", money.ctl("ledger", "head")["height"])
    bundle = os.path.join(money.home, "claim.json")
    receipt = money.net.ctl("ours2", "rewards", "claim", "--out", bundle, "--key-file", money.key("operator2"))
    account, amount = receipt["message"]["recipient"], receipt["message"]["cumulativeAmount"]
    say("operator2, %s, claimed %s tokens: entry %d of the journal" % (account, tokens(amount), receipt["index"]))
    money.wait_height("ours2", receipt["index"] + 1)
    say("nonosctl rewards claims: where the money is")
    for row in money.net.ctl("ours2", "rewards", "claims", account)["stages"]:
        print("    %-10s %10s tokens  %s" % (row["state"], tokens(row["amount"] or 0), row["what"]))
    say("the proof is a file for anybody; without a daemon, nonosctl claim verify claim.json --genesis genesis.json:")
    subprocess.run([nonos_tool("nonosctl"), "claim", "verify", bundle, "--genesis", money.genesis],
                   check=True, timeout=60)
    verify_elsewhere(bundle)
    result = tool("ledger", "verify", "--db", money.database())
    say("ledger verify: %d entries replayed from genesis, all agrees" % result["entries"])


def main():
    base, megabytes = sys.argv[1], int(sys.argv[2])
    net = Network(base)
    try:
        say("making keys of 3 authorities and a client (tor), starting them and 3 relays of ours")
        net.create(authorities=3, relays=0, exits=0, clients=1, ours=3)
        money = Money(net, "ours0", epoch_s=EPOCH_S)
        for name in OURS:
            money.configure(name, auditor="auditor0" if name == money.writer else None)
        net.start()
        say("waiting for the first consensus and for the client")
        net.wait(120)
        for name in OURS:
            entry = net.wait_relay(name, FLAGS, 60)
            say("%s is listed: %s" % (name, " ".join(entry["flags"])))
        say("downloading %d MB on 4 circuits, each client > %s > web server"
            % (megabytes, " > ".join(OURS)))
        result = net.fetch(path=OURS, mb=megabytes, circuits=4, timeout=60 + 2 * megabytes)
        say("%.1f MB in %.1f s, %.1f MB/s; SHA-256 of each of the 4 parts is right (%s)" % (
            result["bytes"] / 1e6, result["seconds"], result["mb_per_s"],
            payload_sha256(result["bytes"] // 4)[:16]))
        time.sleep(1.5)         # workers report their counters each second
        show_relays(net)
        earn(money)
        say("stopping all of them")
        return 0
    except (TornetError, subprocess.SubprocessError) as error:
        print("demo: %s" % error, file=sys.stderr)
        return 1
    finally:
        net.stop()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
