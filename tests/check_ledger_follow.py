"""One node follows the journal of another: it mirrors, hands objects over, and catches a writer with two histories."""
import contextlib
import http.server
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from ctl_lab import CTL, DAEMON, expect, finish, free_port, problems, skip_if_short

skip_if_short()
SECRET = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"  # a public development key
HOLDER = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
OTHER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def ctl(*args, sock="/nonexistent", stdin=None, good=True):
    r = subprocess.run([CTL, "-s", sock, *args], input=stdin, capture_output=True, text=True, timeout=60)
    if good and r.returncode != 0:
        problems.append(f"nonosctl {args}: {r.stderr}")
    return r


class Node:
    def __init__(self, folder, name, ledger):
        self.home, self.name = f"{folder}/{name}", name
        self.sock, self.process = f"{self.home}/sock", None
        os.mkdir(self.home)
        with open(f"{self.home}/conf", "w", encoding="utf-8") as f:
            f.write(f"[node]\ndata_dir = {self.home}/data\ncontrol_socket = {self.sock}\nworkers = 1\nmetrics = no\n"
                    f"[relay]\nnickname = {name}\nor_listen = 127.0.0.1:{free_port()}\n"
                    f"[directory]\nnetwork = test\npublish = no\n[ledger]\ngenesis = {folder}/genesis.json\n{ledger}\n")

    def start(self):
        with open(f"{self.home}/log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([DAEMON, "-c", f"{self.home}/conf"], stdout=log, stderr=log)
        self.wait("an open ledger", lambda: ctl("ledger", "head", sock=self.sock, good=False).returncode == 0)

    def stop(self):
        if self.process:
            self.process.terminate()
            expect(f"the end of {self.name}", self.process.wait(60), 0)
            self.process = None

    def wait(self, what, condition, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.1)
        problems.append(f"{self.name}: {what} did not come; {json.dumps(self.ledger())}")

    def call(self, method, **params):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as s, s.makefile("rw") as f:
            s.connect(self.sock)
            s.settimeout(60)
            f.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
            f.flush()
            return json.loads(f.readline())

    def ledger(self):
        with contextlib.suppress(OSError, ValueError, KeyError):
            return self.call("status")["result"]["ledger"]
        return {}

    def height(self):
        return self.ledger().get("height")

    def follow(self):
        return self.ledger().get("follow") or {}

    def transfer(self, key, amount):
        """A signed Transfer as text."""
        doc = self.call("ledger.template", type="Transfer",
                        fields=json.dumps({"from": HOLDER, "to": OTHER, "amount": str(amount)}))["result"]
        doc = doc.get("object", doc)
        signed = json.loads(ctl("typed", "sign", "-", "--key-file", key, "--json", stdin=json.dumps(doc)).stdout)
        return json.dumps({"primaryType": "Transfer", "message": doc["message"], "signatures": [signed["signature"]]})

    def append(self, key, amount):
        return self.call("ledger.append", object=self.transfer(key, amount))


def copy_ledger(node, target):
    os.makedirs(target, exist_ok=True)
    for name in os.listdir(f"{node.home}/data"):
        if name.startswith("ledger.db"):
            shutil.copy(f"{node.home}/data/{name}", f"{target}/{name}")


def restore_ledger(node, source):
    for name in os.listdir(f"{node.home}/data"):
        if name.startswith("ledger.db"):
            os.unlink(f"{node.home}/data/{name}")
    copy = os.listdir(source)
    for name in copy:
        shutil.copy(f"{source}/{name}", f"{node.home}/data/{name}")


def check_mirror(writer, follower, key):
    """Past the end of a tile, with the follower started late, and an object handed over by it."""
    for i in range(260):
        writer.append(key, 1 + i)
    follower.start()
    follower.wait("all entries", lambda: follower.height() == writer.height() == 260)
    for node in (writer, follower):
        code = ctl("ledger", "verify", "--db", f"{node.home}/data/ledger.db").returncode
        expect(f"ledger verify of {node.name}", code, 0)
    head = [node.call("ledger.head")["result"] for node in (writer, follower)]
    expect("one root", head[0]["root"], head[1]["root"])
    expect("one checkpoint", head[0]["checkpoint"], head[1]["checkpoint"])
    expect("roles", [h["role"] for h in head], ["writer", "follower"])
    handed = follower.append(key, 5)
    expect("what was handed over", handed.get("result", handed).get("index"), 260)
    follower.wait("what it handed over", lambda: follower.height() == 261)
    again = follower.call("ledger.append", object=json.dumps({"primaryType": "Transfer"}))
    expect("a malformed object", "malformed" in again.get("error", {}).get("message", ""), True)


def check_restart(writer, follower, key):
    """What the follower has survives it; what came meanwhile is fetched."""
    follower.stop()
    for i in range(3):
        writer.append(key, 7)
    follower.start()
    follower.wait("what came meanwhile", lambda: follower.height() == writer.height())


class Liar(http.server.BaseHTTPRequestHandler):
    """In the place of the writer: passes on what it serves, changed by `lie`."""

    lie = origin = None

    def do_GET(self):
        import urllib.error
        import urllib.request
        try:
            with urllib.request.urlopen(self.origin + self.path, timeout=20) as r:
                status, body = 200, r.read()
        except urllib.error.HTTPError as e:
            status, body = e.code, e.read()
        status, body = self.lie(self.path, status, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *args):
        pass


def change_entry(body):
    """The first entry of a bundle with another amount in it."""
    (n,) = struct.unpack(">H", body[:2])
    entry = body[2:2 + n].replace(b'"amount":"1"', b'"amount":"2"').replace(b'"amount":"7"', b'"amount":"8"')
    return struct.pack(">H", len(entry)) + entry + body[2 + n:]


LIES = {
    "not signed": ("/checkpoint", lambda s, b: (s, b"nonos\n5\nAAAA\n\nnothing\n"), "not signed"),
    "not a note": ("/checkpoint", lambda s, b: (s, bytes(range(256)) * 20), "not signed"),
    "endless": ("/checkpoint", lambda s, b: (s, b"x" * 1000000), "checkpoint"),
    "empty": ("/checkpoint", lambda s, b: (s, b""), "not signed"),
    "gone": ("/tile/entries", lambda s, b: (404, b""), "404"),
    "cut": ("/tile/entries", lambda s, b: (s, b[:-5]), "malformed"),
    "junk": ("/tile/entries", lambda s, b: (s, os.urandom(3000)), "malformed"),
    "too many": ("/tile/entries", lambda s, b: (s, b + b[:2 + struct.unpack(">H", b[:2])[0]]), "malformed"),
    "no JSON": ("/tile/entries", lambda s, b: (s, struct.pack(">H", 3) + b"abc" + b[2 + struct.unpack(">H", b[:2])[0]:]), "otherwise"),
    "changed": ("/tile/entries", lambda s, b: (s, change_entry(b)), "otherwise"),
}


def lie_evidence(path, status, body):
    """The first entry closes an epoch, and its evidence has a zero byte near its front."""
    if path.startswith("/evidence/"):
        return 200, b"{\0" + b" " * 4000000 + b"}"
    if path.startswith("/tile/entries"):
        entry = b'{"primaryType":"EpochRoot","time":1}'
        return status, struct.pack(">H", len(entry)) + entry + body[2 + struct.unpack(">H", body[:2])[0]:]
    return status, body


def post(url, body):
    """Status and answer of a POST of /rpc."""
    import urllib.error
    import urllib.request
    try:
        with urllib.request.urlopen(urllib.request.Request(url + "/rpc", data=body.encode()), timeout=20) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def check_rpc(url):
    """One call a request, and no others than those for strangers."""
    call = '{"jsonrpc": "2.0", "id": 1, "method": "%s", "params": {"object": "{}"}}'
    status, answer = post(url, call % "ledger.append")
    expect("a call over HTTP", (status, "refused" in answer), (200, True))
    status, answer = post(url, call % "status")
    expect("another method over HTTP", (status, "no such method" in answer), (200, True))
    expect("a batch over HTTP", post(url, f"\n [{call % 'ledger.append'}]")[0], 400)


def check_lies(folder, writer, url, key):
    """Each lie is named; nothing of it stays; the truth is taken afterwards."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Liar.origin = url
    node = Node(folder, "doubter", f"follow = http://127.0.0.1:{server.server_port}\nfollow_interval = 1 s")
    for name, (path, lie, words) in LIES.items():
        Liar.lie = lambda self, p, s, b, path=path, lie=lie: lie(s, b) if p.startswith(path) else (s, b)
        node.start()
        node.wait(f"the lie {name!r}", lambda: words in (node.follow().get("problem") or ""))
        expect(f"height after the lie {name!r}", node.height(), 0)
        expect(f"forked by the lie {name!r}", node.follow().get("forked"), False)
        node.stop()
    Liar.lie = lambda self, p, s, b: lie_evidence(p, s, b)
    node.start()
    node.wait("evidence with a zero byte", lambda: "otherwise" in (node.follow().get("problem") or ""))
    expect("height after evidence with a zero byte", node.height(), 0)
    node.stop()
    Liar.lie = lambda self, p, s, b: (s, b)
    node.start()
    node.wait("the truth", lambda: node.height() == writer.height())
    node.stop()
    server.shutdown()


def check_forks(writer, follower, saved, key):
    """A writer whose old state comes back writes another history. The follower knows better."""
    for longer in (False, True):
        follower.stop()
        writer.stop()
        kept = f"{saved}-follower-{longer}"
        copy_ledger(follower, kept)
        ahead = f"{saved}-writer-{longer}"
        copy_ledger(writer, ahead)
        restore_ledger(writer, saved)
        writer.start()
        follower.start()
        follower.wait("a writer that is behind", lambda: "behind" in (follower.follow().get("problem") or ""))
        expect("behind is no fork", follower.follow().get("forked"), False)
        height = follower.height()
        while writer.height() < height + 4 * longer:
            writer.append(key, 1000)
        follower.wait("two histories", lambda: follower.follow().get("forked"), seconds=120)
        shown = follower.call("ledger.fork")["result"]
        sizes = [int(shown[side].split("\n")[1]) for side in ("ours", "theirs")]
        expect("the sizes of both", sizes, [height, height + 4 * longer])
        expect("the roots of both differ", shown["ours"].split("\n")[2] != shown["theirs"].split("\n")[2], True)
        expect("what the follower keeps", follower.height(), height)
        expect("attention", any("two histories" in a["what"] for a in follower.call("status")["result"]["attention"]), True)
        follower.stop()
        follower.start()
        follower.wait("the fork after a restart", lambda: follower.follow().get("forked"))
        follower.stop()
        os.unlink(shown["file"])
        writer.stop()
        restore_ledger(writer, ahead)
        restore_ledger(follower, kept)
        writer.start()
        follower.start()


def run(folder):
    key, port = f"{folder}/holder.key", free_port()
    with open(key, "w", encoding="ascii", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write(SECRET + "\n")
    ctl("genesis", "new", f"{folder}/genesis.json", "--name", "follow.test", "--holder", HOLDER, "--key", f"{folder}/journal.key")
    url = f"http://127.0.0.1:{port}"
    writer = Node(folder, "writer", f"journal_key = {folder}/journal.key\njournal_listen = 127.0.0.1:{port}")
    follower = Node(folder, "follower", f"follow = {url}/\nfollow_interval = 1 s")
    try:
        writer.start()
        if problems:
            return
        check_mirror(writer, follower, key)
        check_rpc(url)
        copy_ledger(writer, f"{folder}/saved")
        check_restart(writer, follower, key)
        check_lies(folder, writer, url, key)
        check_forks(writer, follower, f"{folder}/saved", key)
    finally:
        for node in (writer, follower):
            if node.process:
                node.process.terminate()
                node.process.wait(60)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="nonos-follow-") as temporary:
        run(temporary)
    finish()
