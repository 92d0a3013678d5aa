"""The commands of nonosctl that need no daemon, run on the vectors: answers, exit codes, refusals."""
import json
import os
import tempfile

from ctl_lab import VECTORS, ctl, expect, finish, problems, refuse, vectors, write


def check_typed(case, folder):
    name = case["name"]
    doc = json.dumps({k: case[k] for k in ("domain", "primaryType", "message")})
    path, key = os.path.join(folder, "doc"), os.path.join(folder, "key")
    write(path, doc)
    write(key, case["privateKey"] + "\n")
    code, out, err = ctl("typed", "hash", path, "--json")
    expect(f"{name}: hash", (code, err), (0, ""))
    expect(f"{name}: hashes", json.loads(out), {k: case[k] for k in ("typeHash", "structHash", "domainSeparator", "digest")})
    code, out, err = ctl("typed", "sign", "-", "--key-file", key, "--json", stdin=doc)
    expect(f"{name}: sign", (code, err), (0, ""))
    expect(f"{name}: signature", json.loads(out)["signature"], case["signature"])
    expect(f"{name}: verify", ctl("typed", "verify", path, "--signature", case["signature"], "--signer", case["signer"])[0], 0)
    expect(f"{name}: signer", json.loads(ctl("typed.verify", path, "--json", "--signature", case["signature"])[1])["signer"],
           case["signer"])
    refuse(f"{name}: twin", 1, "lower half", "typed", "verify", path, "--signature", case["malleableTwin"])
    refuse(f"{name}: other", 1, "signed by", "typed", "verify", path, "--signature", case["signature"],
           "--signer", "0x0000000000000000000000000000000000000001")


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
    refuse("not a round", 1, "elapsedMs", "rewards", "compute", "-", stdin='{"config":{},"scores":{}}')


with tempfile.TemporaryDirectory() as temporary:
    cases = vectors("eip712.json")["cases"]
    one_of_each = {case["primaryType"]: case for case in cases}.values()
    for each in one_of_each:
        check_typed(each, temporary)
    check_refusals(cases[0], temporary)
check_rewards()
check_tally()
finish()
