"""What the pages of measurements have in common: runs, numbers as people write them, tables."""

import statistics


def runs(data, name):
    """The runs of one measurement, none if it was not made."""
    result = data[name]["result"] if name in data else []
    return result if isinstance(result, list) else [result]


def pick(run, dotted):
    for key in dotted.split("."):
        run = run[key]
    return run


def median(data, name, key):
    return statistics.median(pick(run, key) for run in runs(data, name))


def spread(data, name, key, text):
    values = [pick(run, key) for run in runs(data, name)]
    return f"{text(min(values))} .. {text(max(values))}" if len(values) > 1 else "one run"


# ---- numbers as people write them ------------------------------------------------------------------------------------


def digits(value):
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", " ")


def share_text(value):
    """A count per message."""
    return "0" if value == 0 else "< 0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.1 else digits(value)


def scaled(value, steps):
    for size, unit in steps:
        if value >= size:
            return f"{digits(value / size)} {unit}"
    return f"{digits(value)} {steps[-1][1]}"


def time_text(ns):
    return scaled(ns, [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns")])


def rate_text(per_second):
    return scaled(per_second, [(1e6, "M/s"), (1e3, "k/s"), (1, "/s")])


def bytes_text(per_second):
    return scaled(per_second, [(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")])


def size_text(size):
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"


def table(head, align, rows):
    if not rows:
        return "Not measured yet.\n"
    marks = {"l": "---", "r": "--:"}
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(marks[one] for one in align) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def verdict(ratio, target, upper):
    return "yes" if (ratio <= target if upper else ratio >= target) else "**no**"
