#!/usr/bin/env python3
"""The organization and its users through the platform's official SDK, against a running server.

    python identity.py

Configured by the SDK's own variables: AMIGO_BASE_URL, AMIGO_ORGANIZATION_ID, AMIGO_API_KEY, AMIGO_API_KEY_ID and
AMIGO_USER_ID (a super administrator). The organization has the four users that AMIGO_TEST_USERS lists, separated by
commas, and the server's rate limits are off. The SDK checks the shape of every answer; the first difference ends this
with exit code 1.
"""

import asyncio
import os
import sys

sys.dont_write_bytecode = True  # leaves the repository's folder as it is

import amigo_sdk
from amigo_sdk.generated.model import GetUsersParametersQuery, UserCreateInvitedUserRequest

ORG = os.environ["AMIGO_ORGANIZATION_ID"]
USERS = sorted(os.environ["AMIGO_TEST_USERS"].split(","))
EMAIL = "mia.li@acme.example"


def equal(what, got, expected):
    if got != expected:
        sys.exit(f"{what}: {got!r} instead of {expected!r}")


def raises(what, error, call):
    try:
        call()
    except error as caught:
        equal(f"the class of {what}", type(caught), error)
        if not str(caught):
            sys.exit(f"{what} says nothing")
    else:
        sys.exit(f"{what} is no error")


def ids(answer):
    return sorted(user.user_id for user in answer.users)


def invitation(**changes):
    # No variables: this version of the SDK cannot hash its own type for their names.
    fields = {"first_name": "Mia", "last_name": "Li", "email": EMAIL, "role_name": "DefaultUserRole"}
    return UserCreateInvitedUserRequest(**(fields | changes))


def synchronous(client):
    organization = client.organizations.get()
    equal("the organization", (organization.org_id, bool(organization.org_name)), (ORG, True))
    everybody = client.users.get_users()
    equal("the users", ids(everybody), USERS)
    equal("no more pages", (everybody.has_more, everybody.continuation_token), (False, None))

    made = client.users.create_user(invitation())
    equal("no link", made.verify_link, None)
    found = client.users.get_users(GetUsersParametersQuery(email=[EMAIL])).users
    equal("found by address", [user.user_id for user in found], [made.user_id])
    mia = found[0]
    equal("the user", (mia.org_id, mia.first_name, mia.last_name, mia.email), (ORG, "Mia", "Li", EMAIL))
    equal("variables", (mia.nonsensitive_variables, mia.sensitive_variables), ({}, []))

    raises("an address that is taken", amigo_sdk.ConflictError, lambda: client.users.create_user(invitation()))
    no_role = invitation(email="leo@acme.example", role_name="Nobody")
    raises("a role that is not there", amigo_sdk.NotFoundError, lambda: client.users.create_user(no_role))

    pages, token = [], 0
    while token is not None:
        page = client.users.get_users(GetUsersParametersQuery(limit=2, continuation_token=token, sort_by=["-email"]))
        pages.append([user.user_id for user in page.users])
        equal("more pages", page.has_more, page.continuation_token is not None)
        token = page.continuation_token
    equal("pages", [len(page) for page in pages], [2, 2, 1])
    equal("the last address first", pages[0][0], made.user_id)
    equal("everybody once", sorted(sum(pages, [])), sorted([*USERS, made.user_id]))

    client.users.delete_user(made.user_id)
    equal("deleted", ids(client.users.get_users()), USERS)
    raises("a user who is gone", amigo_sdk.NotFoundError, lambda: client.users.delete_user(made.user_id))


async def asynchronous():
    async with amigo_sdk.AsyncAmigoClient(trust_env=False) as client:
        equal("the organization", (await client.organizations.get()).org_id, ORG)
        equal("the users", ids(await client.users.list()), USERS)


def refusals():
    with amigo_sdk.AmigoClient(api_key="wrong", trust_env=False) as client:
        raises("a wrong key", amigo_sdk.AuthenticationError, client.users.get_users)
    with amigo_sdk.AmigoClient(user_id=os.environ["AMIGO_TEST_LESSER_USER"], trust_env=False) as client:
        raises("a user who may not invite", amigo_sdk.ForbiddenError, lambda: client.users.create_user(invitation()))
        equal("only themselves", ids(client.users.get_users()), [os.environ["AMIGO_TEST_LESSER_USER"]])


with amigo_sdk.AmigoClient(trust_env=False) as sdk_client:
    synchronous(sdk_client)
asyncio.run(asynchronous())
refusals()
print("the SDK's organization and users are as expected")
