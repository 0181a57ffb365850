"""Clients that cost little themselves, and what Linux knows about a process.

Not here: what is measured (run.py) and what it is measured beside (sides.py).
"""

import dataclasses
import io
import os
import pathlib
import re
import socket
import time
import urllib.request
import zipfile

TIMEOUT = 120
TICKS = os.sysconf("SC_CLK_TCK")
BUFFER = bytearray(1 << 20)  # large reads, so that the reader is not what limits


@dataclasses.dataclass
class Download:
    seconds: float
    first_byte: float  # seconds from before the connection to the first byte of the body
    wire_bytes: int  # of the body, chunk framing included


def download(port, path, headers=()):
    """Fetches one response over a connection of its own and throws the bytes away."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while not head.partition(b"\r\n\r\n")[2]:
            part = connection.recv(1 << 20)
            if not part:
                raise OSError(f"no body: {head[:200]!r}")
            head += part
        first_byte = time.perf_counter() - started
        head, body = head.split(b"\r\n\r\n", 1)
        size, tail = len(body), body[-5:]
        while count := connection.recv_into(BUFFER):
            size += count
            tail = (tail + bytes(BUFFER[max(0, count - 5):count]))[-5:]
    seconds = time.perf_counter() - started
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(f"{path}: {head[:200]!r}")
    if b"chunked" in head.lower() and tail != b"0\r\n\r\n":
        raise OSError(f"{path}: the transfer was cut short")
    return Download(seconds, first_byte, size)


def opened(port, path, headers=()):
    """One response to read from, slowly."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=dict(headers))
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT)


def check_archive(port, path, headers, entries):
    """Fetches the archive once more, slowly, to see that it holds exactly these entries; returns its bytes."""
    with opened(port, path, headers) as response:
        content = response.read()
    archive = zipfile.ZipFile(io.BytesIO(content))
    if sorted(archive.namelist()) != sorted(entries):
        raise ValueError(f"{path}: {len(archive.namelist())} entries instead of {len(entries)}, or other names")
    wrong = [name for name in entries if archive.read(name) != entries[name]]
    if wrong:
        raise ValueError(f"{path}: {len(wrong)} entries differ, the first is {wrong[0]}")
    return content


class Client:
    """One connection kept open, for the latency of small requests: one write, and no more parsing than needed."""

    def __init__(self, port, headers):
        self.connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = "".join(f"{name}: {value}\r\n" for name, value in [("Host", f"127.0.0.1:{port}"), *headers])

    def __call__(self, method, path, body=b"", kind="application/json"):
        """(seconds, body) of one request, whose answer has a length."""
        request = (f"{method} {path} HTTP/1.1\r\n{self.head}Content-Type: {kind}\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        started = time.perf_counter()
        self.connection.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.receive()
        head, content = got.split(b"\r\n\r\n", 1)
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        while method != "HEAD" and len(content) < int(length[1]):
            content += self.receive()
        seconds = time.perf_counter() - started
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise OSError(f"{head[:100]!r}: {content[:300]!r}")
        return seconds, content

    def status(self, path):
        """The status that HEAD answers with."""
        self.connection.sendall(f"HEAD {path} HTTP/1.1\r\n{self.head}\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.receive()
        return int(got[9:12])

    def receive(self):
        part = self.connection.recv(1 << 20)
        if not part:
            raise OSError("the server closed the connection")
        return part


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(process, port, seconds=60):
    """Until something answers on the port."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise OSError(f"{process.args[0]} ended with {process.returncode} before it listened")
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
    raise OSError(f"nothing listens on port {port} after {seconds} s")


def family(pid):
    """The process and all that descend from it."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it ended meanwhile
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def cpu_seconds(pid):
    """User and system time of the process and its descendants, ended children of the process included."""
    ticks = 0
    for member in family(pid):
        try:
            fields = pathlib.Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15] if member == pid else fields[11:13]))
    return ticks / TICKS


def reset_peak(pid):
    """Lets the kernel count the peak of the resident memory anew."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def memory_mb(pid, field):
    """VmRSS (now) or VmHWM (peak) of one process, in MB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"no {field} for process {pid}")
