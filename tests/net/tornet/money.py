"""A ledger in the lab: keys, a genesis with short epochs, its writer, operators with stakes.

    with Money(net, "ours0", epoch_s=30) as money: ...

The writer is one of ours; other relays of ours follow its journal, and hand it what their operators sign.
"""

import json
import os
import secrets
import subprocess
import time

from .ours import nonos_tool
from .util import HOST, TornetError, pick_port_block

TOKEN = 10 ** 18


def tool(*words, ok=True, timeout=60):
    """`nonosctl --json words…` without a daemon."""
    run = subprocess.run([nonos_tool("nonosctl"), "--json", *words], capture_output=True, text=True,
                         timeout=timeout, stdin=subprocess.DEVNULL)
    if ok and run.returncode:
        raise TornetError("nonosctl %s: %s" % (" ".join(words), (run.stderr or run.stdout).strip()[-500:]))
    return json.loads(run.stdout) if run.returncode == 0 and run.stdout.strip() else run


class Money:
    def __init__(self, net, writer, epoch_s=30, auditors=1, threshold=1, start_in=0):
        self.net, self.writer, self.epoch_s = net, writer, epoch_s
        self.home = net._path("money")
        os.makedirs(self.home, exist_ok=True)
        self.accounts = {}
        self.port = pick_port_block(1)
        names = ["auditor%d" % i for i in range(auditors)]
        for name in ["holder"] + names:
            self.make_key(name)
        self.genesis = os.path.join(self.home, "genesis.json")
        self.journal_key = os.path.join(self.home, "journal.key")
        self.start = int(time.time()) + start_in
        tool("genesis", "new", self.genesis, "--name", "lab", "--holder", self.accounts["holder"],
             "--key", self.journal_key, "--auditor-threshold", str(threshold),
             "--epoch-seconds", str(epoch_s), "--unbonding-seconds", "60", "--time", str(self.start),
             *[w for n in names for w in ("--auditors", self.accounts[n])])

    # -- keys -----------------------------------------------------------------
    def key(self, name):
        return os.path.join(self.home, name + ".key")

    def make_key(self, name):
        """A new account; its key in a file of its own."""
        fd = os.open(self.key(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(secrets.token_hex(32))
        # A type that names no signer tells whose key it is.
        doc = {"domain": {"name": "NONOS", "version": "1", "chainId": "0", "verifyingContract": "0x" + "00" * 20},
               "primaryType": "EpochRoot",
               "message": {"epoch": "0", "root": "0x" + "00" * 32, "total": "0", "evidenceHash": "0x" + "00" * 32,
                           "previous": "0x" + "00" * 32}}
        path = os.path.join(self.home, "whose.json")
        with open(path, "w") as f:
            json.dump(doc, f)
        self.accounts[name] = tool("typed", "sign", path, "--key-file", self.key(name))["signer"]
        return self.accounts[name]

    # -- nodes ----------------------------------------------------------------
    def options(self, name, auditor=None):
        """Lines of nonosd.conf for a relay of ours."""
        lines = ["ledger:genesis = " + self.genesis]
        if name == self.writer:
            lines += ["ledger:journal_key = " + self.journal_key,
                      "ledger:journal_listen = %s:%d" % (HOST, self.port)]
        else:
            lines += ["ledger:follow = http://%s:%d" % (HOST, self.port), "ledger:follow_interval = 1 s"]
        if auditor:
            lines.append("ledger:auditor_key = " + self.key(auditor))
        return lines

    def configure(self, name, auditor=None, more=()):
        node = self.net.node(name)
        node["extra"] = list(node.get("extra", ())) + self.options(name, auditor) + list(more)
        self.net._write_config(node)
        self.net.save()

    def ctl(self, *words, **kw):
        return self.net.ctl(self.writer, *words, **kw)

    # -- operators --------------------------------------------------------------
    def operator(self, name, relay, stake, days=0):
        """Make an operator: an account with tokens, that registers the relay and stakes on it, all at that relay."""
        self.make_key(name)
        receipt = self.ctl("transfer", self.accounts[name], str(stake + 1), "--key-file", self.key("holder"))
        self.wait_height(relay, receipt["index"] + 1)
        receipt = self.net.ctl(relay, "relay", "register", "--key-file", self.key(name))
        self.wait_height(relay, receipt["index"] + 1)
        return self.net.ctl(relay, "stake", "deposit", str(stake), "--days", str(days), "--key-file", self.key(name))

    def wait_height(self, name, height, timeout=30):
        """Until a node's copy of the journal has so many entries."""
        deadline = time.time() + timeout
        while self.net.ctl(name, "ledger", "head")["height"] < height:
            if time.time() > deadline:
                raise TornetError("%s does not follow the journal: %s" % (name, self.net.status(name)["ledger"]))
            time.sleep(0.1)

    def relay_id(self, relay):
        return self.net.ctl(relay, "ledger", "head")["relay_id"][2:]

    # -- epochs -----------------------------------------------------------------
    def closed(self):
        """How many epochs are closed."""
        return self.net.status(self.writer)["ledger"]["epochs_closed"]

    def wait_closed(self, count, timeout=None):
        """Until `count` epochs are closed."""
        deadline = time.time() + (timeout or 3 * self.epoch_s + 60)
        while True:
            status = self.net.status(self.writer)["ledger"]
            if status.get("epochs_closed", 0) >= count:
                return status["epochs_closed"]
            if time.time() > deadline:
                raise TornetError("only %s epochs are closed: %s\n%s" % (
                    status.get("epochs_closed"), status.get("problem"), self.net.log_tail(self.writer, 20)))
            time.sleep(0.5)

    def database(self, name=None):
        return self.net._path(name or self.writer, "data", "ledger.db")
