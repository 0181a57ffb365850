"""The prompt logs and messages that are measured. The same every time, but for the instants, which end now.

Three corpora of an archive's 1,000 logs: real conversations where they are at hand, else made ones of that shape;
conversations of 40 turns; and logs that have nothing in common. Beside them many small logs to choose from, and bodies
to write.
"""

import datetime as dt
import functools
import itertools
import json
import pathlib
import random
import re
import subprocess
import sys

LOGS = 1000  # what one archive holds at most
CONVERT = pathlib.Path(__file__).resolve().parents[2] / "shared/data/tau-bench-airline/convert.py"
LOG_KEY = re.compile(r'\{"log_key": "([^"]+)"')


class Corpus:
    """Logs to import, and what the measured archive has to hold.

    `prefix` selects `LOGS` logs or more, so the archive is the first of them; `entries` maps its entry names to bytes.
    """

    def __init__(self, org, title, prompt_logs):
        self.org, self.title, self.prompt_logs = org, title, prompt_logs
        with open(prompt_logs, encoding="utf-8") as file:
            keys = [LOG_KEY.match(line)[1] for line in file]
        self.count = len(keys)
        firsts = [key[0] for key in keys]
        self.prefix = max(set(firsts), key=firsts.count)
        chosen = sorted(key for key in keys if key.startswith(self.prefix))[:LOGS]
        self.entries = {}
        wanted, logs = set(chosen), {}
        with open(prompt_logs, encoding="utf-8") as file:
            for line in file:
                if LOG_KEY.match(line)[1] in wanted:
                    log = json.loads(line)
                    logs[log["log_key"]] = log
        for key in chosen:
            self.entries[f"{key}-system"] = logs[key]["system"].encode()
            self.entries[f"{key}-history"] = "\n---\n".join(logs[key]["history"]).encode()
        self.size = sum(map(len, self.entries.values()))

    @property
    def path(self):
        return f"/v1/{self.org}/admin/get_prompt_logs/?prompt_log_prefix={self.prefix}"

    def write_entries(self, folder):
        """The entries as files under their names, which is what the peers serve."""
        for name, content in self.entries.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def agents(folder, copies):
    """The real conversations, `copies` times under other ids, or made ones; and the messages of one copy."""
    folder.mkdir()
    if CONVERT.exists():
        subprocess.run([sys.executable, CONVERT, folder, "--copies", str(copies)], check=True, timeout=600)
        title = "Real agent conversations (τ-bench, airline)"
    else:
        synthesize(folder, copies)
        title = "Made agent conversations"
    corpus = Corpus("airline", title, folder / "prompt_logs.ndjson")
    corpus.messages = folder / "messages.ndjson"
    return corpus


def conversations(folder):
    """25 conversations of 40 turns under one system prompt; every log repeats its conversation so far."""
    folder.mkdir()
    prose, chance = Prose(), random.Random(2)

    def logs():
        system = prose.text(chance, 6000)
        for talk in range(25):
            history = []
            for turn in range(40):
                history.append("user\n" + prose.text(chance, chance.randint(200, 1600)))
                yield {"log_key": f"talk-{talk:02}/{turn:03}", "system": system, "history": history}
                history.append("assistant\n" + prose.text(chance, chance.randint(400, 4000)))

    return Corpus("talks", "25 made conversations of 40 turns", write(folder / "prompt_logs.ndjson", logs()))


def independent(folder):
    """1,000 logs of about 320 KB that have nothing in common."""
    folder.mkdir()
    prose, chance = Prose(), random.Random(3)

    def logs():
        for number in range(LOGS):
            history = [prose.text(chance, chance.randint(20_000, 60_000)) for _ in range(7)]
            yield {"log_key": f"document-{number:04}", "system": prose.text(chance, 40_000), "history": history}

    return Corpus("documents", "1,000 independent logs", write(folder / "prompt_logs.ndjson", logs()))


def many(path, count):
    """Small logs in conversations of 20; returns the prefix of each conversation."""
    start = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=25)
    step = dt.timedelta(days=25) / count
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            talk, turn = divmod(number, 20)
            at = (start + step * number).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            file.write(f'{{"log_key": "{talk:024x}/{turn:03}/engage_user", "created_at": "{at}", "history": '
                       f'["user\\nquestion {number}"], "conversation_id": "{talk:024x}", "user_id": "user_{talk % 50}"}}\n')
    return [f"{talk:024x}/" for talk in range(count // 20)]


def tpch(generator, folder, scale):
    """TPC-H's tables as one Parquet file each; the same every time. Returns the files by table."""
    subprocess.run([generator, "parquet", "--scale-factor", str(scale), "--output-dir", folder], check=True, timeout=600,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {path.stem: path for path in sorted(folder.glob("*.parquet"))}


def days(path, count, each):
    """`each` small logs on each of the last `count` whole days; returns the newest day and one log key of it."""
    newest = dt.datetime.now(dt.timezone.utc).date() - dt.timedelta(days=1)
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count * each):
            day, place = divmod(number, each)
            second = place * 86_400 // each
            at = f"{newest - dt.timedelta(days=day)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
            file.write(f'{{"log_key": "{number * 7919 % 1_000_003:024x}/{number:07}", "created_at": "{at}", "history": '
                       f'["user\\nquestion {number}"], "user_id": "user_{number % 50}", "service_id": "s{number % 7}"}}\n')
    place = each // 2
    return newest, f"{place * 7919 % 1_000_003:024x}/{place:07}"


def bodies(name, count, logs_each):
    """NDJSON bodies of logs of 12 KB: half of each a system prompt that all share, half of it new."""
    system, pool = new_text()
    chance = random.Random(name)
    for number in range(count):
        lines = []
        for log in range(logs_each):
            at = chance.randrange(len(pool) - 6000)
            history = json.dumps([pool[at:at + 3000], pool[at + 3000:at + 6000]])
            lines.append(f'{{"log_key": "{name}/{number:06}/{log:03}", "system": {system}, "history": {history}}}\n')
        yield "".join(lines).encode()


@functools.cache
def new_text():
    """A system prompt as JSON, and text to cut the rest from."""
    prose, chance = Prose(), random.Random(5)
    return json.dumps(prose.text(chance, 6000)), prose.text(chance, 8_000_000)


def write(path, logs):
    now = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=1)
    with open(path, "w", encoding="utf-8") as file:
        for number, log in enumerate(logs):
            at = (now + dt.timedelta(seconds=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            file.write(json.dumps(log | {"created_at": at}, ensure_ascii=False) + "\n")
    return path


class Prose:
    """Text that DEFLATE shrinks to 0.3 as it does real prompts: phrases that recur, some often, most seldom."""

    def __init__(self):
        chance = random.Random(1)
        consonants, vowels = "b c d f g h k l m n p r s t v w st tr pl ch".split(), "a e i o u ai ea er".split()
        syllables = [consonant + vowel for consonant in consonants for vowel in vowels]
        words = ["".join(chance.choices(syllables, k=chance.choice((1, 1, 2, 2, 2, 3, 3, 4)))) for _ in range(8000)]
        weights = [1 / (place + 3) for place in range(len(words))]
        self.phrases = [" ".join(chance.choices(words, weights, k=chance.randint(2, 6))) for _ in range(16_000)]
        self.weights = list(itertools.accumulate(1 / (place + 60) for place in range(len(self.phrases))))

    def text(self, chance, size):
        count = max(1, size // 16)
        phrases = chance.choices(self.phrases, cum_weights=self.weights, k=count)
        ends = chance.choices((" ", ", ", ". ", ".\n", "; ", ": "), (50, 12, 20, 5, 2, 2), k=count)
        return "".join(itertools.chain.from_iterable(zip(phrases, ends)))[:size]


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


def synthesize(folder, copies):
    """200 conversations of 12 turns, as convert.py would write them."""
    prose, chance = Prose(), random.Random(4)
    system, now = prose.text(chance, 6000), dt.datetime.now(dt.timezone.utc)
    with (open(folder / "prompt_logs.ndjson", "w", encoding="utf-8") as logs,
          open(folder / "messages.ndjson", "w", encoding="utf-8") as messages):
        for number in range(200 * copies):
            conversation, history = f"{number:024x}", []
            start = now - dt.timedelta(days=25) * (1 - number / (200 * copies)) - dt.timedelta(hours=1)
            for turn in range(12):
                for sender in ("user", "assistant"):
                    at = (start + dt.timedelta(seconds=20 * len(history))).isoformat(timespec="milliseconds")
                    at = at.replace("+00:00", "Z")
                    if sender == "assistant":
                        logs.write(json.dumps({
                            "log_key": f"{conversation}/{turn:03d}/engage_user", "created_at": at, "system": system,
                            "history": history, "conversation_id": conversation, "interaction_id": f"{turn:03d}",
                            "user_id": f"user_{number % 50}", "service_id": "airline"}) + "\n")
                    content = prose.text(chance, chance.randint(50, 900))
                    messages.write(json.dumps({
                        "_id": f"{conversation}{len(history):08x}", "org_id": "airline", "sender": sender,
                        "conversation_id": conversation, "interaction_id": f"{turn:03d}", "message_type": "text",
                        "content": content, "created_at": at}) + "\n")
                    history.append(f"{sender}\n{content}")
