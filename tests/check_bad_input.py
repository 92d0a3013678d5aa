"""Every command with bad input: each argument of each row of commands.def wrong in turn, on the command line and in the
protocol. Each gets an error that names what is wrong, and the daemon goes on."""
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

if os.environ.get("NONOS_SHORT"):
    sys.exit(77)  # takes half a minute, and has been run elsewhere

CTL = os.path.abspath(os.environ.get("NONOSCTL", "./nonosctl"))
DAEMON = os.path.abspath(os.environ.get("NONOSD", "./nonosd"))
TOP = os.environ.get("TOP_SRCDIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
COMMAND = re.compile(r'COMMAND\((\w+), "([\w.-]+)", (\w+), ([\w |]+),\s*"([^"]*)"\)')
ARG = re.compile(r'ARG\((\w+), "(\w+)", (\w+), (-?\w+), (\w+), ([\w |]+), "([^"]*)",\s*"([^"]*)"\)')
problems, tried = [], 0

# What is good for each kind, so that one argument alone is wrong. FILEs are never there.
GOOD = {"TEXT": "abc", "FILE": "/nonexistent/file", "DIR": "/nonexistent/dir", "ADDRESS": "0x" + "11" * 20, "TOKENS": "1.5",
        "HEX": None, "INTEGER": None, "CHOICE": None}


def table():
    with open(os.path.join(TOP, "include", "nonos", "commands.def"), encoding="utf-8") as f:
        text = f.read().split("*/", 1)[1]
    args = ARG.findall(text)
    return [(words, where, flags, [a for a in args if a[0] == name]) for name, words, where, flags, _ in COMMAND.findall(text)]


def number(text):
    return int(text, 0) if re.match(r"^-?(0x)?[0-9a-fA-F]+$", text) else None


def good_value(kind, low, high, placeholder):
    if kind in ("INTEGER", "DURATION"):
        return str(number(low) if number(low) is not None else 1)
    if kind == "CHOICE":
        return placeholder.split("|")[0]
    if kind == "HEX":
        return "00" * max(number(low) or 0, 1)
    text = GOOD.get(kind, "abc")
    least = number(low) or 0
    return text + "a" * max(0, least - len(text)) if kind == "TEXT" else text


def bad_values(kind, low, high):
    least, most = number(low), number(high)
    if kind == "INTEGER":
        values = ["x", "", "1.5", "1e3", "99999999999999999999"]
        return values + ([str(most + 1)] if most is not None else []) + ([str(least - 1)] if least is not None else [])
    if kind == "TEXT":
        return ["\x1b[2J"] + (["a" * (most + 1)] if most is not None and most < 100000 else []) + ([""] if least else [])
    return {"ADDRESS": ["0x12", "x", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", ""], "TOKENS": ["-1", "1e3", "x", "1.0000000000000000001"],
            "HEX": ["zz", "0", "00" * ((most or 100000) + 1)], "CHOICE": ["", "nothing-like-that"],
            "DURATION": ["x", "1 parsec", "-1", "", "99999999999999999999"]}.get(kind, [])


def spell(words, args, wrong=None, value=None, leave_out=None):
    line = words.split(".")
    places = [a[1] for a in args if "ARG_POSITIONAL" in a[5]]
    for arg in args:
        _, name, kind, low, high, flags, placeholder, _ = arg
        before = "ARG_POSITIONAL" in flags and wrong in places and places.index(name) < places.index(wrong)
        if name == leave_out or (name != wrong and "ARG_REQUIRED" not in flags and not before):
            continue
        text = value if name == wrong else good_value(kind, low, high, placeholder)
        if "ARG_POSITIONAL" in flags:
            line.append(text)
        elif kind != "FLAG":
            line += ["--" + name.replace("_", "-") + "=" + text]
    return line


def usage(what, line):
    """Wrong usage: exit status 2, one line on standard error without control characters, nothing else."""
    global tried
    tried += 1
    env = dict(os.environ, NONOS_SOCKET="/nonexistent/control.sock", HOME="/nonexistent")
    r = subprocess.run([CTL, *line], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=env)
    if r.returncode != 2 or r.stdout or not re.fullmatch(r"nonosctl: [\x20-\x7e]+\n", r.stderr):
        problems.append(f"{what}: nonosctl {' '.join(map(repr, line))} gave {r.returncode}, {r.stdout!r}, {r.stderr!r}")


def check_words():
    for words, _, flags, args in table():
        usage(f"{words}: an unknown option", spell(words, args) + ["--no-such-option"])
        if not any("ARG_REPEAT" in a[5] and "ARG_POSITIONAL" in a[5] for a in args):
            line = spell(words, [a for a in args if "ARG_POSITIONAL" in a[5]])
            line += [good_value(*a[2:5], a[6]) for a in args if "ARG_POSITIONAL" in a[5] and "ARG_REQUIRED" not in a[5]]
            usage(f"{words}: a word too many", line + ["one-too-many"])
        if "CMD_CHANGES" not in flags:
            usage(f"{words}: a dry run of what changes nothing", spell(words, args) + ["--dry-run"])
        for arg in args:
            _, name, kind, low, high, arg_flags, _, _ = arg
            if "ARG_REQUIRED" in arg_flags:
                usage(f"{words}: without {name}", spell(words, args, leave_out=name))
            for value in bad_values(kind, low, high):
                if not ("ARG_POSITIONAL" in arg_flags and (value.startswith("-") or not value)):
                    usage(f"{words}: {name}", spell(words, args, name, value))


WRONG_JSON = {"INTEGER": [None, "1", 1.5, [], {}, True], "DURATION": [None, "x", 1.5, [], {}, True, -1],
              "FLAG": [None, 1, "true", []]}


class Daemon:
    def __init__(self, folder):
        self.sock = f"{folder}/sock"
        subprocess.run([CTL, "init", "--nickname", "bad", "--network", "test", "--listen", "127.0.0.1", "--or-port",
                        str(20000 + os.getpid() % 20000), "--config", f"{folder}/conf", "--data-dir", f"{folder}/data",
                        "--control-socket", self.sock], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        self.log = open(f"{folder}/log", "w+", encoding="utf-8")
        self.process = subprocess.Popen([DAEMON, "-c", f"{folder}/conf"], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                self.s = socket.socket(socket.AF_UNIX)
                self.s.connect(self.sock)
                self.s.settimeout(60)
                self.f = self.s.makefile("rw", encoding="utf-8")
                return
            time.sleep(0.1)

    def call(self, method, params):
        global tried
        tried += 1
        self.f.write(json.dumps({"jsonrpc": "2.0", "id": tried, "method": method, "params": params}) + "\n")
        self.f.flush()
        while True:
            reply = json.loads(self.f.readline())
            if reply.get("id") == tried:
                return reply

    def end(self):
        self.process.terminate()
        if self.process.wait(60) != 0:
            self.log.seek(0)
            problems.append(f"the daemon ended with {self.process.returncode}: {self.log.read()[-2000:]}")


def refuse(daemon, what, method, params):
    reply = daemon.call(method, params)
    if reply.get("error", {}).get("code") != -32602 or not reply["error"].get("message"):
        problems.append(f"{what}: {method} {params!r} gave {reply!r}")


def check_protocol(daemon):
    for words, where, _, args in table():
        if where != "DAEMON":
            if daemon.call(words, {})["error"]["code"] != -32601:
                problems.append(f"{words} is no method, but was answered")
            continue
        good = {}
        for _, name, kind, low, high, flags, placeholder, _ in args:
            if "ARG_REQUIRED" in flags:
                value = good_value(kind, low, high, placeholder)
                value = int(value) if kind in ("INTEGER", "DURATION") else True if kind == "FLAG" else value
                good[name] = [value] if "ARG_REPEAT" in flags else value
        refuse(daemon, f"{words}: an unknown parameter", words, {**good, "no_such": 1})
        refuse(daemon, f"{words}: a list", words, [1])
        for _, name, kind, low, high, flags, placeholder, _ in args:
            if "ARG_REQUIRED" in flags:
                refuse(daemon, f"{words}: without {name}", words, {k: v for k, v in good.items() if k != name})
            wrong = list(WRONG_JSON.get(kind, [None, 1, 1.5, {}, True, [], "a\u0001b"]))
            if kind in ("INTEGER", "DURATION"):
                wrong += [number(high) + 1] if number(high) is not None else []
            else:
                wrong += bad_values(kind, low, high)
            for value in wrong:
                if "ARG_REPEAT" in flags and value == []:
                    continue
                text = isinstance(value, str) and kind in ("FILE", "DIR")
                if not text:
                    refuse(daemon, f"{words}: {name}", words, {**good, name: [value] if "ARG_REPEAT" in flags else value})


check_words()
with tempfile.TemporaryDirectory() as temporary:
    d = Daemon(temporary)
    check_protocol(d)
    if "result" not in d.call("version", {}):
        problems.append("the daemon does not answer any more")
    d.end()
for problem in problems[:50]:
    print(problem)
print(f"{tried} calls, {len(problems)} problems")
sys.exit(1 if problems else 0)
