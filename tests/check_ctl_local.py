"""The commands of nonosctl that need no daemon, run on the vectors: answers, exit codes, refusals."""
import csv
import json
import os
import tempfile
from xml.etree import ElementTree

from ctl_lab import VECTORS, ctl, expect, finish, good, problems, read, refuse, vectors, write


def check_hashes(case):
    got = good(f"{case['name']}: hash", "typed", "hash", "-", stdin=json.dumps({k: case[k] for k in ("domain", "primaryType", "message")}))
    expect(f"{case['name']}: hashes", got, {k: case[k] for k in ("typeHash", "structHash", "domainSeparator", "digest")})


def check_typed(case, folder):
    name = case["name"]
    doc = json.dumps({k: case[k] for k in ("domain", "primaryType", "message")})
    path, key = os.path.join(folder, "doc"), os.path.join(folder, "key")
    write(path, doc)
    write(key, case["privateKey"] + "\n")
    expect(f"{name}: hash of a file", ctl("typed", "hash", path)[0], 0)
    code, out, err = ctl("typed", "sign", "-", "--key-file", key, "--json", stdin=doc)
    expect(f"{name}: sign", (code, err), (0, ""))
    expect(f"{name}: signature", json.loads(out)["signature"], case["signature"])
    expect(f"{name}: verify", ctl("typed", "verify", path, "--signature", case["signature"], "--signer", case["signer"])[0], 0)
    expect(f"{name}: signer", json.loads(ctl("typed.verify", path, "--json", "--signature", case["signature"])[1])["signer"],
           case["signer"])
    refuse(f"{name}: twin", 1, "lower half", "typed", "verify", path, "--signature", case["malleableTwin"])
    refuse(f"{name}: other", 1, "signed by", "typed", "verify", path, "--signature", case["signature"],
           "--signer", "0x0000000000000000000000000000000000000001")


def check_simulate(folder):
    """Rows add up, the table is cut and the CSV is not, the drawing is XML with a line for each number."""
    svg = os.path.join(folder, "years.svg")
    told = good("simulate", "ledger", "policy", "simulate", "--years", "30", "--svg", svg)
    for row in told["years"]:
        expect(f"year {row['year']}", int(row["circulating"]) + int(row["reserve"]) + int(row["treasury"]), int(row["supply"]))
    expect("rows", ([row["year"] for row in told["years"]], told["svg"]), (list(range(31)), svg))
    tree = ElementTree.parse(svg)
    texts = [e.text for e in tree.iter() if e.tag.endswith("text")]
    expect("lines", len([e for e in tree.iter() if e.tag.endswith("path")]), 8)
    for needle in ("Emission and burn, million tokens a year", "burnt", "circulating", "runway", "year", "30", "800"):
        if needle not in texts:
            problems.append(f"the drawing has no text {needle!r}: {texts}")
    expect("nan", "nan" in read(svg), False)
    refuse("drawn once", 1, "is there already", "ledger", "policy", "simulate", "--svg", svg)
    code, out, err = ctl("ledger", "policy", "simulate", "--years", "1", "--spend", "0", "--svg", svg + "2")
    expect("simulate as text", (code, err), (0, ""))
    for needle in ("year  emission", "640.00M", "40 % of what circulates", "modules earn 10000000 tokens", f"Drawn into {svg}2"):
        if needle not in out:
            problems.append(f"simulate as text: {out!r} lacks {needle!r}")
    expect("a treasury that spends nothing", "for ever" in read(svg + "2"), True)
    expect("CSV", "640000000000000000000000000" in ctl("ledger", "policy", "simulate", "--format", "csv")[1], True)
    refuse("more than there is", 1, "above the supply", "ledger", "policy", "simulate", "--revenue", "900000000")


def check_optimize():
    network = os.path.join(VECTORS, "nonos1-rewards.json")
    options = good("optimize", "stake", "optimize", "50000", "--network", network)["options"]
    expect("the best is the first", options[0]["yield_bp"], max(o["yield_bp"] for o in options))
    expect("tiers and splits", sorted({(o["tier"], o["lock_days"]) for o in options}), [("Bronze", 0), ("Gold", 90), ("Silver", 30)])
    expect("text", "Assumed:" in ctl("stake", "optimize", "50000", "--network", network)[1], True)
    refuse("below all tiers", 1, "Bronze, takes a stake of 1000 tokens", "stake", "optimize", "999", "--network", network)
    refuse("of another policy", 1, "not an epoch of nonos-1", "stake", "optimize", "5000", "--network",
           os.path.join(VECTORS, "anyone-rewards.json"))


def check_tally():
    case = vectors("tally.json")["cases"][14]
    code, out, err = ctl("dao", "tally", "-", "--json", stdin=json.dumps(case["input"]))
    expect("tally", (code, err, json.loads(out or "{}")), (0, "", case["expect"]))
    code, out, err = ctl("dao", "tally", "-", stdin=json.dumps(case))
    expect("tally as text", (code, err), (0, ""))
    for needle in (case["expect"]["tallyHash"], "passed", "600.000000000", "(100.00 %)"):
        if needle not in out:
            problems.append(f"tally as text: {out!r} lacks {needle!r}")
    case["input"]["register"].append(case["input"]["register"][0])
    refuse("a voter twice", 1, "twice", "dao", "tally", "-", stdin=json.dumps(case))
    refuse("no tally", 1, "rules is missing", "dao", "tally", "-", stdin="{}")


def check_refusals(case, folder):
    key = os.path.join(folder, "key")
    doc = {k: case[k] for k in ("domain", "primaryType", "message")}
    text = json.dumps(doc)
    refuse("no signature", 2, "--signature", "typed", "verify", "-", stdin=text)
    refuse("no key", 2, "--key-file", "typed", "sign", "-", stdin=text)
    refuse("no file", 2, "FILE is missing", "typed", "hash")
    refuse("another's option", 2, "option", "typed", "hash", "-", "--signer", case["signer"], stdin=text)
    refuse("a daemon's command", 2, "does not take", "status", "--signer", case["signer"])
    refuse("missing file", 1, "No such file", "typed", "hash", os.path.join(folder, "nothing"))
    refuse("fraction", 1, "whole", "typed", "hash", "-", stdin='{"a":1.5}')
    refuse("an empty file", 1, "empty", "typed", "hash", os.devnull)
    refuse("a directory as the file", 1, "Is a directory", "typed", "hash", folder)
    refuse("not JSON", 1, "line 1", "typed", "hash", "-", stdin='{"a":')
    refuse("repeated name", 1, "duplicate", "typed", "hash", "-", stdin='{"a":1,"a":2}')
    refuse("control characters", 1, "\\x1b", "typed", "hash", "-", stdin=json.dumps({**doc, "\x1b[2J": 1}))
    os.chmod(key, 0o640)
    refuse("key of others", 1, "chmod 600", "typed", "sign", "-", "--key-file", key, stdin=text)
    os.chmod(key, 0o600)
    write(key, "0" * 64)
    refuse("key of zero", 1, "no secp256k1 key", "typed", "sign", "-", "--key-file", key, stdin=text)
    write(key, "1" * 64)
    refuse("key of another", 1, "must be signed by", "typed", "sign", "-", "--key-file", key, stdin=text)
    refuse("a directory", 1, "regular file", "typed", "sign", "-", "--key-file", folder, stdin=text)


def check_rewards():
    path = os.path.join(VECTORS, "anyone-rewards.json")
    round_ = vectors("anyone-rewards.json")
    code, out, err = ctl("rewards", "compute", path, "--json")
    expect("rewards", (code, err), (0, ""))
    expect("what each relay is due", json.loads(out), round_["expect"])
    code, out, err = ctl("rewards", "compute", path)
    expect("rewards as text", (code, err, out.count("\n")), (0, "", len(round_["scores"]) + 3))
    rows = list(csv.DictReader(ctl("rewards", "compute", path, "--format", "csv")[1].splitlines()))
    expect("rewards as CSV", {row["relay"]: row["Total"] for row in rows}, {k: v["Total"] for k, v in round_["expect"]["relays"].items()})
    path = os.path.join(VECTORS, "nonos1-rewards.json")
    rows = list(csv.DictReader(ctl("rewards", "compute", path, "--format", "csv")[1].splitlines()))
    expect("an epoch as CSV", {row["relay"]: (row["due"], row["excluded"] or None) for row in rows},
           {k: (v["due"], v["excluded"]) for k, v in vectors("nonos1-rewards.json")["expect"]["relays"].items()})
    refuse("not a round", 1, "elapsedMs", "rewards", "compute", "-", stdin='{"config":{},"scores":{}}')


with tempfile.TemporaryDirectory() as temporary:
    cases = vectors("eip712.json")["cases"]
    for each in cases:
        check_hashes(each)
    for each in {case["primaryType"]: case for case in cases}.values():
        check_typed(each, temporary)
    check_refusals(cases[0], temporary)
    check_simulate(temporary)
check_optimize()
check_rewards()
check_tally()
finish()
