"""tornet - a private Tor test network on 127.0.0.1, Python standard library only.

Command line: see README.md in tests/net, or `python3 -m tornet --help`.
"""

import argparse
import json
import os
import subprocess
import sys

from .dns import serve_dns
from .network import DEFAULTS, Network
from .util import TornetError
from .web import serve_payload


def add_create_arguments(p):
    p.add_argument("--auths", type=int, default=3)
    p.add_argument("--relays", type=int, default=3, help="non-exit relays")
    p.add_argument("--exits", type=int, default=2)
    p.add_argument("--ours", type=int, default=0, help="relays of ours (nonosd)")
    p.add_argument("--clients", type=int, default=1)
    p.add_argument("--port-base", type=int, help="first port (default: a free block)")
    p.add_argument("--vote-interval", type=int, default=DEFAULTS["vote_interval"],
                   help="seconds between consensuses; must divide 1800 (default 10)")
    p.add_argument("--steady-interval", type=int, default=0,
                   help="interval after the first consensus; a large one makes "
                   "a quiet network to measure in (default: as --vote-interval)")
    p.add_argument("--real-reachability", action="store_true",
                   help="authorities connect to a relay before voting it Running")
    p.add_argument("--vote-guard", default=DEFAULTS["vote_guard"], metavar="NODES",
                   help="TestingDirAuthVoteGuard (default *, '' for none)")
    p.add_argument("--vote-exit", default=DEFAULTS["vote_exit"], metavar="NODES",
                   help="TestingDirAuthVoteExit (default none: judged by policy)")
    p.add_argument("--param", action="append", default=[], metavar="KEY=INT",
                   help="consensus parameter, repeatable")
    p.add_argument("--extra", action="append", default=[], metavar="ROLE:LINE",
                   help="torrc line for auth, relay, exit, client, all or a node name")
    p.add_argument("--ours-program", choices=("nonosd", "tor"), default="nonosd",
                   help="tor: a stock tor stands in the place of ours")
    p.add_argument("--tool", action="append", default=[], metavar="ROLE=PROGRAM",
                   help="anon in place of tor as auth, relay, exit or client; repeatable")
    p.add_argument("--log-level", default=DEFAULTS["log_level"])


def create_options(args):
    return dict(authorities=args.auths, relays=args.relays, exits=args.exits,
                clients=args.clients, ours=args.ours, port_base=args.port_base,
                vote_interval=args.vote_interval,
                steady_interval=args.steady_interval,
                real_reachability=args.real_reachability,
                vote_guard=args.vote_guard, vote_exit=args.vote_exit,
                params=args.param, extra=args.extra, log_level=args.log_level,
                ours_program=args.ours_program,
                tools=dict(item.split("=", 1) for item in args.tool))


def parse_watch(items):
    return {label: int(pid) for label, _, pid in (i.partition("=") for i in items)}


def main(argv=None):
    top = argparse.ArgumentParser(prog="tornet", description=__doc__.split("\n\n")[0])
    sub = top.add_subparsers(dest="command", required=True)

    def command(name, text, base=True):
        p = sub.add_parser(name, help=text, description=text)
        if base:
            p.add_argument("base", help="base directory of the network")
        p.add_argument("--timeout", type=int, default=120)
        return p

    add_create_arguments(command("up", "create, start and wait; prints JSON"))
    add_create_arguments(command("create", "write keys and torrc files only"))
    command("start", "start all nodes that do not run")
    command("wait", "wait for relays in the consensus and bootstrapped clients")
    command("info", "JSON of ports, fingerprints, pids, DirAuthority lines")
    command("extern", "JSON of what an external relay needs to join")
    command("stop", "stop every process by recorded pid")
    command("destroy", "stop, then delete the base directory")
    p = command("consensus", "current consensus, as JSON or --raw")
    p.add_argument("--raw", action="store_true")
    p.add_argument("--flavor", default="", help="e.g. microdesc (with --raw)")
    p = command("descriptor", "server descriptor that the authorities hold")
    p.add_argument("relay")
    p = command("wait-relay", "wait until a relay is in the consensus with flags")
    p.add_argument("relay", help="fingerprint or node name")
    p.add_argument("--flags", default="Running,Valid")
    p.add_argument("--no-clients", action="store_true",
                   help="do not wait until the lab's clients know it too")
    for name, text in (("fetch", "download through one EXTENDCIRCUIT-built path"),
                       ("pinned", "download by a fresh client pinned by torrc")):
        p = command(name, text)
        p.add_argument("--relay")
        p.add_argument("--position", choices=("guard", "middle", "exit"))
        p.add_argument("--mb", type=float, default=10, help="10^6 bytes each")
        p.add_argument("--watch", action="append", default=[], metavar="LABEL=PID",
                       help="report this process's CPU as well")
        if name == "fetch":
            p.add_argument("--path", help="guard,middle,exit (names or fingerprints)")
            p.add_argument("--client")
            p.add_argument("--streams", type=int, default=1)
            p.add_argument("--circuits", type=int, default=1)
        else:
            p.add_argument("--conflux", action="store_true")
    p = command("circuits", "open many circuits through a path")
    p.add_argument("--relay")
    p.add_argument("--position", choices=("guard", "middle", "exit"))
    p.add_argument("--path")
    p.add_argument("--client")
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--window", type=int, default=32)
    p.add_argument("--watch", action="append", default=[], metavar="LABEL=PID")
    add_create_arguments(command(
        "exec", "up, run the command after -- with TORNET_BASE set, always stop"))
    p = command("status", "what one of our relays says of itself")
    p.add_argument("relay")
    p = command("_serve", argparse.SUPPRESS, base=False)
    p.add_argument("lifetime", type=float)
    p = command("_dns", argparse.SUPPRESS, base=False)
    p.add_argument("port", type=int)

    argv = list(sys.argv[1:] if argv is None else argv)
    words = []
    if "--" in argv:                            # exec BASE … -- command args
        words = argv[argv.index("--") + 1:]
        del argv[argv.index("--"):]
    args = top.parse_args(argv)
    if (args.command == "exec") != bool(words):
        top.error("`-- command` goes with exec")
    if args.command == "_serve":
        return serve_payload(args.lifetime)
    if args.command == "_dns":
        return serve_dns(args.port)
    net = Network(args.base)
    known = args.command in ("up", "create", "exec")
    if not known and not net.nodes:
        raise TornetError("no network in %s" % args.base)
    result = None
    if args.command in ("up", "exec"):
        try:
            result = net.up(timeout=args.timeout, **create_options(args))
        except BaseException:
            net.stop()
            raise
        if args.command == "exec":
            try:
                return subprocess.call(words, env=dict(
                    os.environ, TORNET_BASE=net.base,
                    TORNET_INFO=json.dumps(result)))
            finally:
                net.stop()
    elif args.command == "create":
        net.create(**create_options(args))
        result = net.info()
    elif args.command == "start":
        net.start()
        result = net.info()
    elif args.command == "wait":
        result = net.wait(args.timeout)
    elif args.command == "info":
        result = net.info()
    elif args.command == "extern":
        result = net.extern_info()
    elif args.command == "stop":
        net.stop()
        result = {"stopped": True}
    elif args.command == "destroy":
        net.destroy()
        result = {"destroyed": True}
    elif args.command == "status":
        result = net.status(args.relay)
    elif args.command == "consensus":
        if args.raw:
            sys.stdout.write(net.consensus_text(flavor=args.flavor))
            return 0
        result = net.consensus()
    elif args.command == "descriptor":
        sys.stdout.write(net.descriptor(net.fingerprint(args.relay)))
        return 0
    elif args.command == "wait-relay":
        result = net.wait_relay(args.relay, args.flags.split(","), args.timeout,
                                clients=not args.no_clients)
    elif args.command == "fetch":
        if not (args.path or (args.relay and args.position)):
            raise TornetError("give --path, or --relay and --position")
        result = net.fetch(path=args.path.split(",") if args.path else None,
                           relay=args.relay, position=args.position, mb=args.mb,
                           client=args.client, streams=args.streams,
                           circuits=args.circuits,
                           timeout=args.timeout, watch=parse_watch(args.watch))
    elif args.command == "pinned":
        if not (args.relay and args.position):
            raise TornetError("give --relay and --position")
        result = net.pinned_fetch(args.relay, args.position, mb=args.mb,
                                  timeout=args.timeout, conflux=args.conflux,
                                  watch=parse_watch(args.watch))
    elif args.command == "circuits":
        if not (args.path or (args.relay and args.position)):
            raise TornetError("give --path, or --relay and --position")
        path = (args.path.split(",") if args.path
                else net.path_with(args.relay, args.position))
        result = net.circuits(path, count=args.count, window=args.window,
                              client=args.client, timeout=args.timeout,
                              watch=parse_watch(args.watch))
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TornetError as error:
        print("tornet: %s" % error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
