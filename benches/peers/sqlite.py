"""Makes the SQLite database in argument 1 of Parquet files, `table=path:key` each, with an index on the key."""

import decimal
import sqlite3
import sys

import pyarrow.parquet


def plain(column):
    """SQLite has neither decimals nor dates."""
    values = column.to_pylist()
    kind = next((type(value) for value in values if value is not None), str)
    if kind in (int, float, str):
        return values
    make = float if kind is decimal.Decimal else str
    return [None if value is None else make(value) for value in values]


database = sqlite3.connect(sys.argv[1])
for argument in sys.argv[2:]:
    name, rest = argument.split("=", 1)
    path, key = rest.rsplit(":", 1)
    file = pyarrow.parquet.ParquetFile(path)
    names = file.schema_arrow.names
    database.execute(f"CREATE TABLE {name} ({', '.join(names)})")
    places = ", ".join("?" * len(names))
    for batch in file.iter_batches(65536):
        database.executemany(f"INSERT INTO {name} VALUES ({places})", zip(*map(plain, batch.columns)))
    database.execute(f"CREATE INDEX {name}_{key} ON {name} ({key})")
database.execute("ANALYZE")
database.commit()
