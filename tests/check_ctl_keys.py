"""The operator's keys: key and object commands, pass phrases in a terminal, other wallets, bad input."""
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time

from ctl_lab import CTL, PASS, Daemon, expect, finish, good, problems, read, refuse, skip_if_short, vectors, write, ctl

skip_if_short()


class Terminal:
    """nonosctl with a terminal of its own."""

    def __init__(self, *args, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever starts the tests may ignore it
            os.environ.pop("NONOS_PASSWORD_FILE", None)
            os.environ.update(env)
            os.execv(CTL, [CTL, *args])
        self.shown = ""

    def read_until(self, needle, seconds=60):
        end = time.time() + seconds
        while needle not in self.shown and select.select([self.fd], [], [], max(0, end - time.time()))[0]:
            try:
                self.shown += os.read(self.fd, 4096).decode()
            except OSError:
                break
        if needle not in self.shown:
            problems.append(f"terminal: {self.shown!r} does not show {needle!r}")

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        try:
            while select.select([self.fd], [], [], 60)[0] and (data := os.read(self.fd, 4096)):
                self.shown += data.decode()
            os.kill(self.pid, signal.SIGKILL)
        except OSError:
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return status


def ask_new(what, folder, first, second, status, needle):
    t = Terminal("key", "new", "typed", "--light", "--keystore", folder)
    t.read_until("New pass phrase of key \"typed\": ")
    expect(f"{what}: echo while asked", t.echoes(), False)
    t.type(first + "\n")
    t.read_until("Once more")
    t.type(second + "\n")
    expect(what, t.end(), status)
    if needle not in t.shown or first in t.shown or second in t.shown:
        problems.append(f"{what}: the terminal shows {t.shown!r}")


def check_terminal(folder):
    ask_new("differing", folder, "first phrase", "other phrase", 1, "differ")
    ask_new("too short", folder, "short", "short", 1, "at least 8")
    expect("nothing written", os.listdir(folder), [])
    ask_new("new in a terminal", folder, PASS, PASS, 0, "address 0x")
    t = Terminal("key", "show", "typed", "--check", "--keystore", folder)
    t.read_until("Pass phrase of key \"typed\": ")
    t.type("wrong pass phrase\n")
    expect("wrong in a terminal", t.end(), 1)
    t = Terminal("key", "show", "typed", "--check", "--keystore", folder)
    t.read_until("Pass phrase")
    t.type(PASS + "\n")
    expect("right in a terminal", t.end(), 0)
    t = Terminal("key", "show", "typed", "--check", "--keystore", folder)
    t.read_until("Pass phrase")
    expect("echo before the interrupt", t.echoes(), False)
    t.type("half a phr\x03")
    t.read_until("\n")
    end = time.time() + 20
    while not t.echoes() and time.time() < end:
        time.sleep(0.05)
    expect("echo after the interrupt", t.echoes(), True)
    expect("interrupted", t.end(), -signal.SIGINT)


def check_making(folder, pw):
    where = ("--keystore", folder)
    made = good("new", "key", "new", "a", "--light", *where, "--password-file", pw)
    expect("mode", os.stat(made["file"]).st_mode & 0o777, 0o600)
    before = open(made["file"], encoding="ascii").read()
    refuse("never overwritten", 1, "never overwritten", "key", "new", "a", *where, "--password-file", pw)
    refuse("nor imported over", 1, "never overwritten", "key", "import", "a", pw, *where, "--password-file", pw)
    expect("as it was", open(made["file"], encoding="ascii").read(), before)
    dry = good("dry run", "key", "new", "b", "--dry-run", *where)
    expect("dry run says so", (dry["dry_run"], os.path.exists(dry["file"])), (True, False))
    expect("list", [k["address"] for k in good("list", "key", "list", *where)["keys"]], [made["address"]])
    show = good("show", "key", "show", made["address"].lower(), *where)
    expect("show by address", (show["name"], show["kdf"]), ("a", {"name": "scrypt", "n": 4096, "r": 8, "p": 6}))
    again = good("passwd", "key", "passwd", "a", "--light", *where, "--password-file", pw, "--new-password-file",
                 write(os.path.join(folder, "..", "pw2"), "another pass phrase\r\n"))
    expect("passwd", again["name"], "a")
    refuse("old pass phrase", 1, "wrong pass phrase", "key", "show", "a", "--check", *where, "--password-file", pw)
    good("new pass phrase", "key", "show", "a", "--check", *where, NONOS_PASSWORD_FILE=os.path.join(folder, "..", "pw2"))
    refuse("two phrases needed", 2, "--new-password-file", "key", "passwd", "a", *where, NONOS_PASSWORD_FILE=pw)
    refuse("remove without yes", 2, "--yes", "key", "remove", "a", *where)
    good("remove dry", "key", "remove", "a", "--dry-run", *where)
    expect("still there", os.path.exists(made["file"]), True)
    good("remove", "key", "remove", "a", "--yes", *where)
    expect("removed", os.listdir(folder), [])


def check_bad(folder, pw):
    where = ("--keystore", folder)
    for command in ("show", "passwd", "remove", "export"):
        more = (os.path.join(folder, "out"),) if command == "export" else ()
        refuse(f"{command} nothing", 1, "no key", "key", command, "nobody", *more, *where)
        refuse(f"{command} of no directory", 1, "no keystore directory", "key", command, "x", *more, "--keystore",
               "/nonexistent")
        refuse(f"{command} without a name", 2, "missing", "key", command, *where)
    refuse("list of no directory", 1, "no keystore directory", "key", "list", "--keystore", "/nonexistent")
    refuse("bad name", 2, "no name for a key", "key", "new", "a/b", *where, "--password-file", pw)
    refuse("name with controls", 2, "control", "key", "new", "a\x1b[2J", *where)
    refuse("no terminal", 1, "no terminal", "key", "new", "x", *where)
    refuse("short phrase", 1, "at least 8", "key", "new", "x", *where, "--password-file",
           write(os.path.join(folder, "..", "short"), "1234567\n"))
    refuse("long phrase", 1, "at most 1024", "key", "new", "x", *where, "--password-file",
           write(os.path.join(folder, "..", "long"), "x" * 5000))
    refuse("phrase of others", 1, "chmod 600", "key", "new", "x", *where, "--password-file",
           write(os.path.join(folder, "..", "open"), PASS, 0o644))
    refuse("no such phrase", 1, "No such file", "key", "new", "x", *where, "--password-file", "/nonexistent")
    refuse("import nothing", 1, "No such file", "key", "import", "x", "/nonexistent", *where)
    refuse("import zero", 1, "no secp256k1 key", "key", "import", "x",
           write(os.path.join(folder, "..", "zero"), "0" * 64), *where, "--password-file", pw)
    refuse("import text", 1, "64 hexadecimal", "key", "import", "x",
           write(os.path.join(folder, "..", "text"), "hello"), *where, "--password-file", pw)
    refuse("import JSON", 1, "version 3", "key", "import", "x",
           write(os.path.join(folder, "..", "json"), "{}"), *where, "--password-file", pw)
    refuse("import costly", 1, "costs more", "key", "import", "x", write(os.path.join(folder, "..", "costly"), json.dumps(
        {"version": 3, "crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "00" * 16}, "ciphertext": "00" * 32,
                                  "mac": "00" * 32, "kdf": "scrypt", "kdfparams": {
                                      "n": 1 << 31, "r": 8, "p": 1, "dklen": 32, "salt": "00"}}})),
           *where, "--password-file", pw)
    expect("nothing was written", os.listdir(folder), [])
    os.chmod(folder, 0o777)
    refuse("open directory", 1, "chmod 700", "key", "list", *where)
    os.chmod(folder, 0o700)


def check_wallet_files(folder):
    """Keystores that others wrote are taken in with their pass phrase."""
    for i, case in enumerate(vectors("keystore.json")["cases"]):
        path = write(os.path.join(folder, "..", "wallet"), json.dumps(case["keystore"]))
        pw = write(os.path.join(folder, "..", "walletpw"), case["password"] + "\n")
        code, out, err = ctl("key", "import", f"w{i}", path, "--light", "--json", "--keystore", folder, "--password-file", pw)
        expect(case["name"], code, 0)
        expect(case["name"] + ": warns", "fewer than 8" in err, len(case["password"].encode()) < 8)
        if "address" in case:
            expect(case["name"] + ": address", json.loads(out)["address"], case["address"])


def check_signing(folder, pw):
    case = next(c for c in vectors("eip712.json")["cases"] if c["primaryType"] == "StakeLock")
    doc = {k: case[k] for k in ("domain", "primaryType", "message")}
    path = write(os.path.join(folder, "..", "doc"), json.dumps(doc))
    raw = write(os.path.join(folder, "..", "raw"), case["privateKey"])
    where = ("--keystore", folder, "--password-file", pw)
    good("import raw", "key", "import", "signer", raw, "--light", *where)
    good("another", "key", "new", "other", "--light", *where)
    signed = good("sign", "key", "sign", path, "--key", "signer", *where)
    expect("signature", (signed["signature"], signed["digest"]), (case["signature"], case["digest"]))
    signed = good("sign by address", "key", "sign", "-", "--key", case["signer"], *where, stdin=json.dumps(
        {**doc, "attachments": {"relaySignature": "0x00"}}))
    expect("what travels along is not signed", signed["signature"], case["signature"])
    refuse("another's key", 1, "must be signed by", "key", "sign", path, "--key", "other", *where)
    refuse("no key named", 2, "--key is missing", "key", "sign", path, *where)
    refuse("not a message", 1, "missing", "key", "sign", "-", "--key", "signer", *where, stdin="{}")
    whole = json.loads(ctl("object", "attach", path, "--signature", case["signature"])[1])
    expect("attached", whole, {**doc, "signatures": [case["signature"]]})
    refuse("twin", 1, "lower half", "object", "attach", path, "--signature", case["malleableTwin"])
    refuse("other digest", 1, "must be signed by", "object", "attach",
           write(os.path.join(folder, "..", "doc2"), json.dumps({**doc, "message": {**doc["message"], "nonce": "77"}})),
           "--signature", case["signature"])
    refuse("not hex", 1, "65 bytes", "object", "attach", path, "--signature", "zz")
    out = os.path.join(folder, "..", "whole")
    good("attach to a file", "object", "attach", path, "--signature", case["signature"], "--out", out)
    expect("the file", json.load(open(out, encoding="ascii")), whole)
    refuse("not overwritten", 1, "is there already", "object", "attach", path, "--signature", case["signature"], "--out", out)


def copies_in_memory(pid, needles):
    """How often any of them stands in the memory of a process; None where we may not look."""
    found = 0
    try:
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
            for line in maps:
                start, end = (int(x, 16) for x in line.split()[0].split("-"))
                if "rw" not in line.split()[1] or end - start > 256 << 20:
                    continue
                memory.seek(start)
                try:
                    data = memory.read(end - start)
                except OSError:
                    continue
                found += sum(data.count(n) for n in needles)
    except PermissionError:
        return None
    return found


def check_unlocked(folder, pw):
    """A key that the daemon holds: used without its pass phrase, for its time only, and gone from memory after it."""
    case = next(c for c in vectors("eip712.json")["cases"] if c["primaryType"] == "StakeLock")
    path, where = os.path.join(folder, "..", "doc"), ("--keystore", folder)
    key = bytes.fromhex(case["privateKey"].removeprefix("0x"))
    needles = (key, key.hex().encode(), key.hex().upper().encode())
    refuse("nobody to hold it", 3, "", "key", "unlock", "signer", *where, "--password-file", pw)
    daemon = Daemon(os.path.dirname(folder))
    at = daemon.at
    with daemon:
        expect("not known to the daemon", copies_in_memory(daemon.process.pid, needles) or 0, 0)
        refuse("locked", 1, "no terminal", *at, "key", "sign", path, "--key", "signer", *where)
        good("dry run", *at, "key", "unlock", "signer", "--dry-run", *where, "--password-file", pw)
        expect("a dry run holds nothing", good("unlocked", *at, "key", "unlocked")["keys"], [])
        refuse("too long", 2, "\"for\"", *at, "key", "unlock", "signer", "--for", "8 days", *where)
        held = good("unlock", *at, "key", "unlock", "signer", "--for", "5 min", *where, "--password-file", pw)
        expect("whose", (held["address"], held["seconds"]), (case["signer"], 300))
        expect("where it is and nowhere else", copies_in_memory(daemon.process.pid, needles) in (1, None), True)
        signed = good("sign", *at, "key", "sign", path, "--key", "signer", *where)
        expect("the same signature", signed["signature"], case["signature"])
        refuse("other keys stay locked", 1, "no terminal", *at, "key", "sign", path, "--key", "other", *where)
        refuse("not another's message", 1, "no terminal", *at, "key", "sign", os.path.join(folder, "..", "doc3"), "--key", "signer",
               *where) if write_other(folder, case) else None
        expect("unlocked", [k["address"] for k in good("unlocked", *at, "key", "unlocked")["keys"]], [case["signer"]])
        refuse("lock what is no address", 2, "not an address", *at, "key", "lock", "signer")
        expect("lock another", good("lock", *at, "key", "lock", "0x" + "1" * 40)["locked"], 0)
        expect("lock", good("lock", *at, "key", "lock")["locked"], 1)
        refuse("locked again", 1, "no terminal", *at, "key", "sign", path, "--key", "signer", *where)
        expect("wiped", copies_in_memory(daemon.process.pid, needles) or 0, 0)
        good("for a second", *at, "key", "unlock", "signer", "--for", "1 s", *where, "--password-file", pw)
        time.sleep(2.5)
        expect("its time is over", good("unlocked", *at, "key", "unlocked")["keys"], [])
        expect("wiped after its time", copies_in_memory(daemon.process.pid, needles) or 0, 0)
        refuse("no secrets on the command line", 2, "", *at, "key", "hold", "--secret", key.hex(), "--for", "10")
    log = read(daemon.log)
    expect("the log has no key", any(n.decode() in log for n in needles[1:]), False)


def write_other(folder, case):
    doc = {k: case[k] for k in ("domain", "primaryType", "message")}
    other = {**doc, "message": {**doc["message"], "account": "0x" + "1" * 40}}
    write(os.path.join(folder, "..", "doc3"), json.dumps(other))
    return "account" in doc["message"]


def has_ethers():
    folder = os.environ.get("NONOS_NPM", "")
    if not shutil.which("node"):
        return None
    r = subprocess.run(["node", "-e", "require('ethers')"], cwd=folder or None, capture_output=True, check=False)
    return folder or "." if r.returncode == 0 else None


def check_ethers(folder, pw):
    """Another wallet's program reads what we wrote, and we what it writes."""
    npm = has_ethers()
    if not npm:
        print("no node with the package ethers (NONOS_NPM names a directory with node_modules): its half is left out")
        return
    where = ("--keystore", folder, "--password-file", pw)
    made = good("for ethers", "key", "new", "forethers", "--light", *where)
    out = os.path.join(folder, "..", "exported")
    good("export", "key", "export", "forethers", out, "--keystore", folder)
    refuse("export twice", 1, "is there already", "key", "export", "forethers", out, "--keystore", folder)
    script = """
const { Wallet, encryptKeystoreJson } = require("ethers"), fs = require("fs");
const [ours, pass, theirs] = process.argv.slice(1);
(async () => {
  console.log((await Wallet.fromEncryptedJson(fs.readFileSync(ours, "utf8"), pass)).address);
  const w = Wallet.createRandom();
  fs.writeFileSync(theirs, await encryptKeystoreJson(w, pass, { scrypt: { N: 4096 } }), { mode: 0o600 });
  console.log(w.address);
})();
"""
    theirs = os.path.join(os.path.abspath(folder), "..", "theirs")
    r = subprocess.run(["node", "-e", script, os.path.abspath(out), PASS, theirs], cwd=npm, capture_output=True, text=True,
                       check=False)
    addresses = r.stdout.split()
    expect("ethers", (r.returncode, addresses[:1]), (0, [made["address"]]))
    back = good("back from ethers", "key", "import", "fromethers", theirs, "--light", *where)
    expect("what ethers wrote", back.get("address"), addresses[-1])


with tempfile.TemporaryDirectory() as temporary:
    phrase = write(os.path.join(temporary, "pw"), PASS + "\nsecond line\n")
    keys = os.path.join(temporary, "keys")
    os.mkdir(keys, 0o700)
    check_terminal(keys)
    os.remove(os.path.join(keys, "typed.json"))
    check_making(keys, phrase)
    check_bad(keys, phrase)
    check_wallet_files(keys)
    check_signing(keys, phrase)
    check_unlocked(keys, phrase)
    check_ethers(keys, phrase)
finish()
