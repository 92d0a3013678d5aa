"""Commands that move money, from the words to the receipt: transfer, stake, relay register, ledger submit; signed with
a key file, elsewhere, or not at all; and what the daemon refuses, by name."""
import json
import subprocess
import tempfile

from check_ledger_follow import HOLDER, OTHER, SECRET, Node
from ctl_lab import CTL, expect, finish, problems, read, write

TOKEN = 10 ** 18


class Money:
    def __init__(self, folder):
        self.folder, self.key = folder, f"{folder}/holder.key"
        write(self.key, SECRET)
        self.run("genesis", "new", f"{folder}/genesis.json", "--name", "money", "--holder", HOLDER,
                 "--key", f"{folder}/journal.key", "--unbonding-seconds", "600")
        self.node = Node(folder, "lone", f"journal_key = {folder}/journal.key\noperator = {HOLDER}")
        self.node.start()

    def run(self, *words, status=0, sock="/nonexistent"):
        r = subprocess.run([CTL, "-s", sock, "--json", *words], capture_output=True, text=True, timeout=60)
        if r.returncode != status:
            problems.append(f"{' '.join(words)}: exit {r.returncode}, not {status}: {r.stderr}{r.stdout}")
        if r.returncode:
            return r.stderr
        return json.loads(r.stdout) if r.stdout.strip() else {}

    def do(self, *words, status=0):
        return self.run(*words, status=status, sock=self.node.sock)

    def sign(self, *words, status=0):
        return self.do(*words, "--key-file", self.key, status=status)

    def balance(self, account=HOLDER):
        return int(self.do("ledger", "balance", account)["balance"])


def check_transfer(m):
    before, height = m.balance(), m.node.height()
    shown = m.sign("transfer", OTHER, "12.5", "--dry-run")
    expect("what a dry run shows", (shown.get("dry_run"), shown["object"]["message"]["amount"]), (True, str(25 * TOKEN // 2)))
    expect("height after a dry run", m.node.height(), height)
    receipt = m.sign("transfer", OTHER, "12.5")
    expect("receipt", (receipt["index"], receipt["already"], receipt["type"]), (height, False, "Transfer"))
    expect("balances", (m.balance(), m.balance(OTHER)), (before - 25 * TOKEN // 2, 25 * TOKEN // 2))
    told = m.sign("transfer", OTHER, "900000000", status=1)
    expect("overdrawn by name", "refused: overdrawn" in told, True)
    expect("an amount that is none", "tokens" in m.sign("transfer", OTHER, "1e3", status=2), True)
    told = m.do("transfer", OTHER, "1", status=2)
    expect("no way to sign", "--cold" in told and "--key-file" in told, True)
    expect("height after refusals", m.node.height(), height + 1)


def check_head(m):
    """The checkpoint in text is that of --json, to be copied."""
    shown = subprocess.run([CTL, "-s", m.node.sock, "ledger", "head"], capture_output=True, text=True, timeout=60).stdout
    lines = [line[2:] for line in shown.splitlines() if line.startswith("  ")]
    expect("the checkpoint", [line for line in m.do("ledger", "head")["checkpoint"].split("\n") if line and line not in lines], [])


def check_clock(m):
    """Of a clock that is right; tests/unit/test_settle_clock turns it."""
    shown = m.do("ledger", "clock")
    expect("the clock", (shown["believed"], shown["ahead_s"], abs(shown["clock"] - shown["due"]) < 5), (True, 0, True))
    expect("a dry run of the clock", m.do("ledger", "clock", "--right", "--dry-run")["dry_run"], True)
    expect("the clock is right", m.do("ledger", "clock", "--right")["believed"], True)


def check_cold(m):
    """The object goes to a file; the key is elsewhere; what comes back is submitted, twice."""
    path, done = f"{m.folder}/cold.json", f"{m.folder}/signed.json"
    told = m.do("transfer", OTHER, "1", "--cold", path, status=2)
    expect("cold without an account", "--from" in told, True)
    m.do("transfer", OTHER, "1", "--cold", path, "--from", HOLDER)
    doc = json.loads(read(path))
    expect("what a wallet needs", sorted(doc), ["domain", "message", "primaryType", "types"])
    signature = m.run("typed", "sign", path, "--key-file", m.key)["signature"]
    m.run("object", "attach", path, "--signature", signature, "--out", done)
    first = m.do("ledger", "submit", done)
    again = m.do("ledger", "submit", done)
    expect("a second time", (first["already"], again["already"], again["index"]), (False, True, first["index"]))
    doc = json.loads(read(done))
    doc["message"]["amount"] = str(2 * TOKEN)
    write(done, json.dumps(doc))
    expect("a changed amount", "bad-signature" in m.do("ledger", "submit", done, status=1), True)


def check_register(m):
    """In one step, and by way of a file, as with an offline master key."""
    expect("staking before", "relay-unknown" in m.sign("stake", "deposit", "2000", status=1), True)
    risks = m.node.ledger()["risks"]
    expect("told so", any("not registered" in r["what"] for r in risks), True)
    path = f"{m.folder}/registration.json"
    out = m.do("relay", "register", "--operator", HOLDER, "--payout", OTHER, "--out", path)
    expect("says how to go on", "--object" in out["next"] and out["file"] == path, True)
    told = m.sign("relay", "register", "--object", path, "--relay-signature", "00" * 64, status=1)
    expect("a wrong signature of the relay", "relay-signature" in told, True)
    other, keys = f"{m.folder}/other", f"{m.node.home}/data/keys"
    m.run("key", "master", "new", other)
    expect("another relay's key", "another relay" in m.run("key", "master", "sign", other, path, status=1), True)
    signed = m.run("key", "master", "sign", keys, path)
    expect("what it signs", (signed["operator"], signed["payout"], signed["digest"]), (HOLDER, OTHER, out["digest"]))
    receipt = m.sign("relay", "register", "--object", path, "--relay-signature", signed["relay_signature"])
    expect("payout", receipt["message"]["payout"], OTHER)
    receipt = m.sign("relay", "register")
    expect("registered anew", (receipt["message"]["payout"], receipt["message"]["operator"]), (HOLDER, HOLDER))


def check_stake(m):
    receipt = m.sign("stake", "deposit", "60000", "--days", "90")
    m.sign("stake", "deposit", "2000")
    told = m.do("stake", "status")
    expect("stakes", sorted((s["lock_days"], s["locked"]) for s in told["stakes"]), [(0, False), (90, True)])
    expect("tier", (told["relays"][0]["tier"], told["relays"][0]["stake"]), ("Gold", str(62000 * TOKEN)))
    expect("too early", "stake-locked" in m.sign("stake", "release", receipt["digest"], status=1), True)
    free = next(s["stake"] for s in told["stakes"] if not s["locked"])
    m.sign("stake", "release", free, "--amount", "500")
    m.sign("stake", "release", free)
    left = next(s for s in m.do("stake", "status")["stakes"] if s["stake"] == free)
    expect("released in two parts", (left["active"], left["unbonding"]), ("0", str(2000 * TOKEN)))
    expect("no such stake", "no such stake" in m.sign("stake", "release", "11" * 32, status=1), True)
    expect("tiers", [t["tier"] for t in m.do("stake", "tiers")], ["Bronze", "Silver", "Gold", "Platinum", "Diamond"])


def check_nothing_earned(m):
    """Before any epoch is closed every question has an answer that says so."""
    expect("epoch", "no epoch is closed yet" in m.do("rewards", "epoch", status=1), True)
    expect("explain", "no epoch is closed yet" in m.do("rewards", "explain", status=1), True)
    expect("claim", "nothing" in m.sign("rewards", "claim", status=1), True)
    expect("claim without a word", "--out" in m.do("rewards", "claim", status=2), True)
    expect("attestation", "auditor_key" in m.do("ledger", "attestation", status=1), True)
    expect("pending", m.do("rewards", "pending")["estimate"], True)


def check_killed(m):
    """What was acknowledged is there after kill -9, and the replay agrees."""
    receipt = m.sign("transfer", OTHER, "3")
    m.node.process.kill()
    m.node.process.wait(60)
    m.node.start()
    expect("height", m.node.height() >= receipt["index"] + 1, True)
    proof = m.do("ledger", "proof", "--digest", receipt["digest"])
    expect("proof", (proof["index"], proof["proof"].startswith("c2sp.org/tlog-proof@v1")), (receipt["index"], True))
    expect("replay", m.run("ledger", "verify", "--db", f"{m.node.home}/data/ledger.db")["agrees"], True)


with tempfile.TemporaryDirectory(prefix="nonos-money-") as top:
    money = Money(top)
    try:
        for check in (check_transfer, check_head, check_clock, check_cold, check_register, check_stake, check_nothing_earned, check_killed):
            check(money)
    finally:
        money.node.stop()
finish()
