"""The SQL that check.py asks, each query beside the Python that computes its answer from the files.

An expectation takes the data (data.Data) and returns rows as the wire carries them. Every query orders its rows.
"""

import datetime as dt
from collections import Counter, defaultdict, namedtuple

from data import at, instant, today

# `types`: the column types, where the wire contract leaves no choice.
Query = namedtuple("Query", "name sql expect types", defaults=(None,))

TABLES = ("conversations", "messages", "users", "reservations", "flights", "prompt_logs")


def grouped(keys):
    """GROUP BY key, COUNT(*), ORDER BY key."""
    return [[key, count] for key, count in sorted(Counter(keys).items())]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def by(rows, *columns):
    """Rows collected under the value of one column (or the tuple of several)."""
    found = defaultdict(list)
    for row in rows:
        found[row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns)].append(row)
    return found


def day(row, column="created_at"):
    return at(row[column]).date()


def midnight(date):
    return instant(dt.datetime.combine(date, dt.time()))


def days_ago(count):
    return today() - dt.timedelta(days=count)


COUNTS = [Query(f"rows of {table}", f"SELECT COUNT(*) FROM {table}",
                lambda d, table=table: [[len(d[table])]], ["BIGINT"]) for table in TABLES]

AGGREGATES = [
    Query("distinct users of conversations",
          "SELECT COUNT(DISTINCT user_id), COUNT(DISTINCT _id) FROM conversations",
          lambda d: [[len({c["user_id"] for c in d.conversations}), len(d.conversations)]], ["BIGINT", "BIGINT"]),
    Query("messages by sender",
          "SELECT sender, COUNT(*) AS n, AVG(LENGTH(content)) AS mean FROM messages GROUP BY sender ORDER BY sender",
          lambda d: [[sender, len(rows), mean(len(row["content"]) for row in rows)]
                     for sender, rows in sorted(by(d.messages, "sender").items())], ["STRING", "BIGINT", "DOUBLE"]),
    Query("distinct conversations by sender and type",
          "SELECT sender, message_type, COUNT(DISTINCT conversation_id) FROM messages GROUP BY 1, 2 ORDER BY 1, 2",
          lambda d: [[*key, len({row["conversation_id"] for row in rows})]
                     for key, rows in sorted(by(d.messages, "sender", "message_type").items())]),
    Query("text search", "SELECT COUNT(*) FROM messages WHERE LOWER(content) LIKE '%refund%'",
          lambda d: [[sum("refund" in m["content"].lower() for m in d.messages)]]),
    Query("boolean column", "SELECT is_finished, COUNT(*) FROM conversations GROUP BY is_finished ORDER BY is_finished",
          lambda d: grouped(c["is_finished"] for c in d.conversations), ["BOOLEAN", "BIGINT"]),
    Query("integer columns",
          "SELECT cabin, SUM(total_baggages), MAX(nonfree_baggages), AVG(total_baggages) "
          "FROM reservations GROUP BY cabin ORDER BY cabin",
          lambda d: [[cabin, sum(r["total_baggages"] for r in rows), max(r["nonfree_baggages"] for r in rows),
                      mean(r["total_baggages"] for r in rows)]
                     for cabin, rows in sorted(by(d.reservations, "cabin").items())],
          ["STRING", "BIGINT", "BIGINT", "DOUBLE"]),
    Query("a common table expression and HAVING",
          "WITH sizes AS (SELECT conversation_id, COUNT(*) AS n FROM messages "
          "GROUP BY conversation_id HAVING COUNT(*) > 40) "
          "SELECT conversation_id, n FROM sizes ORDER BY n DESC, conversation_id",
          lambda d: sorted(([key, n] for key, n in grouped(m["conversation_id"] for m in d.messages) if n > 40),
                           key=lambda row: (-row[1], row[0]))),
    Query("a window: the last message of each conversation",
          "SELECT conversation_id, _id FROM (SELECT conversation_id, _id, ROW_NUMBER() OVER "
          "(PARTITION BY conversation_id ORDER BY created_at DESC, _id DESC) AS place FROM messages) AS ranked "
          "WHERE place = 1 ORDER BY conversation_id",
          lambda d: [[key, max(rows, key=lambda m: (at(m["created_at"]), m["_id"]))["_id"]]
                     for key, rows in sorted(by(d.messages, "conversation_id").items())]),
]


def travellers(d):
    """User, last name, number of conversations and of reservations, of every user who has both."""
    talks, trips = by(d.conversations, "user_id"), by(d.reservations, "user_id")
    return [[u["user_id"], u["last_name"], len(talks[u["user_id"]]), len(trips[u["user_id"]])]
            for u in d.users if u["user_id"] in talks and u["user_id"] in trips]


def talkers(d):
    talks = by(d.conversations, "user_id")
    return [[u["user_id"], u["email"], len(talks[u["user_id"]])] for u in d.users if u["user_id"] in talks]


def finished(d, state):
    return {c["_id"] for c in d.conversations if c["is_finished"] is state}


JOINS = [
    Query("users with their conversations",
          "SELECT u.user_id, u.email, COUNT(*) AS n FROM users u JOIN conversations c ON c.user_id = u.user_id "
          "GROUP BY u.user_id, u.email ORDER BY n DESC, u.user_id",
          lambda d: sorted(talkers(d), key=lambda row: (-row[2], row[0]))),
    Query("users without a conversation",
          "SELECT u.user_id FROM users u LEFT JOIN conversations c ON c.user_id = u.user_id "
          "WHERE c._id IS NULL ORDER BY u.user_id",
          lambda d: [[user] for user in sorted({u["user_id"] for u in d.users} - set(by(d.conversations, "user_id")))]),
    Query("users, conversations and reservations",
          "SELECT u.user_id, u.last_name, COUNT(DISTINCT c._id) AS talks, COUNT(DISTINCT r.reservation_id) AS trips "
          "FROM users u JOIN conversations c ON c.user_id = u.user_id JOIN reservations r ON r.user_id = u.user_id "
          "GROUP BY u.user_id, u.last_name ORDER BY u.user_id",
          lambda d: sorted(travellers(d)), ["STRING", "STRING", "BIGINT", "BIGINT"]),
    Query("pairs of conversations and reservations",
          "SELECT COUNT(*) FROM users u JOIN conversations c ON c.user_id = u.user_id "
          "JOIN reservations r ON r.user_id = u.user_id",
          lambda d: [[sum(talks * trips for _, _, talks, trips in travellers(d))]]),
    Query("messages of unfinished conversations",
          "SELECT COUNT(*) FROM messages m JOIN conversations c ON m.conversation_id = c._id WHERE NOT c.is_finished",
          lambda d: [[len([m for ids in [finished(d, False)] for m in d.messages if m["conversation_id"] in ids])]]),
    Query("prompt logs of finished conversations",
          "SELECT c.is_finished, COUNT(*), COUNT(DISTINCT p.conversation_id) FROM prompt_logs p "
          "JOIN conversations c ON p.conversation_id = c._id GROUP BY c.is_finished ORDER BY c.is_finished",
          lambda d: [[state, sum(log["conversation_id"] in ids for log in d.prompt_logs),
                      len({log["conversation_id"] for log in d.prompt_logs} & ids)]
                     for state in (False, True) if (ids := finished(d, state))]),
]

DATES = [
    Query("the past 7 days",
          "SELECT COUNT(*) FROM conversations WHERE created_at >= CURRENT_DATE - INTERVAL '7 days'",
          lambda d: [[sum(day(c) >= days_ago(7) for c in d.conversations)]]),
    Query("the week before",
          "SELECT COUNT(*) FROM messages WHERE DATE(created_at) "
          "BETWEEN CURRENT_DATE - INTERVAL '14 days' AND CURRENT_DATE - INTERVAL '8 days'",
          lambda d: [[sum(days_ago(14) <= day(m) <= days_ago(8) for m in d.messages)]]),
    Query("a week, day by day",
          "SELECT DATE(created_at) AS day, COUNT(*) AS n FROM messages "
          "WHERE created_at >= CURRENT_DATE - INTERVAL '7 days' GROUP BY DATE(created_at) ORDER BY day",
          lambda d: [[str(key), n] for key, n in grouped(day(m) for m in d.messages if day(m) >= days_ago(7))],
          ["DATE", "BIGINT"]),
    Query("the dates themselves", "SELECT CURRENT_DATE, CURRENT_DATE - INTERVAL '7 days'",
          lambda d: [[str(today()), str(days_ago(7))]], ["DATE", "DATE"]),
    Query("date_trunc of a day",
          "SELECT date_trunc('day', created_at) AS day, COUNT(*) FROM conversations GROUP BY 1 ORDER BY 1",
          lambda d: [[midnight(key), n] for key, n in grouped(day(c) for c in d.conversations)],
          ["TIMESTAMP", "BIGINT"]),
    Query("date_trunc of a week",
          "SELECT date_trunc('week', created_at) AS week, COUNT(DISTINCT user_id) "
          "FROM conversations GROUP BY 1 ORDER BY 1",
          lambda d: [[midnight(monday), len(users)] for monday, users in sorted(weeks(d).items())]),
    Query("the hour of a timestamp",
          "SELECT EXTRACT(hour FROM created_at) AS hour, COUNT(*) FROM messages GROUP BY 1 ORDER BY 1",
          lambda d: grouped(at(m["created_at"]).hour for m in d.messages)),
    Query("first and last",
          "SELECT MIN(created_at), MAX(created_at) FROM messages",
          lambda d: [[instant(edge(at(m["created_at"]) for m in d.messages)) for edge in (min, max)]],
          ["TIMESTAMP", "TIMESTAMP"]),
    Query("a timestamp without zone",
          "SELECT DATE(created_at) AS day, COUNT(*) FROM reservations GROUP BY 1 ORDER BY 1",
          lambda d: grouped(r["created_at"][:10] for r in d.reservations), ["DATE", "BIGINT"]),
]


def weeks(d):
    found = defaultdict(set)
    for row in d.conversations:
        found[day(row) - dt.timedelta(days=day(row).weekday())].add(row["user_id"])
    return found


JSON = [
    Query("a text in a document",
          "SELECT get_json_object(preferences, '$.address.state') AS state, COUNT(*) FROM users GROUP BY 1 ORDER BY 1",
          lambda d: grouped(u["preferences"]["address"]["state"] for u in d.users), ["STRING", "BIGINT"]),
    Query("one more document",
          "SELECT get_json_object(u.additional_context, '$.membership') AS level, COUNT(DISTINCT c._id) "
          "FROM users u JOIN conversations c ON c.user_id = u.user_id GROUP BY 1 ORDER BY 1",
          lambda d: memberships(d)),
    Query("a number in a document",
          "SELECT AVG(CAST(get_json_object(version_set_info, '$.reward') AS DOUBLE)), "
          "SUM(CAST(get_json_object(version_set_info, '$.trial') AS BIGINT)) FROM conversations",
          lambda d: [[mean(c["version_set_info"]["reward"] for c in d.conversations),
                      sum(c["version_set_info"]["trial"] for c in d.conversations)]], ["DOUBLE", "BIGINT"]),
    Query("an element of an array",
          "SELECT get_json_object(flights, '$[0].flight_number') AS flight, COUNT(*) AS n "
          "FROM reservations GROUP BY 1 ORDER BY n DESC, flight LIMIT 25",
          lambda d: sorted(grouped(r["flights"][0]["flight_number"] for r in d.reservations),
                           key=lambda row: (-row[1], row[0]))[:25]),
    Query("an element that is not always there",
          "SELECT COUNT(get_json_object(passengers, '$[2].last_name')), COUNT(*) FROM reservations",
          lambda d: [[sum(len(r["passengers"]) > 2 for r in d.reservations), len(d.reservations)]]),
    Query("a path that is nowhere",
          "SELECT COUNT(*) FROM users WHERE get_json_object(preferences, '$.nothing.here') IS NULL",
          lambda d: [[len(d.users)]]),
    Query("instants in a document stay text",
          "SELECT get_json_object(interactions, '$[0].created_at') FROM conversations ORDER BY _id",
          lambda d: [[c["interactions"][0]["created_at"] if c["interactions"] else None]
                     for c in sorted(d.conversations, key=lambda c: c["_id"])], ["STRING"]),
]


def memberships(d):
    level = {u["user_id"]: u["additional_context"]["membership"] for u in d.users}
    return grouped(level[c["user_id"]] for c in d.conversations if c["user_id"] in level)


PROMPT_LOGS = [
    Query("conversations of the logs",
          "SELECT COUNT(DISTINCT conversation_id), COUNT(DISTINCT log_key) FROM prompt_logs",
          lambda d: [[len({log["conversation_id"] for log in d.prompt_logs}), len(d.prompt_logs)]]),
    Query("logs by conversation", "SELECT conversation_id, COUNT(*) FROM prompt_logs GROUP BY 1 ORDER BY 1",
          lambda d: grouped(log["conversation_id"] for log in d.prompt_logs)),
    Query("logs by day", "SELECT DATE(created_at) AS day, COUNT(*) FROM prompt_logs GROUP BY 1 ORDER BY 1",
          lambda d: [[str(key), n] for key, n in grouped(day(log) for log in d.prompt_logs)], ["DATE", "BIGINT"]),
    Query("logs of the past 3 days by user",
          "SELECT user_id, COUNT(*) FROM prompt_logs "
          "WHERE created_at >= CURRENT_DATE - INTERVAL '3 days' GROUP BY 1 ORDER BY 1",
          lambda d: grouped(log["user_id"] for log in d.prompt_logs if day(log) >= days_ago(3))),
    Query("length of the texts", "SELECT SUM(LENGTH(system)), MAX(LENGTH(system)) FROM prompt_logs",
          lambda d: [[edge(len(log["system"]) for log in d.prompt_logs) for edge in (sum, max)]]),
    Query("the latest logs as they were written",
          "SELECT log_key, created_at, system, history, model, prompt_type, interaction_id, service_id "
          "FROM prompt_logs ORDER BY log_key DESC LIMIT 20",
          lambda d: [[log["log_key"], instant(at(log["created_at"])), log["system"], log["history"], log["model"],
                      log["prompt_type"], log["interaction_id"], log["service_id"]] for log in d.logs()[:-21:-1]],
          ["STRING", "TIMESTAMP", "STRING", "ARRAY<STRING>", "STRING", "STRING", "STRING", "STRING"]),
]

# (expression, type, value on the wire): section 2 of the wire contract.
ENCODINGS = [
    ("true", "BOOLEAN", True),
    ("CAST(1 AS TINYINT)", "TINYINT", 1),
    ("CAST(-2 AS SMALLINT)", "SMALLINT", -2),
    ("CAST(3 AS INT)", "INT", 3),
    ("CAST(4 AS BIGINT)", "BIGINT", 4),
    ("CAST(1.5 AS FLOAT)", "FLOAT", 1.5),
    ("CAST(2.25 AS DOUBLE)", "DOUBLE", 2.25),
    ("CAST(1.5 AS DECIMAL(10, 2))", "DECIMAL(10,2)", "1.50"),
    ("CAST(-0.05 AS DECIMAL(38, 10))", "DECIMAL(38,10)", "-0.0500000000"),
    ("'plain, \"quoted\" and ünïcode ✓'", "STRING", 'plain, "quoted" and ünïcode ✓'),
    ("CAST(NULL AS STRING)", "STRING", None),
    ("X'00FF10'", "BINARY", "AP8Q"),
    ("CAST('2025-01-20' AS DATE)", "DATE", "2025-01-20"),
    ("CAST('NaN' AS DOUBLE)", "DOUBLE", "NaN"),
    ("CAST('Infinity' AS DOUBLE)", "DOUBLE", "Infinity"),
    ("CAST('-Infinity' AS DOUBLE)", "DOUBLE", "-Infinity"),
    ("make_array('a', NULL, 'c')", "ARRAY<STRING>", ["a", None, "c"]),
    ("named_struct('a', 1, 'b', CAST(NULL AS STRING))", "STRUCT<", {"a": 1, "b": None}),
    ("make_array(named_struct('x', make_array(1, 2)))", "ARRAY<STRUCT<", [{"x": [1, 2]}]),
]

EDGE = 2**53 - 1
# (rows, whether the column must be strings): one value beyond the edge turns the whole column.
BIG_INTEGERS = [
    ([1, EDGE], False), ([-EDGE, 0], False),
    ([1, EDGE + 1], True), ([-EDGE - 1, 0], True), ([2**63 - 1, -1], True),
]

# One read-only statement over this organization's tables is all that runs; section 2 of the wire contract.
REFUSED = [
    "SELEC 1", "SELECT", "SELECT nothing_here FROM conversations", "SELECT * FROM no_such_table",
    "SELECT no_such_function(1)", "SELECT 1; SELECT 2", "DELETE FROM conversations",
    "UPDATE conversations SET user_id = 'x'", "INSERT INTO conversations SELECT * FROM conversations",
    "DROP TABLE conversations", "CREATE TABLE mine AS SELECT 1", "CREATE VIEW mine AS SELECT 1",
    "COPY (SELECT 1) TO 'out.csv'", "SET datafusion.execution.batch_size = 1",
    "WITH gone AS (DELETE FROM conversations RETURNING _id) SELECT * FROM gone",
    "SELECT CAST('x' AS BIGINT)",
]


def needs(query):
    """The tables a query reads, judged generously: any that it names."""
    words = set(query.sql.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {table for table in TABLES if table in words}
