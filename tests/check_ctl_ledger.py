"""genesis new, show, check and ledger verify, export, import of nonosctl: answers, exit codes, refusals, what is left behind."""
import hashlib
import json
import os
import stat
import subprocess
import tempfile

from ctl_lab import CTL, ctl, expect, finish, good, read, refuse, write

HOLDER = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"		# of the key 1


def anyone(power):
    """A configuration of anyone-1. With much of a power, a large family rates more than a number holds."""
    return json.dumps({"TokensPerSecond": "1", "Modifiers": {"Network": {"Share": 1}},
                       "Multipliers": {"Family": {"Enabled": True, "Offset": 0.02, "Power": power}}})


def check_genesis(folder):
    path, key = os.path.join(folder, "genesis.json"), os.path.join(folder, "writer.key")
    new = ("genesis", "new", path, "--name", "test", "--holder", HOLDER, "--key", key, "--origin", "example.org/j", "--time", "1800000000")
    refuse("dry run without key", 1, "no such key", *new, "--dry-run")
    expect("nothing made", os.listdir(folder), [])
    made = good("new", *new, "--epoch-seconds", "60", "--unbonding-seconds", "5")
    expect("the key was made, and what is next", (made["key"], made["key_made"], "journal_key" in made["next"]), (key, True, True))
    expect("key mode", stat.S_IMODE(os.stat(key).st_mode), 0o600)
    refuse("never overwritten", 1, "never overwritten", *new)
    text = read(path)
    doc = json.loads(text)
    expect("canonical", text, json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    expect("epoch", (doc["rewards"]["epochSeconds"], doc["unbondingSeconds"], doc["time"]), (60, 5, 1800000000))
    expect("sum", sum(int(a["amount"]) for a in doc["allocations"]), 400 * 10**24)
    checked = good("check", "genesis", "check", path)
    expect("same network", {k: checked[k] for k in ("hash", "verifyingContract", "name")},
           {k: made[k] for k in ("hash", "verifyingContract", "name")})
    expect("contract", made["verifyingContract"].lower()[2:], made["hash"][-40:])
    shown = good("show", "genesis", "show", path)
    out = ctl("genesis", "show", path)[1]
    for needle in ("2027-01-15 08:00:00 UTC", "Diamond   1000000          365            30000", "auditors: 1 of 1 must sign\n  " + HOLDER):
        expect(f"genesis show: {needle!r} in {out!r}", needle in out, True)
    expect("shown", (shown["token"]["supplyTokens"], len(shown["tiers"]), shown["auditors"]["threshold"]), ("800000000", 5, 1))

    # Written otherwise it is the same network; changed, it is another one, or none.
    other = os.path.join(folder, "other.json")
    write(other, json.dumps(doc, indent=2))
    again = good("loose text", "genesis", "check", other)
    expect("loose text", (again["hash"], again["canonical"]), (made["hash"], False))
    for what, change, needle in (("supply", lambda d: d["token"].update(supply="1"), "add up"),
                                 ("allocation", lambda d: d["allocations"][0].update(amount="1"), "add up"),
                                 ("threshold", lambda d: d["auditors"].update(threshold=2), "threshold"),
                                 ("unknown", lambda d: d.update(more=1), "more"),
                                 ("float", lambda d: d.update(time=1.5), "whole numbers"),
                                 ("log", lambda d: d.update(log="example.org/j+00000000+AAAA"), "log"),
                                 ("policy", lambda d: d.update(policy="none"), "policy"),
                                 ("anyone", lambda d: d.update(policy="anyone-1", anyone=anyone(3.5)), "range"),
                                 ("burn", lambda d: d["burn"].update(minPpm=1), "burn")):
        bad = json.loads(text)
        change(bad)
        write(other, json.dumps(bad))
        refuse(f"bad {what}", 1, needle, "genesis", "check", other)
    write(other, json.dumps({**json.loads(text), "policy": "anyone-1", "anyone": anyone(0.7)}))
    good("anyone-1", "genesis", "check", other)
    return text


def check_files(folder, genesis):
    """A journal without entries goes in and out; what is no journal is refused."""
    stream, db = os.path.join(folder, "stream"), os.path.join(folder, "ledger.db")
    refuse("no database", 1, "No such file", "ledger", "verify", "--db", db)
    write(stream, '{"genesis":' + genesis + "}\n")
    tried = good("dry run", "ledger", "import", stream, "--db", db, "--dry-run")
    expect("dry run", (tried["entries"], tried["dry_run"]), (0, True))
    expect("dry run leaves nothing", os.path.exists(db), False)
    expect("import", good("import", "ledger", "import", stream, "--db", db)["imported"], 0)
    piped = good("import from a pipe", "ledger", "import", "-", "--db", db + "3", stdin=read(stream))
    expect("import from a pipe", (piped["imported"], piped["root"]), (0, good("verify", "ledger", "verify", "--db", db + "3")["root"]))
    expect("verify", good("verify", "ledger", "verify", "--db", db)["agrees"], True)
    expect("export", ctl("ledger", "export", "--db", db), (0, read(stream), ""))
    refuse("export overwrites nothing", 1, "is there already", "ledger", "export", stream, "--db", db)
    write(stream, read(stream) + '{"entry":{}}\n')
    refuse("no entry", 1, "line 2", "ledger", "import", stream, "--db", db)
    write(stream, "{}\n")
    refuse("no journal", 1, "genesis", "ledger", "import", stream, "--db", db)
    # A line without an end is not read into memory, and what a refused import made is taken away again.
    os.truncate(write(stream, ""), 1 << 40)
    refuse("a line of a terabyte", 1, "not a journal's export", "ledger", "import", stream, "--db", db)
    os.truncate(write(stream, '{"genesis":' + genesis + "}\n"), 1 << 40)
    refuse("a second line of a terabyte", 1, "line 2: longer", "ledger", "import", stream, "--db", db + "2")
    os.unlink(stream)
    expect("nothing is left", [name for name in os.listdir(folder) if name.startswith("ledger.db2")], [])
    with open("/dev/full", "w", encoding="utf-8") as full:
        run = subprocess.run([CTL, "ledger", "export", "--db", db], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    expect("export to a full disk", (run.returncode, run.stderr.count("\n"), "No space" in run.stderr), (1, 1, True))
    before = hashlib.sha256(open(db, "rb").read()).hexdigest()
    good("verify again", "ledger", "verify", "--db", db)
    expect("verify changes nothing", hashlib.sha256(open(db, "rb").read()).hexdigest(), before)


with tempfile.TemporaryDirectory() as d:
    text = check_genesis(d)
    check_files(d, text)
finish()
