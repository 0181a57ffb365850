"""Answers SQL in this process with the engine in argument 1, `datafusion` or `duckdb`, over Parquet.

The other arguments are tables, `name=path`: a Parquet file, a folder of them, or NDJSON, which is made Parquet first. One
query a line in, as JSON; {"seconds", "rows"} or {"error"} a line out. The first line out says that it is ready. The
seconds end where all rows are there as Arrow; no time goes into making Python's objects of them.
"""

import datetime as dt
import json
import os
import pathlib
import sys
import time

import pyarrow
import pyarrow.parquet


def export(source):
    """Writes the file as engines read it fastest: row groups for every core, dictionaries where values repeat."""
    target = source.with_suffix(".parquet")
    with open(source, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        row["created_at"] = dt.datetime.fromisoformat(row["created_at"])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), target, compression="zstd", row_group_size=32768,
                                use_dictionary=["sender", "message_type"])
    return target


def datafusion(tables):
    import datafusion

    context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(os.cpu_count()))
    for name, path in tables.items():
        context.register_parquet(name, f"{path}/" if path.is_dir() else str(path))
    return lambda sql: context.sql(sql).collect()


def duckdb(tables):
    import duckdb

    connection = duckdb.connect(config={"threads": os.cpu_count()})
    for name, path in tables.items():
        files = f"{path}/*.parquet" if path.is_dir() else path
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{files}')")

    def ask(sql):
        relation = connection.sql(sql)
        return relation.to_arrow_table().to_batches() if relation is not None else []

    return ask


def rows_of(batches):
    """Decimals and dates as text, as they travel; all else as it is."""
    for batch in batches:
        yield from zip(*(column.to_pylist() for column in batch.columns))


def answer(line, ask):
    started = time.perf_counter()
    try:
        batches = ask(json.loads(line))
    except Exception as error:
        return {"error": str(error)[:500]}
    return {"seconds": time.perf_counter() - started, "rows": list(rows_of(batches))}


def main():
    tables = {}
    for argument in sys.argv[2:]:
        name, path = argument.split("=", 1)
        path = pathlib.Path(path)
        tables[name] = export(path) if path.suffix == ".ndjson" else path
    ask = {"datafusion": datafusion, "duckdb": duckdb}[sys.argv[1]](tables)
    print(json.dumps({"seconds": 0, "rows": []}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line, ask), default=str), flush=True)


main()
