"""top, seen as a terminal shows it: tmux is the terminal, and its capture is what is looked at."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from ctl_lab import CTL, DAEMON, finish, problems


def expect(what, good, seen):
    if not good:
        problems.append(f"{what}; seen:\n{seen}")


class Terminal:
    def __init__(self, folder):
        self.socket = f"{folder}/tmux"

    def tmux(self, *args):
        env = {k: v for k, v in os.environ.items() if k != "TMUX"}
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *args], capture_output=True, text=True, timeout=30,
                              env=env, check=False)

    def start(self, width, height, command):
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), f"{command}; echo ended with $?; sleep 60")

    def screen(self):
        return self.tmux("capture-pane", "-p").stdout

    def wait(self, pattern, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            seen = self.screen()
            if re.search(pattern, seen):
                return seen
            time.sleep(0.1)
        problems.append(f"{pattern!r} did not come; seen:\n{self.screen()}")
        return self.screen()

    def keys(self, *keys):
        self.tmux("send-keys", *keys)


def check_pages(t, nickname):
    seen = t.wait("running, up")
    lines = seen.split("\n")[:24]
    expect("the first line", nickname in lines[0] and "running" in lines[0], seen)
    expect("both graphs", re.search(r"read \d.*max.*written \d.*max", seen), seen)
    expect("totals", "links 0" in seen and "memory" in seen, seen)
    expect("keys in the last line", "q quit" in lines[-1], seen)
    expect("24 lines of 80 columns", len(lines) == 24 and all(len(line) <= 80 for line in lines), seen)
    t.keys("2")
    t.wait(r"restarts\n +0 +\d+ +ready")
    t.keys("3")
    t.wait("consensus +unknown")
    t.keys("p")
    t.wait("PAUSED")
    t.keys("p", "1")
    t.tmux("resize-window", "-x", "120", "-y", "40")
    time.sleep(1.5)
    expect("a larger terminal", t.wait("attention").rstrip("\n").count("\n") == 39, t.screen())
    t.tmux("resize-window", "-x", "30", "-y", "5")
    t.wait("too small")
    t.tmux("resize-window", "-x", "80", "-y", "24")
    t.wait("attention")


def run(folder):
    conf, sock = f"{folder}/nonosd.conf", f"{folder}/sock"
    subprocess.run([CTL, "init", "--nickname", "capture", "--network", "test", "--listen", "127.0.0.1", "--or-port",
                    str(20000 + os.getpid() % 20000), "--config", conf, "--data-dir", f"{folder}/data", "--control-socket", sock],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    with open(f"{folder}/log", "w", encoding="utf-8") as log:
        daemon = subprocess.Popen([DAEMON, "-c", conf], stdout=log, stderr=log)
    t = Terminal(folder)
    try:
        t.start(80, 24, f"until {CTL} -s {sock} version; do sleep 0.1; done; clear; {CTL} -s {sock} top")
        check_pages(t, "capture")
        daemon.terminate()
        daemon.wait(60)
        t.wait("cannot connect")
        t.keys("q")
        t.wait("ended with 0")
    finally:
        t.tmux("kill-server")
        daemon.terminate()
        daemon.wait(60)


if not shutil.which("tmux"):
    print("tmux is not installed")
    sys.exit(77)
r = subprocess.run([CTL, "-s", "/nonexistent", "top"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
expect("without a terminal", (r.returncode, r.stdout) == (2, "") and "for a terminal" in r.stderr, r.stderr)
with tempfile.TemporaryDirectory() as temporary:
    run(temporary)
finish()
