"""Documents to Arrow, without a server: ours beside pymongoarrow, on the same bytes and in the same run.

    python benches/mongodb/decode.py [--documents 1000000] [--rounds 5]

Both get the batches as a server sends them, from memory, and make Arrow of all ten fields. Nested values become JSON text
in ours, structs and lists in pymongoarrow. One thread each, in turns; of each the fastest round counts.
"""

import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

import bson
import pyarrow as pa
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from pymongoarrow.api import Schema
from pymongoarrow.context import PyMongoArrowContext

import documents

ROOT = pathlib.Path(__file__).resolve().parents[2]
BATCH_DOCUMENTS = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    build = ["cargo", "build", "--quiet", "--release", "--package", "collections", "--example", "decode"]
    subprocess.run(build, cwd=ROOT, check=True)
    target = subprocess.run(["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout
    ours = pathlib.Path(json.loads(target)["target_directory"]) / "release/examples/decode"
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "batches"
        streams = list(write(file, args.documents))
        seconds = {"ours": [], "pymongoarrow": []}
        for _ in range(args.rounds):
            told = subprocess.run([ours, file, "1"], check=True, capture_output=True, text=True).stdout.split()
            assert int(told[0]) == args.documents, told
            seconds["ours"].append(float(told[1]))
            seconds["pymongoarrow"].append(pymongoarrow(streams, args.documents))
    best = {name: min(taken) for name, taken in seconds.items()}
    print(f"{args.documents} documents of ten fields to Arrow, {sum(map(len, streams)) / 1e6:.0f} MB of BSON\n")
    print("| | seconds | documents a second | times pymongoarrow |")
    print("|---|---|---|---|")
    for name, taken in best.items():
        rate = args.documents / taken
        print(f"| {name} | {taken:.2f} | {rate:,.0f} | {best['pymongoarrow'] / taken:.2f} |")


def write(file, count):
    """Writes the batches; yields each as pymongoarrow takes it, its documents one after another."""
    made = documents.make(count)
    with file.open("wb") as batches:
        for start in range(0, count, BATCH_DOCUMENTS):
            some = [bson.encode(next(made)) for _ in range(min(BATCH_DOCUMENTS, count - start))]
            elements = b"".join(b"\x03%d\x00%b" % (index, one) for index, one in enumerate(some))
            batches.write(struct.pack("<I", len(elements) + 5) + elements + b"\x00")
            yield b"".join(some)


def pymongoarrow(streams, count):
    schema = Schema(documents.schema(pa))
    start = time.perf_counter()
    context = PyMongoArrowContext(schema, DEFAULT_CODEC_OPTIONS)
    for stream in streams:
        context.process_bson_stream(stream)
    table = context.finish()
    taken = time.perf_counter() - start
    assert table.num_rows == count
    return taken


if __name__ == "__main__":
    sys.exit(main())
