"""Bundles of claims before two judges: nonosctl claim verify, and tests/js/verify_claim.mjs, which shares
no code with us. Both accept a real one and refuse each that was tampered with.

The second needs node and the packages of tests/js/package.json in $NONOS_JS (contrib/check.sh js installs
them); without them it is left out, and said so.
"""
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.environ.get("TOP_SRCDIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CTL = os.environ.get("NONOSCTL", "./nonosctl")
MAKER = os.environ.get("CLAIM_MAKER", "tests/unit/test_claims")
SCHEMA = os.path.join(TOP, "ledger", "nonos-eip712.json")
JS = os.path.join(TOP, "tests", "js", "verify_claim.mjs")
problems = []


def ours(path, *args):
    return subprocess.run([CTL, "claim", "verify", path, "--json", *args], capture_output=True, text=True, timeout=60)


def theirs(path, *args):
    return subprocess.run(["node", JS, SCHEMA, path, *args], capture_output=True, text=True, timeout=120)


def other_digit(text, at):
    return text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1:]


def tampered(good):
    """(what, bundle) of every kind of lie."""
    def changed(what, change):
        bundle = copy.deepcopy(good)
        change(bundle)
        return what, bundle

    def flip(holder, name, at):
        holder[name] = other_digit(holder[name], at)

    yield changed("a larger amount", lambda b: b.update(amount=b["amount"] + "0"))
    yield changed("the amount in hexadecimal", lambda b: b.update(amount=hex(int(b["amount"]))))
    yield changed("the amount with a zero in front", lambda b: b.update(amount="0" + b["amount"]))
    yield changed("the amount among blanks", lambda b: b.update(amount=f" {b['amount']} "))
    yield changed("an index with a zero in front", lambda b: b.update(log=b["log"].replace("\nindex ", "\nindex 0", 1)))
    yield changed("a word that nobody signed", lambda b: b["entry"]["message"].update(note="more"))
    yield changed("another account", lambda b: b.update(account="0x" + "11" * 20))
    yield changed("a shorter proof", lambda b: b["proof"].pop())
    yield changed("another proof", lambda b: b["proof"].__setitem__(0, other_digit(b["proof"][0], 10)))
    for field in ("root", "evidenceHash", "previous"):
        yield changed(f"another {field}", lambda b, f=field: flip(b["entry"]["message"], f, 20))
    yield changed("another total", lambda b: flip(b["entry"]["message"], "total", 0))
    yield changed("another epoch", lambda b: b["entry"]["message"].update(epoch="7"))
    yield changed("another time", lambda b: b["entry"].update(time=b["entry"]["time"] + 1))
    yield changed("a signature less", lambda b: b["entry"]["signatures"].pop())
    yield changed("a signature twice", lambda b: b["entry"]["signatures"].__setitem__(1, b["entry"]["signatures"][0]))
    yield changed("another signature", lambda b: b["entry"]["signatures"].__setitem__(0, other_digit(b["entry"]["signatures"][0], 40)))
    yield changed("a lower threshold", lambda b: b["genesis"]["auditors"].update(threshold=1))
    yield changed("another supply", lambda b: b["genesis"].update(name="another"))
    lines = good["log"].split("\n")
    for i, line in enumerate(lines):
        if len(line) > 20:
            def change(b, i=i, line=line):
                b["log"] = "\n".join(lines[:i] + [line[:-12] + ("A" if line[-12] != "A" else "B") + line[-11:]] + lines[i + 1:])
            yield changed(f"line {i} of the log's proof", change)


def main():
    if not os.path.exists(MAKER):
        print("skipped: unit tests are not built")
        return 77
    js = shutil.which("node") and os.path.isdir(os.path.join(os.environ.get("NONOS_JS", "."), "node_modules", "viem"))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bundle")
        if subprocess.run([MAKER], env=dict(os.environ, CLAIM_BUNDLE=path), capture_output=True, timeout=300).returncode:
            print("no bundle: tests/unit/test_claims failed")
            return 1
        with open(path, encoding="utf-8") as f:
            good = json.load(f)
        genesis = os.path.join(folder, "genesis")
        with open(genesis, "w", encoding="utf-8") as f:
            json.dump(good["genesis"], f)
        first = ours(path)
        if first.returncode or not json.loads(first.stdout)["valid"]:
            problems.append(f"nonosctl refuses a good bundle: {first.stderr}")
        if not json.loads(ours(path, "--genesis", genesis).stdout)["trusted"]:
            problems.append("nonosctl does not trust the genesis that it was given")
        network = json.loads(first.stdout)["network"]
        if js:
            r = theirs(path, network)
            if r.returncode or json.loads(r.stdout)["amount"] != good["amount"]:
                problems.append(f"the independent verifier refuses a good bundle: {r.stderr}")
            if theirs(path, "0x" + "00" * 32).returncode == 0:
                problems.append("the independent verifier takes another network")
        count = 0
        for what, bundle in tampered(good):
            with open(path, "w", encoding="utf-8") as f:
                json.dump(bundle, f)
            if ours(path, "--genesis", genesis).returncode != 1:
                problems.append(f"nonosctl accepts {what}")
            if js and theirs(path, network).returncode == 0:
                problems.append(f"the independent verifier accepts {what}")
            count += 1
    for problem in problems:
        print(problem)
    print(f"a good bundle and {count} others before " + ("two judges" if js else
          "nonosctl alone; for the other, install node and run contrib/check.sh js"))
    return 1 if problems else 0


sys.exit(main())
