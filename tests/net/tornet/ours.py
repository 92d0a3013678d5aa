"""Relays of ours in a network: nonosd.conf, status, workers, sanitizer reports.

With ours_program=tor a stock tor stands in their place, so that a test can be
tried against a relay that is known to work: what fails on both is the test.
"""

import base64
import contextlib
import glob
import json
import os
import shutil
import subprocess
import time

from .util import HOST, TornetError, pick_port_block, proc_children

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def nonos_tool(name):
    """Path of nonosd or nonosctl: $NONOSD, $NONOS_BUILD, a build tree in the source, PATH."""
    path = os.environ.get(name.upper())
    if path:
        return path
    trees = [os.environ.get("NONOS_BUILD")] + [
        os.path.join(ROOT, d) for d in ("build/release", "build", ".")]
    for tree in filter(None, trees):
        for place in (tree, os.path.join(tree, "src")):
            path = os.path.join(place, name)
            if os.access(path, os.X_OK) and os.path.isfile(path):
                return path
    found = shutil.which(name)
    if not found:
        raise TornetError("%s not found: build it, then set NONOS_BUILD to the build directory" % name)
    return found


class Ours:
    """The part of Network that knows our own relays."""

    def is_nonosd(self, node):
        return node["role"] == "ours" and node["program"] == "nonosd"

    def _define_ours(self, node, spare_port):
        node.update(program=self.state["options"]["ours_program"], exit=True, spare_port=spare_port)

    def add_ours(self, name, **settings):
        """Define one more relay of ours; not started. `settings`: node fields."""
        if name in self.nodes:
            raise TornetError("node %s exists" % name)
        port = pick_port_block(3)
        node = {"name": name, "role": "ours", "control_port": port, "or_port": port + 1}
        self._define_ours(node, port + 2)
        node.update(settings)
        self.nodes[name] = node
        self._make_keys(node)
        self._write_config(node)
        self.save()
        return node

    def ours(self):
        """Names of our running relays."""
        return [n["name"] for n in self.by_role("ours") if self.pid(n["name"])]

    # -- configuration ------------------------------------------------------
    def control_socket(self, name):
        return self._path(name, "control.sock")

    def _authority_lines(self):
        return ["authority = %s %s:%d orport=%d v3ident=%s fingerprint=%s" % (
            n["name"], HOST, n["dir_port"], n["or_port"], n["v3ident"], n["fingerprint"])
            for n in self.by_role("auth")]

    def _write_conf(self, node):
        opt, home = self.state["options"], self._path(node["name"])
        sections = {
            "node": ["data_dir = " + os.path.join(home, "data"),
                     "control_socket = " + self.control_socket(node["name"]),
                     "shutdown_wait = 1 s", "workers = %d" % node.get("workers", opt["ours_workers"]),
                     "log_level = " + node.get("log_level", "info"),
                     "log_redact = no"],
            "relay": ["nickname = " + node["name"],
                      "or_listen = %s:%d" % (HOST, node["or_port"]),
                      "address = " + HOST,
                      "exit_policy = " + ("accept *:*" if node["exit"] else "reject *:*"),
                      "contact = %s@tornet.invalid" % node["name"],
                      "allow_private_addresses = yes",
                      "resolv_conf = " + self._path("resolv.conf"),
                      # One address stands for everybody here.
                      "links_per_address = 20000", "link_rate = 0", "create_rate = 0"],
            "directory": ["network = test"] + (
                [] if node.get("only_extra_authorities") else self._authority_lines()),
        }
        for item in list(opt["ours_extra"]) + list(node.get("extra", ())):
            section, _, line = item.partition(":")
            key = line.split("=")[0].strip()
            keep = sections.setdefault(section, [])
            if key not in ("authority", "or_listen"):       # those may repeat
                keep[:] = [old for old in keep if old.split("=")[0].strip() != key]
            keep.append(line.strip())
        with open(os.path.join(home, "nonosd.conf"), "w") as f:
            for section, lines in sections.items():
                f.write("[%s]\n%s\n\n" % (section, "\n".join(lines)))

    def _environment(self, node):
        """Sanitizers, where they are built in, write their reports beside the log."""
        if not self.is_nonosd(node):
            return None
        path = os.path.join(self._path(node["name"]), "sanitizer")
        return dict(os.environ,
                    ASAN_OPTIONS="log_path=%s:abort_on_error=0:detect_leaks=%s"
                    % (path, os.environ.get("NONOS_LEAKS", "1")),
                    UBSAN_OPTIONS="log_path=%s:print_stacktrace=1" % path)

    def sanitizer_reports(self):
        """{path: text} of what sanitizers said of our relays."""
        found = {}
        for path in glob.glob(self._path("*", "sanitizer.*")):
            with open(path, errors="replace") as f:
                found[path] = f.read()
        return found

    # -- a running one --------------------------------------------------------
    def _learn_ours(self, node, timeout=30):
        """Wait until it answers, and note its identity."""
        deadline = time.time() + timeout
        why = "no answer"
        while time.time() < deadline:
            if not self.pid(node["name"]):
                raise TornetError("%s died:\n%s" % (node["name"], self.log_tail(node["name"], 20)))
            try:
                status = self.status(node["name"])
                node["fingerprint"] = status["fingerprint"].upper()
                node["ed25519"] = status["ed25519"].rstrip("=")
                return
            except (OSError, TornetError, KeyError) as exc:
                why = str(exc)
            time.sleep(0.05)
        raise TornetError("%s does not answer: %s" % (node["name"], why))

    def ctl(self, name, *words, timeout=20):
        """`nonosctl --json words…` on that relay, as an object."""
        run = subprocess.run(
            [nonos_tool("nonosctl"), "-s", self.control_socket(name), "--json", *words],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if run.returncode:
            raise TornetError("nonosctl %s: %s" % (
                " ".join(words), (run.stderr or run.stdout).strip()[-500:]))
        return json.loads(run.stdout) if run.stdout.strip() else {}

    def status(self, name):
        node = self.node(name)
        return self.ctl(name, "status") if self.is_nonosd(node) else self._tor_status(node)

    def _tor_status(self, node):
        """What a stand-in can tell in the same words."""
        home = self._path(node["name"])
        with open(os.path.join(home, "keys", "ed25519_master_id_public_key"), "rb") as f:
            ed25519 = base64.b64encode(f.read()[32:]).decode().rstrip("=")
        with self.control(node["name"], timeout=10) as ctl:
            return {
                "version": ctl.getinfo("version"), "nickname": node["name"], "state": "running",
                "fingerprint": ctl.getinfo("fingerprint"), "ed25519": ed25519, "workers": [],
                "links": len(ctl.getinfo("orconn-status").splitlines()), "circuits": 0,
                "read_bytes": int(ctl.getinfo("traffic/read")),
                "written_bytes": int(ctl.getinfo("traffic/written")), "directory": []}

    def workers(self, name):
        """Pids of the workers of one of our relays."""
        pid = self.pid(name)
        return proc_children(pid) if pid else []

    def rotate_onion(self, name):
        """Make new onion keys now; the previous ones stay good."""
        node = self.node(name)
        if self.is_nonosd(node):
            return self.ctl(name, "onion", "rotate")
        # tor has no such command: a restart after the key files are moved on.
        self.stop([name])
        keys = self._path(name, "keys")
        for old in ("secret_onion_key", "secret_onion_key_ntor"):
            with contextlib.suppress(OSError):
                os.replace(os.path.join(keys, old), os.path.join(keys, old + ".old"))
        self.start([name])
        return {}
