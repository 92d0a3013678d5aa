"""init and the config commands, run on files: what they write, what they refuse, what they leave alone."""
import json
import os
import pty
import subprocess
import tempfile
import time

from ctl_lab import CTL, DAEMON, ctl, expect, finish, problems, read, refuse, write


def places(folder):
    return ["--config", f"{folder}/nonosd.conf", "--data-dir", f"{folder}/data", "--control-socket", f"{folder}/sock"]


def check_init(folder):
    conf = f"{folder}/nonosd.conf"
    refuse("init without a name", 2, "--nickname is missing", "init", *places(folder))
    refuse("init with a bad name", 2, "letters and digits", "init", "--nickname", "a-b", *places(folder))
    refuse("init with a bad rate", 2, "a unit", "init", "--nickname", "ab", "--rate", "fast", *places(folder))
    refuse("init with a bad port", 2, "from 1 to 65535", "init", "--nickname", "ab", "--or-port", "0", *places(folder))
    refuse("init with a comment", 2, '" #"', "init", "--nickname", "ab", "--contact", "a # b", *places(folder))
    refuse("init with a private address", 1, "private", "init", "--nickname", "ab", "--address", "10.0.0.1", *places(folder))
    refuse("init with a word too many", 2, "one word too many", "init", "x")
    code, out, _ = ctl("init", "--nickname", "ab", "--dry-run", "--json", *places(folder))
    expect("init --dry-run", (code, json.loads(out)["dry_run"], os.listdir(folder)), (0, True, []))
    code, out, err = ctl("init", "--nickname", "ab", "--network", "test", "--listen", "127.0.0.1", "--or-port", "0x1", *places(folder))
    expect("init with a port in hex", code, 2)
    code, out, err = ctl("init", "--nickname", "ab", "--network", "test", "--listen", "127.0.0.1", "--rate", "1 MB/s",
                         "--exit", "web", *places(folder), "--json")
    expect("init", (code, err), (0, ""))
    expect("what it says of the identity", json.loads(out)["identity"], "new")
    expect("config check", ctl("config", "check", conf), (0, f"{conf} is good\n", ""))
    before = read(conf)
    refuse("init again", 1, "stays as it is", "init", "--nickname", "cd", *places(folder))
    expect("the file after init again", read(conf), before)


def check_terminal(folder):
    """Asked in a terminal, with two wrong answers among them."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ["NONOS_SOCKET"] = "/nonexistent"
        os.execv(CTL, [CTL, "init", *places(folder)])
    os.write(master, b"test\nbad-name\ngood\n0\n9002\n\nme <me@example.org>\nnone\n0\n")
    shown = b""
    while True:
        try:
            block = os.read(master, 4096)
        except OSError:
            break
        if not block:
            break
        shown += block
    expect("init in a terminal", os.waitpid(pid, 0)[1], 0)
    text = read(f"{folder}/nonosd.conf")
    for line in ("nickname = good", "or_listen = 0.0.0.0:9002", "contact = me <me@example.org>", "exit_policy = reject *:*"):
        if line not in text.splitlines():
            problems.append(f"init in a terminal: no line {line!r} in {text!r}; it showed {shown!r}")


def check_set(folder):
    conf = f"{folder}/nonosd.conf"
    at = ["--config", conf]
    before = read(conf)
    refuse("unknown option", 1, "no option", "config", "set", "nick", "x", *at)
    refuse("value out of range", 1, "from 1 to 64", "config", "set", "workers", "65", *at, lines=2)
    refuse("neither value nor default", 2, "--default", "config", "set", "workers", *at)
    refuse("both value and default", 2, "--default", "config", "set", "workers", "2", "--default", *at)
    refuse("what must be set", 1, "must be set", "config", "set", "nickname", "--default", *at, lines=2)
    refuse("two for one", 1, "already set", "config", "set", "workers", "2", "3", *at, lines=2)
    refuse("no such file", 1, "No such file", "config", "set", "workers", "2", "--config", f"{folder}/none")
    expect("the file after refusals", read(conf), before)
    code, out, _ = ctl("config", "set", "workers", "2", "-n", "--json", *at)
    expect("config set --dry-run", (code, json.loads(out)["dry_run"], read(conf)), (0, True, before))
    mode = os.stat(conf).st_mode
    expect("config set", ctl("config", "set", "node.workers", "2", *at)[0], 0)
    expect("the mode after config set", os.stat(conf).st_mode, mode)
    expect("what config set wrote", [line for line in read(conf).splitlines() if line not in before.splitlines()], ["workers = 2"])
    expect("config set --default", ctl("config", "set", "workers", "--default", *at)[0], 0)
    expect("the file after both", read(conf), before)
    expect("files left over", [n for n in os.listdir(folder) if n.startswith("nonosd.conf.")], [])


def check_explain():
    code, out, _ = ctl("config", "explain", "--json")
    rows = json.loads(out)
    expect("config explain", (code, {r["option"] for r in rows} >= {"nickname", "bandwidth_rate"}), (0, True))
    expect("config explain one", ctl("config", "explain", "relay.nickname")[1].splitlines()[0], "[relay] nickname")
    refuse("config explain of nothing", 1, "no option", "config", "explain", "what")


def check_migrate(folder):
    conf = f"{folder}/old.conf"
    old = "[relay]\nnickname = a\nor_listen = 127.0.0.1:9001\ndir_cache = no\n\n[directory]\nnetwork = test\npublish = no\n"
    write(conf, old)
    refuse("an old file", 1, f"{conf}:4: ", "config", "check", conf)
    code, out, _ = ctl("config", "migrate", conf, "--dry-run", "--json")
    expect("config migrate --dry-run", (code, len(json.loads(out)["changes"]), read(conf)), (0, 2, old))
    expect("config migrate", ctl("config", "migrate", conf)[0], 0)
    expect("the copy", read(conf + ".v1"), old)
    expect("a migrated file", ctl("config", "check", conf)[0], 0)
    code, out, _ = ctl("config", "migrate", conf, "--json")
    expect("config migrate again", (code, json.loads(out)["changes"]), (0, []))


def check_daemon(folder):
    """With a daemon that uses the file, changes are applied, or said to wait."""
    conf, sock = f"{folder}/nonosd.conf", f"{folder}/sock"
    ctl("config", "set", "or_listen", "127.0.0.1:%d" % (20000 + os.getpid() % 20000), "--config", conf)
    with open(f"{folder}/log", "w", encoding="utf-8") as log:
        daemon = subprocess.Popen([DAEMON, "-c", conf], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while ctl("version", NONOS_SOCKET=sock)[0] != 0 and time.monotonic() < end and daemon.poll() is None:
            time.sleep(0.1)

        def effect(*args):
            code, out, err = ctl("config", "set", *args, "--json", NONOS_SOCKET=sock)
            return json.loads(out)["effect"] if code == 0 else err

        def shown(option):
            return json.loads(ctl("config", "show", option, "--json", NONOS_SOCKET=sock)[1])

        expect("a live option", effect("contact", "somebody"), "applied")
        expect("its value", shown("contact")["options"][0]["value"], "somebody")
        expect("one for the next start", effect("workers", "3"), "takes effect at the next start")
        differs = shown("workers")
        expect("its value in force", (differs["options"][0]["value"], differs["file_differs"][0]["applied"]), ("auto", False))
        refuse("config show of nothing", 1, "no such option", "config", "show", "what", NONOS_SOCKET=sock)
        expect("log level", ctl("log", "level", "debug", NONOS_SOCKET=sock)[0], 0)
        expect("where it is from", shown("log_level")["options"][0]["from"], "command")
        refuse("a wrong log level", 2, "one of", "log", "level", "loud", NONOS_SOCKET=sock)
        expect("reload", ctl("reload", NONOS_SOCKET=sock)[0], 0)
        expect("log level after reload", shown("log_level")["options"][0]["value"], "notice")
    finally:
        daemon.terminate()
        expect("the daemon's end", daemon.wait(60), 0)


with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
    check_init(one)
    check_set(one)
    check_migrate(one)
    check_explain()
    check_daemon(one)
    check_terminal(two)
finish()
