"""The control socket of a daemon of its own: many clients, slow ones, hostile ones, tokens, events."""

import json
import os
import random
import resource
import shutil
import signal
import socket
import stat
import statistics
import subprocess
import tempfile
import threading
import time

import pytest

import control_docs
from conftest import PROGRAM, SLOW
from tornet import HOST, proc_rss
from tornet.ours import nonos_tool
from tornet.util import pick_port_block, proc_children

pytestmark = pytest.mark.skipif(PROGRAM != "nonosd", reason="tor has another control port")

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")
NOBODY = 65534


class Client:
    """One connection, a JSON object a line."""

    def __init__(self, path, timeout=30 * SLOW):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")

    def send(self, method, wanted=1, **params):
        request = {"jsonrpc": "2.0", "method": method}
        if wanted is not None:
            request["id"] = wanted
        if params:
            request["params"] = params
        self.sock.sendall(json.dumps(request).encode() + b"\n")

    def read(self):
        line = self.file.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def call(self, method, **params):
        """The result; notifications that come before it are left out."""
        self.send(method, **params)
        while True:
            reply = self.read()
            if "id" in reply:
                break
        if "error" in reply:
            raise PermissionError(reply["error"]["code"], reply["error"]["message"])
        return reply["result"]

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Daemon:
    """A nonosd that talks to nobody, with its own data directory."""

    def __init__(self, *lines):
        # Not below pytest's own directory, which keeps other users out.
        self.base, self.process = tempfile.mkdtemp(prefix="nonos-ctl-"), None
        self.socket, self.log = os.path.join(self.base, "sock"), os.path.join(self.base, "log")
        os.chmod(self.base, 0o755)
        with open(os.path.join(self.base, "conf"), "w") as f:
            f.write("[node]\ndata_dir = %s/data\ncontrol_socket = %s\nworkers = 1\nshutdown_wait = 0\n%s\n"
                    "[relay]\nnickname = ctl\nor_listen = %s:%d\naddress = %s\nallow_private_addresses = yes\n"
                    "[directory]\nnetwork = test\npublish = no\n"
                    % (self.base, self.socket, "\n".join(lines), HOST, pick_port_block(1), HOST))

    def start(self):
        env = dict(os.environ, ASAN_OPTIONS="log_path=%s/sanitizer" % self.base,
                   UBSAN_OPTIONS="log_path=%s/sanitizer:print_stacktrace=1" % self.base)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([nonos_tool("nonosd"), "-c", os.path.join(self.base, "conf")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        deadline = time.time() + 20 * SLOW
        while True:
            assert self.process.poll() is None, self.tail()
            try:
                with self.client() as c:
                    if c.call("status")["state"] == "running":
                        return self
            except OSError:
                pass
            assert time.time() < deadline, self.tail()
            time.sleep(0.05)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20 * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("it does not stop:\n" + self.tail()) from None
        reports = [n for n in os.listdir(self.base) if n.startswith("sanitizer")]
        assert not reports, open(os.path.join(self.base, reports[0])).read()

    def end(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.base)

    def tail(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-3000:]

    def client(self, **kw):
        return Client(self.socket, **kw)

    def ctl(self, *words, status=0, uid=None, gid=None, **env):
        """stdout of nonosctl; with `status` not 0 its stderr."""
        keep = {k: v for k, v in os.environ.items() if k != "NONOS_TOKEN"}
        who = {} if uid is None else {"user": uid, "group": uid if gid is None else gid, "extra_groups": []}
        run = subprocess.run([nonos_tool("nonosctl"), "-s", self.socket, *words], capture_output=True, text=True,
                             timeout=60 * SLOW, stdin=subprocess.DEVNULL, env=dict(keep, **env), **who)
        assert run.returncode == status, (words, run.returncode, run.stdout, run.stderr)
        return run.stdout if status == 0 else run.stderr


@pytest.fixture(scope="module")
def shared():
    d = Daemon("control_socket_mode = 0666")
    try:
        yield d.start()
    finally:
        d.end()


@pytest.fixture
def daemon(shared):
    yield shared
    assert shared.process.poll() is None, shared.tail()


@pytest.fixture
def make_daemon():
    made = []

    def make(*lines):
        made.append(Daemon(*lines))
        return made[-1].start()
    yield make
    for d in made:
        d.end()


def latencies(client, n=200):
    took = []
    for _ in range(n):
        begin = time.perf_counter()
        client.call("version")
        took.append(time.perf_counter() - begin)
    return took


# -- many clients, and bad ones -------------------------------------------------

@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("needs 4,096 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def stuff(client):
    """Ask until nothing more goes in; never read."""
    client.sock.setblocking(False)
    line = b'{"jsonrpc":"2.0","id":1,"method":"status"}\n' * 100
    sent = 0
    deadline = time.time() + 20 * SLOW
    quiet = 0
    while quiet < 20 and time.time() < deadline:
        try:
            sent += client.sock.send(line)
            quiet = 0
        except BlockingIOError:
            quiet += 1
            time.sleep(0.02)
    return sent


def test_thousand_clients(daemon, many_files):
    """1,000 clients, one that never reads and one with half a line: another is hardly slower."""
    with daemon.client() as worker:
        before = statistics.median(latencies(worker))
        clients = [daemon.client() for _ in range(1000)]
        deaf, half = daemon.client(), daemon.client()
        try:
            rss = proc_rss(daemon.process.pid)["rss_kib"]
            half.sock.sendall(b'{"jsonrpc":"2.0","id":1,"me')
            stuff(deaf)
            for c in clients:
                c.send("version")
            for c in clients:
                assert "result" in c.read()
            after = latencies(worker)
            assert statistics.median(after) < 10 * before + 0.001, (before, statistics.median(after))
            assert max(after) < 2 * SLOW
            # What one owes is bounded, and what all cost as well.
            assert proc_rss(daemon.process.pid)["rss_kib"] - rss < 32 * 1024
            half.sock.sendall(b'thod":"version"}\n')
            assert "result" in half.read()
        finally:
            for c in clients + [deaf, half]:
                c.close()


def test_flood_in_turns(daemon):
    """Clients that ask without pause do not keep another waiting."""
    stop = threading.Event()

    def flood():
        with daemon.client() as c:
            while not stop.is_set():
                c.sock.sendall(b'{"jsonrpc":"2.0","id":1,"method":"counters"}\n' * 50)
                for _ in range(50):
                    c.read()

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        with daemon.client() as worker:
            assert statistics.median(latencies(worker, 50)) < 0.1 * SLOW
    finally:
        stop.set()
        for t in threads:
            t.join()


@AS_ROOT
def test_places_for_the_operator(daemon, many_files):
    """One user cannot take all places: others still get in, and root in any case."""
    child = subprocess.Popen(
        ["/usr/bin/python3", "-c", """
import resource, socket, sys
kept, refused = [], 0
for i in range(1200):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(sys.argv[1])
    try:
        s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"version"}\\n')
        ok = s.recv(1000)
    except ConnectionError:
        ok = b''
    refused += not ok
    if ok:
        kept.append(s)
print(len(kept), refused, flush=True)
sys.stdin.read()
""", daemon.socket], user=NOBODY, group=NOBODY, extra_groups=[], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True)
    try:
        kept, refused = map(int, child.stdout.readline().split())
        assert kept <= 1024 and refused >= 176, (kept, refused)
        assert "version" in daemon.ctl("version")
        assert "version" in daemon.ctl("version", uid=NOBODY - 1)
        daemon.ctl("version", uid=NOBODY, status=4)
    finally:
        child.communicate()


# -- hostile lines -----------------------------------------------------------------

SEEDS = [
    b'{"jsonrpc":"2.0","id":1,"method":"status"}', b'{"jsonrpc":"2.0","id":"x","method":"counters","params":{}}',
    b'[{"jsonrpc":"2.0","id":1,"method":"version"},{"jsonrpc":"2.0","method":"version"}]',
    b'{"jsonrpc":"2.0","id":1,"method":"events","params":{"topics":["worker","*"]}}',
    b'{"jsonrpc":"2.0","id":1,"method":"publish","params":{"dry_run":true}}',
    b'{"jsonrpc":"2.0","id":1,"method":"token.create","params":{"method":["status"],"dry_run":true}}',
    b'{"jsonrpc":"2.0","id":1,"method":"auth","params":{"token":"nonos1.AUF9IfKYWsS5AQAOc3RhdHVz"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"token.revoke","params":{"id":"0000000000000000","dry_run":true}}',
]


def mutate(rng, line):
    data = bytearray(line)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(8)))
        elif kind == 1:
            del data[at:at + rng.randrange(1, 9)]
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            data[at:at] = rng.choice([b"[" * 20, b'"' * 3, b"\\ud800", b"\0", b"\n", b"\r\n", b"1e999", b"-", b"null"])
        elif kind == 4:
            data[at:at] = rng.choice(SEEDS)
        else:
            data[at:at] = b"x" * rng.choice([100, 70000])
    return bytes(data)


def throw(daemon, seed, until, failures):
    """Lines of all kinds, on connections that end in all ways."""
    rng = random.Random(seed)
    try:
        while time.time() < until:
            with daemon.client(timeout=5) as c:
                for _ in range(rng.randrange(1, 60)):
                    c.sock.sendall(mutate(rng, rng.choice(SEEDS)) + (b"\n" if rng.random() < 0.9 else b""))
                    if rng.random() < 0.2:
                        c.sock.recv(65536)
                if rng.random() < 0.5:
                    c.sock.shutdown(socket.SHUT_WR)
                    while c.sock.recv(65536):
                        pass
    except (ConnectionError, socket.timeout):
        if time.time() < until:
            throw(daemon, seed + 1000, until, failures)
    except OSError as exc:
        failures.append(repr(exc))


@pytest.mark.hostile
def test_random_lines(make_daemon):
    """The daemon takes whatever comes, and another client goes on working."""
    daemon = make_daemon()
    pid, until, failures = daemon.process.pid, time.time() + 8, []
    threads = [threading.Thread(target=throw, args=(daemon, seed, until, failures)) for seed in range(4)]
    for t in threads:
        t.start()
    calls = 0
    while time.time() < until:
        with daemon.client() as c:
            assert c.call("status")["pid"] == pid
            calls += 1
    for t in threads:
        t.join()
    assert not failures and calls > 5, (failures, calls)
    with daemon.client() as c:
        status = c.call("status")
        assert status["pid"] == pid and status["workers"][0]["restarts"] == 0
        assert c.call("token.list") == {"tokens": []}


def test_replies_are_lines(daemon):
    """Every line gets one line, of a request with an id that id."""
    rng = random.Random(5)
    with daemon.client() as c:
        for i in range(300):
            line = mutate(rng, rng.choice(SEEDS[:2])).replace(b"\n", b"")
            if len(line) > 65000:       # those end the connection
                continue
            c.sock.sendall(line + b"\n")
            c.send("version", wanted="mark%d" % i)
            while True:
                reply = c.read()
                replies = reply if isinstance(reply, list) else [reply]
                assert all(r.get("jsonrpc") == "2.0" for r in replies)
                if replies[0].get("id") == "mark%d" % i:
                    break


# -- events --------------------------------------------------------------------------

def test_events(daemon):
    with daemon.client() as c, daemon.client() as worker:
        assert c.call("events", topics=["worker", "key.*", "config.reload"])["topics"] == ["worker", "key.*", "config.reload"]
        old = proc_children(daemon.process.pid)[0]
        os.kill(old, signal.SIGKILL)
        ended, started, ready = [c.read()["params"] for _ in range(3)]
        for event in ended, started, ready:
            assert set(event["data"]) == control_docs.events()[event["topic"]]
        assert (ended["topic"], ended["data"]["pid"], ended["data"]["signal"]) == ("worker.ended", old, 9)
        assert (started["topic"], ready["topic"]) == ("worker.started", "worker.ready")
        assert started["data"]["pid"] == ready["data"]["pid"] != old
        rotated = worker.call("onion.rotate")["next_rotation"]
        assert c.read()["params"]["data"] == {"rotates": rotated}
        worker.call("reload")
        assert c.read()["params"]["data"] == {"changes": []}
        assert c.call("events", topics=[])["topics"] == []
        worker.call("reload")
        assert c.call("version")


def test_events_in_a_terminal(daemon):
    lines = [json.loads(line) for line in daemon.ctl("events", "links", "bandwidth", "--count", "4", "--json").splitlines()]
    assert {e["topic"] for e in lines} == {"links", "bandwidth"}
    assert all(set(e) == {"topic", "time", "data"} and set(e["data"]) == control_docs.events()[e["topic"]] for e in lines)
    text = daemon.ctl("events", "circuits", "--for", "2")
    assert text.count(" UTC  circuits circuits=0 made=0 ") in (1, 2, 3), text
    run = subprocess.Popen([nonos_tool("nonosctl"), "-s", daemon.socket, "events"], stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline()
    run.send_signal(signal.SIGINT)
    assert run.wait(10 * SLOW) == 0
    assert "lower-case" in daemon.ctl("events", "No Such", status=1)
    assert "--json" in daemon.ctl("events", "--format", "csv", status=2)


def test_events_end_with_the_daemon(make_daemon):
    daemon = make_daemon()
    run = subprocess.Popen([nonos_tool("nonosctl"), "-s", daemon.socket, "events", "state", "--json"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)       # it subscribes meanwhile
    daemon.process.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=20 * SLOW)
    assert [json.loads(line)["data"]["state"] for line in out.splitlines()] == ["draining", "stopping"]
    assert run.returncode == 4 and "closed the connection" in err


# -- what the manual says ----------------------------------------------------------------

ACCOUNT = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"      # of the key 1


def check_answer(client, documented, method, **params):
    wrong = control_docs.differences(documented[method], client.call(method, **params))
    assert not wrong, (method, wrong)


def test_answers_are_documented(make_daemon):
    """nonos-control(7) has the members of each answer, and no others."""
    documented = control_docs.documented()
    assert all(documented.values()), [m for m, rows in documented.items() if not rows]
    daemon = make_daemon("control_socket_mode = 0600")
    made = json.loads(daemon.ctl("token", "create", "--method", "*", "--rate", "9", "--valid-for", "9", "--argument", "a=b", "--json"))
    assert not control_docs.differences(documented["token.create"], made)
    with daemon.client() as c:
        for method in ("status", "counters", "metrics", "version", "config.show", "token.list", "key.unlocked"):
            check_answer(c, documented, method)
        for method in ("onion.rotate", "reload", "stop", "key.lock"):
            check_answer(c, documented, method, dry_run=True)
        check_answer(c, documented, "log.level", level="info")
        check_answer(c, documented, "events", topics=["worker"])
        check_answer(c, documented, "events")
        check_answer(c, documented, "token.revoke", id=made["id"])


def test_answers_of_the_ledger_are_documented(make_daemon, tmp_path):
    documented = control_docs.documented()
    genesis, key = str(tmp_path / "genesis.json"), str(tmp_path / "writer.key")
    subprocess.run([nonos_tool("nonosctl"), "genesis", "new", genesis, "--name", "test", "--holder", ACCOUNT, "--key", key,
                    "--origin", "example.org/j", "--epoch-seconds", "60", "--unbonding-seconds", "5"],
                   check=True, stdout=subprocess.DEVNULL)
    daemon = make_daemon("[ledger]\ngenesis = %s\njournal_key = %s\noperator = %s" % (genesis, key, ACCOUNT))
    with daemon.client() as c:
        for method in ("status", "ledger.head", "ledger.fork", "ledger.balance", "ledger.history", "ledger.supply", "stake.status",
                       "stake.tiers", "rewards.history", "rewards.pending", "rewards.claims"):
            check_answer(c, documented, method)
        check_answer(c, documented, "relay.binding", operator=ACCOUNT)
        fields = json.dumps({"from": ACCOUNT, "to": "0x" + 39 * "0" + "5", "amount": "1000"})
        check_answer(c, documented, "ledger.template", type="Transfer", fields=fields)
        made = c.call("ledger.template", type="Transfer", fields=fields)["object"]
        write_token(tmp_path / "one", "0" * 63 + "1")
        write_token(tmp_path / "made", json.dumps(made))
        signed = json.loads(daemon.ctl("typed", "sign", str(tmp_path / "made"), "--key-file", str(tmp_path / "one"), "--json"))
        made["signatures"] = [signed["signature"]]
        with daemon.client() as watcher:
            watcher.call("events", topics=["ledger"])
            check_answer(c, documented, "ledger.append", object=json.dumps(made), dry_run=True)
            check_answer(c, documented, "ledger.append", object=json.dumps(made))
            event = watcher.read()["params"]
            assert event["topic"] == "ledger.head" and set(event["data"]) == control_docs.events()["ledger.head"]
            assert event["data"]["height"] == c.call("ledger.head")["height"]
        check_answer(c, documented, "ledger.history")


def test_status_in_a_network_is_documented(lab):
    for name in lab.ours():
        assert not control_docs.differences(control_docs.documented()["status"], lab.status(name))


# -- rights ----------------------------------------------------------------------------

def write_token(path, text):
    with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(text)
    return str(path)


def test_tokens(daemon, tmp_path):
    token = daemon.ctl("token", "create", "--method", "status", "--method", "relo*", "--valid-for", "1 hour", "--name", "t")
    path = write_token(tmp_path / "t", token)
    assert "does not allow version" in daemon.ctl("version", "--token", path, status=1)
    assert "dry_run no" in daemon.ctl("reload", "--token", path)
    # Weaker ones, made without the daemon.
    weak = daemon.ctl("token", "restrict", "--token", path, "--argument", "dry_run=true", "--method", "*").strip()
    assert "dry_run yes" in daemon.ctl("reload", "--dry-run", NONOS_TOKEN=weak)
    assert "only with dry_run=true" in daemon.ctl("reload", NONOS_TOKEN=weak, status=1)
    assert "does not allow publish" in daemon.ctl("publish", "--dry-run", "--token", "@MINE", MINE=weak, status=1)
    slow = daemon.ctl("token", "create", "--rate", "2", "--method", "status").strip()
    for _ in range(2):
        daemon.ctl("status", NONOS_TOKEN=slow)
    assert "2 calls a minute" in daemon.ctl("status", NONOS_TOKEN=slow, status=1)
    brief = daemon.ctl("token", "restrict", "--valid-for", "1", "--token", path).strip()
    time.sleep(1.2)
    assert "expired" in daemon.ctl("status", NONOS_TOKEN=brief, status=1)
    # Nobody but the owner makes, lists or revokes them.
    assert "not with a token" in daemon.ctl("token", "list", "--token", path, status=1)
    row = [t for t in json.loads(daemon.ctl("token", "list", "--json"))["tokens"] if t["name"] == "t"][0]
    assert row["limits"][0] == {"methods": "status relo*"} and row["calls"] >= 2
    assert token.strip() not in daemon.ctl("token", "list", "--json")
    daemon.ctl("token", "revoke", row["id"])
    assert "revoked" in daemon.ctl("status", NONOS_TOKEN=weak, status=1)


def test_bad_tokens(daemon, tmp_path):
    token = daemon.ctl("token", "create", "--method", "status").strip()
    forged = token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")
    assert "did not make" in daemon.ctl("status", NONOS_TOKEN=forged, status=1)
    assert "did not make" in daemon.ctl("status", NONOS_TOKEN="nonsense", status=1)
    path = write_token(tmp_path / "t", token)
    os.chmod(path, 0o644)
    assert "chmod 600" in daemon.ctl("status", "--token", path, status=1)
    assert "No such file" in daemon.ctl("status", "--token", path + "x", status=1)
    assert "has no token" in daemon.ctl("status", "--token", "@NOWHERE", status=2)
    assert "begins with" in daemon.ctl("token", "show", NONOS_TOKEN="x", status=1)
    with daemon.client() as c:
        with pytest.raises(PermissionError, match="did not make"):
            c.call("auth", token=forged)
        assert c.call("version")


def test_tokens_outlive_the_daemon(make_daemon):
    daemon = make_daemon()
    token, gone = [daemon.ctl("token", "create", "--method", "status").strip() for _ in range(2)]
    daemon.ctl("token", "revoke", json.loads(daemon.ctl("token", "list", "--json"))["tokens"][1]["id"])
    for name in ("control_token_key", "control_tokens.json"):
        assert stat.S_IMODE(os.stat(os.path.join(daemon.base, "data", name)).st_mode) == 0o600
    daemon.stop()
    daemon.start()
    assert daemon.ctl("status", NONOS_TOKEN=token)
    assert "revoked" in daemon.ctl("status", NONOS_TOKEN=gone, status=1)


def test_revoked_in_the_middle(daemon):
    """A subscription by token ends with the token."""
    made = json.loads(daemon.ctl("token", "create", "--method", "events", "--json"))
    with daemon.client() as c:
        c.call("auth", token=made["token"])
        c.call("events", topics=["links"])
        assert c.read()["params"]["topic"] == "links"
        daemon.ctl("token", "revoke", made["id"])
        c.sock.settimeout(2.5)
        with pytest.raises(TimeoutError):
            for _ in range(3):
                c.read()


@AS_ROOT
def test_other_users(daemon, make_daemon):
    """Others may look; a token lets them do more. A group of its own may come in."""
    assert "version" in daemon.ctl("version", uid=NOBODY)
    assert "needs root" in daemon.ctl("reload", uid=NOBODY, status=1)
    assert "needs root" in daemon.ctl("token", "list", uid=NOBODY, status=1)
    assert "needs root" in daemon.ctl("key", "unlocked", uid=NOBODY, status=1)
    token = daemon.ctl("token", "create", "--method", "reload").strip()
    assert "dry_run no" in daemon.ctl("reload", uid=NOBODY, NONOS_TOKEN=token)
    closed = make_daemon("control_socket_group = daemon")
    gid = os.stat(closed.socket).st_gid
    assert gid == 1 and stat.S_IMODE(os.stat(closed.socket).st_mode) == 0o660
    assert "cannot connect" in closed.ctl("version", uid=NOBODY, status=3)
    assert "version" in closed.ctl("version", uid=NOBODY, gid=gid)
    assert "needs root" in closed.ctl("reload", uid=NOBODY, gid=gid, status=1)
    token = closed.ctl("token", "create", "--method", "reload").strip()
    assert "dry_run no" in closed.ctl("reload", uid=NOBODY, gid=gid, NONOS_TOKEN=token)
