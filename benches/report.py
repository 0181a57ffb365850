"""How results are told: Markdown tables, and the figures in them."""

import math
import statistics


def percentile(values, percent):
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def p50_p99(seconds):
    """Two cells, in milliseconds."""
    return [f"{statistics.median(seconds) * 1e3:.2f}", f"{percentile(seconds, 99) * 1e3:.2f}"]


def table(title, header, rows):
    lines = [f"### {title}", "", "| " + " | ".join(header) + " |", "|---" + "|--:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
