"""The part of demo.sh after the build: network, download, what each relay carried."""

import sys
import time

from tornet import Network, TornetError, payload_sha256

OURS = ("ours0", "ours1", "ours2")
FLAGS = ("Running", "Valid", "Fast", "Stable", "V2Dir", "Guard", "Exit")


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def show_relays(net):
    print("\n%-7s %-42s %7s %9s %9s %9s" % (
        "relay", "fingerprint", "workers", "circuits", "read MB", "sent MB"))
    for name in OURS:
        s = net.status(name)
        print("%-7s %-42s %7d %9d %9.1f %9.1f" % (
            name, s["fingerprint"], len(s["workers"]), s["circuits"],
            s["read_bytes"] / 1e6, s["written_bytes"] / 1e6))
    print(flush=True)


def main():
    base, megabytes = sys.argv[1], int(sys.argv[2])
    net = Network(base)
    try:
        say("making keys of 3 authorities and a client (tor), starting them and 3 relays of ours")
        net.create(authorities=3, relays=0, exits=0, clients=1, ours=3)
        net.start()
        say("waiting for the first consensus and for the client")
        net.wait(120)
        for name in OURS:
            entry = net.wait_relay(name, FLAGS, 60)
            say("%s is listed: %s" % (name, " ".join(entry["flags"])))
        say("downloading %d MB on 4 circuits, each client > %s > web server"
            % (megabytes, " > ".join(OURS)))
        result = net.fetch(path=OURS, mb=megabytes, circuits=4, timeout=60 + 2 * megabytes)
        say("%.1f MB in %.1f s, %.1f MB/s; SHA-256 of each of the 4 parts is right (%s)" % (
            result["bytes"] / 1e6, result["seconds"], result["mb_per_s"],
            payload_sha256(result["bytes"] // 4)[:16]))
        time.sleep(1.5)         # workers report their counters each second
        show_relays(net)
        say("stopping all of them")
        return 0
    except TornetError as error:
        print("demo: %s" % error, file=sys.stderr)
        return 1
    finally:
        net.stop()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
