"""Keeper and workers confine themselves, and do all their work all the same."""

import os
import signal
import time

import pytest

from conftest import FLAGS, MB, PROGRAM, SLOW
from test_transfer import resolve, through
from tornet import TornetError

pytestmark = [
    pytest.mark.restarts,
    pytest.mark.skipif(PROGRAM == "tor", reason="the sandbox of ours")]


@pytest.fixture(scope="module")
def caged(lab):
    """A relay of ours that may be killed; skipped where the build leaves seccomp out."""
    lab.add_ours("caged")
    lab.start(["caged"])
    lab.wait_relay("caged", FLAGS, timeout=int(90 * SLOW))
    if not lab.status("caged")["sandbox"]["seccomp"]:
        lab.remove_node("caged")
        pytest.skip("built without seccomp, or with sanitizers")
    yield "caged"
    lab.remove_node("caged")


def proc_status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def assert_confined(lab, name):
    """The kernel's word and our own agree, for every process."""
    for pid in [lab.pid(name)] + lab.workers(name):
        status = proc_status(pid)
        assert status["Seccomp"].strip() == "2", pid
        assert status["NoNewPrivs"].strip() == "1", pid
    told = lab.status(name)
    for one in [told] + told["workers"]:
        assert one["sandbox"]["no_new_privs"] and one["sandbox"]["seccomp"], told
        assert one["sandbox"]["landlock"] == told["sandbox"]["landlock"], told


def wait_for_workers(lab, name, gone):
    """Until as many as before listen, none of them one of `gone`."""
    deadline = time.time() + 30 * SLOW
    while True:
        workers = lab.status(name)["workers"]
        if all(w["state"] == "ready" and w["pid"] not in gone for w in workers):
            return
        assert time.time() < deadline, "no new worker:\n" + lab.log_tail(name, 20)
        time.sleep(0.1)


def fetch(lab, path, **kw):
    """A download; a first try may fall on a circuit that a dead worker had."""
    for attempt in range(3):
        try:
            assert lab.fetch(path=path, **kw)["sha256_ok"]
            return
        except (TornetError, OSError):
            if attempt == 2:
                raise
            time.sleep(2)


def test_in_force(lab, caged):
    assert_confined(lab, caged)


@pytest.mark.parametrize("position", ["guard", "middle", "exit"])
def test_carries(lab, caged, position):
    path = {"guard": [caged, "relay0", "exit0"], "middle": ["relay0", caged, "exit0"],
            "exit": ["relay0", "relay1", caged]}[position]
    fetch(lab, path, mb=MB)


def test_new_worker_is_confined(lab, caged):
    """It starts inside the keeper's sandbox, reads resolv.conf again, and serves."""
    before = lab.workers(caged)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for_workers(lab, caged, before)
    assert_confined(lab, caged)
    fetch(lab, ["relay0", caged, "exit0"], mb=1)
    fetch(lab, ["relay0", "relay1", caged], mb=1)
    with through(lab, ["relay0", "relay1", caged]) as (socks, _):
        assert resolve(socks, name="b.lab.test") == "127.0.0.1"


def test_resolver_files_may_be_replaced(lab, caged):
    """By renaming, as resolvconf and editors do: a later worker still reads the new one."""
    path = lab._path("resolv.conf")
    with open(path) as f:
        text = f.read()
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)
    before = lab.workers(caged)
    os.kill(before[0], signal.SIGKILL)
    wait_for_workers(lab, caged, before[:1])
    assert "could not be read" not in lab.log_tail(caged, 10000)


def test_signals_and_keys(lab, caged):
    """USR1 counts, HUP reads the file again, keys rotate: no process is lost, nothing is refused."""
    pid, workers = lab.pid(caged), lab.workers(caged)
    conf = lab._path(caged, "nonosd.conf")
    with open(conf) as f:
        text = f.read()
    with open(conf + ".new", "w") as f:
        f.write(text.replace("[relay]", "[relay]\ncells_per_circuit = 2400"))
    os.replace(conf + ".new", conf)
    os.kill(pid, signal.SIGUSR1)
    os.kill(pid, signal.SIGHUP)
    lab.rotate_onion(caged)
    deadline = time.time() + 10 * SLOW
    while True:
        log = lab.log_tail(caged, 10000)
        if "The configuration was read again" in log and "Counters since the start" in log:
            break
        assert time.time() < deadline, log
        time.sleep(0.2)
    assert "option=cells_per_circuit" in log
    assert lab.pid(caged) == pid and lab.workers(caged) == workers
    assert "secret_onion_key_ntor.old" in os.listdir(lab._path(caged, "data", "keys"))
    fetch(lab, ["relay0", caged, "exit0"], mb=1)


def test_cache_is_written(lab, caged):
    """The directory cache below data_dir."""
    deadline = time.time() + 30 * SLOW
    while True:
        files = [f for top, _, names in os.walk(lab._path(caged, "data")) for f in names
                 if "consensus" in f or "microdesc" in f]
        if files:
            break
        assert time.time() < deadline, os.listdir(lab._path(caged, "data"))
        time.sleep(0.5)


def test_ends_in_order(lab, caged):
    """SIGTERM: it removes its socket, which is the last that it needs a file for."""
    pid = lab.pid(caged)
    os.kill(pid, signal.SIGTERM)
    deadline = time.time() + 30 * SLOW
    while lab.pid(caged):
        assert time.time() < deadline, lab.log_tail(caged, 20)
        time.sleep(0.1)
    assert not os.path.exists(lab.control_socket(caged))
    log = lab.log_tail(caged, 10000)
    assert "Operation not permitted" not in log and "Permission denied" not in log, log
