"""The documents that are measured: ten fields, of the kinds that operational data has."""

import datetime as dt
import random

from bson import ObjectId

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
WORDS = ("ask agent answer book cabin change fare flight gate hold later offer pay plan price refund seat ticket trip "
         "wait").split()
COLUMNS = ("_id", "n", "user_id", "status", "amount", "is_open", "created_at", "text", "address", "tags")


def make(count, seed=7):
    chance = random.Random(seed)
    for n in range(count):
        yield {
            "_id": ObjectId(f"{n:024x}"),
            "n": n,
            "user_id": f"user_{chance.randrange(5000):05d}",
            "status": chance.choice(("open", "paid", "refunded", "closed")),
            "amount": chance.randrange(1_000_000) / 100,
            "is_open": chance.random() < 0.3,
            "created_at": START + dt.timedelta(seconds=37 * n),
            "text": " ".join(chance.choices(WORDS, k=12)),
            "address": {"city": chance.choice(WORDS), "zip": f"{chance.randrange(100_000):05d}"},
            "tags": chance.choices(WORDS, k=3),
        }


def schema(pa):
    """Of the fields in Arrow's terms; nested values as they are, since pymongoarrow makes no JSON of them."""
    from bson import ObjectId as Id

    return {
        "_id": Id, "n": pa.int64(), "user_id": pa.string(), "status": pa.string(), "amount": pa.float64(),
        "is_open": pa.bool_(), "created_at": pa.timestamp("ms"), "text": pa.string(),
        "address": pa.struct([("city", pa.string()), ("zip", pa.string())]), "tags": pa.list_(pa.string()),
    }
