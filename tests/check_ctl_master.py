"""A relay whose Ed25519 master key is elsewhere: made, renewed, taken over while it runs, and the same with tor's files."""
import json
import os
import shutil
import subprocess
import tempfile
import time

from ctl_lab import PASS, Daemon, ctl, expect, finish, good, refuse, skip_if_short, write

skip_if_short()
DAY = 86400


def days_left(expires):
    return round((expires - time.time()) / DAY, 1)


def check_life(folder, pw):
    master, data = f"{folder}/master", f"{folder}/data"
    keys = f"{data}/keys"
    dry = good("dry run", "key", "master", "new", master, "--dry-run")
    expect("dry run makes nothing", (dry["dry_run"], os.path.exists(master)), (True, False))
    made = good("new", "key", "master", "new", master, "--encrypt", "--password-file", pw)
    expect("what is there", sorted(os.listdir(master)), ["ed25519_master_id_public_key", "ed25519_master_id_secret_key.nonos"])
    refuse("never overwritten", 1, "ever overwritten", "key", "master", "new", master, "--encrypt", "--password-file", pw)
    refuse("nor by a plain one", 1, "ever overwritten", "key", "master", "new", master)
    os.mkdir(data, 0o700)
    first = good("renew", "key", "master", "renew", master, "--out", keys, "--days", "5", "--new-relay", "--password-file", pw)
    expect("identity", first["ed25519"], made["ed25519"])
    refuse("one RSA identity", 1, "ever overwritten", "key", "master", "renew", master, "--out", keys, "--new-relay",
           "--password-file", pw)
    with Daemon(folder, data) as d:
        status = d.status()
        expect("identity of the relay", (status["ed25519"], status["fingerprint"]), (made["ed25519"], first["fingerprint"]))
        expect("it knows", (status["keys"]["master_offline"], days_left(status["keys"]["signing_expires"])), (True, 5.0))
        attention = json.dumps(status)
        expect("it warns", "nonosctl key master renew" in attention, True)
        expect("countdown", "for 5 days" in (shown := ctl(*d.at, "status")[1]) or "for 4 days" in shown, True)
        brought = good("renew elsewhere", "key", "master", "renew", master, "--out", f"{folder}/usb", "--days", "60",
                       "--password-file", pw)
        for name in ("ed25519_signing_secret_key", "ed25519_signing_cert"):
            shutil.copy(f"{folder}/usb/{name}", f"{keys}/{name}")
        expect("until reload it stays", days_left(d.status()["keys"]["signing_expires"]), 5.0)
        changes = good("reload, dry", *d.at, "reload", "--dry-run")["changes"]
        expect("a dry reload takes nothing", changes, [])
        changes = good("reload", *d.at, "reload")["changes"]
        expect("reload tells", [c["option"] for c in changes], ["signing key"])
        expect("taken over", d.status()["keys"]["signing_expires"], brought["expires"])
        expect("nothing to take", good("reload again", *d.at, "reload")["changes"], [])
    with Daemon(folder, data) as d:
        expect("after a restart", (d.status()["ed25519"], days_left(d.status()["keys"]["signing_expires"])),
               (made["ed25519"], 60.0))
    return master, keys


def check_bad(folder, pw, master, keys):
    wrong = write(f"{folder}/wrong", "another pass phrase\n")
    refuse("wrong pass phrase", 1, "wrong pass phrase", "key", "master", "renew", master, "--out", f"{folder}/o",
           "--password-file", wrong)
    expect("nothing was made", os.path.exists(f"{folder}/o"), False)
    refuse("no master key", 1, "no master key", "key", "master", "renew", keys, "--out", f"{folder}/o")
    refuse("no directory", 1, "No such file", "key", "master", "renew", f"{folder}/nothing", "--out", f"{folder}/o")
    refuse("no out", 2, "--out is missing", "key", "master", "renew", master)
    refuse("too many days", 2, "from 1 to 365", "key", "master", "renew", master, "--out", f"{folder}/o", "--days", "366")
    refuse("no days", 2, "from 1 to 365", "key", "master", "renew", master, "--out", f"{folder}/o", "--days", "many")
    good("another master key", "key", "master", "new", f"{folder}/other")
    refuse("another identity's relay", 1, "another identity", "key", "master", "renew", f"{folder}/other", "--out", keys)
    os.chmod(f"{folder}/other/ed25519_master_id_secret_key", 0o644)
    refuse("a key that others read", 1, "chmod 600", "key", "master", "renew", f"{folder}/other", "--out", f"{folder}/o")
    os.mkdir(f"{folder}/open", 0o777)
    os.chmod(f"{folder}/open", 0o777)
    refuse("an open directory", 1, "chmod 700", "key", "master", "new", f"{folder}/open")
    write(f"{folder}/other/ed25519_master_id_secret_key.nonos", "not sealed")
    refuse("a spoilt file", 1, "not a backup", "key", "master", "renew", f"{folder}/other", "--out", f"{folder}/o",
           "--password-file", pw)


def check_tor(folder):
    """tor --keygen goes on where we began, and we where it did; nonosd lives on what either made."""
    if not shutil.which("tor"):
        print("there is no tor: the exchange of its key files is left out")
        return
    made = good("ours", "key", "master", "new", f"{folder}/ours")
    for name in ("ours2", "theirs"):
        os.makedirs(f"{folder}/{name}/keys", 0o700)
        os.chmod(f"{folder}/{name}", 0o700)
    for name in os.listdir(f"{folder}/ours"):
        shutil.copy(f"{folder}/ours/{name}", f"{folder}/ours2/keys/{name}")

    def keygen(where, *more):
        r = subprocess.run(["tor", "--keygen", "--DataDirectory", where, "--quiet", "-f", "/dev/null", *more], input="\n\n",
                           capture_output=True, text=True, timeout=60, check=False, start_new_session=True)
        expect(f"tor --keygen in {os.path.basename(where)}", r.returncode, 0)

    keygen(f"{folder}/ours2", "--SigningKeyLifetime", "20 days")
    os.remove(f"{folder}/ours2/keys/ed25519_master_id_secret_key")
    good("an RSA identity", "key", "master", "renew", f"{folder}/ours", "--out", f"{folder}/rsa", "--new-relay")
    shutil.copy(f"{folder}/rsa/secret_id_key", f"{folder}/ours2/keys/secret_id_key")
    with Daemon(folder, f"{folder}/ours2") as d:
        status = d.status()
        expect("our master key, tor's signing key", (status["ed25519"], status["keys"]["master_offline"],
                                                     days_left(status["keys"]["signing_expires"])), (made["ed25519"], True, 20.0))
    keygen(f"{folder}/theirs")
    os.mkdir(f"{folder}/live", 0o700)
    renewed = good("tor's master key", "key", "master", "renew", f"{folder}/theirs", "--out", f"{folder}/live/keys",
                   "--new-relay", "--days", "9")
    with Daemon(folder, f"{folder}/live") as d:
        status = d.status()
        expect("tor's master key, our signing key", (status["ed25519"], days_left(status["keys"]["signing_expires"])),
               (renewed["ed25519"], 9.0))
    before = open(f"{folder}/live/keys/ed25519_master_id_public_key", "rb").read()
    expect("the public file is tor's", before, open(f"{folder}/theirs/keys/ed25519_master_id_public_key", "rb").read())


with tempfile.TemporaryDirectory() as temporary:
    phrase = write(f"{temporary}/pw", PASS + "\n")
    check_bad(temporary, phrase, *check_life(temporary, phrase))
    check_tor(temporary)
finish()
