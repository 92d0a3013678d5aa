"""Moves bytes and builds circuits through chosen relays of a network."""

import concurrent.futures
import contextlib
import random
import threading
import time

from .util import HOST, TornetError, proc_cpu, proc_rss, proc_start_ticks, proc_tree
from .web import download, payload_server, payload_sha256, socks_connect


class Traffic:
    """The part of Network that uses it."""

    def path_with(self, relay, position):
        """[guard, middle, exit] fingerprints, `relay` at `position`."""
        fpr = self.fingerprint(relay)
        relays = [n["fingerprint"] for n in self.by_role("relay") if n["fingerprint"] != fpr]
        exits = [n["fingerprint"] for n in self.by_role("exit") if n["fingerprint"] != fpr]
        spare = relays + exits[1:]
        try:
            if position == "guard":
                return [fpr, spare[0], exits[0]]
            if position == "middle":
                return [spare[0], fpr, exits[0]]
            if position == "exit":
                return [spare[0], (relays[1:] + exits)[0], fpr]
        except IndexError:
            raise TornetError("not enough lab relays for that path") from None
        raise TornetError("position is guard, middle or exit")

    @staticmethod
    def build_circuit(ctl, path, timeout=60):
        """EXTENDCIRCUIT along `path`; returns the circuit id once BUILT.

        The control connection must have `SETEVENTS CIRC` (or more) on.
        """
        reply = ctl.cmd("EXTENDCIRCUIT 0 " + ",".join("$" + f for f in path))
        cid = reply[0][1].split()[1]
        deadline = time.monotonic() + timeout
        while True:
            event = ctl.event(deadline)
            if event is None:
                raise TornetError("circuit %s not built in %d s" % (cid, timeout))
            col = event.split()
            if col[:2] == ["CIRC", cid]:
                if col[2] == "BUILT":
                    return cid
                if col[2] in ("FAILED", "CLOSED"):
                    raise TornetError("circuit failed: " + event)

    def _cpu_probe(self, watch):
        pids = dict(self.pids())
        pids.update(watch or {})
        return {name: sum(proc_cpu(one) for one in proc_tree(pid))
                for name, pid in pids.items() if proc_start_ticks(pid) is not None}

    @contextlib.contextmanager
    def attached(self, path, client=None, circuits=1):
        """Until the end, the client's new streams go in turn to `circuits` circuits
        built along `path`. Gives {"build_s": seconds the first one took, "circuits":
        their ids, "refused": events of streams that the exit ended early}."""
        client = client or self.by_role("client")[0]["name"]
        path = [self.fingerprint(p) for p in path]
        stop, refused = threading.Event(), []
        with self.control(client) as ctl:
            ctl.cmd("SETEVENTS CIRC STREAM")
            ctl.cmd("SETCONF __LeaveStreamsUnattached=1")
            try:
                begin = time.monotonic()
                cids = [self.build_circuit(ctl, path)]
                build_s = time.monotonic() - begin
                cids += [self.build_circuit(ctl, path) for _ in range(circuits - 1)]

                def attach():
                    turn = 0
                    while not stop.is_set():
                        with contextlib.suppress(TornetError):
                            event = ctl.event(time.monotonic() + 0.2)
                            col = (event or "").split()
                            if col[:1] == ["STREAM"] and col[2] in ("NEW", "NEWRESOLVE"):
                                ctl.cmd("ATTACHSTREAM %s %s" % (col[1], cids[turn % circuits]))
                                turn += 1
                            elif col[:1] == ["STREAM"] and "REMOTE_REASON=" in event:
                                refused.append(event)
                                if col[2] == "DETACHED":    # else it would wait for us
                                    ctl.cmd("CLOSESTREAM %s 1" % col[1])
                attacher = threading.Thread(target=attach, daemon=True)
                attacher.start()
                try:
                    yield {"build_s": build_s, "circuits": cids, "refused": refused}
                finally:
                    stop.set()
                    attacher.join(2)
                    for cid in cids:
                        with contextlib.suppress(TornetError):
                            ctl.cmd("CLOSECIRCUIT " + cid)
            finally:
                with contextlib.suppress(TornetError):
                    ctl.cmd("RESETCONF __LeaveStreamsUnattached")

    def fetch(self, path=None, relay=None, position=None, mb=10, client=None,
              streams=1, circuits=1, timeout=600, watch=None):
        """Download `mb` MB (10^6) in all, through explicit circuits.

        Give `path` (names or fingerprints) or `relay` + `position`.
        `watch`: {label: pid} of further processes whose CPU time should be
        reported. Streams are attached by hand, so the path is exact. With
        `circuits` > 1, that many circuits along the same path share the
        streams (at least one stream each).
        """
        streams = max(streams, circuits)
        client = client or self.by_role("client")[0]["name"]
        path = ([self.fingerprint(p) for p in path] if path
                else self.path_with(relay, position))
        size = int(mb * 1e6) // streams
        expect = payload_sha256(size)
        socks = self.node(client)["socks_port"]
        with self.attached(path, client, circuits) as built, \
                payload_server(timeout + 60) as (port, web_pid):
            watch = dict(watch or {}, payload_server=web_pid)
            before, own = self._cpu_probe(watch), time.process_time()
            begin = time.monotonic()
            deadline = begin + timeout

            def one(_):
                with socks_connect(socks, HOST, port, 60) as sock:
                    connect_s = time.monotonic() - begin
                    return dict(download(sock, size, expect, deadline), connect_s=connect_s)
            try:
                with concurrent.futures.ThreadPoolExecutor(streams) as pool:
                    results = list(pool.map(one, range(streams)))
            except TornetError as exc:
                raise TornetError("%s %s" % (exc, built["refused"])) from None
            seconds = time.monotonic() - begin - results[0]["connect_s"]
            after, own = self._cpu_probe(watch), time.process_time() - own
        total = size * streams
        return {"path": path, "streams": streams, "circuits": circuits,
                "bytes": total, "sha256_ok": True, "build_s": built["build_s"],
                "connect_s": results[0]["connect_s"],
                "seconds": seconds, "mb_per_s": total / 1e6 / seconds,
                "cpu_s_per_gb": dict(
                    {n: round((after[n] - before[n]) / (total / 1e9), 3)
                     for n in after if n in before},
                    downloader=round(own / (total / 1e9), 3))}

    def pinned_fetch(self, relay, position, mb=10, timeout=300, conflux=False,
                     watch=None, keep=False):
        """A fresh client, told by torrc to use `relay` at `position`, picks its
        own circuit (no EXTENDCIRCUIT); download, then check the path it used."""
        fpr = self.fingerprint(relay)
        others = {role: ",".join("$" + n["fingerprint"] for n in self.by_role(role)
                                 if n["fingerprint"] != fpr)
                  for role in ("relay", "exit")}
        if not (others["relay"] and (others["exit"] or position == "exit")):
            raise TornetError("not enough lab relays for that path")
        # Each position gets its own set, so that the client cannot paint itself
        # into a corner (say, by taking the pinned middle as its only guard).
        nodes = {"guard": others["relay"], "exit": others["exit"]}
        nodes[position] = "$" + fpr
        extra = ["%s %s" % (key, nodes[where]) for key, where in (
            ("EntryNodes", "guard"), ("MiddleNodes", "middle"), ("ExitNodes", "exit"))
            if where in nodes]
        extra += ["StrictNodes 1", "ConfluxEnabled %s" % ("auto" if conflux else "0")]
        name = "pinned%d" % random.SystemRandom().randrange(10**6)
        self.add_client(name, extra)
        try:
            begin = time.monotonic()
            self.start([name])
            with self.pollers() as get:
                while self.bootstrap_phase(get, name) < 100:
                    if time.monotonic() - begin > min(timeout, 90):
                        raise TornetError("pinned client at %d%%" %
                                          self.bootstrap_phase(get, name))
                    time.sleep(0.1)
            bootstrap_s = time.monotonic() - begin
            size = int(mb * 1e6)
            expect = payload_sha256(size)
            with self.control(name) as ctl, payload_server(timeout + 60) as (port, _):
                before = self._cpu_probe(watch)
                for attempt in range(3):        # a first circuit may time out
                    try:
                        sock = socks_connect(self.node(name)["socks_port"], HOST, port, 60)
                        break
                    except TornetError:
                        if attempt == 2:
                            raise
                with sock:
                    streams = ctl.getinfo("stream-status")
                    circuits = ctl.getinfo("circuit-status")
                    result = download(sock, size, expect, time.monotonic() + timeout)
                after = self._cpu_probe(watch)
            cid = next(l.split()[2] for l in streams.splitlines()
                       if l.split()[1] == "SUCCEEDED")
            line = next(l for l in circuits.splitlines() if l.split()[0] == cid)
            path = [hop[1:41] for hop in line.split()[2].split(",")]
            where = {"guard": 0, "middle": 1, "exit": len(path) - 1}[position]
            if path[where] != fpr:
                raise TornetError("relay not in %s position: %s" % (position, path))
            return dict(result, path=path, bootstrap_s=bootstrap_s, sha256_ok=True,
                        cpu_s_per_gb={n: round((after[n] - before[n]) / (size / 1e9), 3)
                                      for n in after if n in before})
        except TornetError as exc:
            raise TornetError("%s\n%s" % (exc, self.log_tail(name, 12))) from None
        finally:
            if keep:
                self.stop([name])
            else:
                self.remove_node(name)

    def circuits(self, path, count=200, window=32, client=None, timeout=120,
                 keep=False, watch=None):
        """Open `count` circuits along `path`, `window` at a time.

        Returns rate, failures, CPU and RSS changes of every watched process.
        With `keep` the circuits stay open and the open Control is returned as
        well: close it (and the circuits with it) with `close_circuits`.
        """
        client = client or self.by_role("client")[0]["name"]
        path = [self.fingerprint(p) for p in path]
        text = "EXTENDCIRCUIT 0 " + ",".join("$" + f for f in path)
        ctl = self.control(client)
        try:
            ctl.cmd("SETEVENTS CIRC")
            before, rss_before = self._cpu_probe(watch), self._rss_probe(watch)
            begin, deadline = time.monotonic(), time.monotonic() + timeout
            launched, pending, built, failed, reasons = 0, set(), [], 0, {}
            while len(built) + failed < count:
                batch = min(count - launched, window - len(pending))
                if batch > 0:                   # pipelined commands
                    ctl.send("\r\n".join([text] * batch))
                    for _ in range(batch):
                        pending.add(ctl.recv()[0][1].split()[1])
                    launched += batch
                event = ctl.event(deadline)
                if event is None:
                    break
                col = event.split()
                if col[0] == "CIRC" and col[1] in pending:
                    if col[2] == "BUILT":
                        pending.discard(col[1])
                        built.append(col[1])
                    elif col[2] in ("FAILED", "CLOSED"):
                        pending.discard(col[1])
                        failed += 1
                        why = " ".join(w for w in col if "REASON" in w) or col[2]
                        reasons[why] = reasons.get(why, 0) + 1
            seconds = time.monotonic() - begin
            after, rss_after = self._cpu_probe(watch), self._rss_probe(watch)
            result = {
                "path": path, "built": len(built), "failed": failed,
                "unfinished": len(pending), "reasons": reasons,
                "seconds": seconds, "circuits_per_s": len(built) / seconds,
                "cpu_ms_per_circuit": {
                    n: round((after[n] - before[n]) * 1000 / max(1, len(built)), 4)
                    for n in after if n in before},
                "rss_kib_change": {n: rss_after[n] - rss_before[n]
                                   for n in rss_after if n in rss_before}}
            if keep:
                return result, (ctl, built)
            self.close_circuits((ctl, built))
            return result
        except BaseException:
            ctl.close()
            raise

    def _rss_probe(self, watch):
        pids = dict(self.pids())
        pids.update(watch or {})
        return {name: sum(proc_rss(one).get("rss_kib", 0) for one in proc_tree(pid))
                for name, pid in pids.items() if proc_start_ticks(pid) is not None}

    @staticmethod
    def close_circuits(kept):
        ctl, cids = kept
        with ctl:
            ctl.cmd("SETEVENTS")
            for cid in cids:
                with contextlib.suppress(TornetError):
                    ctl.cmd("CLOSECIRCUIT " + cid)
