"""A new nonosd takes the place of a running one: nobody is refused, nothing open is cut."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import FLAGS, PROGRAM, SLOW
from orcircuit import Circuit
from orlink import Link, certs_claims
from test_restart import carries_circuits, identity_of, key_files
from tornet import HOST, TornetError, pick_port_block, proc_start_ticks
from tornet.ours import nonos_tool

pytestmark = [pytest.mark.restarts, pytest.mark.skipif(PROGRAM == "tor", reason="ours alone")]

WAIT = int(25 * SLOW)       # shutdown_wait: how long the old process may go on


@pytest.fixture(scope="module")
def relay(lab):
    lab.add_ours("heir", extra=["node:shutdown_wait = %d s" % WAIT])
    lab.start(["heir"])
    lab.wait_relay("heir", FLAGS, timeout=int(90 * SLOW))
    carries_circuits(lab, "heir")
    yield "heir"
    reports = lab.sanitizer_reports()
    lab.remove_node("heir")
    assert not reports, "\n".join(reports.values())


def start_new(lab, name, *words, program=None):
    """A second nonosd of that relay; its process."""
    home = lab._path(name)
    with open(os.path.join(home, "stdout.log"), "ab") as out:
        return subprocess.Popen(
            [program or nonos_tool("nonosd"), "-c", os.path.join(home, "nonosd.conf"), *words],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=lab._environment(lab.node(name)),
            start_new_session=True, cwd=home)


def becomes(lab, name, pid):
    """Wait until that process answers as the relay, and let the lab know it."""
    deadline = time.time() + 30 * SLOW
    while True:
        try:
            if lab.status(name)["pid"] == pid:
                break
        except TornetError:
            pass
        assert time.time() < deadline, "not taken over:\n" + lab.log_tail(name, 30)
        time.sleep(0.05)
    lab.state["pids"][name] = [pid, proc_start_ticks(pid)]
    lab.save()


def upgrade(lab, name, **kw):
    """Take over; returns the pids of the old keeper and its workers, and how long it took."""
    old, workers, begin = lab.pid(name), lab.workers(name), time.monotonic()
    new = start_new(lab, name, "--take-over", **kw)
    threading.Thread(target=new.wait, daemon=True).start()
    becomes(lab, name, new.pid)
    return [old] + workers, time.monotonic() - begin


def gone(lab, name, pids, seconds):
    deadline = time.time() + seconds * SLOW
    while any(proc_start_ticks(pid) is not None for pid in pids):
        assert time.time() < deadline, "the old one lives:\n" + lab.log_tail(name, 20)
        time.sleep(0.05)


class Callers:
    """Threads that open new links to a port, one after the other, and use each."""

    def __init__(self, port, links=3, plain=1):
        self.port, self.done, self.plain, self.failed = port, 0, 0, []
        self._stop, self._lock = threading.Event(), threading.Lock()
        targets = [self._link] * links + [self._plain] * plain
        self._threads = [threading.Thread(target=self._loop, args=(one,), daemon=True) for one in targets]

    def _link(self):
        with Link(self.port, timeout=30 * SLOW) as link:
            Circuit(link).create_fast()
        with self._lock:
            self.done += 1

    def _plain(self):
        with socket.create_connection((HOST, self.port), timeout=30 * SLOW):
            pass
        with self._lock:
            self.plain += 1
        time.sleep(0.002)

    def _loop(self, one):
        while not self._stop.is_set():
            try:
                one()
            except (OSError, TornetError) as exc:
                with self._lock:
                    self.failed.append("%s %s: %s" % (one.__name__, type(exc).__name__, exc))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        for thread in self._threads:
            thread.join(60 * SLOW)


def in_thread(call):
    box = []

    def run():
        try:
            box.append(call())
        except (TornetError, OSError) as exc:
            box.append(exc)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, box


def test_two_upgrades_lose_nothing(lab, relay, capsys):
    """New links all the while, a download that was open before, downloads in between."""
    identity, files, port = identity_of(lab, relay), key_files(lab, relay), lab.node(relay)["or_port"]
    read = lab.status(relay)["read_bytes"]
    downloads, seconds, old = 0, [], []
    with Callers(port) as callers:
        before, box = in_thread(lambda: lab.fetch(path=["relay0", relay, "exit0"], mb=60, timeout=WAIT))
        time.sleep(2)
        for _ in range(2):
            pids, took = upgrade(lab, relay)
            old += pids
            seconds.append(took)
            for _ in range(3):
                assert lab.fetch(path=["relay1", relay, "exit0"], mb=2, timeout=60)["sha256_ok"]
                downloads += 1
            time.sleep(1)
        before.join(WAIT + 10)
        time.sleep(1)
    with capsys.disabled():
        print("\n%d new links with a circuit and %d plain connections during two upgrades (%s s), %d failed; "
              "%d downloads, and one of 60 MB begun before them: %s" %
              (callers.done, callers.plain, ", ".join("%.2f" % s for s in seconds), len(callers.failed), downloads,
               box[0]["sha256_ok"] if isinstance(box[0], dict) else box[0]))
    assert not callers.failed, callers.failed[:5]
    assert callers.done >= 100 / SLOW and callers.plain >= 100 / SLOW
    assert isinstance(box[0], dict) and box[0]["sha256_ok"], box
    gone(lab, relay, old, WAIT + 10)
    status = lab.status(relay)
    assert identity_of(lab, relay) == identity and key_files(lab, relay) == files
    assert status["fingerprint"].upper() == lab.fingerprint(relay)
    # What the processes before it carried is in the totals.
    assert status["read_bytes"] >= read + 60e6
    assert status["uptime_s"] >= sum(seconds)
    carries_circuits(lab, relay)


def bad_configuration(lab, relay, line, section="relay"):
    """A copy of the configuration with one more line."""
    path = lab._path(relay, "bad.conf")
    with open(lab._path(relay, "nonosd.conf")) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace("[%s]\n" % section, "[%s]\n%s\n" % (section, line)))
    return path


@pytest.mark.parametrize("line,section", [
    ("no_such_option = 1", "relay"),                    # found before it asks
    ("or_listen = 127.0.0.1:%d", "relay"),              # found with the sockets in its hands
    ("network_file = /nonexistent", "directory"),
])
def test_a_bad_new_one_changes_nothing(lab, relay, line, section):
    pid, workers = lab.pid(relay), lab.workers(relay)
    with socket.create_server((HOST, 0)) as taken, Callers(lab.node(relay)["or_port"]) as callers:
        path = bad_configuration(lab, relay, line % taken.getsockname()[1] if "%" in line else line, section)
        new = subprocess.run([nonos_tool("nonosd"), "-c", path, "--take-over"], capture_output=True, text=True,
                             timeout=30 * SLOW, env=lab._environment(lab.node(relay)))
        time.sleep(0.5)
    assert new.returncode == 1, new.stderr
    assert not callers.failed, callers.failed[:5]
    assert (lab.pid(relay), lab.workers(relay)) == (pid, workers)
    assert lab.status(relay)["state"] == "running"


def log_size(lab, relay):
    return os.path.getsize(lab._path(relay, "stdout.log"))


def wait_log(lab, relay, offset, text):
    deadline = time.time() + 20 * SLOW
    while True:
        with open(lab._path(relay, "stdout.log"), errors="replace") as f:
            f.seek(offset)
            if text in f.read():
                return
        assert time.time() < deadline, "the log does not say: " + text
        time.sleep(0.002)


@pytest.mark.long
def test_a_new_one_that_is_killed_changes_nothing(lab, relay):
    """In the middle, several times; what is asked of the old one meanwhile is done."""
    identity, pid, workers = identity_of(lab, relay), lab.pid(relay), lab.workers(relay)
    with Callers(lab.node(relay)["or_port"]) as callers:
        for _ in range(5):
            offset = log_size(lab, relay)
            new = start_new(lab, relay, "--take-over")
            wait_log(lab, relay, offset, "asks to take over")
            new.kill()
            new.wait(10)
            wait_log(lab, relay, offset, "goes on as before")
        assert lab.ctl(relay, "onion", "rotate")["dry_run"] is False
    assert not callers.failed, callers.failed[:5]
    assert (lab.pid(relay), lab.workers(relay)) == (pid, workers)
    assert identity_of(lab, relay) == identity


def test_the_old_one_is_killed_in_the_middle(lab, relay):
    """The new one has the sockets already, and goes on alone: a link may end, but none is refused."""
    identity, files = identity_of(lab, relay), key_files(lab, relay)
    with Callers(lab.node(relay)["or_port"]) as callers:
        offset, old = log_size(lab, relay), lab.pid(relay)
        new = start_new(lab, relay, "--take-over")
        threading.Thread(target=new.wait, daemon=True).start()
        wait_log(lab, relay, offset, "Taking over from")
        os.kill(old, signal.SIGKILL)
        becomes(lab, relay, new.pid)
        time.sleep(1)
    assert not [one for one in callers.failed if "Refused" in one], callers.failed[:5]
    wait_log(lab, relay, offset, "goes on alone")
    assert identity_of(lab, relay) == identity and key_files(lab, relay) == files
    upgrade(lab, relay)


@pytest.mark.long
def test_more_and_fewer_workers(lab, relay):
    """The sockets are shared out anew; every one of them still has somebody who accepts."""
    node = lab.node(relay)
    for workers in (3, 1, 2):
        node["workers"] = workers
        lab._write_conf(node)
        with Callers(node["or_port"]) as callers:
            upgrade(lab, relay)
            time.sleep(1)
        assert not callers.failed, callers.failed[:5]
        assert len(lab.workers(relay)) == workers
        for _ in range(20):
            with Link(node["or_port"]) as link:
                Circuit(link).create_fast()


@pytest.mark.long
def test_an_address_more(lab, relay):
    """A new address of the configuration is opened, the others are taken over."""
    node, port = lab.node(relay), pick_port_block(1)
    node["extra"] = node["extra"] + ["relay:or_listen = %s:%d" % (HOST, port)]
    lab._write_conf(node)
    upgrade(lab, relay)
    for one in (node["or_port"], port):
        with Link(one) as link:
            assert certs_claims(link)["ed25519"] == identity_of(lab, relay)


def test_reload_does_what_the_program_asks_for(lab, relay, tmp_path):
    """The same program: the configuration is read. Another file: it takes over, and the command
    returns when it is the relay."""
    pid, conf = lab.pid(relay), lab._path(relay, "nonosd.conf")
    offset = log_size(lab, relay)
    assert start_new(lab, relay, "--reload").wait(20 * SLOW) == 0
    wait_log(lab, relay, offset, "The configuration was read again.")
    assert lab.pid(relay) == pid and lab.status(relay)["pid"] == pid
    other = shutil.copy(nonos_tool("nonosd"), str(tmp_path / "nonosd"))
    with Callers(lab.node(relay)["or_port"]) as callers:
        assert start_new(lab, relay, "--reload", program=other).wait(30 * SLOW) == 0
        new = lab.status(relay)["pid"]
        assert new != pid
        becomes(lab, relay, new)
    assert not callers.failed, callers.failed[:5]
    # One that cannot start says so, and the relay stays.
    with open(conf, "a") as f:
        f.write("nonsense\n")
    assert start_new(lab, relay, "--reload", program=other).wait(30 * SLOW) == 1
    lab._write_conf(lab.node(relay))
    assert lab.status(relay)["pid"] == new


def test_a_second_daemon_without_the_word_is_refused(lab, relay):
    run = subprocess.run([nonos_tool("nonosd"), "-c", lab._path(relay, "nonosd.conf")], capture_output=True,
                         text=True, timeout=30 * SLOW, env=lab._environment(lab.node(relay)))
    assert run.returncode == 1 and "--take-over" in run.stderr


def test_nothing_to_take_over(lab, relay):
    """Then it is a start like any other."""
    identity = identity_of(lab, relay)
    lab.stop([relay], grace=int(WAIT + 10))
    new = start_new(lab, relay, "--take-over")
    threading.Thread(target=new.wait, daemon=True).start()
    becomes(lab, relay, new.pid)
    assert identity_of(lab, relay) == identity
