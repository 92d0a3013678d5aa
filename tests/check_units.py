"""The systemd units score 2.0 or better, systemd finds no mistake in them, and what makes users and
directories makes the right ones. Each part is left out where its tool is not installed."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.environ.get("TOP_SRCDIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BUILD = os.environ.get("TOP_BUILDDIR") or os.getcwd()
UNITS = ("nonosd.service", "nonosd@.service")
THRESHOLD = 20      # tenths
problems = []


def run(*args, **how):
    return subprocess.run(args, capture_output=True, text=True, timeout=120, check=False, **how)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def have(tool):
    if shutil.which(tool):
        return True
    print(f"{tool} is not installed; its part is left out")
    return False


def check_text():
    """Nothing is left to be filled in, and an instance shares no path with another."""
    for name in UNITS:
        text = read(os.path.join(BUILD, "systemd", name))
        problems.extend(f"{name}: {word} is left" for word in re.findall(r"@\w+@", text))
        for key in ("RuntimeDirectory", "StateDirectory", "ExecStart", "ConditionPathExists"):
            value = re.search(rf"^{key}=(.*)$", text, re.M)
            if not value:
                problems.append(f"{name}: no {key}")
            elif ("%i" in value[1]) != ("@" in name):
                problems.append(f"{name}: {key}={value[1]}")


def check_security():
    for name in UNITS:
        seen = run("systemd-analyze", "security", "--offline=yes", f"--threshold={THRESHOLD}",
                   os.path.join(BUILD, "systemd", name))
        score = re.search(r"Overall exposure level for .*: ([\d.]+)", seen.stdout)
        if seen.returncode or not score:
            problems.append(f"{name}: {seen.stderr or seen.stdout[-300:]}")
        else:
            print(f"{name}: {score[1]}")


def check_verify(folder):
    """With the program that was built for the one that is to be installed."""
    for name in UNITS:
        text = read(os.path.join(BUILD, "systemd", name))
        text = re.sub(r"^(Exec\w+=)\S*/nonosd\b", r"\1" + os.path.join(BUILD, "nonosd"), text, flags=re.M)
        path = os.path.join(folder, name.replace("@", "@one"))
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        seen = run("systemd-analyze", "verify", "--man=no", path)
        # Of the machine's own units it may say what it likes.
        complaints = [line for line in (seen.stderr + seen.stdout).splitlines() if "nonosd" in line]
        if complaints:
            problems.append(f"{name}: " + "\n".join(complaints))


def check_directories(root):
    """As on a machine that has no user nonos yet."""
    config = os.path.join(TOP, "systemd")
    os.makedirs(os.path.join(root, "etc"))
    for place in ("var/lib", "run"):
        os.makedirs(os.path.join(root, place))
    seen = run("systemd-sysusers", f"--root={root}", os.path.join(config, "sysusers.d", "nonos.conf"))
    user = re.search(r"^nonos:[^:]*:(\d+):(\d+):[^:]*:([^:]*):([^:]*)$", read(os.path.join(root, "etc/passwd")), re.M)
    if seen.returncode or not user or user[3] != "/var/lib/nonos" or "nologin" not in user[4]:
        problems.append(f"sysusers: {seen.stderr} {user and user[0]}")
        return
    seen = run("systemd-tmpfiles", "--create", f"--root={root}", os.path.join(config, "tmpfiles.d", "nonos.conf"))
    for path, mode, owner in (("etc/nonos", 0o755, 0), ("var/lib/nonos", 0o700, int(user[1])),
                              ("run/nonos", 0o750, int(user[1]))):
        try:
            st = os.stat(os.path.join(root, path))
        except FileNotFoundError:
            problems.append(f"tmpfiles: {path} is missing: {seen.stderr}")
            continue
        if (st.st_mode & 0o7777, st.st_uid) != (mode, owner):
            problems.append(f"tmpfiles: {path} is {st.st_mode & 0o7777:o} of user {st.st_uid}")


check_text()
with tempfile.TemporaryDirectory() as scratch:
    if have("systemd-analyze"):
        check_security()
        check_verify(scratch)
    if os.geteuid() == 0 and have("systemd-sysusers") and have("systemd-tmpfiles"):
        check_directories(os.path.join(scratch, "root"))
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
