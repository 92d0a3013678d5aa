"""kill -9 in the middle of transfers: back with the same identity, nothing corrupt on disk."""

import hashlib
import os
import signal
import threading
import time

import pytest

from conftest import FLAGS, PROGRAM, SLOW
from orlink import Link, certs_claims
from tornet import TornetError, proc_cpu, proc_start_ticks
from tornet.util import wait_port

pytestmark = pytest.mark.restarts


@pytest.fixture(scope="module")
def relay(lab):
    """A relay of ours that may be killed."""
    lab.add_ours("mortal")
    lab.start(["mortal"])
    lab.wait_relay("mortal", FLAGS, timeout=int(90 * SLOW))
    carries_circuits(lab, "mortal")
    yield "mortal"
    reports = lab.sanitizer_reports()
    lab.remove_node("mortal")
    assert not reports, "\n".join(reports.values())


def key_files(lab, name):
    """{file: digest} of the long-term keys."""
    out = {}
    for top, _, files in os.walk(lab._path(name)):
        for file in files:
            if "secret" in file and "onion" not in file and os.path.basename(top) == "keys":
                with open(os.path.join(top, file), "rb") as f:
                    out[file] = hashlib.sha256(f.read()).hexdigest()
    return out


def start_transfer(lab, name):
    """A download through the relay that will be cut; returns its thread."""
    def run():
        try:
            lab.fetch(path=["relay0", name, "exit0"], mb=1000, timeout=60)
        except (TornetError, OSError):
            pass
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    time.sleep(2)
    return thread


def carries_circuits(lab, name):
    """Until it does in every position: a tor exit refuses streams that come from a relay
    which its own consensus does not list yet."""
    deadline = time.time() + 90 * SLOW
    while True:
        try:
            for path in (["relay0", name, "exit0"], [name, "relay0", "exit0"], ["relay1", "relay0", name]):
                assert lab.fetch(path=path, mb=1, timeout=15)["sha256_ok"]
            return
        except (TornetError, OSError) as exc:
            if time.time() > deadline:
                raise AssertionError("not in service: %s" % exc) from None
            time.sleep(1)


def back_in_service(lab, name, identity):
    """The same identity answers, the authorities list it, and it carries circuits."""
    with Link(lab.node(name)["or_port"]) as link:
        assert certs_claims(link)["ed25519"] == identity
    assert lab.status(name)["fingerprint"].upper() == lab.fingerprint(name)
    lab.wait_relay(name, FLAGS, timeout=int(90 * SLOW))
    carries_circuits(lab, name)


def identity_of(lab, name):
    with Link(lab.node(name)["or_port"]) as link:
        return certs_claims(link)["ed25519"]


def busiest(lab, name):
    """(worker that carries the transfer, the other one), by CPU time, once it is clear which."""
    deadline = time.time() + 30 * SLOW
    while True:
        before = {pid: proc_cpu(pid) for pid in lab.workers(name)}
        time.sleep(1)
        used = sorted(((proc_cpu(pid) - before[pid], pid) for pid in before), reverse=True)
        if used[0][0] >= 0.03 and used[0][0] >= 2 * used[1][0]:
            return used[0][1], used[1][1]
        assert time.time() < deadline, "no worker carries the transfer"


@pytest.mark.skipif(PROGRAM == "tor", reason="tor has no workers")
@pytest.mark.long
def test_kill_the_worker_of_a_transfer(lab, relay):
    """Its circuits end; the keeper starts another; the other worker stays."""
    identity, files = identity_of(lab, relay), key_files(lab, relay)
    keeper = lab.pid(relay)
    transfer = start_transfer(lab, relay)
    busy, other = busiest(lab, relay)
    os.kill(busy, signal.SIGKILL)
    # Mostly a fraction of a second. In about one run of five the stream only ends by the download's own
    # time-out of 60 s: seen with ss 4 s after the kill, no socket of the dead worker is left in any process, and
    # tor's relay0 has closed its end of the link, too; but the client still has the circuit as BUILT. What
    # relay0 should have sent on is a DESTROY, which is between two tors: with a stock tor killed in this
    # place one stream of six ended as late.
    transfer.join(90 * SLOW)
    assert not transfer.is_alive(), "the client was not told"
    deadline = time.time() + 20 * SLOW
    while len(lab.workers(relay)) < 2 or busy in lab.workers(relay):
        assert time.time() < deadline, "no new worker:\n" + lab.log_tail(relay, 20)
        time.sleep(0.1)
    assert lab.pid(relay) == keeper and other in lab.workers(relay)
    back_in_service(lab, relay, identity)
    assert key_files(lab, relay) == files


@pytest.mark.skipif(PROGRAM == "tor", reason="tor has no workers")
def test_kill_the_other_worker(lab, relay):
    """A transfer does not notice the death of a worker that is not its own."""
    done = []
    thread = threading.Thread(target=lambda: done.append(lab.fetch(
        path=["relay0", relay, "exit0"], mb=150, timeout=int(60 * SLOW))), daemon=True)
    thread.start()
    time.sleep(1)
    _, other = busiest(lab, relay)
    os.kill(other, signal.SIGKILL)
    thread.join(70 * SLOW)
    assert done and done[0]["sha256_ok"]


@pytest.mark.skipif(PROGRAM == "tor", reason="tor has no workers")
def test_kill_all_workers_again_and_again(lab, relay):
    """Crashes in a row: it backs off, and comes back."""
    identity = identity_of(lab, relay)
    for _ in range(3):
        for pid in lab.workers(relay):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
    assert lab.pid(relay), lab.log_tail(relay, 20)
    deadline = time.time() + 40 * SLOW
    while len(lab.workers(relay)) < 2:
        assert time.time() < deadline, "the workers did not come back:\n" + lab.log_tail(relay, 20)
        time.sleep(0.2)
    wait_port(lab.node(relay)["or_port"], time.time() + 10 * SLOW)
    back_in_service(lab, relay, identity)


def test_kill_the_keeper(lab, relay):
    """Its workers go with it; a new start finds every file whole."""
    identity, files = identity_of(lab, relay), key_files(lab, relay)
    workers = lab.workers(relay)
    transfer = start_transfer(lab, relay)
    os.kill(lab.pid(relay), signal.SIGKILL)
    deadline = time.time() + 15 * SLOW
    while any(proc_start_ticks(pid) is not None for pid in workers):
        assert time.time() < deadline, "workers outlive their keeper"
        time.sleep(0.1)
    transfer.join(90)
    lab.start([relay])
    back_in_service(lab, relay, identity)
    assert key_files(lab, relay) == files


def test_kill_while_starting(lab, relay):
    """Ten kills at ten moments of the start: the next start works, the identity is the same."""
    identity, files = identity_of(lab, relay), key_files(lab, relay)
    lab.stop([relay])
    for i in range(10):
        lab._spawn(lab.node(relay))
        time.sleep(0.02 + 0.04 * i)
        if lab.pid(relay):
            os.kill(lab.pid(relay), signal.SIGKILL)
        deadline = time.time() + 10
        while lab.pid(relay) and time.time() < deadline:
            time.sleep(0.01)
    time.sleep(0.5)
    lab.start([relay])
    back_in_service(lab, relay, identity)
    assert key_files(lab, relay) == files


def test_orderly_stop(lab, relay):
    """SIGTERM: it ends by itself with its workers, and the next start is the same relay."""
    identity = identity_of(lab, relay)
    pid, workers = lab.pid(relay), lab.workers(relay)
    os.kill(pid, signal.SIGTERM)
    deadline = time.time() + 45 * SLOW
    while any(proc_start_ticks(p) is not None for p in [pid] + workers):
        assert time.time() < deadline, "still there:\n" + lab.log_tail(relay, 20)
        time.sleep(0.1)
    lab.start([relay])
    back_in_service(lab, relay, identity)


@pytest.mark.skipif(PROGRAM == "tor", reason="our signals")
def test_hangup_rereads_and_usr1_counts(lab, relay):
    """HUP and USR1 leave every process where it was; USR1 writes counters to the log."""
    pid, workers = lab.pid(relay), lab.workers(relay)
    size = os.path.getsize(lab._path(relay, "stdout.log"))
    os.kill(pid, signal.SIGUSR1)
    time.sleep(1)
    assert os.path.getsize(lab._path(relay, "stdout.log")) > size
    os.kill(pid, signal.SIGHUP)
    time.sleep(1)
    assert lab.pid(relay) == pid and lab.workers(relay) == workers
    assert lab.fetch(path=["relay0", relay, "exit0"], mb=1)["sha256_ok"]
