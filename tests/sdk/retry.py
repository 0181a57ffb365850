#!/usr/bin/env python3
"""The platform's official SDK against the published limits of requests a minute: it waits as `Retry-After` says.

    python retry.py

Configured by the SDK's own variables, as identity.py; AMIGO_TEST_USERS lists four users, separated by commas, who may
query. The server's limits are the published ones, and each user uses one of them up. Takes a minute, a whole window. The
first difference ends this with exit code 1.
"""

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # leaves the repository's folder as it is

import amigo_sdk

ORG = os.environ["AMIGO_ORGANIZATION_ID"]
USERS = os.environ["AMIGO_TEST_USERS"].split(",")
QUERY = {"sql_query": "SELECT 1", "async_query": False}
# A change of the SDK's default would show here.
LONGEST_WAIT = 30


class Seen:
    """When each request was sent, and what came back."""

    def __init__(self):
        self.sent = []
        self.came = []

    def note_sent(self, _):
        self.sent.append(time.monotonic())

    def note_came(self, response):
        self.came.append((response.status_code, response.headers.get("Retry-After")))

    async def note_sent_later(self, request):
        self.note_sent(request)

    async def note_came_later(self, response):
        self.note_came(response)

    def check(self, what, limit, waits, longest):
        """`limit` requests that were let through, one that was refused, `waits` times at most, and then came through."""
        statuses = [status for status, _ in self.came]
        refused = statuses.count(429)
        if not 1 <= refused <= waits or statuses != [200] * limit + [429] * refused + [200]:
            sys.exit(f"{what}: {statuses}")
        named = [float(seconds) for _, seconds in self.came[limit:-1]]
        for number, seconds in enumerate(named, start=limit):
            waited = self.sent[number + 1] - self.sent[number]
            if waited < min(seconds, longest):
                sys.exit(f"{what}: sent again after {waited} s instead of {seconds}")
        print(f"{what}: told to wait {named[0]:.0f} s, came through after {self.sent[-1] - self.sent[limit]:.1f} s")


def synchronous(what, user, limit, waits, request, **settings):
    seen = Seen()
    hooks = {"request": [seen.note_sent], "response": [seen.note_came]}
    with amigo_sdk.AmigoClient(user_id=user, trust_env=False, event_hooks=hooks, **settings) as client:
        for _ in range(limit + 1):
            request(client)
    seen.check(what, limit, waits, settings.get("retry_max_delay_seconds", LONGEST_WAIT))


async def asynchronous(what, user, limit, waits):
    seen = Seen()
    hooks = {"request": [seen.note_sent_later], "response": [seen.note_came_later]}
    async with amigo_sdk.AsyncAmigoClient(user_id=user, trust_env=False, event_hooks=hooks) as client:
        for _ in range(limit + 1):
            await client.users.get_users()
    seen.check(what, limit, waits, LONGEST_WAIT)


def users(client):
    client.users.get_users()


def query(client):
    # The SDK has no method for it; this is what its methods call.
    client._http.request("POST", f"/v1/{ORG}/admin/sql_query", json=QUERY)


with ThreadPoolExecutor() as threads:
    patient = {"retry_max_delay_seconds": 90}
    checks = [
        threads.submit(synchronous, "users", USERS[0], 60, 2, users),
        threads.submit(synchronous, "users, patiently", USERS[1], 60, 1, users, **patient),
        threads.submit(synchronous, "SQL, patiently", USERS[2], 6, 1, query, **patient),
        threads.submit(lambda: asyncio.run(asynchronous("users, asynchronously", USERS[3], 60, 2))),
    ]
    for check in checks:
        check.result()
