"""A minimal client of tor's control port: cookie authentication, commands, events."""

import binascii
import contextlib
import queue
import socket
import threading
import time

from .util import HOST, TornetError


class Control:
    """Minimal Tor control-port client (cookie authentication, events)."""

    def __init__(self, port, cookie_file, timeout=60):
        self.sock = socket.create_connection((HOST, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.events = queue.Queue()
        self.replies = queue.Queue()
        self.timeout = timeout
        self.lock = threading.Lock()
        self.sock.settimeout(None)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        with open(cookie_file, "rb") as f:
            self.cmd("AUTHENTICATE " + binascii.hexlify(f.read()).decode())

    def _readline(self):
        """One line without its CRLF; None at end of file."""
        while True:
            end = self.buffer.find(b"\n")
            if end >= 0:
                line = self.buffer[:end].decode("utf-8", "replace").rstrip("\r")
                del self.buffer[:end + 1]
                return line
            data = self.sock.recv(1 << 16)
            if not data:
                return None
            # tor does not disable Nagle here: ACK at once, or it waits 40 ms
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            self.buffer += data

    def _read(self):
        reply = []
        try:
            while True:
                line = self._readline()
                if line is None:
                    break
                code, sep, text = line[:3], line[3:4], line[4:]
                if sep == "+":
                    data = []
                    while True:
                        more = self._readline()
                        if more in (".", None):
                            break
                        data.append(more[1:] if more.startswith("..") else more)
                    text += "\n" + "\n".join(data)
                reply.append((code, text))
                if sep == " ":
                    done, reply = reply, []
                    if code == "650":
                        self.events.put((time.monotonic(),
                                         "\n".join(t for _, t in done)))
                    else:
                        self.replies.put(done)
        except (OSError, ValueError):
            pass
        self.replies.put(None)
        self.events.put(None)

    def send(self, text):
        self.sock.sendall(text.encode() + b"\r\n")

    def recv(self):
        """Next command reply as [(code, text), …]; raises unless 2xx."""
        try:
            reply = self.replies.get(timeout=self.timeout)
        except queue.Empty:
            raise TornetError("control port: no reply") from None
        if reply is None:
            raise TornetError("control port closed")
        if not reply[-1][0].startswith("2"):
            raise TornetError("control: %s %s" % reply[-1])
        return reply

    def cmd(self, text):
        with self.lock:
            self.send(text)
            return self.recv()

    def getinfo(self, key):
        text = self.cmd("GETINFO " + key)[0][1]
        return text[len(key) + 1:].lstrip("\n")

    def event(self, deadline):
        """Next event text, or None when the deadline passes."""
        try:
            item = self.events.get(timeout=max(0.001, deadline - time.monotonic()))
        except queue.Empty:
            return None
        if item is None:
            raise TornetError("control port closed")
        return item[1]

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        if threading.current_thread() is not self.reader:
            self.reader.join(2)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
