"""The prompt logs and messages that are measured: real conversations where they are at hand, else made ones.

Both have one shape, that of `convert.py`: an agent's policy as the system prompt, and a history that grows with every
turn, so that consecutive logs repeat each other.
"""

import datetime as dt
import json
import pathlib
import random
import subprocess
import sys

LOGS = 1000  # what one archive holds at most
CONVERT = pathlib.Path(__file__).resolve().parents[2] / "shared/data/tau-bench-airline/convert.py"


class Corpus:
    """Files to import, and what the measured archive has to hold.

    `prefix` selects more logs than fit, so the archive is the first 1,000; `entries` maps its entry names to bytes.
    """

    def __init__(self, folder, message_copies):
        folder.mkdir()
        if CONVERT.exists():
            subprocess.run([sys.executable, CONVERT, folder], check=True, timeout=300)
            self.source = "200 real agent conversations (τ-bench, airline)"
        else:
            synthesize(folder)
            self.source = "200 synthetic conversations"
        self.prompt_logs, self.messages = folder / "prompt_logs.ndjson", folder / "messages.ndjson"
        self.message_count = repeat_messages(self.messages, message_copies)

        with open(self.prompt_logs, encoding="utf-8") as file:
            logs = sorted(map(json.loads, file), key=lambda log: log["log_key"].encode())
        firsts = [log["log_key"][0] for log in logs]
        self.prefix = max(set(firsts), key=firsts.count)
        chosen = [log for log in logs if log["log_key"].startswith(self.prefix)][:LOGS]
        assert len(chosen) == LOGS, f"only {len(chosen)} logs under one prefix"
        self.entries = {}
        for log in chosen:
            self.entries[f"{log['log_key']}-system"] = log["system"].encode()
            self.entries[f"{log['log_key']}-history"] = "\n---\n".join(log["history"]).encode()
        self.size = sum(map(len, self.entries.values()))

    def write_entries(self, folder):
        """The entries as files under their names, which is what the peers serve."""
        for name, content in self.entries.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def repeat_messages(path, copies):
    """Makes more of the messages; no two texts stay equal, lest a dictionary fold them into nothing."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    with open(path, "w", encoding="utf-8") as file:
        for copy in range(copies):
            for row in rows:
                changed = row | {"_id": f"{row['_id']}-{copy:03d}", "content": f"{row['content']} #{copy}"}
                file.write(json.dumps(changed, ensure_ascii=False) + "\n")
    return len(rows) * copies


def synthesize(folder):
    """200 conversations of 12 turns whose words repeat about as often as an agent's do; the same every time."""
    chance = random.Random(1)
    words = ["".join(chance.choices("etaoinshrdlucmfwyp", k=chance.randint(2, 9))) for _ in range(3000)]
    weights = [1 / (place + 5) for place in range(len(words))]

    def text(count):
        return " ".join(chance.choices(words, weights, k=count))

    system, now = text(1000), dt.datetime.now(dt.timezone.utc)
    with (open(folder / "prompt_logs.ndjson", "w", encoding="utf-8") as logs,
          open(folder / "messages.ndjson", "w", encoding="utf-8") as messages):
        for number in range(200):
            conversation, history = f"{number:024x}", []
            start = now - dt.timedelta(hours=3 * (200 - number))
            for turn in range(12):
                for sender in ("user", "assistant"):
                    at = (start + dt.timedelta(seconds=20 * len(history))).isoformat(timespec="milliseconds")
                    at = at.replace("+00:00", "Z")
                    if sender == "assistant":
                        logs.write(json.dumps({
                            "log_key": f"{conversation}/{turn:03d}/engage_user", "created_at": at, "system": system,
                            "history": history, "conversation_id": conversation, "interaction_id": f"{turn:03d}",
                            "user_id": f"user_{number % 50}", "service_id": "airline"}) + "\n")
                    content = text(chance.randint(10, 150))
                    messages.write(json.dumps({
                        "_id": f"{conversation}{len(history):08x}", "org_id": "airline", "sender": sender,
                        "conversation_id": conversation, "interaction_id": f"{turn:03d}", "message_type": "text",
                        "content": content, "created_at": at}) + "\n")
                    history.append(f"{sender}\n{content}")
