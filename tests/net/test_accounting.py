"""What is carried is counted, kept over any end, and limited by period and hour."""

import os
import signal
import threading
import time

import pytest

from conftest import FLAGS, PROGRAM, SLOW
from orcircuit import Circuit, RelayKeys
from orlink import PADDING, Link
from tornet import TornetError

pytestmark = [pytest.mark.restarts, pytest.mark.skipif(PROGRAM == "tor", reason="options of nonosd")]


@pytest.fixture
def counted(lab):
    """counted(line, ...) starts a relay of ours with these lines of [relay]."""
    def start(*lines, workers=2):
        lab.add_ours("counted", workers=workers, extra=["relay:" + line for line in lines])
        lab.start(["counted"])
        lab.wait_relay("counted", FLAGS, timeout=int(90 * SLOW))
        return "counted"
    yield start
    reports = lab.sanitizer_reports()
    lab.remove_node("counted")
    assert not reports, reports


def fetching(lab, name, mb, timeout=120):
    def run():
        try:
            lab.fetch(path=["relay0", name, "exit0"], mb=mb, timeout=timeout)
        except (TornetError, OSError):
            pass
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def until(lab, name, good, seconds, what):
    deadline = time.time() + seconds * SLOW
    while True:
        status = lab.status(name)
        if good(status):
            return status
        assert time.time() < deadline, "%s: %s\n%s" % (what, status["accounting"], lab.log_tail(name, 10))
        time.sleep(0.2)


def set_option(lab, name, line):
    """Another value in the file, and a reload."""
    node = lab.node(name)
    key = line.split("=")[0].strip()
    node["extra"] = [one for one in node["extra"] if one.split(":", 1)[1].split("=")[0].strip() != key]
    node["extra"].append("relay:" + line)
    lab._write_conf(node)
    lab.ctl(name, "reload")


def test_no_total_goes_back_over_a_kill(lab, counted):
    """Totals are read as fast as it goes during a download; then the keeper is killed. Three times."""
    name, names = counted(), ("read_bytes", "written_bytes", "cells_relayed", "circuits_made")
    lab.fetch(path=["relay0", name, "exit0"], mb=2)
    for _ in range(3):
        thread, shown = fetching(lab, name, 200), {}
        end = time.time() + 3
        while time.time() < end:
            counters = lab.ctl(name, "counters")
            for one in names:
                assert counters[one] >= shown.get(one, 0)
                shown[one] = counters[one]
            status = lab.status(name)
        os.kill(lab.pid(name), signal.SIGKILL)
        thread.join(60)
        while lab.pid(name):
            time.sleep(0.05)
        lab.start([name])
        counters = lab.ctl(name, "counters")
        for one in names:
            assert counters[one] >= shown[one], (one, counters[one], shown[one])
        assert counters["read_bytes"] > 1e6
        after = lab.status(name)
        assert after["bandwidth"]["days"][-1]["read"] >= status["bandwidth"]["days"][-1]["read"] > 0
        assert after["accounting"]["read"] >= status["accounting"]["read"] > 0
        lab.wait_relay(name, FLAGS, timeout=int(90 * SLOW))


@pytest.mark.long
def test_totals_after_an_orderly_stop(lab, counted):
    name = counted()
    lab.fetch(path=["relay0", name, "exit0"], mb=5)
    time.sleep(1.5)
    before = lab.ctl(name, "counters")
    lab.stop([name])
    lab.start([name])
    after = lab.ctl(name, "counters")
    assert after["read_bytes"] >= before["read_bytes"] > 5e6
    assert after["circuits_made"] >= before["circuits_made"] > 0


@pytest.mark.long
def test_accounting_ends_and_begins_again(lab, counted):
    """Near the end no new circuits, at the end no links; the next period begins by the clock."""
    begin = time.localtime(time.time() + 150 * SLOW)      # the next period, in some minutes
    name = counted("accounting_max = 40 MB", "accounting_start = day %02d:%02d" % (begin.tm_hour, begin.tm_min))
    assert lab.status(name)["accounting"]["state"] == "open"
    with Link(lab.node(name)["or_port"]) as link:
        circuit = Circuit(link).create(RelayKeys(lab, name))
        thread = fetching(lab, name, 100)
        soft = until(lab, name, lambda s: s["accounting"]["state"] != "open", 60, "no soft limit")
        assert soft["service"] == "hibernating" and soft["accounting"]["used"] >= 38e6
        hard = until(lab, name, lambda s: s["accounting"]["state"] == "hard", 60, "no hard limit")
        # It is looked at once a second: what a second can carry may go over.
        assert 40e6 <= hard["accounting"]["used"] <= 65e6, hard["accounting"]
        assert any("accounting" in str(one) for one in hard["attention"]), hard["attention"]
        thread.join(60)
        assert link.is_closed(within=5), circuit
    with pytest.raises((TornetError, OSError)):
        Link(lab.node(name)["or_port"], timeout=5)
    # The network is told, and authorities do not call it Running.
    deadline = time.time() + 40 * SLOW
    while "hibernating 1" not in lab.descriptor(lab.fingerprint(name)):
        assert time.time() < deadline, lab.log_tail(name, 20)
        time.sleep(0.5)
    woken = until(lab, name, lambda s: s["service"] == "open", 240, "no new period")
    assert woken["accounting"]["used"] < 1e6
    assert time.strftime("%H:%M", time.localtime(woken["accounting"]["from"])) == time.strftime("%H:%M", begin)
    lab.wait_relay(name, FLAGS, timeout=int(90 * SLOW))
    assert lab.fetch(path=["relay0", name, "exit0"], mb=1, timeout=60)["sha256_ok"]


@pytest.mark.long
def test_more_is_allowed_while_asleep(lab, counted):
    name = counted("accounting_max = 10 MB", "accounting_count = sum")
    thread = fetching(lab, name, 30)
    until(lab, name, lambda s: s["accounting"]["state"] == "hard", 60, "no hard limit")
    thread.join(60)
    set_option(lab, name, "accounting_max = 1 GB")
    until(lab, name, lambda s: s["service"] == "open", 10, "still asleep")
    with Link(lab.node(name)["or_port"]) as link:
        Circuit(link).create_fast()


def rate_over(lab, name, seconds):
    """Bytes read a second, from the total, which changes once a second."""
    def sample():
        first = lab.ctl(name, "counters")["read_bytes"]
        while True:
            now = lab.ctl(name, "counters")["read_bytes"]
            if now != first:
                return time.monotonic(), now
            time.sleep(0.02)
    a = sample()
    time.sleep(seconds)
    b = sample()
    return (b[1] - a[1]) / (b[0] - a[0])


class Flood:
    """A link that sends padding as fast as it is taken: one worker's work."""

    def __init__(self, port):
        self._link, self._stop = Link(port, timeout=60), False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        cells = self._link.cell(0, PADDING) * 30
        while not self._stop:
            self._link.send(cells)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop = True
        self._thread.join(10)
        self._link.close()


@pytest.mark.long
def test_the_schedule_changes_the_rate(lab, counted, capsys):
    """Within 5 % of what was asked, before and after the hour changes, with one of two workers at
    work, and with links at both."""
    now = time.time()
    begin = now - now % 60 + (120 if now % 60 > 5 else 60)      # time to start, and to measure
    text = [time.strftime("%H:%M", time.localtime(t)) for t in (begin, begin + 600)]
    name = counted("bandwidth_rate = 1 MB/s", "bandwidth_schedule = daily %s-%s 3 MB/s" % tuple(text))
    port = lab.node(name)["or_port"]
    with Flood(port):
        time.sleep(6)                       # the burst is used up
        slow = rate_over(lab, name, 10)
        assert time.time() < begin, "too slow a machine for this test"
        until(lab, name, lambda s: s["bandwidth"]["scheduled"], begin - time.time() + 5, "the schedule was not followed")
        time.sleep(6)
        fast = rate_over(lab, name, 10)
        with Flood(port), Flood(port), Flood(port), Flood(port):
            time.sleep(4)
            many = rate_over(lab, name, 10)
    with capsys.disabled():
        print("\nread: %.3f MB/s of 1, %.3f of 3, %.3f of 3 with five links" % (slow / 1e6, fast / 1e6, many / 1e6))
    assert 0.95e6 <= slow <= 1.05e6 and 2.85e6 <= fast <= 3.15e6 and 2.85e6 <= many <= 3.15e6, (slow, fast, many)


def test_drain_and_on_again(lab, counted):
    """New circuits are refused, open ones go on, the descriptor says so; and back."""
    name = counted()
    pid = lab.pid(name)
    keys = RelayKeys(lab, name)
    assert lab.ctl(name, "drain", "--dry-run")["dry_run"] is True
    assert lab.status(name)["service"] == "open"
    with Link(keys.port) as link:
        circuit = Circuit(link).create(keys)
        assert lab.ctl(name, "drain")["service"] == "drained"
        time.sleep(0.5)
        with pytest.raises((TornetError, OSError)):
            Circuit(link).create_fast()
        circuit.extend(RelayKeys(lab, "ours0"))
        deadline = time.time() + 40 * SLOW
        while "hibernating 1" not in lab.descriptor(keys.fingerprint.hex().upper()):
            assert time.time() < deadline, lab.log_tail(name, 20)
            time.sleep(0.5)
        assert lab.ctl(name, "drain", "--off")["service"] == "open"
        time.sleep(0.5)
        Circuit(link).create_fast()
    deadline = time.time() + 40 * SLOW
    while "hibernating 1" in lab.descriptor(keys.fingerprint.hex().upper()):
        assert time.time() < deadline, lab.log_tail(name, 20)
        time.sleep(0.5)
    lab.wait_relay(name, FLAGS, timeout=int(90 * SLOW))
    assert lab.pid(name) == pid
