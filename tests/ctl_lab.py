"""What the tests of nonosctl share: calls with what is expected of them, and a daemon on loopback to call.

What goes wrong is collected in `problems`; finish() tells it.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time

CTL = os.path.abspath(os.environ.get("NONOSCTL", "./nonosctl"))
DAEMON = os.path.abspath(os.environ.get("NONOSD", "./nonosd"))
VECTORS = os.environ.get("TEST_VECTORS", "tests/vectors")
PASS = "correct horse battery staple"
NOBODY = "/nonexistent/control.sock"
problems = []


def skip_if_short():
    """For a test that takes half a minute, where it has been run elsewhere."""
    if os.environ.get("NONOS_SHORT"):
        sys.exit(77)


def finish():
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


def expect(what, got, want):
    if got != want:
        problems.append(f"{what}: got {got!r}, want {want!r}")


def vectors(name):
    with open(os.path.join(VECTORS, name), encoding="utf-8") as f:
        return json.load(f)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ctl(*args, stdin="", **env):
    """nonosctl without a terminal, and with no daemon but one that is named: status, output, errors."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("NONOS_")} | {"NONOS_SOCKET": NOBODY} | env
    r = subprocess.run([CTL, *args], input=stdin, capture_output=True, text=True, timeout=120, env=env, start_new_session=True,
                       check=False)
    return r.returncode, r.stdout, r.stderr


def good(what, *args, **more):
    """The answer of a call that must be taken without a word."""
    code, out, err = ctl(*args, "--json", **more)
    expect(what, (code, err), (0, ""))
    return json.loads(out) if code == 0 else {}


def refuse(what, status, needle, *args, lines=1, **more):
    """A call that must fail with this exit status, and as many lines that say why."""
    code, out, err = ctl(*args, **more)
    expect(what, (code, out), (status, ""))
    if needle not in err or err.count("\n") != lines:
        problems.append(f"{what}: {err!r} does not say {needle!r}")


class Daemon:
    """A relay that no other knows, with its files in `folder`; it runs inside "with", as often as is wanted."""

    def __init__(self, folder, data=None, more="", ready=("version",)):
        ident = "0123456789ABCDEF" * 2 + "01234567"
        self.at, self.ready = ("-s", f"{folder}/sock"), ready
        self.config = write(f"{folder}/nonosd.conf", f"""[node]
data_dir = {data or folder + "/data"}
control_socket = {folder}/sock
workers = 1
[relay]
nickname = lab
or_listen = 127.0.0.1:{free_port()}
address = 127.0.0.1
allow_private_addresses = yes
[directory]
network = test
publish = no
authority = a 127.0.0.1:1 orport=2 v3ident={ident} fingerprint={ident}
{more}""")
        self.log = f"{self.config}.log"

    def __enter__(self):
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([DAEMON, "--config", self.config], stderr=log)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None and ctl(*self.at, *self.ready)[0] != 0:
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        # The second one does without the time that circuits would get.
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def status(self):
        return good("status", *self.at, "status")
