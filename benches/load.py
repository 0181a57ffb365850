"""Many callers at once, from one thread: each sends its next request when it has the answer to the last.

What this costs itself is the same work for every side; `Load.cpu` says how much it was.
"""

import collections
import dataclasses
import itertools
import re
import select
import socket
import time

TIMEOUT = 60
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@dataclasses.dataclass
class Load:
    seconds: list  # of every request that was answered with 200
    elapsed: float
    cpu: float  # seconds of the generator itself
    statuses: collections.Counter
    body: bytes  # of the first answer


def http(method, path, headers=(), body=b""):
    """One request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def closed_loop(port, requests, clients, seconds):
    """`clients` connections, kept open, for `seconds` and until each has one answer, at most a minute more."""
    requests = itertools.cycle(requests)
    poll, callers = select.epoll(), {}
    load = Load([], 0, 0, collections.Counter(), b"")
    cpu, began = time.process_time(), time.perf_counter()
    end, limit = began + seconds, began + seconds + TIMEOUT
    for _ in range(clients):
        caller = Caller(port)
        callers[caller.socket.fileno()] = caller
        poll.register(caller.socket, select.EPOLLIN)
        caller.send(next(requests))
    without = set(callers)  # those that have no answer yet
    now = time.perf_counter()
    while now < end or (without and now < limit):
        for descriptor, _ in poll.poll(0.1):
            caller = callers[descriptor]
            if not caller.receive():
                continue
            load.statuses[caller.status] += 1
            if caller.status == 200:
                load.seconds.append(time.perf_counter() - caller.sent)
                load.body = load.body or caller.content
            without.discard(descriptor)
            caller.send(next(requests))
        now = time.perf_counter()
    load.elapsed, load.cpu = now - began, time.process_time() - cpu
    for caller in callers.values():
        caller.socket.close()
    poll.close()
    return load


class Caller:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def send(self, request):
        self.parts, self.size, self.wanted, self.status = [], 0, None, None
        self.sent = time.perf_counter()
        self.socket.sendall(request)  # far smaller than the socket's buffer

    def receive(self):
        """Whether the answer is whole."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise OSError("the server closed the connection")
        self.parts.append(part)
        self.size += len(part)
        if self.wanted is None:
            head, found, _ = b"".join(self.parts).partition(b"\r\n\r\n")
            if not found:
                return False
            self.status, self.head = int(head[9:12]), len(head) + 4
            length = LENGTH.search(head)
            self.wanted = self.head + int(length[1]) if length else 0
        if self.wanted:
            return self.size >= self.wanted
        return b"".join(self.parts[-2:]).endswith(b"0\r\n\r\n")  # chunked

    @property
    def content(self):
        body = b"".join(self.parts)[self.head:]
        if self.wanted:
            return body
        whole = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            size = int(size, 16)
            whole, body = whole + body[:size], body[size + 2:]
        return whole
