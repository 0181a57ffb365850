"""What MongoDB's own clients for Python do, in a process of its own: one line of JSON in, one line out.

    python peer.py URI DATABASE COLLECTION
"""

import json
import sys
import time

import pyarrow as pa
import pymongo
from bson import ObjectId
from pymongoarrow.api import Schema, find_arrow_all

import documents


def main():
    uri, database, collection = sys.argv[1:]
    found = pymongo.MongoClient(uri)[database][collection]
    acts = {"raw": raw, "dictionaries": dictionaries, "arrow": arrow, "count": count, "one": one}
    print("{}", flush=True)
    for line in sys.stdin:
        name, *words = json.loads(line)
        started = time.perf_counter()
        answer = acts[name](found, *words)
        print(json.dumps({"seconds": time.perf_counter() - started, "answer": answer}), flush=True)


def raw(found):
    """The documents as the cluster sends them, not looked at: what no client can beat."""
    return sum(len(batch) for batch in found.find_raw_batches({}, batch_size=1000))


def dictionaries(found):
    count = total = 0
    for document in found.find({}, batch_size=1000):
        count += 1
        total += document["n"]
    return [count, total]


def arrow(found):
    table = find_arrow_all(found, {}, schema=Schema(documents.schema(pa)), batch_size=1000)
    return [table.num_rows, pa.compute.sum(table["n"]).as_py()]


def count(found):
    return found.count_documents({})


def one(found, digits):
    return found.find_one({"_id": ObjectId(digits)})["n"]


if __name__ == "__main__":
    import pyarrow.compute  # noqa: F401, is pa.compute from here on

    main()
