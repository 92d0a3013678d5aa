"""A relay is backed up, lost and brought back as the same relay; damaged and hostile backups are refused."""
import os
import shutil
import tempfile

from ctl_lab import PASS, Daemon, expect, finish, good, read, refuse, skip_if_short, write

skip_if_short()


def identity_of_run(daemon):
    """What the daemon says of its identity, started for that."""
    with daemon:
        status = daemon.status()
    return status["fingerprint"], status["ed25519"]


def check_round_trip(folder, pw):
    data, backup = f"{folder}/data", f"{folder}/relay.backup"
    daemon = Daemon(folder, data)
    conf = daemon.config
    refuse("no keys yet", 1, "no relay keys", "key", "backup", backup, "--config", conf, "--password-file", pw)
    identity = identity_of_run(daemon)
    good("a keystore", "key", "new", "op", "--light", "--keystore", f"{data}/keystore", "--password-file", pw)
    dry = good("dry run", "key", "backup", backup, "--config", conf, "--dry-run")
    expect("dry run", (dry.get("fingerprint"), os.path.exists(backup)), (identity[0], False))
    made = good("backup", "key", "backup", backup, "--config", conf, "--password-file", pw)
    expect("what it holds", (made["fingerprint"], made["ed25519"], made["keystores"], made["config"]), (*identity, 1, True))
    expect("mode", os.stat(backup).st_mode & 0o777, 0o600)
    secret = open(f"{data}/keys/ed25519_master_id_secret_key", "rb").read()
    expect("encrypted", secret[32:64] in open(backup, "rb").read(), False)
    refuse("never overwritten", 1, "not overwritten", "key", "backup", backup, "--config", conf, "--password-file", pw)
    good("verify", "backup", "verify", backup, "--password-file", pw)
    names = [f["name"] for f in good("list", "backup", "list", backup, "--password-file", pw)["files"]]
    expect("identity keys are listed", {"keys/secret_id_key", "keystore/op.json", "nonosd.conf"} <= set(names), True)
    expect("no caches", [n for n in names if "cache" in n or ".db" in n or n == "lock"], [])
    shutil.copytree(f"{data}/keys", f"{folder}/oldkeys")
    shutil.rmtree(data)
    good("restore, dry", "key", "restore", backup, data, "--dry-run", "--password-file", pw)
    expect("nothing was made", os.path.exists(data), False)
    good("restore", "key", "restore", backup, data, "--password-file", pw)
    expect("modes", (os.stat(data).st_mode & 0o777, os.stat(f"{data}/keys/secret_id_key").st_mode & 0o777), (0o700, 0o600))
    for name in os.listdir(f"{folder}/oldkeys"):
        expect(name, open(f"{data}/keys/{name}", "rb").read(), open(f"{folder}/oldkeys/{name}", "rb").read())
    expect("the same relay", identity_of_run(daemon), identity)
    refuse("not into a used directory", 1, "not empty", "key", "restore", backup, data, "--password-file", pw)
    expect("and it is as it was", identity_of_run(daemon), identity)
    return backup, conf, data


def check_damage(folder, pw, backup):
    whole = open(backup, "rb").read()
    bad = f"{folder}/bad"
    wrong = write(f"{folder}/wrong", "another pass phrase\n")
    for command in (("backup", "verify", backup), ("backup", "list", backup), ("key", "restore", backup, f"{folder}/none")):
        refuse(f"{command[1]}: wrong pass phrase", 1, "wrong pass phrase", *command, "--password-file", wrong)
    for what, text, needle in (
            ("damaged head", whole[:30] + bytes([whole[30] ^ 1]) + whole[31:], "damaged"),
            ("damaged body", whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:], "pass phrase is right"),
            ("cut", whole[:-1], "pass phrase is right"), ("a tail", whole + b"x", "damaged"),
            ("half a head", whole[:50], "cut short"), ("empty", b"", "not a backup"),
            ("text", b"hello, world, this is no backup" * 10, "not a backup")):
        with open(bad, "wb") as f:
            f.write(text)
        refuse(what, 1, needle, "backup", "verify", bad, "--password-file", pw)
        refuse(f"{what}: restore", 1, needle, "key", "restore", bad, f"{folder}/none", "--password-file", pw)
        expect(f"{what}: nothing was made", os.path.exists(f"{folder}/none"), False)


def check_wrong_keys(folder, pw, conf, data):
    """What would not start again is not backed up."""
    backup, keys = f"{folder}/second.backup", f"{data}/keys"
    again = ("key", "backup", backup, "--config", conf, "--password-file", pw)
    public = open(f"{keys}/ed25519_master_id_public_key", "rb").read()
    with open(f"{keys}/ed25519_master_id_public_key", "wb") as f:
        f.write(public[:-1] + bytes([public[-1] ^ 1]))
    refuse("another public key", 1, "does not match", *again)
    with open(f"{keys}/ed25519_master_id_public_key", "wb") as f:
        f.write(public)
    os.rename(f"{keys}/secret_id_key", f"{folder}/aside")
    refuse("half an identity", 1, "secret_id_key", *again)
    os.rename(f"{folder}/aside", f"{keys}/secret_id_key")
    fingerprint = read(f"{data}/fingerprint")
    write(f"{data}/fingerprint", "backed " + "0" * 40 + "\n")
    refuse("another fingerprint", 1, "another relay", *again)
    write(f"{data}/fingerprint", fingerprint)
    write(f"{data}/keystore/broken.json", "{}")
    refuse("a broken keystore", 1, "no keystore", *again)
    os.remove(f"{data}/keystore/broken.json")
    write(f"{data}/keystore/a b.json", "{}")
    refuse("a name with a blank", 1, "rename the file", *again)
    os.remove(f"{data}/keystore/a b.json")
    refuse("no configuration", 1, "--config", "key", "backup", backup, "--config", "/nonexistent", "--password-file", pw)
    refuse("short pass phrase", 1, "at least 8", *again[:-1], write(f"{folder}/short", "short"))
    expect("nothing was written", os.path.exists(backup), False)
    os.rename(f"{keys}/ed25519_master_id_secret_key", f"{folder}/aside")
    expect("master key offline", good("offline", *again)["master_offline"], True)
    refuse("no such backup", 1, "No such file", "backup", "verify", "/nonexistent", "--password-file", pw)
    refuse("no file named", 2, "missing", "backup", "verify")
    refuse("no directory named", 2, "missing", "key", "restore", backup)


with tempfile.TemporaryDirectory() as temporary:
    phrase = write(f"{temporary}/pw", PASS + "\n")
    one, config, where = check_round_trip(temporary, phrase)
    check_damage(temporary, phrase, one)
    check_wrong_keys(temporary, phrase, config, where)
expect("nothing is left in memory", [n for n in os.listdir("/dev/shm") if n.startswith("nonos-verify-")], [])
finish()
