"""make install puts all in its place, and make uninstall takes away just that."""
import os
import stat
import subprocess
import sys
import tempfile

BUILD = os.environ.get("TOP_BUILDDIR") or os.getcwd()
PREFIX = "/usr"
WANTED = {
    "/usr/sbin/nonosd": 0o755,
    "/usr/bin/nonosctl": 0o755,
    "/usr/lib/systemd/system/nonosd.service": 0o644,
    "/usr/lib/systemd/system/nonosd@.service": 0o644,
    "/usr/lib/sysusers.d/nonos.conf": 0o644,
    "/usr/lib/tmpfiles.d/nonos.conf": 0o644,
    "/usr/share/nonos/networks/tor.conf": 0o644,
    "/usr/share/man/man8/nonosd.8": 0o644,
    "/usr/share/man/man7/nonos-metrics.7": 0o644,
    "/usr/share/doc/nonos/examples/nonosd.conf": 0o644,
    "/usr/share/doc/nonos/examples/nonosd.rules.yml": 0o644,
}
# The operator's, or another package's; all but the last two where we install, too.
OTHERS = ["/usr/sbin/other", "/usr/lib/systemd/system/other.service", "/usr/lib/sysusers.d/other.conf",
          "/usr/share/man/man8/other.8", "/usr/share/nonos/networks/mine.conf",
          "/etc/nonos/nonosd.conf", "/var/lib/nonos/keys/secret_id_key"]
problems = []


def make(target, root):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    run = subprocess.run(["make", "-s", "-C", BUILD, target, "DESTDIR=" + root, "prefix=" + PREFIX,
                          "exec_prefix=" + PREFIX, "sysconfdir=/etc", "localstatedir=/var"],
                         env=env, capture_output=True, text=True, timeout=300, check=False)
    if run.returncode:
        sys.exit(f"make {target}:\n{run.stdout}{run.stderr}")


def files(root):
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            found[path[len(root):]] = (os.lstat(path).st_mode, open(path, "rb").read())
    return found


def folders(root):
    return {folder[len(root):] for folder, _, _ in os.walk(root)}


def put_others(root):
    for path in OTHERS:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        with open(root + path, "w", encoding="ascii") as f:
            f.write("of somebody else\n")


def check_installed(root):
    have = files(root)
    for path, mode in WANTED.items():
        if path not in have:
            problems.append(f"{path} is not installed")
        elif stat.S_IMODE(have[path][0]) != mode:
            problems.append(f"{path} has mode {stat.S_IMODE(have[path][0]):o}")
    for path, (mode, content) in have.items():
        if mode & 0o6022:
            problems.append(f"{path}: mode {mode:o}")
        if root.encode() in content:
            problems.append(f"{path} names the directory it was staged in")
        if path.startswith(("/etc", "/var", "/run")) and path not in OTHERS:
            problems.append(f"{path}: the operator's place")


def check_others():
    with tempfile.TemporaryDirectory() as root:
        put_others(root)
        before = files(root)
        for _ in range(2):      # over what is there already, too
            make("install", root)
            check_installed(root)
        make("uninstall", root)
        after = files(root)
        problems.extend(f"{path} stays behind" for path in after.keys() - before.keys())
        problems.extend(f"{path} is gone or changed" for path in before if after.get(path) != before[path])


def check_nothing_left():
    with tempfile.TemporaryDirectory() as root:
        make("install", root)
        make("uninstall", root)
        problems.extend(f"{path} stays behind" for path in files(root))
        problems.extend(f"{path}/ stays behind" for path in folders(root) if "nonos" in path)


check_others()
check_nothing_left()
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
