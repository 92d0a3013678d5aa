"""Waits for a network: what the authorities list, what the clients know."""

import contextlib
import http.client
import re
import time

from .consensus import parse_consensus
from .util import TornetError, http_request


class Waiting:
    """The part of Network that watches it."""

    @contextlib.contextmanager
    def pollers(self):
        """A function name -> control connection, opened once per node."""
        opened = {}

        def get(name):
            if name not in opened:
                opened[name] = self.control(name, timeout=10)
            return opened[name]
        try:
            yield get
        finally:
            for ctl in opened.values():
                ctl.close()

    @staticmethod
    def bootstrap_phase(get, name):
        """Bootstrap percentage of a node (`get` from pollers())."""
        try:
            phase = get(name).getinfo("status/bootstrap-phase")
        except (OSError, TornetError):      # control port not open yet
            return 0
        return int(re.search(r"PROGRESS=(\d+)", phase)[1])

    @staticmethod
    def unknown_to(get, client, fingerprints):
        """Those of `fingerprints` of which `client` has no microdescriptor."""
        missing = []
        for fpr in fingerprints:
            try:
                get(client).getinfo("md/id/" + fpr)
            except TornetError:
                missing.append(fpr)
        return missing

    def _wait_known(self, get, fpr, deadline):
        """Wait until the consensus of every tor relay and exit lists the relay: before, they take
        its links for a client's, and exits refuse streams that come from it."""
        for node in self.by_role("relay", "exit"):
            while self.pid(node["name"]):
                try:
                    get(node["name"]).getinfo("ns/id/" + fpr)
                    break
                except (OSError, TornetError):
                    if time.time() > deadline:
                        raise
                    time.sleep(0.25)

    def wait(self, timeout=120, begin=None):
        """Wait for all relays Running in a consensus, all clients at 100% and
        in possession of every relay's microdescriptor."""
        with self.pollers() as get:
            return self._wait(get, timeout, begin or time.time())

    def _wait(self, get, timeout, begin):
        deadline, times = time.time() + timeout, {}
        want = {n["fingerprint"]: n["name"]
                for n in self.by_role("auth", "relay", "exit", "ours") if self.pid(n["name"])}
        clients = [n["name"] for n in self.by_role("client") if self.pid(n["name"])]
        if not (want or clients):
            raise TornetError("no node is running")
        need_relays, need_clients = dict(want), list(clients)
        need_known = list(clients)
        while need_relays or need_clients or need_known:
            for name in list(self.state["pids"]):
                if not self.pid(name):
                    raise TornetError("%s died:\n%s" % (name, self.log_tail(name)))
            if need_relays:
                with contextlib.suppress(OSError, TornetError, http.client.HTTPException):
                    relays = self.consensus()["relays"]
                    for fpr in list(need_relays):
                        if "Running" in relays.get(fpr, {}).get("flags", ()):
                            del need_relays[fpr]
                    if not need_relays:
                        times["all_relays_in_consensus_s"] = round(time.time() - begin, 2)
            for name in list(need_clients):
                if self.bootstrap_phase(get, name) >= 100:
                    need_clients.remove(name)
                    times[name + "_bootstrapped_s"] = round(time.time() - begin, 2)
            if not (need_relays or need_clients):
                for name in list(need_known):
                    if not self.unknown_to(get, name, want):
                        need_known.remove(name)
                if not need_known:
                    break
            if time.time() > deadline:
                raise TornetError(
                    "not ready after %d s: relays %s, clients %s, clients with "
                    "incomplete information %s" % (
                        timeout, sorted(need_relays.values()), need_clients, need_known))
            time.sleep(0.2)
        self.check_loopback()
        times["total_s"] = round(time.time() - begin, 2)
        return times

    def consensus_text(self, auth=0, flavor=""):
        node = self.by_role("auth")[auth]
        status, reason, body = http_request(
            node["dir_port"], "GET",
            "/tor/status-vote/current/consensus" + ("-" + flavor if flavor else ""))
        if status != 200:
            raise TornetError("consensus from %s: %d %s" % (node["name"], status, reason))
        return body.decode()

    def consensus(self, auth=0):
        return parse_consensus(self.consensus_text(auth))

    def descriptor(self, fingerprint, auth=0):
        node = self.by_role("auth")[auth]
        status, reason, body = http_request(
            node["dir_port"], "GET", "/tor/server/fp/" + fingerprint)
        if status != 200:
            raise TornetError("descriptor: %d %s" % (status, reason))
        return body.decode()

    def wait_relay(self, relay, flags=("Running", "Valid"), timeout=120,
                   clients=True):
        """Wait until every authority's consensus lists `relay` with `flags`.

        With `clients`, also until every running client has its microdescriptor, and every
        running relay and exit lists it: then it can be used.
        """
        deadline = time.time() + timeout
        with self.pollers() as get:
            entry = self._wait_relay(get, relay, flags, timeout, clients)
            if clients:
                self._wait_known(get, self.fingerprint(relay), deadline)
            return entry

    def _wait_relay(self, get, relay, flags, timeout, clients):
        fpr, deadline, begin = self.fingerprint(relay), time.time() + timeout, time.time()
        auths = [i for i, n in enumerate(self.by_role("auth")) if self.pid(n["name"])]
        names = [n["name"] for n in self.by_role("client") if self.pid(n["name"])]
        entry, why = None, ""
        while time.time() < deadline:
            why = ""
            for i in auths:
                try:
                    entry = self.consensus(i)["relays"].get(fpr)
                except (OSError, TornetError, http.client.HTTPException) as exc:
                    entry, why = None, str(exc)
                    break
                missing = set(flags) - set(entry["flags"]) if entry else None
                if not entry or missing:
                    why = ("auth%d: flags missing: %s" % (i, sorted(missing))
                           if entry else "auth%d does not list it" % i)
                    break
            if not why and clients:
                for name in names:
                    if self.unknown_to(get, name, [fpr]):
                        why = name + " has no microdescriptor of it yet"
                        break
            if not why:
                return dict(entry, waited_s=round(time.time() - begin, 2))
            time.sleep(0.25)
        raise TornetError("relay %s after %d s: %s" % (fpr, timeout, why))
