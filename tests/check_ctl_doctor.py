"""doctor, with faults made for it: each is found and named, and what is well passes."""
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import threading

from ctl_lab import CTL, finish, problems


def doctor(conf):
    env = dict(os.environ, NONOS_SOCKET="/nonexistent/control.sock")
    r = subprocess.run([CTL, "doctor", "--config", conf, "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=60, env=env)
    answer = json.loads(r.stdout)
    if (r.returncode != 0) != (answer["failed"] > 0):
        problems.append(f"exit status {r.returncode} with {answer['failed']} failed")
    return answer["checks"]


def expect(checks, name, result, words):
    found = [c for c in checks if c["check"] == name and c["result"] == result and words in c["detail"]]
    if not found:
        problems.append(f"no {result} of {name!r} with {words!r} in {[c for c in checks if c['check'] == name]}")
    for c in found:
        if result in ("warn", "fail") and not c["fix"]:
            problems.append(f"{name}: nothing said about what to do")


def write(folder, port, extra=""):
    path = os.path.join(folder, "nonosd.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"[node]\ndata_dir = {folder}/data\ncontrol_socket = {folder}/sock\n\n"
                f"[relay]\nnickname = a\nor_listen = 127.0.0.1:{port}\n{extra}\n"
                "[directory]\nnetwork = test\npublish = no\n")
    return path


def listener():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(1)
    return s, s.getsockname()[1]


def check_files(folder, port):
    os.mkdir(f"{folder}/data", 0o700)
    os.mkdir(f"{folder}/data/keys", 0o700)
    secret = f"{folder}/data/keys/secret_id_key"
    with open(secret, "w", encoding="ascii"):
        pass
    os.chmod(secret, 0o600)
    checks = doctor(write(folder, port))
    expect(checks, "configuration", "pass", "is good")
    expect(checks, "data directory", "pass", "data")
    expect(checks, "keys", "pass", "1 secret keys")
    expect(checks, "port", "pass", "can be used")
    expect(checks, "disk", "pass", "MB free")
    os.chmod(secret, 0o640)
    expect(doctor(write(folder, port)), "keys", "fail", "secret_id_key")
    os.chmod(secret, 0o600)
    os.chmod(f"{folder}/data", 0o770)
    expect(doctor(write(folder, port)), "data directory", "fail", "others may use")
    os.chmod(f"{folder}/data", 0o700)


def check_network(folder, port):
    taken, used = listener()
    with contextlib.closing(taken):
        expect(doctor(write(folder, used)), "port", "fail", "taken by another program")
    expect(doctor(write(folder, port, "or_listen = 192.0.2.1:9001")), "port", "fail", "not an address of this machine")
    expect(doctor(write(folder, port, "max_memory = 16 TiB")), "memory", "fail", "the machine has")
    conf = write(folder, port)
    with open(conf, encoding="utf-8") as f:
        text = f.read()
    hexes = "v3ident=%s fingerprint=%s" % ("01" * 20, "02" * 20)
    heard, alive = listener()
    for dir_port, result, words in ((alive, "pass", "1 of 1"), (used, "fail", "0 of 1")):
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text + f"authority = a1 127.0.0.1:{dir_port} orport=5000 {hexes}\n")
        expect(doctor(conf), "authorities", result, words)
    heard.close()


def check_dns(folder, port):
    resolv = f"{folder}/resolv.conf"
    with open(resolv, "w", encoding="ascii") as f:
        f.write("nameserver 127.0.0.173\n")
    extra = f"exit_policy = accept *:*\nresolv_conf = {resolv}"
    expect(doctor(write(folder, port)), "name servers", "skip", "only exits")
    expect(doctor(write(folder, port, extra)), "name servers", "fail", "0 of 1")
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.bind(("127.0.0.173", 53))
    except OSError:
        return  # only root may, and nobody else has it

    def answer():
        query, peer = s.recvfrom(512)
        s.sendto(query[:2] + b"\x81\x80" + query[4:], peer)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    expect(doctor(write(folder, port, extra)), "name servers", "pass", "1 of")
    s.close()


def check_configuration(folder):
    path = f"{folder}/bad.conf"
    with open(path, "w", encoding="utf-8") as f:
        f.write("[relay]\nnickname = a-b\nwhat = 1\n")
    checks = doctor(path)
    expect(checks, "configuration", "fail", f"{path}:2: ")
    expect(checks, "configuration", "fail", f"{path}:3: ")
    expect(doctor(f"{folder}/none"), "configuration", "fail", "cannot be opened")


with tempfile.TemporaryDirectory() as temporary:
    spare, spare_port = listener()
    spare.close()
    check_files(temporary, spare_port)
    check_network(temporary, spare_port)
    check_dns(temporary, spare_port)
    check_configuration(temporary)
finish()
