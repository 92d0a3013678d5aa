"""What every part of the lab needs: errors, /proc, free ports, small HTTP requests."""

import base64
import contextlib
import http.client
import os
import random
import shutil
import socket
import subprocess
import sys
import time

HOST = "127.0.0.1"
CLK_TCK = os.sysconf("SC_CLK_TCK")


class TornetError(RuntimeError):
    """Anything that went wrong and that the caller should read."""


def log(*words):
    """Progress goes to stderr, results (JSON) go to stdout."""
    if not os.environ.get("TORNET_QUIET"):
        print("[tornet]", *words, file=sys.stderr, flush=True)


def find_tool(name):
    """Path of tor, tor-gencert, anon or anon-gencert: $TOR, $TOR_GENCERT, $ANON, … or PATH."""
    path = os.environ.get(name.upper().replace("-", "_"))
    if path:
        return path
    search = os.environ.get("PATH", "") + ":" + ":".join(
        "/" + p for p in ("usr/sbin", "usr/bin", "sbin", "bin"))
    found = shutil.which(name, path=search)
    if not found:
        hint = ("set $ANON and $ANON_GENCERT" if name.startswith("anon")
                else "install Debian's `tor` package")
        raise TornetError("%s not found: %s" % (name, hint))
    return found


def tool_version(name="tor"):
    run = subprocess.run([find_tool(name), "--version"], capture_output=True, text=True, timeout=20)
    return run.stdout.splitlines()[0] if run.stdout else "?"


def proc_start_ticks(pid):
    """Start time of a process; None if it is gone (or a zombie)."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            rest = f.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if rest[0] in "ZX" else int(rest[19])


def proc_children(pid):
    """Pids of the living children of a process."""
    out = []
    with contextlib.suppress(OSError):
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as f:
                out += [int(word) for word in f.read().split()]
    return [child for child in out if proc_start_ticks(child) is not None]


def proc_tree(pid):
    """A process and its children: for our daemon, the keeper and its workers."""
    return [pid] + proc_children(pid)


def proc_cpu(pid):
    """(user+system CPU seconds) of a process, all threads included."""
    with open("/proc/%d/stat" % pid) as f:
        rest = f.read().rsplit(")", 1)[1].split()
    return (int(rest[11]) + int(rest[12])) / CLK_TCK


def proc_rss(pid):
    """{'rss_kib':…, 'anon_kib':…} of a process."""
    out = {}
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                out["rss_kib"] = int(line.split()[1])
            elif line.startswith("RssAnon:"):
                out["anon_kib"] = int(line.split()[1])
    return out


def listening_sockets(pid):
    """Local addresses on which `pid` listens (TCP, v4 and v6)."""
    inodes = set()
    with contextlib.suppress(OSError):
        for fd in os.listdir("/proc/%d/fd" % pid):
            with contextlib.suppress(OSError):
                link = os.readlink("/proc/%d/fd/%s" % (pid, fd))
                if link.startswith("socket:["):
                    inodes.add(link[8:-1])
    found = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open("/proc/net/" + name) as f:
            for line in f.readlines()[1:]:
                col = line.split()
                if col[3] == "0A" and col[9] in inodes:
                    addr, port = col[1].split(":")
                    if name == "tcp":
                        addr = socket.inet_ntoa(bytes.fromhex(addr)[::-1])
                    found.append("%s:%d" % (addr, int(port, 16)))
    return found


def port_block_free(base, count):
    for port in range(base, base + count):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((HOST, port))
            except OSError:
                return False
    return True


def pick_port_block(count):
    """A free block below the kernel's ephemeral range."""
    rng = random.SystemRandom()
    for _ in range(200):
        base = rng.randrange(10000, 30000 - count, 20)
        if port_block_free(base, count):
            return base
    raise TornetError("no free block of %d ports" % count)


def wait_port(port, deadline):
    while time.time() < deadline:
        with socket.socket() as s:
            s.settimeout(1)
            if s.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.005)
    raise TornetError("nothing listens on port %d" % port)


def http_request(port, method, path, body=None, timeout=15):
    """(status, reason, body) of one HTTP request to 127.0.0.1:port."""
    conn = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        conn.request(method, path, body=body)
        reply = conn.getresponse()
        return reply.status, reply.reason, reply.read()
    finally:
        conn.close()


def b64pad(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))
