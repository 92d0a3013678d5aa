"""Completions: what nonosctl says of a line, and bash, zsh and fish with the scripts that ask it."""
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.environ.get("TOP_SRCDIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CTL = os.path.abspath(os.environ.get("NONOSCTL", "./nonosctl"))
SCRIPTS = os.path.join(os.path.abspath(TOP), "contrib", "completions")
problems = []

# The line after nonosctl, words that must be offered, words that must not.
CASES = [
    ([""], ["status", "token", "events"], ["auth", "--json", "token.create"]),
    (["to"], ["token", "top"], ["status"]),
    (["token", ""], ["create", "list", "revoke", "restrict", "show"], ["status"]),
    (["token.r"], ["token.revoke", "token.restrict"], ["token.list"]),
    (["-"], ["--json", "--socket", "--format", "--dry-run"], ["--method"]),
    (["status", "--"], ["--json", "--format"], ["--dry-run", "--method"]),
    (["reload", "--"], ["--dry-run"], []),
    (["token", "create", "--m"], ["--method"], ["--json"]),
    (["token", "create", "--method", "a", "--name", "b", "--"], ["--method", "--rate"], ["--name"]),
    (["token", "create", "--method", "sta"], ["status"], ["token.list", "auth"]),
    (["--format", ""], ["json", "csv", "table"], []),
    (["--format", "=", "c"], ["csv"], ["json"]),
    (["--format=c"], ["--format=csv"], ["csv"]),
    (["-s", "x", "sta"], ["status"], []),
    (["-sx", "sta"], ["status"], []),
    (["-s", ""], [":file"], ["status"]),
    (["log", "level", ""], ["warn", "debug"], []),
    (["events", "worker.e"], ["worker.ended"], ["links"]),
    (["events", "links", "band"], ["bandwidth"], []),
    (["config", "explain", "control_so"], ["control_socket", "control_socket_mode"], ["nickname"]),
    (["config", "explain", "node.control_so"], ["node.control_socket"], ["control_socket"]),
    (["typed", "sign", ""], [":file"], []),
    (["typed", "sign", "x", ""], [], [":file"]),
    (["typed", "sign", "--key-file", ""], [":file"], []),
    (["--", "--"], [], ["--json"]),
    (["status", "extra", ""], [], ["status"]),
    (["no", "such", "thing", ""], [], ["status"]),
    (["x" * 200, ""], [], ["status"]),
]


def ask(words):
    run = subprocess.run([CTL, "complete", "--", *words], capture_output=True, text=True, timeout=60)
    if run.returncode or run.stderr:
        problems.append(f"{words}: exit {run.returncode}, {run.stderr!r}")
    return [line.split("\t")[0] for line in run.stdout.splitlines()]


def compare(where, words, got, want, unwanted):
    missing, extra = set(want) - set(got), set(unwanted) & set(got)
    if missing or extra or len(set(got)) != len(got):
        problems.append(f"{where}: {words}: lacks {sorted(missing)}, should not have {sorted(extra)}, got {got[:20]}")


def environment(folder):
    os.symlink(CTL, os.path.join(folder, "nonosctl"))
    for name in ("file one", "file-two"):
        with open(os.path.join(folder, name), "w", encoding="ascii"):
            pass
    os.mkdir(os.path.join(folder, "files"))
    return {"PATH": folder + ":" + os.environ["PATH"], "HOME": folder, "TERM": "dumb", "LC_ALL": "C.UTF-8",
            "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder}


def check_bash(bash, env, folder):
    script = ". %s/bash/nonosctl; COMP_WORDS=(nonosctl \"$@\"); COMP_CWORD=$#; _nonosctl; printf '%%s\\n' \"${COMPREPLY[@]}\""
    for words, want, unwanted in CASES:
        run = subprocess.run([bash, "--norc", "--noprofile", "-c", script % SCRIPTS, "x", *words], capture_output=True,
                             text=True, timeout=60, env=env, cwd=folder)
        if ":file" in want:
            want = ["file one", "file-two"] if words[-1] == "" else []
        compare("bash", words, run.stdout.splitlines(), want, unwanted)


def check_fish(fish, env, folder):
    for words, want, unwanted in CASES:
        line = " ".join(["nonosctl", *words])
        run = subprocess.run([fish, "--no-config", "-c", "source %s/fish/nonosctl.fish; complete -C '%s'" % (SCRIPTS, line)],
                             capture_output=True, text=True, timeout=60, env=env, cwd=folder)
        if "=" in words:        # bash alone splits there
            continue
        if ":file" in want:
            want = ["file-two"]
        compare("fish", words, [w.split("\t")[0] for w in run.stdout.splitlines()], want, unwanted)


class Terminal:
    """A shell in a pseudo-terminal."""

    def __init__(self, argv, env, folder):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(argv[0], argv, env)
        self.seen = ""

    def until(self, needle, seconds=30):
        end = time.monotonic() + seconds
        while needle not in self.seen and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
        return needle in self.seen

    def type(self, text):
        self.seen = ""
        os.write(self.fd, text.encode())

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def check_zsh(zsh, env, folder):
    t = Terminal([zsh, "-f", "-i"], dict(env, PS1="PROMPT> "), folder)
    try:
        t.type("unsetopt zle_bracketed_paste; fpath=(%s/zsh $fpath); autoload -Uz compinit; compinit -u -D; "
               "zstyle ':completion:*' menu no; LISTMAX=1000; echo rea''dy\n" % SCRIPTS)
        if not t.until("ready\r\n"):
            problems.append(f"zsh does not start: {t.seen!r}")
            return
        for typed, expected in (("nonosctl stat\t", "nonosctl status "), ("nonosctl token rest\t", "restrict "),
                                ("nonosctl token create --meth\t", "--method "), ("nonosctl --format tab\t", "table "),
                                ("nonosctl --format=tab\t", "--format=table"), ("nonosctl typed sign file-\t", "file-two "),
                                ("nonosctl token \t", "Make a token that has some rights")):
            t.type("\x15" + typed)
            if not t.until(expected, 10):
                problems.append(f"zsh: {typed!r} does not give {expected!r} but {t.seen!r}")
    finally:
        t.close()


for case in CASES:
    compare("complete", case[0], ask(case[0]), case[1], case[2])
with tempfile.TemporaryDirectory() as temporary:
    settings = environment(temporary)
    for shell, check in (("bash", check_bash), ("zsh", check_zsh), ("fish", check_fish)):
        path = shutil.which(shell)
        if path:
            check(path, settings, temporary)
        else:
            print(f"{shell} is not installed, so its completions are not tried")
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
