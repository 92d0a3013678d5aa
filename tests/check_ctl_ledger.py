"""genesis new, show, check and ledger verify, export, import of nonosctl: answers, exit codes, refusals, what is left behind."""
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile

CTL = os.environ.get("NONOSCTL", "./nonosctl")
HOLDER = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"		# of the key 1
problems = []


def ctl(*args):
    env = dict(os.environ, NONOS_SOCKET="/nonexistent/control.sock")
    r = subprocess.run([CTL, *args], capture_output=True, text=True, timeout=60, env=env)
    return r.returncode, r.stdout, r.stderr


def expect(what, got, want):
    if got != want:
        problems.append(f"{what}: got {got!r}, want {want!r}")


def refuse(what, status, needle, *args):
    code, out, err = ctl(*args)
    expect(what, (code, out), (status, ""))
    if needle not in err:
        problems.append(f"{what}: {err!r} does not say {needle!r}")


def answer(what, *args):
    code, out, err = ctl(*args, "--json")
    expect(what, (code, err), (0, ""))
    return json.loads(out) if code == 0 else {}


def check_genesis(folder):
    path, key = os.path.join(folder, "genesis.json"), os.path.join(folder, "writer.key")
    new = ("genesis", "new", path, "--name", "test", "--holder", HOLDER, "--key", key, "--origin", "example.org/j", "--time", "1800000000")
    refuse("dry run without key", 1, "no such key", *new, "--dry-run")
    expect("nothing made", os.listdir(folder), [])
    made = answer("new", *new, "--epoch-seconds", "60", "--unbonding-seconds", "5")
    expect("key mode", stat.S_IMODE(os.stat(key).st_mode), 0o600)
    refuse("never overwritten", 1, "never overwritten", *new)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    doc = json.loads(text)
    expect("canonical", text, json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    expect("epoch", (doc["rewards"]["epochSeconds"], doc["unbondingSeconds"], doc["time"]), (60, 5, 1800000000))
    expect("sum", sum(int(a["amount"]) for a in doc["allocations"]), 400 * 10**24)
    checked = answer("check", "genesis", "check", path)
    expect("same network", {k: checked[k] for k in ("hash", "verifyingContract", "name")},
           {k: made[k] for k in ("hash", "verifyingContract", "name")})
    expect("contract", made["verifyingContract"].lower()[2:], made["hash"][-40:])
    shown = answer("show", "genesis", "show", path)
    expect("shown", (shown["token"]["supplyTokens"], len(shown["tiers"]), shown["auditors"]["threshold"]), ("800000000", 5, 1))

    # Written otherwise it is the same network; changed, it is another one, or none.
    other = os.path.join(folder, "other.json")
    with open(other, "w", encoding="utf-8") as f:
        json.dump(doc, f, indent=2)
    again = answer("loose text", "genesis", "check", other)
    expect("loose text", (again["hash"], again["canonical"]), (made["hash"], False))
    for what, change, needle in (("supply", lambda d: d["token"].update(supply="1"), "add up"),
                                 ("allocation", lambda d: d["allocations"][0].update(amount="1"), "add up"),
                                 ("threshold", lambda d: d["auditors"].update(threshold=2), "threshold"),
                                 ("unknown", lambda d: d.update(more=1), "more"),
                                 ("float", lambda d: d.update(time=1.5), "whole numbers"),
                                 ("log", lambda d: d.update(log="example.org/j+00000000+AAAA"), "log"),
                                 ("policy", lambda d: d.update(policy="none"), "policy"),
                                 ("burn", lambda d: d["burn"].update(minPpm=1), "burn")):
        bad = json.loads(text)
        change(bad)
        with open(other, "w", encoding="utf-8") as f:
            json.dump(bad, f)
        refuse(f"bad {what}", 1, needle, "genesis", "check", other)
    return text


def check_files(folder, genesis):
    """A journal without entries goes in and out; what is no journal is refused."""
    stream, db = os.path.join(folder, "stream"), os.path.join(folder, "ledger.db")
    refuse("no database", 1, "No such file", "ledger", "verify", "--db", db)
    with open(stream, "w", encoding="utf-8") as f:
        f.write('{"genesis":' + genesis + "}\n")
    expect("dry run", answer("dry run", "ledger", "import", stream, "--db", db, "--dry-run")["entries"], 0)
    expect("dry run leaves nothing", os.path.exists(db), False)
    expect("import", answer("import", "ledger", "import", stream, "--db", db)["imported"], 0)
    expect("verify", answer("verify", "ledger", "verify", "--db", db)["agrees"], True)
    code, out, err = ctl("ledger", "export", "--db", db)
    with open(stream, encoding="utf-8") as f:
        expect("export", (code, out, err), (0, f.read(), ""))
    refuse("export overwrites nothing", 1, "File exists", "ledger", "export", stream, "--db", db)
    with open(stream, "a", encoding="utf-8") as f:
        f.write('{"entry":{}}\n')
    refuse("no entry", 1, "line 2", "ledger", "import", stream, "--db", db)
    with open(stream, "w", encoding="utf-8") as f:
        f.write("{}\n")
    refuse("no journal", 1, "genesis", "ledger", "import", stream, "--db", db)
    before = hashlib.sha256(open(db, "rb").read()).hexdigest()
    answer("verify again", "ledger", "verify", "--db", db)
    expect("verify changes nothing", hashlib.sha256(open(db, "rb").read()).hexdigest(), before)


with tempfile.TemporaryDirectory() as d:
    text = check_genesis(d)
    check_files(d, text)
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
