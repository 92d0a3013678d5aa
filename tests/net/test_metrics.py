"""Prometheus reads a relay of ours, while it carries a download and after a worker was killed."""

import math
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from conftest import FLAGS, PROGRAM, SLOW
from tornet import HOST
from tornet.ours import nonos_tool
from tornet.util import pick_port_block

pytestmark = [pytest.mark.restarts,
              pytest.mark.skipif(PROGRAM != "nonosd", reason="tor has other metrics")]

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
VALUE = re.compile(r"[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN")
PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')


def parse_labels(text):
    labels, at = {}, 0
    while at < len(text):
        pair = PAIR.match(text, at)
        assert pair, text
        assert pair[1] not in labels, text
        labels[pair[1]] = pair[2]
        at = pair.end()
        if at < len(text):
            assert text[at] == "," and at + 1 < len(text), text
            at += 1
    return labels


def check_histogram(name, samples):
    """Buckets grow with their bound, the last is +Inf and equals the count."""
    buckets = [(float(dict(labels)["le"]), value) for (n, labels), value in samples.items()
               if n == name + "_bucket"]
    assert buckets == sorted(buckets) and buckets[-1][0] == math.inf
    counts = [value for _, value in buckets]
    assert counts == sorted(counts)
    assert samples[(name + "_count", ())] == counts[-1]
    assert samples[(name + "_sum", ())] >= 0


def parse(text):
    """({(name, sorted labels): number}, {name: type}) of exposition format 0.0.4. Stricter than
    Prometheus: HELP, TYPE, samples, in this order, and each metric in one place."""
    assert text.endswith("\n") and "\n\n" not in text
    samples, types, current, helped = {}, {}, None, None
    for line in text[:-1].split("\n"):
        head = re.fullmatch(r"# (HELP|TYPE) (%s) (.+)" % NAME, line)
        if head and head[1] == "HELP":
            assert head[2] not in types and head[3].strip() == head[3]
            assert "\\" not in head[3]
            helped = head[2]
            continue
        if head:
            assert head[2] == helped and head[2] not in types
            assert head[3] in ("counter", "gauge", "histogram"), line
            current, types[head[2]] = head[2], head[3]
            continue
        sample = re.fullmatch(r"(%s)(?:\{(.+)\})? (\S+)" % NAME, line)
        assert sample, line
        suffixes = ("_bucket", "_sum", "_count") if types[current] == "histogram" else ("",)
        assert sample[1] in [current + suffix for suffix in suffixes], line
        assert VALUE.fullmatch(sample[3]), line
        key = (sample[1], tuple(sorted(parse_labels(sample[2] or "").items())))
        assert key not in samples, line
        samples[key] = float(sample[3])
        assert types[current] != "counter" or samples[key] >= 0
    for name, kind in types.items():
        assert kind != "counter" or name.endswith("_total")
        if kind == "histogram":
            check_histogram(name, samples)
    return samples, types


def exchange(place, request, limit=30):
    """The whole answer to one request; "" when the connection is closed without one."""
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(limit)
        sock.connect(place)
        sock.sendall(request)
        answer = b""
        while True:
            try:
                more = sock.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            if not more:
                return answer.decode("ascii")
            answer += more


def scrape(place):
    head, _, body = exchange(place, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").partition("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert "Content-Type: text/plain; version=0.0.4; charset=utf-8" in lines
    assert "Content-Length: %d" % len(body) in lines
    return body


class Sums:
    def __init__(self, place):
        self.samples, self.types = parse(scrape(place))

    def get(self, name, **labels):
        """The sum of a metric's samples that have these labels."""
        found = [value for (n, have), value in self.samples.items()
                 if n == name and labels.items() <= dict(have).items()]
        assert found, (name, labels)
        return sum(found)


@pytest.fixture(scope="module")
def watched(lab):
    """A relay with a port and a socket for metrics."""
    port = pick_port_block(1)
    path = lab._path("watched-metrics.sock")
    lab.add_ours("watched", workers=2, extra=[
        "node: metrics_listen = %s:%d" % (HOST, port), "node: metrics_socket = " + path])
    lab.start(["watched"])
    lab.wait_relay("watched", FLAGS, timeout=int(90 * SLOW))
    yield (HOST, port), path
    reports = lab.sanitizer_reports()
    lab.remove_node("watched")
    assert not reports, "\n".join(reports.values())


def wait_for(place, is_so, seconds=20):
    deadline = time.time() + seconds * SLOW
    while True:
        now = Sums(place)
        if is_so(now):
            return now
        assert time.time() < deadline, sorted(now.samples.items())
        time.sleep(0.5)


def test_a_download_shows(lab, watched):
    """Scraped before, all the while, and after: nothing that counts goes down, and the sums fit."""
    port, path = watched
    size, steps, done = 8_000_000, [], threading.Event()
    before = Sums(port)

    def watch():
        while not done.wait(0.2):
            steps.append(Sums(path))
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        for where in (["relay0", "watched", "exit0"], ["relay0", "relay1", "watched"]):
            assert lab.fetch(path=where, mb=size / 1e6, timeout=int(60 * SLOW))["sha256_ok"]
    finally:
        done.set()
        thread.join(30)
    cells = 2 * size / 498
    after = wait_for(port, lambda now: now.get("nonos_cells_total", direction="out", command="relay") -
                     before.get("nonos_cells_total", direction="out", command="relay") > cells)
    assert steps
    last = before
    for step in steps + [after]:
        assert step.types == before.types
        for (name, labels), value in step.samples.items():
            base = re.sub("_(bucket|sum|count)$", "", name)
            if step.types.get(name) == "counter" or step.types.get(base) == "histogram":
                assert value >= last.samples.get((name, labels), 0), (name, labels)
        last = step

    def rise(name, **labels):
        return after.get(name, **labels) - before.get(name, **labels)
    assert rise("nonos_bytes_total", where="links", direction="written") > 2 * size
    assert size <= rise("nonos_bytes_total", where="exits", direction="read") < 1.1 * size
    assert rise("nonos_cells_relayed_total") > size / 498
    assert rise("nonos_cell_queue_seconds_count") > cells
    assert rise("nonos_handshakes_total", type="ntor3", outcome="ok") + \
        rise("nonos_handshakes_total", type="ntor", outcome="ok") >= 2
    assert rise("nonos_circuits_created_total") >= 2
    assert rise("nonos_streams_opened_total") >= 1
    assert rise("nonos_process_cpu_seconds_total") > 0
    assert after.get("nonos_links", state="open") >= 1
    assert after.get("nonos_open_links", version="5", peer="relay") >= 1
    for worker in ("worker-0", "worker-1"):
        assert after.get("nonos_process_resident_bytes", process=worker) > 1 << 20
        assert after.get("nonos_worker_ready", process=worker) == 1
    counters = lab.ctl("watched", "counters")
    assert counters["exit_read_bytes"] >= after.get("nonos_bytes_total", where="exits", direction="read")
    assert counters["commands_out"]["relay"] <= counters["cells_out"]


def test_on_by_default(lab):
    """Without a word in the configuration, beside the control socket and for the same users."""
    path = os.path.join(os.path.dirname(lab.control_socket("ours0")), "metrics.sock")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    assert Sums(path).get("nonos_build_info") == 1
    run = subprocess.run([nonos_tool("nonosctl"), "--socket", lab.control_socket("ours0"), "metrics"],
                         capture_output=True, text=True, timeout=60, check=True)
    assert parse(run.stdout)[1] == Sums(path).types


def test_what_the_network_says_shows(lab, watched):
    now = wait_for(watched[0], lambda n: n.get("nonos_listed") == 1)
    for flag in FLAGS:
        assert now.get("nonos_flag", flag=flag) == 1
    assert now.get("nonos_flag", flag="Authority") == 0
    for node in lab.by_role("auth"):
        assert now.get("nonos_authority_upload_status", authority=node["name"]) == 200
    assert 0 <= now.get("nonos_consensus_age_seconds") < 3600
    assert now.get("nonos_key_expiry_timestamp_seconds", key="signing") > time.time()
    assert now.get("nonos_state", state="running") == 1 and now.get("nonos_state") == 1
    assert abs(now.get("nonos_start_time_seconds") - time.time()) < 3600
    assert now.get("nonos_reachable") == 1


def test_nobody_is_told_apart(lab, watched):
    """No address, fingerprint, port or nickname of a peer is in the text."""
    text = scrape(watched[0])
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", text) and not re.search("[0-9A-Fa-f]{40}", text)
    for node in lab.nodes.values():
        if node["role"] != "auth":
            assert '"%s"' % node["name"] not in text
            assert not node.get("or_port") or " %d\n" % node["or_port"] not in text


def test_a_killed_worker_shows_and_counters_go_on(lab, watched):
    before = Sums(watched[0])
    os.kill(lab.workers("watched")[0], signal.SIGKILL)
    after = wait_for(watched[0], lambda n: n.get("nonos_worker_restarts_total") >
                     before.get("nonos_worker_restarts_total") and n.get("nonos_worker_ready") == 2)
    for (name, labels), value in before.samples.items():
        if before.types.get(name) == "counter":
            assert after.samples[(name, labels)] >= value, (name, labels)


def test_other_requests(watched):
    for place in watched:
        assert exchange(place, b"GET / HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 404 ")
        refused = exchange(place, b"POST /metrics HTTP/1.1\r\n\r\n")
        assert refused.startswith("HTTP/1.1 405 ") and "\r\nAllow: GET\r\n" in refused
        assert exchange(place, b"\x16\x03\x01\r\n\r\n").startswith("HTTP/1.1 400 ")
        assert exchange(place, b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 9000).startswith("HTTP/1.1 431 ")
        assert exchange(place, b"GET /metrics HT", limit=20) == ""      # never ends: cut off


def test_silent_clients_do_not_pile_up(watched):
    held = []
    try:
        for _ in range(40):
            held.append(socket.create_connection(watched[0], timeout=10))
        time.sleep(0.5)
        closed = 0
        for sock in held:
            sock.settimeout(0.05)
            try:
                closed += sock.recv(1) == b""
            except TimeoutError:
                pass
        assert closed >= 24
    finally:
        for sock in held:
            sock.close()
    time.sleep(0.5)
    parse(scrape(watched[0]))


def test_promtool(watched):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    run = subprocess.run(["promtool", "check", "metrics"], input=scrape(watched[0]), text=True,
                         capture_output=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("where", ["0.0.0.0:9101", "192.0.2.1:9101", "[::]:9101"])
def test_only_loopback(lab, tmp_path, where):
    """Any other address is a mistake that is explained."""
    path = tmp_path / "nonosd.conf"
    path.write_text("[relay]\nnickname = x\nor_listen = 127.0.0.1:9001\n"
                    "[directory]\nnetwork = test\npublish = no\n[node]\nmetrics_listen = %s\n" % where)
    run = subprocess.run([nonos_tool("nonosd"), "--check-config", "-c", str(path)],
                         capture_output=True, text=True, timeout=20)
    assert run.returncode != 0 and "loopback" in run.stderr + run.stdout, run


def test_parser_is_strict():
    """What it must not take."""
    good = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\"} 1\n"
    parse(good)
    for bad in (good[:-1], good.replace("# HELP a_total x\n", ""), good + 'a_total{b="c"} 2\n',
                good.replace("} 1", "}  1"), good.replace('"c"', '"c\\q"'), good.replace('"c"', "c"),
                good.replace(" 1", " -1"), good.replace(" 1", " one"), good + "b 1\n",
                good.replace('"c"', '"c",'), good + good, good.replace("counter", "metric")):
        with pytest.raises((AssertionError, KeyError)):
            parse(bad)
