"""One private Tor network in one directory: keys, torrc files, processes.

Drives an unmodified `tor` (tested: Debian's 0.4.9.11) as authorities, relays,
exits and clients, and relays of ours beside them (ours.py). Everything binds
to and connects from 127.0.0.1: OutboundBindAddress makes the kernel refuse any
other destination.
"""

import base64
import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from .control import Control
from .ours import Ours, nonos_tool
from .traffic import Traffic
from .util import (HOST, TornetError, find_tool, listening_sockets, pick_port_block,
                   port_block_free, proc_start_ticks, proc_tree, wait_port)
from .waiting import Waiting

STATE = "network.json"
PACKAGES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

DEFAULTS = {
    "vote_interval": 10, "vote_delay": 2, "dist_delay": 2,
    "first_vote": 5,                # seconds after the start of the authorities
    "steady_interval": 0,           # after the first consensus; 0: the same
    "real_reachability": False, "log_level": "notice",
    "vote_guard": "*", "vote_exit": "", "vote_hsdir": "*",
    "params": [], "extra": [], "bandwidth": "1 GBytes", "num_cpus": 0,
    "tools": {},                    # role: program, where it is not "tor" ("anon")
    "ours_program": "nonosd",       # or tor, standing in for it
    "ours_workers": 2, "ours_extra": [],    # more lines: "section:key = value"
}


class Network(Waiting, Traffic, Ours):
    """One test network living in one base directory."""

    def __init__(self, base):
        self.base = os.path.abspath(base)
        self.state = {"nodes": {}, "options": dict(DEFAULTS), "pids": {}}
        if os.path.exists(self._path(STATE)):
            with open(self._path(STATE)) as f:
                self.state = json.load(f)

    # -- state ------------------------------------------------------------
    def _path(self, *parts):
        return os.path.join(self.base, *parts)

    def save(self):
        tmp = self._path(STATE + ".tmp")
        with open(tmp, "w") as f:
            json.dump(self.state, f, indent=1)
        os.replace(tmp, self._path(STATE))

    @property
    def nodes(self):
        return self.state["nodes"]

    def by_role(self, *roles):
        return [n for n in self.nodes.values() if n["role"] in roles]

    def node(self, name):
        """A lab node by name or fingerprint."""
        key = name.lstrip("$").upper()
        for n in self.nodes.values():
            if n["name"] == name or n.get("fingerprint") == key:
                return n
        raise TornetError("no such node: %s" % name)

    def fingerprint(self, name):
        """Fingerprint of a lab node, or of an external relay given as such."""
        key = name.lstrip("$").replace(" ", "").upper()
        if re.fullmatch("[0-9A-F]{40}", key):
            return key
        return self.node(name)["fingerprint"]

    # -- creation -----------------------------------------------------------
    def create(self, authorities=3, relays=3, exits=2, clients=1, ours=0,
               port_base=None, **options):
        """Make directories, keys and torrc files.  `options`: see DEFAULTS."""
        if self.nodes:
            raise TornetError("%s already holds a network" % self.base)
        os.makedirs(self.base, mode=0o700, exist_ok=True)
        unknown = set(options) - set(DEFAULTS)
        if unknown:
            raise TornetError("unknown options: %s" % ", ".join(sorted(unknown)))
        self.state["options"] = dict(DEFAULTS, **options)
        roles = (["auth"] * authorities + ["relay"] * relays
                 + ["exit"] * exits + ["ours"] * ours + ["client"] * clients)
        need = len(roles) * 3 + 1
        if port_base is None:
            port_base = pick_port_block(need)
        elif not port_block_free(port_base, need):
            raise TornetError("ports from %d on are not free" % port_base)
        count, port = {}, port_base
        for role in roles:
            name = "%s%d" % (role, count.get(role, 0))
            count[role] = count.get(role, 0) + 1
            node = {"name": name, "role": role, "control_port": port}
            if role == "client":
                node["socks_port"] = port + 1
            else:
                node["or_port"] = port + 1
            if role == "auth":
                node["dir_port"] = port + 2
            if role == "ours":
                self._define_ours(node, port + 2)
            port += 3
            self.nodes[name] = node
        self.nodes["dns"] = {"name": "dns", "role": "dns", "port": port}
        with open(self._path("resolv.conf"), "w") as f:
            f.write("nameserver %s:%d\n" % (HOST, port))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            list(pool.map(self._make_keys, list(self.nodes.values())))
        for node in self.nodes.values():
            self._write_config(node)
        self.save()

    def _write_config(self, node):
        if self.is_nonosd(node):
            self._write_conf(node)
        elif node["role"] != "dns":
            self._write_torrc(node)

    def _make_keys(self, node):
        ddir = self._path(node["name"])
        os.makedirs(os.path.join(ddir, "keys"), mode=0o700, exist_ok=True)
        os.chmod(ddir, 0o700)
        if node["role"] in ("client", "ours", "dns"):   # ours make their own
            return
        if node["role"] == "auth":
            keys = os.path.join(ddir, "keys")
            run = subprocess.run(
                [find_tool(self._tool(node) + "-gencert"), "--create-identity-key",
                 "--passphrase-fd", "0", "-m", "12",
                 "-a", "%s:%d" % (HOST, node["dir_port"]),
                 "-i", os.path.join(keys, "authority_identity_key"),
                 "-s", os.path.join(keys, "authority_signing_key"),
                 "-c", os.path.join(keys, "authority_certificate")],
                input=b"test\n", capture_output=True, timeout=120)
            if run.returncode:
                raise TornetError("gencert: " + run.stderr.decode())
            with open(os.path.join(keys, "authority_certificate")) as f:
                node["v3ident"] = re.search(
                    r"^fingerprint ([0-9A-F]{40})$", f.read(), re.M)[1]
        empty = os.path.join(ddir, "empty-torrc")
        open(empty, "w").close()
        run = subprocess.run(
            [*self._tool_words(node, empty, empty), "--list-fingerprint", "--hush",
             "--DataDirectory", ddir, "--Nickname", node["name"], "--ORPort",
             "%s:%d" % (HOST, node["or_port"]), "--Address", HOST,
             "--SocksPort", "0"],
            capture_output=True, text=True, timeout=120)
        found = re.search(r"%s ((?:[0-9A-F]{4} ?){10})" % node["name"], run.stdout)
        if run.returncode or not found:
            raise TornetError("--list-fingerprint: " + run.stdout + run.stderr)
        node["fingerprint"] = found[1].replace(" ", "")
        with open(os.path.join(ddir, "keys", "ed25519_master_id_public_key"), "rb") as f:
            node["ed25519"] = base64.b64encode(f.read()[32:]).decode().rstrip("=")

    def dir_authority_lines(self, dead=False):
        """`dead`: the right identities, on ports where nobody listens."""
        return ["DirAuthority %s orport=%d v3ident=%s %s:%d %s" % (
            n["name"], 1 if dead else n["or_port"], n["v3ident"], HOST,
            1 if dead else n["dir_port"], n["fingerprint"]) for n in self.by_role("auth")]

    def common_torrc(self, dead=False):
        """Lines every member of the network needs (external tors included)."""
        return [
            "TestingTorNetwork 1",
            *self.dir_authority_lines(dead),
            "Address " + HOST,
            "OutboundBindAddress " + HOST,      # nothing can leave loopback
            "SafeLogging 0",
            "LogTimeGranularity 1",
            "ProtocolWarnings 1",
            "ShutdownWaitLength 1",
            "DisableDebuggerAttachment 0",
            "AvoidDiskWrites 1",
            # All relays share 127.0.0.0/16 and private addresses:
            "EnforceDistinctSubnets 0",
            "ExtendAllowPrivateAddresses 1",
            "ClientRejectInternalAddresses 0",
            "ClientDNSRejectInternalAddresses 0",
            "DirAllowPrivateAddresses 1",
            "CountPrivateBandwidth 1",
            "PathsNeededToBuildCircuits 0.3",
            "TestingMinTimeToReportBandwidth 1",
        ]

    def relay_torrc(self, is_exit=False):
        """Lines for a (tor) relay of this network."""
        opt = self.state["options"]
        lines = [
            "SocksPort 0",
            "AssumeReachable 1",                # publish without a self-test
            "ExitPolicyRejectPrivate 0",
            "ExitPolicyRejectLocalInterfaces 0",
            "BandwidthRate " + opt["bandwidth"],
            "BandwidthBurst " + opt["bandwidth"],
            "ServerDNSDetectHijacking 0",
            "ServerDNSTestAddresses",
            "ServerDNSAllowBrokenConfig 1",
            "ServerDNSResolvConfFile " + self._path("resolv.conf"),
            "ExitRelay %d" % is_exit,
            "ExitPolicy accept *:*" if is_exit else "ExitPolicy reject *:*",
        ]
        if opt["num_cpus"]:
            lines.append("NumCPUs %d" % opt["num_cpus"])
        return lines

    def _write_torrc(self, node, extra=()):
        opt, ddir = self.state["options"], self._path(node["name"])
        lines = [
            "Nickname " + node["name"],
            "DataDirectory " + ddir,
            "PidFile " + os.path.join(ddir, "pid"),
            "Log %s file %s" % (opt["log_level"], os.path.join(ddir, "tor.log")),
            "ControlPort %s:%d" % (HOST, node["control_port"]),
            "CookieAuthentication 1",
            "CookieAuthFile " + os.path.join(ddir, "control_auth_cookie"),
        ] + self.common_torrc(node.get("dead_authorities", False))
        role = node["role"]
        if role == "client":
            if not extra:       # lab clients learn of new relays sooner
                lines += ["FetchDirInfoEarly 1", "FetchDirInfoExtraEarly 1"]
            lines += ["SocksPort %s:%d" % (HOST, node["socks_port"]),
                      "DormantCanceledByStartup 1",
                      # A learned timeout shrinks to milliseconds on loopback:
                      "LearnCircuitBuildTimeout 0", "CircuitBuildTimeout 60"]
        else:
            lines += ["ORPort %s:%d IPv4Only" % (HOST, node["or_port"])]
            lines += self.relay_torrc(is_exit=node.get("exit", role == "exit"))
        if role == "auth":
            lines += [
                "DirPort %s:%d" % (HOST, node["dir_port"]),
                "AuthoritativeDirectory 1", "V3AuthoritativeDirectory 1",
                "ContactInfo %s@tornet.invalid" % node["name"],
                "V3AuthVotingInterval %d seconds" % (
                    opt["steady_interval"] or opt["vote_interval"]),
                "V3AuthVoteDelay %d seconds" % opt["vote_delay"],
                "V3AuthDistDelay %d seconds" % opt["dist_delay"],
                "TestingV3AuthInitialVotingInterval %d seconds" % opt["vote_interval"],
                "TestingV3AuthInitialVoteDelay %d seconds" % opt["vote_delay"],
                "TestingV3AuthInitialDistDelay %d seconds" % opt["dist_delay"],
                # Clients refetch between fresh-until and valid-until, so 2
                # keeps them quick (an expired consensus stays usable a day).
                "V3AuthNIntervalsValid 2",
                "TestingV3AuthVotingStartOffset %d" % self.state.get("offset", 0),
                "TestingAuthDirTimeToLearnReachability 0",
                "AuthDirMaxServersPerAddr 0",
                "AuthDirTestReachability %d" % opt["real_reachability"],
                "TestingMinExitFlagThreshold 0",
                "TestingMinFastFlagThreshold 0",
                "MinUptimeHidServDirectoryV2 0",
                # A relay that joins later must not lose Stable/Fast to the
                # median uptime and bandwidth of those before it:
                "AuthDirVoteStableGuaranteeMinUptime 0",
                "AuthDirVoteStableGuaranteeMTBF 0",
                "AuthDirFastGuarantee 1",
            ]
            if opt["real_reachability"]:
                lines[lines.index("AssumeReachable 1")] = "AssumeReachable 0"
            for key, name in (("vote_guard", "TestingDirAuthVoteGuard"),
                              ("vote_exit", "TestingDirAuthVoteExit"),
                              ("vote_hsdir", "TestingDirAuthVoteHSDir")):
                if opt[key]:
                    lines.append("%s %s" % (name, opt[key]))
            if opt["params"]:
                lines.append("ConsensusParams " + " ".join(opt["params"]))
        for item in opt["extra"]:               # "role:torrc line" or "all:…"
            who, _, line = item.partition(":")
            if who in (role, node["name"], "all"):
                lines.append(line.strip())
        lines += list(extra)
        with open(os.path.join(ddir, "torrc"), "w") as f:
            f.write("\n".join(lines) + "\n")

    def add_client(self, name, extra=(), **settings):
        """Define one more client (torrc lines in `extra`); not started. `settings`
        are node fields: tool="anon", dead_authorities=True."""
        if name in self.nodes:
            raise TornetError("node %s exists" % name)
        ports = pick_port_block(2)
        node = {"name": name, "role": "client", **settings,
                "control_port": ports, "socks_port": ports + 1}
        self.nodes[name] = node
        self._make_keys(node)
        self._write_torrc(node, extra)
        self.save()
        return node

    def remove_node(self, name):
        self.stop([name])
        self.nodes.pop(name, None)
        shutil.rmtree(self._path(name), ignore_errors=True)
        self.save()

    # -- processes ------------------------------------------------------------
    @staticmethod
    def tool_version(tool="tor"):
        """The first line of what a program says of itself."""
        run = subprocess.run([find_tool(tool), "--version"], capture_output=True, text=True,
                             timeout=20)
        return run.stdout.split("\n")[0]

    def _tool(self, node):
        """The program that plays this node: tor, or anon where a test asks for it."""
        return (node.get("tool") or self.state["options"].get("tools", {}).get(node["role"])
                or "tor")

    def _tool_words(self, node, torrc, defaults):
        """How the command begins. anon has other names for files and wants its terms
        agreed to; every line that the lab writes to a torrc it takes as tor does."""
        tool = self._tool(node)
        words = [find_tool(tool), "-f", torrc]
        if tool == "anon":
            return words + ["--defaults-anonrc", defaults, "--allow-missing-anonrc",
                            "--AgreeToTerms", "1"]
        return words + ["--defaults-torrc", defaults, "--ignore-missing-torrc"]

    def start(self, names=None):
        """Start nodes: authorities first, then relays and exits, then clients."""
        auths = self.by_role("auth")
        if names is None and not any(self.pid(n["name"]) for n in auths):
            # Phase of the votes: the first one soon, but so that it already sees
            # the descriptors that the relays are about to upload.
            opt = self.state["options"]
            self.state["offset"] = int(
                time.time() + opt["first_vote"] + opt["vote_delay"] + opt["dist_delay"]
            ) % opt["vote_interval"]
            for node in auths:
                self._write_config(node)

        def spawn(nodes):
            for node in nodes:
                if ((names is None or node["name"] in names)
                        and not self.pid(node["name"])):
                    self._spawn(node)
        spawn(self.by_role("dns"))
        spawn(auths)
        for node in auths:
            if self.pid(node["name"]):
                wait_port(node["dir_port"], time.time() + 30)
        spawn(self.by_role("relay", "exit", "ours"))
        for node in self.by_role("ours"):
            if self.pid(node["name"]) and (names is None or node["name"] in names):
                self._learn_ours(node)
        self.save()
        # A client that finds no consensus backs off for up to 10 s: wait here.
        deadline = time.time() + (40 if self.by_role("client") else 0)
        while names is None and time.time() < deadline:
            with contextlib.suppress(OSError, TornetError, http.client.HTTPException):
                for i in range(len(auths)):
                    self.consensus_text(i)
                break
            time.sleep(0.1)
        spawn(self.by_role("client"))

    def _command(self, node):
        ddir = self._path(node["name"])
        if node["role"] == "dns":
            return [sys.executable, "-m", __package__, "_dns", str(node["port"])]
        if self.is_nonosd(node):
            return [nonos_tool("nonosd"), "-c", os.path.join(ddir, "nonosd.conf")]
        return [*self._tool_words(node, os.path.join(ddir, "torrc"),
                                  os.path.join(ddir, "torrc-defaults")), "--hush"]

    def _spawn(self, node):
        ddir = self._path(node["name"])
        with open(os.path.join(ddir, "stdout.log"), "ab") as out:
            proc = subprocess.Popen(
                self._command(node), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=self._environment(node), start_new_session=True,
                cwd=PACKAGES if node["role"] == "dns" else ddir)
        # Reap in the background, so that a dead child never stays a zombie.
        threading.Thread(target=proc.wait, daemon=True).start()
        self.state["pids"][node["name"]] = [proc.pid, proc_start_ticks(proc.pid)]
        self.save()

    def pid(self, name):
        """Pid of a node if the process that we started still runs."""
        pid, ticks = self.state["pids"].get(name, (None, None))
        return pid if pid and ticks and proc_start_ticks(pid) == ticks else None

    def pids(self):
        return {n: self.pid(n) for n in self.nodes if self.pid(n)}

    def stop(self, names=None, grace=8):
        """SIGTERM, then SIGKILL after `grace` s; only recorded pids."""
        todo = [n for n in (names or list(self.state["pids"]))]
        for sig, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 5)):
            alive = [n for n in todo if self.pid(n)]
            for name in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid(name), sig)
            end = time.time() + wait
            while time.time() < end and any(self.pid(n) for n in alive):
                time.sleep(0.05)
        left = [n for n in todo if self.pid(n)]
        for name in todo:
            if name not in left:
                self.state["pids"].pop(name, None)
        if os.path.isdir(self.base):
            self.save()
        if left:
            raise TornetError("could not stop: %s" % ", ".join(left))

    def log_tail(self, name, lines=8):
        text = ""
        for fname in ("stdout.log", "tor.log"):
            with contextlib.suppress(OSError), open(
                    self._path(name, fname), errors="replace") as f:
                text += "".join(f.readlines()[-lines:])
        return text

    def control(self, name, timeout=60):
        node = self.node(name)
        return Control(node["control_port"],
                       self._path(name, "control_auth_cookie"), timeout)

    def check_loopback(self):
        """Every listening socket must be on 127.0.0.1."""
        for name, pid in self.pids().items():
            bad = [a for one in proc_tree(pid) for a in listening_sockets(one)
                   if not a.startswith(HOST + ":")]
            if bad:
                raise TornetError("%s listens on %s" % (name, bad))


    def info(self):
        """What another program needs to use this network."""
        nodes = []
        for n in self.nodes.values():
            nodes.append(dict(n, pid=self.pid(n["name"]), address=HOST))
        return {"nodes": nodes, "dir_authority_lines": self.dir_authority_lines()}

    def extern_info(self):
        """What an EXTERNAL relay needs to join this network."""
        return {
            "address": HOST,
            "authorities": [
                {"nickname": n["name"], "address": HOST, "dir_port": n["dir_port"],
                 "or_port": n["or_port"], "v3ident": n["v3ident"],
                 "fingerprint": n["fingerprint"], "ed25519": n["ed25519"],
                 "upload_url": "http://%s:%d/tor/" % (HOST, n["dir_port"])}
                for n in self.by_role("auth")],
            "dir_authority_lines": self.dir_authority_lines(),
            "torrc_for_a_tor_relay": self.common_torrc() + self.relay_torrc(False),
            "torrc_for_a_tor_exit": self.common_torrc() + self.relay_torrc(True),
        }

    # -- convenience ------------------------------------------------------------
    def up(self, timeout=120, **kw):
        """create + start + wait; returns info() plus timings."""
        begin = time.time()
        self.create(**kw)
        created = time.time()
        self.start()
        times = self.wait(timeout, created)
        times["keys_s"] = round(created - begin, 2)
        return dict(self.info(), timings=times)

    def destroy(self):
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)


@contextlib.contextmanager
def running(base, timeout=120, **kw):
    """`with running(dir, relays=3, …) as net:` - always stopped at the end."""
    net = Network(base)
    try:
        net.up(timeout=timeout, **kw)
        yield net
    finally:
        net.stop()
