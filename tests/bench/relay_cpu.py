#!/usr/bin/env python3
"""Our relay against tor's, in the same network, in the same run.

  relay_cpu.py [--mb 300] [--repeat 5] [--smoke] [--json FILE]

Prints CPU seconds per GB as guard, middle and exit (8 circuits; every tor with the
Vanilla scheduler, because KIST holds a circuit to what a 10 ms timer allows); CPU
milliseconds and circuits per CPU second of CREATE2 with ntor, and of whole 3-hop
circuits; RSS idle and per 1,000 idle circuits. One worker. Runs of ours and of tor's
alternate, and medians are shown with [lowest .. highest]: the machine drifts, so only
numbers of one run are to be compared. Needs NONOS_BUILD, like tests/net.
"""

import argparse
import json
import os
import statistics
import struct
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "net"))

from orcircuit import RelayKeys                                     # noqa: E402
from orlink import CREATE2, CREATED2, DESTROY, Link                 # noqa: E402
from tornet import Network, TornetError, log, proc_cpu, proc_rss, tool_version    # noqa: E402
from tornet.util import proc_tree                                   # noqa: E402

POSITIONS = {       # position: (path with tor's relay, path with ours)
    "guard": (["relay2", "relay0", "exit0"], ["ours0", "relay0", "exit0"]),
    "middle": (["relay0", "relay2", "exit0"], ["relay0", "ours0", "exit0"]),
    "exit": (["relay0", "relay1", "exit1"], ["relay0", "relay1", "ours0"]),
}
WHERE = {"guard": 0, "middle": 1, "exit": 2}


def tree_cpu(pid):
    return sum(proc_cpu(one) for one in proc_tree(pid))


def tree_rss_mib(pid):
    return sum(proc_rss(one)["rss_kib"] for one in proc_tree(pid)) / 1024


class Samples(dict):
    """{measure: {"tor": [...], "ours": [...]}}"""

    def add(self, measure, who, value):
        self.setdefault(measure, {"tor": [], "ours": []})[who].append(value)

    def table(self):
        rows = [("", "tor", "ours", "ours/tor")]
        show = lambda v: "%.4g [%.4g .. %.4g]" % (statistics.median(v), min(v), max(v))
        for measure, both in self.items():
            if both["tor"] and both["ours"]:
                base = statistics.median(both["tor"])
                ratio = "%.2f" % (statistics.median(both["ours"]) / base) if base else "-"
                rows.append((measure, show(both["tor"]), show(both["ours"]), ratio))
        widths = [max(len(r[i]) for r in rows) for i in range(4)]
        return "\n".join("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in
                                   enumerate(zip(row, widths))) for row in rows)


def downloads(net, out, mb, repeat):
    for position, paths in POSITIONS.items():
        for path in paths:
            net.fetch(path=path, mb=min(20, mb), circuits=8)
        for turn in range(repeat):
            for who, path in zip(("tor", "ours"), paths):
                one = net.fetch(path=path, mb=mb, circuits=8, timeout=600)
                name = path[WHERE[position]]
                out.add(position + ", CPU s/GB", who, one["cpu_s_per_gb"][name])
                log("%s %s %d: %.2f s/GB, %.1f MB/s" % (
                    position, who, turn, one["cpu_s_per_gb"][name], one["mb_per_s"]))


def flood(net, name, count, links=2, window=64):
    """`count` CREATE2 with ntor; random client keys cost the relay a full handshake each."""
    keys = RelayKeys(net, name)
    body = struct.pack("!HH", 2, 84) + keys.fingerprint + keys.ntor
    answers = {CREATED2: 0, DESTROY: 0}
    opened = [Link(keys.port, timeout=60) for _ in range(links)]
    before, begin = tree_cpu(net.pid(name)), time.monotonic()

    def one(link):
        sent = done = 0
        share = count // links
        while done < share:
            batch = min(window - (sent - done), share - sent)
            if batch >= window // 2 or (batch and sent + batch == share):
                link.send(b"".join(link.cell(link.new_id(), CREATE2, body + os.urandom(32))
                                   for _ in range(batch)))
                sent += batch
            _, cmd, _ = link.read_cell()
            if cmd in answers:
                answers[cmd] += 1
                done += 1
    threads = [threading.Thread(target=one, args=(link,), daemon=True) for link in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    seconds = time.monotonic() - begin
    cpu = tree_cpu(net.pid(name)) - before
    for link in opened:
        link.close()
    if answers[CREATED2] < count * 0.99:
        raise TornetError("%s answered %s of %d" % (name, answers, count))
    return {"cpu_ms": cpu * 1000 / answers[CREATED2], "per_cpu_s": answers[CREATED2] / max(cpu, 0.01),
            "per_s": answers[CREATED2] / seconds}


def floods(net, out, count, repeat):
    for turn in range(repeat):
        for who, name in (("tor", "relay2"), ("ours", "ours0")):
            one = flood(net, name, count)
            out.add("CREATE2 ntor, CPU ms", who, one["cpu_ms"])
            out.add("CREATE2 ntor, per CPU second", who, one["per_cpu_s"])
            log("flood %s %d: %s" % (who, turn, one))


def idle_circuits(net, out, count):
    """Three of tor's and three of ours each hold `count` circuits through all three hops."""
    for who, path in (("tor", ["relay0", "relay1", "exit0"]), ("ours", ["ours0", "ours1", "ours2"])):
        before = {n: tree_rss_mib(net.pid(n)) for n in path}
        one, kept = net.circuits(path, count=count, window=64, keep=True, timeout=300)
        time.sleep(3)
        try:
            for position, at in WHERE.items():
                name = path[at]
                out.add(position + ", CPU ms per 3-hop circuit", who, one["cpu_ms_per_circuit"][name])
                out.add(position + ", MiB per 1,000 idle circuits", who,
                        (tree_rss_mib(net.pid(name)) - before[name]) * 1000 / one["built"])
            log("idle %s: built %d, failed %d" % (who, one["built"], one["failed"]))
        finally:
            net.close_circuits(kept)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    ap.add_argument("--mb", type=float, default=300)
    ap.add_argument("--repeat", type=int, default=5)
    ap.add_argument("--count", type=int, default=20000, help="CREATE2 cells of a flood")
    ap.add_argument("--idle", type=int, default=4000, help="idle circuits")
    ap.add_argument("--settle", type=float, default=25, help="seconds of quiet before")
    ap.add_argument("--only", default="idle,flood,download")
    ap.add_argument("--smoke", action="store_true", help="small and once: does it work at all")
    ap.add_argument("--program", default="nonosd", choices=("nonosd", "tor"))
    ap.add_argument("--json", metavar="FILE")
    args = ap.parse_args()
    if args.smoke:
        args.mb, args.repeat, args.count, args.idle, args.settle = 20, 1, 2000, 500, 3
    out = Samples()
    with tempfile.TemporaryDirectory(prefix="nonos-bench.") as base:
        net = Network(os.path.join(base, "net"))
        try:
            net.up(authorities=3, relays=3, exits=2, clients=1, ours=3, steady_interval=600, first_vote=9,
                   ours_program=args.program, ours_workers=1, extra=["all:Schedulers Vanilla"])
            for name in net.ours():
                net.wait_relay(name)
            time.sleep(args.settle)
            for who, name in (("tor", "relay2"), ("ours", "ours0")):
                out.add("RSS idle, MiB", who, tree_rss_mib(net.pid(name)))
            parts = {"idle": lambda: idle_circuits(net, out, args.idle),
                     "flood": lambda: floods(net, out, args.count, args.repeat),
                     "download": lambda: downloads(net, out, args.mb, args.repeat)}
            for part in args.only.split(","):
                parts[part]()
        finally:
            net.stop()
    print(out.table())
    result = {"arguments": vars(args), "tor": tool_version(), "samples": out}
    if args.json:
        with open(args.json, "w") as f:
            json.dump(result, f, indent=1)
    else:
        print(json.dumps(result))


if __name__ == "__main__":
    try:
        main()
    except (TornetError, OSError) as error:
        print("relay_cpu: %s" % error, file=sys.stderr)
        sys.exit(1)
