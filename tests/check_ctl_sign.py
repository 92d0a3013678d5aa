"""One transfer in each of the ways to sign: keystore, unlocked, key file, and a cold key whose signature is brought back.

A daemon that makes another object than was asked for gets no signature.
"""
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time

from ctl_lab import PASS, Daemon, ctl, expect, finish, good, read, refuse, skip_if_short, write

skip_if_short()
KEY, HOLDER = "0" * 63 + "1", "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
TO = "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"


def writer(folder):
    good("genesis", "genesis", "new", f"{folder}/genesis.json", "--name", "test", "--holder", HOLDER, "--key",
         f"{folder}/writer.key", "--origin", "example.org/j", "--time", str(int(time.time()) - 10))
    return Daemon(folder, ready=("ledger", "head"), more=f"[ledger]\ngenesis = {folder}/genesis.json\n"
                  f"journal_key = {folder}/writer.key\n")


def received(at):
    return good("balance", *at, "ledger", "balance", TO)


def check_ways(folder, at, pw):
    keystore = ("--keystore", f"{folder}/ks")
    raw = write(f"{folder}/raw", KEY)
    good("import", "key", "import", "holder", raw, "--light", *keystore, "--password-file", pw)
    send = (*at, "transfer", TO, "1.5")
    refuse("no way to sign", 2, "in one way", *send)
    refuse("two ways to sign", 2, "in one way", *send, "--key-file", raw, "--key", "holder", *keystore)
    good("by a key of the keystore", *send, "--key", "holder", *keystore, "--password-file", pw)
    good("by a key file", *send, "--key-file", raw)
    good("unlock", *at, "key", "unlock", "holder", *keystore, "--password-file", pw)
    good("by a key that is unlocked", *send, "--key", "holder", *keystore)
    good("lock", *at, "key", "lock")
    refuse("by one that is locked", 1, "no terminal", *send, "--key", "holder", *keystore)


def check_cold(folder, at, pw):
    keystore, path, done = ("--keystore", f"{folder}/ks"), f"{folder}/cold.json", f"{folder}/signed.json"
    send = (*at, "transfer", TO, "1.5", "--cold", path)
    refuse("whose", 2, "--from", *send)
    code, shown, err = ctl(*send, "--from", HOLDER)
    expect("cold", (code, err), (0, ""))
    doc = json.loads(read(path))
    digest = good("hash", "typed", "hash", path)["digest"]
    for what in ("Transfer, to be signed by " + HOLDER, TO, "1500000000000000000  (1.5 tokens)", " UTC)", "digest " + digest,
                 f"nonosctl object attach {path} --signature HEX --out SIGNED", "nonosctl ledger submit SIGNED"):
        expect(f"it shows {what}", what in shown, True)
    expect("what wallets need", (sorted(doc["types"]), doc["primaryType"]), (["EIP712Domain", "Transfer"], "Transfer"))
    refuse("the file stays", 1, "is there already", *send, "--from", HOLDER)
    expect("nothing has moved", received(at), before := received(at))
    signature = good("where the key is", "key", "sign", path, "--key", "holder", *keystore, "--password-file", pw)["signature"]
    npm = os.environ.get("NONOS_NPM")
    if npm:
        script = """const { Wallet } = require("ethers"), fs = require("fs");
const d = JSON.parse(fs.readFileSync(process.argv[1], "utf8")); delete d.types.EIP712Domain;
new Wallet("0x" + process.argv[2]).signTypedData(d.domain, d.types, d.message).then(console.log)"""
        r = subprocess.run(["node", "-e", script, path, KEY], cwd=npm, capture_output=True, text=True, check=False)
        expect("a wallet's signature of the file", r.stdout.strip(), signature)
    else:
        print("NONOS_NPM names no directory with the package ethers: a wallet's own signature is left out")
    good("attach", "object", "attach", path, "--signature", signature, "--out", done)
    good("submit, dry", *at, "ledger", "submit", done, "--dry-run")
    expect("still nothing", received(at), before)
    good("submit", *at, "ledger", "submit", done)
    expect("it has moved", received(at) != before, True)


def lie(folder, change, mute=None):
    """A daemon that was taken over: it hands everything on to the real one, but changes the objects that it makes.

    It never answers the method `mute`.
    """
    asked = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(path := f"{folder}/liar{len(os.listdir(folder))}")
    server.listen()

    def serve():
        while True:
            s, _ = server.accept()
            with s, s.makefile("rw", encoding="utf-8") as theirs, socket.socket(socket.AF_UNIX) as real:
                real.connect(f"{folder}/sock")
                with real.makefile("rw", encoding="utf-8") as ours:
                    for line in theirs:
                        asked.append(json.loads(line)["method"])
                        ours.write(line)
                        ours.flush()
                        reply = json.loads(ours.readline())
                        if asked[-1] == mute:
                            break
                        if isinstance(reply.get("result"), dict) and "object" in reply["result"]:
                            change(reply["result"]["object"])
                        theirs.write(json.dumps(reply) + "\n")
                        theirs.flush()

    threading.Thread(target=serve, daemon=True).start()
    return ("-s", path), asked


def check_liar(folder, raw):
    other = "0x" + "11" * 20

    def turn_into_transfer(o):
        o.update(primaryType="Transfer", message={"from": HOLDER, "to": other, "amount": "1", "nonce": "50", "validUntil": "9999999999"})

    for words, change, needle in (
            (("transfer", TO, "1"), lambda o: o["message"].update(to=other), '"to"'),
            (("transfer", TO, "1"), lambda o: o["message"].update(amount="2000000000000000000"), '"amount"'),
            (("stake", "deposit", "5", "--relay", "22" * 32), turn_into_transfer, "StakeLock"),
            (("stake", "deposit", "5", "--relay", "22" * 32, "--days", "1"), lambda o: o["message"].update(lockDays=3000), '"lockDays"'),
            (("relay", "register"), lambda o: o["message"].update(payout=other), '"payout"'),
            (("relay", "register"), turn_into_transfer, "RelayRegistration")):
        at, asked = lie(folder, change)
        refuse(f"{words[0]} of a daemon that lies about {needle}", 1, needle, *at, *words, "--key-file", raw)
        expect(f"{words} was not handed over", "ledger.append" in asked, False)
    at, asked = lie(folder, lambda o: None)
    good("one that does not lie", *at, "transfer", TO, "1", "--key-file", raw)
    expect("handed over", asked[-1], "ledger.append")


def check_lost_answer(folder, at, raw):
    """Taken, but the receipt is lost: giving the command again would pay twice, so it says how to find out."""
    before = received(at)
    mute, _ = lie(folder, lambda o: None, "ledger.append")
    code, out, err = ctl(*mute, "transfer", TO, "1", "--key-file", raw)
    expect("no receipt", (code, out), (4, ""))
    said = re.search(r'"nonosctl (ledger proof --digest 0x[0-9a-f]{64})" tells', err)
    expect("it says how to find out", bool(said), True)
    if said:
        proof = good("find out", *at, *said[1].split())
        expect("the very one", json.loads(proof["entry"])["message"]["amount"], str(10**18))
    expect("it was taken", received(at) != before, True)


with tempfile.TemporaryDirectory() as temporary:
    phrase = write(f"{temporary}/pw", PASS + "\n")
    with writer(temporary) as node:
        check_ways(temporary, node.at, phrase)
        check_cold(temporary, node.at, phrase)
        check_liar(temporary, f"{temporary}/raw")
        check_lost_answer(temporary, node.at, f"{temporary}/raw")
        good("backup with a writer's key", "key", "backup", f"{temporary}/b", "--config", node.config, "--password-file", phrase)
        found = good("verify", "backup", "verify", f"{temporary}/b", "--password-file", phrase)
        expect("the journal's key is in the backup", found.get("journal_key"), True)
finish()
