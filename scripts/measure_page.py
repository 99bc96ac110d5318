"""docs/performance.md from the results that measure.py keeps. Dry: data in, text out."""

import re
import statistics

import measure_gateway
from measure_text import (bytes_text, digits, median, rate_text, runs, share_text, size_text, spread, table, time_text,
                          verdict)

SIZES = (64, 1024, 10240, 102400)
ONE_WAY_TARGET = {64: 0.4, 1024: 0.7, 10240: 0.85, 102400: 0.85}
TLS_TARGET = 0.9
ECHO_SIZES, ECHO_CONNECTIONS, ECHO_IN_FLIGHT = (20, 64, 1024), (10, 100, 1000), (1, 16)
ECHO_TARGET = {1: 0.92, 16: 0.6}  # by messages in flight
CODEC_FIGURES = (  # (case of ferry_bench_codec, what it is, least bytes per second)
    ("copy/16384", "memcpy, 16 KiB in the first-level cache", None),
    ("unmask/16384/0", "unmasking, the same", 25e9), ("unmask/16384/1", "unmasking, from an odd address on", None),
    ("utf8/ascii/16384", "UTF-8 checked, ASCII", 5e9), ("utf8/mixed/16384", "UTF-8 checked, mixed", 1e9),
    ("utf8/chinese/16384", "UTF-8 checked, three bytes each", None))
DECODED = (("decode/20", "masked messages of 20 B, from frame to event"), ("decode/1024", "the same, 1 KiB"))
PRODUCERS = (1, 2, 4)
CROWDS = ((1, 1), (1, 10), (1, 100), (10, 10), (10, 1000), (90, 90), (90, 9000))  # (channels that talk, of so many)
ROUND_TRIPS = (  # (measurement, label in the table, in the chart)
    ("rtt-shm-spin-pinned", "shm, spinning, 2 cores", "shm spin"), ("rtt-shm-sleep-free", "shm, sleeping", "shm sleep"),
    ("rtt-shm-sleep-pinned", "shm, sleeping, 2 cores", "shm 2 cores"),
    ("rtt-ipc-spin-pinned", "ipc, spinning, 2 cores", "ipc spin"), ("rtt-ipc-sleep-free", "ipc, sleeping", "ipc sleep"),
    ("rtt-ipc-sleep-pinned", "ipc, sleeping, 2 cores", "ipc 2 cores"),
    ("rtt-tcp-spin-pinned", "tcp, spinning, 2 cores", "tcp spin"), ("rtt-tcp-sleep-free", "tcp, sleeping", "tcp sleep"),
    ("rtt-tcp-sleep-pinned", "tcp, sleeping, 2 cores", "tcp 2 cores"), ("rtt-inproc", "inproc", "inproc"))

ECHO_COST = """More than nine tenths of an echo are two system calls, the same for both. Of what Ferry adds a part lies in the kernel: \
the event loop waits for an event list within an event list, which costs whoever sends a message another wake-up. With a \
thousand connections nothing of one is in the cache any more when its turn comes; its objects are fetched while the one \
before is dealt with.
"""

PEERS = """## Others, for orientation

Measured on another day on a machine of the same kind (2 cores, virtual), so only the order of magnitude counts.

| over Unix sockets | 64 B round trip | 64 B one way | 1 KiB one way | 10 KiB one way | 100 KiB one way |
|---|--:|--:|--:|--:|--:|
| raw, one write per message | 2.58 µs spinning, 9.0 µs sleeping | 1.40 M/s | 1.30 M/s | 6.9 GB/s | 7.6 GB/s |
| ZeroMQ 4.3.4 | 69 µs | 5.4 M/s | 1.23 M/s | 98.8 k/s | 2.1 GB/s |
| nng 2.0 | 90 µs | 0.22 M/s | 0.20 M/s | 83.8 k/s | 1.9 GB/s |
| uds-ipc (Go), two processes | | 0.37 M/s | 0.34 M/s | 107 k/s | 1.68 GB/s |

| over TCP loopback | 64 B round trip | 64 B one way |
|---|--:|--:|
| raw | 6.5 µs spinning, 12.2 µs sleeping on one core, 47 µs across cores | |
| ZeroMQ 4.3.4 | 78 µs | 5.5 M/s |
| nng 2.0 | 96 µs | |
"""

KEYS = """## Keys of the JSON

| key | what |
|---|---|
| `rtt_ns {p50, p90, p99, p999, max}` | round trips in nanoseconds; a bucket is never wider than a sixteenth of its values |
| `messages`, `bytes`, `seconds` | of the measured part, after the warm-up; payload bytes |
| `messages_per_second`, `bytes_per_second` | the same, divided |
| `lost`, `duplicated`, `corrupt` | found by the receiver's check of sequence numbers and bodies; the program fails if one is not 0 |
| `allocations_per_message` | calls of `operator new` in both processes, divided by the messages |
| `syscalls_per_message` | reads and writes of both channels, divided by the messages |
| `limit_...`, `ratio` | with `--limit`: the bare run that followed, and the channel's figure divided by it |
| `machine` | processor, cores, kernel, compiler, load average before the run |
| of `bench limits` | `cache_line_rtt_ns`, `memcpy_bytes_per_second`, and for `unix` and `tcp`: `pingpong_blocking_ns`, `pingpong_spinning_ns`, `raw_oneway`, `pipeline_oneway`, `echo`, `relay`; with `_min` and `_max` of the runs beside each |
| of `bench connections` | `rss_per_connection`, `pss_per_connection`, `descriptors_per_connection`: slope (in bytes) between a ninth of the connections and all |
| of `bench echo` | `size`, `connections`, `in_flight`; `limit_messages_per_second`: of the bare epoll server that ran next; `allocations_per_message`, `syscalls_per_message`: of the server, for one echo |
| of `bench gateway` | `clients`, `virtual`, `window`, `size`, `carrier`, `threads`, `spin_ns`, `rate`: the load; `echoes`, `echoes_per_second`, `cpu_ns_per_echo`, `p50_ns`, `p99_ns` (of `work` dials: `dials...`, `cpu_ns_per_dial`; of idle: `rss_bytes_per_client`); `limit_cpu_ns_per_echo`, `limit_echoes_per_second`, `limit_p50_ns`, `limit_p99_ns`: of the bare relay that ran next |
| of `bench ring` | `figures {NAME}`: `value` `against` what (`against_value`), the median `ratio` of the rounds with `ratio_min` and `ratio_max`, `at_most` or `at_least` what is wanted of the ratio (without one: of the value), `reached`; times in ns, rates per second, idle as a share of one core |
| of `bench session`, `bench sidecar` | as of `bench ring` |
| of `bench producers` | `producers` `as` threads or processes; `lost` also counts what came in another order |
"""


# ---- sections --------------------------------------------------------------------------------------------------------


def head(data):
    machines = [run["machine"] for name in data for run in runs(data, name) if "machine" in run]
    if not machines:
        return "Nothing has been measured yet: `make measure`.\n"
    dates = sorted(one["date"] for one in data.values())
    loads = [one["load_average"] for one in machines]
    text = "Made by `make measure` (`scripts/measure.py`); the raw results are in [data/](data).\n\n"
    if any(one["quick"] for one in data.values()):
        text += ("> **Provisional.** Some of these figures come from `scripts/measure.py --quick`: one short run each, "
                 "on a machine that others used at the same time. They show that everything works, and little more.\n\n")
    facts = [["processor", machines[0]["cpu"]], ["cores", str(machines[0]["cores"])],
             ["kernel", "Linux " + machines[0]["kernel"]],
             ["compiler", next((one["compiler"] for one in machines if "compiler" in one), "?")],
             ["measured", dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"],
             ["load average before the runs", f"{min(loads):.2f} .. {max(loads):.2f} (above 0.5: others were at work)"]]
    return text + table(["machine", ""], "ll", facts)


def round_trips(data):
    rows = []
    for name, label, _ in ROUND_TRIPS:
        if name not in data:
            continue
        p50 = median(data, name, "rtt_ns.p50")
        row = [label, time_text(p50), spread(data, name, "rtt_ns.p50", time_text),
               time_text(median(data, name, "rtt_ns.p99"))]
        if "limit_rtt_ns" in runs(data, name)[0]:
            ratio, target = median(data, name, "ratio"), 1.2 if "spin" in name else 1.25
            row += [time_text(median(data, name, "limit_rtt_ns.p50")), f"{ratio:.3f}", f"≤ {target}",
                    verdict(ratio, target, True)]
        else:
            row += ["", "", "", ""]
        rows.append(row)
    return table(["", "p50", "spread of p50", "p99", "bare ping-pong, p50", "ratio", "target", "reached"], "lrrrrrrl", rows)


def one_way(data, kind):
    rows = []
    for size in SIZES:
        for name, label in ((f"oneway-{kind}-{size}", ""), (f"oneway-{kind}-{size}-pinned", ", 2 cores"),
                            (f"oneway-{kind}-{size}-spin-pinned", ", spinning, 2 cores")):
            if name not in data:
                continue
            row = [size_text(size) + label, rate_text(median(data, name, "messages_per_second")),
                   spread(data, name, "messages_per_second", rate_text), bytes_text(median(data, name, "bytes_per_second"))]
            if "ratio" in runs(data, name)[0]:
                ratio, target = median(data, name, "ratio"), TLS_TARGET if kind == "tls" else ONE_WAY_TARGET[size]
                row += [rate_text(median(data, name, "limit_messages_per_second")), f"{ratio:.3f}", f"≥ {target}",
                        verdict(ratio, target, False)]
            else:
                row += ["", "", "", ""]
            row += [share_text(median(data, name, "syscalls_per_message")),
                    share_text(median(data, name, "allocations_per_message"))]
            rows.append(row)
    head = ["message", "messages", "spread", "bytes", "bare pipeline", "ratio", "target", "reached",
            "system calls per message", "allocations per message"]
    if kind == "inproc":  # there is no bare limit to hold it against, and what it counts are no system calls
        rows = [row[:4] + row[9:] for row in rows]
        return table(head[:4] + head[9:], "lrrrr", rows)
    if kind == "shm":  # its limits are not a pipeline's
        return table(head[:4] + head[8:], "lrrrrr", [row[:4] + row[8:] for row in rows])
    return table(head, "lrrrrrrlrr", rows)


def echo_name(kind, size, connections, in_flight):
    return f"echo-{kind}-{size}-{connections}-{in_flight}"


def echoes(data):
    rows = []
    for in_flight in ECHO_IN_FLIGHT:
        for count in ECHO_CONNECTIONS:
            for size in ECHO_SIZES:
                name = echo_name("ws", size, count, in_flight)
                if name not in data:
                    continue
                ratios = [one["ratio"] for one in runs(data, name)]
                ratio, target = statistics.median(ratios), ECHO_TARGET[in_flight]
                rows.append([str(in_flight), digits(count), size_text(size),
                             rate_text(median(data, name, "messages_per_second")),
                             rate_text(median(data, name, "limit_messages_per_second")),
                             f"{ratio:.3f} ({min(ratios):.2f} .. {max(ratios):.2f})", f"≥ {target}",
                             verdict(ratio, target, False), share_text(median(data, name, "syscalls_per_message")),
                             share_text(median(data, name, "allocations_per_message"))])
    return table(["in flight", "connections", "message", "echoes", "bare epoll", "ratio", "target", "reached",
                  "system calls per echo", "allocations per echo"], "rrrrrrrlrr", rows)


def codec(data):
    figures, rows = data["codec"]["result"]["figures"] if "codec" in data else {}, []
    copied = statistics.median(figures["copy/16384"]["bytes_per_second"]) if "copy/16384" in figures else None
    for name, label, least in CODEC_FIGURES:
        if name in figures:
            each = figures[name]["bytes_per_second"]
            speed = statistics.median(each)
            rows.append([label, bytes_text(speed), f"{bytes_text(min(each))} .. {bytes_text(max(each))}",
                         f"{speed / copied:.3f}" if copied else "",
                         *([f"≥ {bytes_text(least)}", verdict(speed, least, False)] if least else ["", ""])])
    for name, label in DECODED:
        if name in figures:
            each = figures[name]["items_per_second"]
            rows.append([label, rate_text(statistics.median(each)), f"{rate_text(min(each))} .. {rate_text(max(each))}", "", "", ""])
    return table(["", "measured", "spread", "of memcpy", "target", "reached"], "lrrrrl", rows)


RING_FIGURES = {  # what `ferry bench ring` measures: how its figures are written
    "round_trip": time_text, "round_trip_pausing": time_text, "one_way": rate_text, "copies_8KiB": bytes_text,
    "copies_64KiB": bytes_text, "channel_round_trip": time_text, "channel_one_way": rate_text, "wake_up": time_text,
    "idle_poll": lambda share: f"{digits(100 * share)} %", "idle_channel": lambda share: f"{digits(100 * share)} %"}


def ring_row(name, one, text=None):
    text, ratio = text or RING_FIGURES[name], one.get("ratio")
    row = [one["what"], text(one["value"]), one.get("against", ""),
           text(one["against_value"]) if "against_value" in one else "",
           f"{ratio:.3f} ({one['ratio_min']:.2f} .. {one['ratio_max']:.2f})" if ratio is not None else ""]
    for key, sign in (("at_most", "≤"), ("at_least", "≥")):
        if key in one:
            wanted = f"{one[key]:.3g}" if ratio is not None else text(one[key])
            return row + [f"{sign} {wanted}", "yes" if one["reached"] else "**no**"]
    return row + ["", ""]


def shared_memory(data):
    """Every target of shared memory in one place."""
    figures = data["ring"]["result"]["figures"] if "ring" in data else {}
    rows = [ring_row(name, one) for name, one in figures.items() if name in RING_FIGURES]
    for name, label in (("rtt-shm-spin-pinned", "channel, round trips"), ("oneway-shm-64-spin-pinned", "channel, one way, 64 B")):
        for key, what, most in (("syscalls_per_message", "system calls", 0.001), ("allocations_per_message", "allocations", 0.00001)):
            if name in data:
                value = median(data, name, key)
                rows.append([f"{label}: {what} per message while both are awake", share_text(value), "", "", "",
                             f"≤ {most:f}".rstrip("0"), verdict(value, most, True)])
    return table(["", "measured", "against", "", "ratio (of the rounds)", "target", "reached"], "lrlrrrl", rows)


SESSION_FIGURES = {  # what `ferry bench session` measures: how its figures are written
    "round_trip": time_text, "round_trip_to_poll": time_text, "poll_round_trip": time_text,
    "one_way": rate_text, "commit": time_text, "commits": rate_text}
SESSION_TARGETS = {"rtt-tcp-persistent-spin-pinned": 1.15, "oneway-tcp-persistent-64-pinned": 0.2}  # of the ratio


def session_row(data, name, label, key, text):
    row = [label, text(median(data, name, key)), "", "", "", "", ""]
    if "ratio" in runs(data, name)[0]:
        ratios = [one["ratio"] for one in runs(data, name)]
        ratio, rtt = statistics.median(ratios), name.startswith("rtt")
        limit = "limit_" + ("rtt_ns.p50" if rtt else "messages_per_second")
        row[2:5] = ["bare ping-pong" if rtt else "bare pipeline", text(median(data, name, limit)),
                    f"{ratio:.3f} ({min(ratios):.2f} .. {max(ratios):.2f})"]
        if name in SESSION_TARGETS:
            target = SESSION_TARGETS[name]
            row[5:] = [f"{'≤' if rtt else '≥'} {target}", verdict(ratio, target, rtt)]
    return row


def sessions(data):
    """Every target of persistent sessions in one place."""
    figures = data["session"]["result"]["figures"] if "session" in data else {}
    rows = [ring_row(name, one, SESSION_FIGURES[name]) for name, one in figures.items() if name in SESSION_FIGURES]
    for kind in ("shm", "ipc", "tcp"):
        for part, label, key, text in (
                (f"rtt-{kind}-persistent-spin-pinned", "round trip of 64 B, spinning, 2 cores", "rtt_ns.p50", time_text),
                (f"rtt-{kind}-persistent-sleep-free", "round trip of 64 B, sleeping", "rtt_ns.p50", time_text),
                (f"oneway-{kind}-persistent-64-pinned", "one way, 64 B, 2 cores", "messages_per_second", rate_text)):
            if part in data:
                rows.append(session_row(data, part, f"{kind}, {label}", key, text))
    return table(["", "measured", "against", "", "ratio", "target", "reached"], "lrlrrrl", rows)


def producers(data):
    rows = []
    for number in PRODUCERS:
        names = [f"producers-shm-{number}-{kind}" for kind in ("processes", "threads")]
        if not any(name in data for name in names):
            continue
        row = [str(number)]
        for name in names:
            made = name in data
            row += [rate_text(median(data, name, "messages_per_second")), spread(data, name, "messages_per_second", rate_text)] \
                if made else ["", ""]
        rows.append(row)
    return table(["producers", "processes, a channel each", "spread", "threads, one channel", "spread"], "rrrrr", rows)


CROWD_TARGET = 1.2


def crowds(data):
    """Channels that talk among many that do not, against the same number alone."""
    rows = []
    for active, count in CROWDS:
        name, alone = f"connections-shm-{active}-of-{count}", f"connections-shm-{active}-of-{active}"
        if name not in data:
            continue
        one = runs(data, name)[0]
        row = [digits(count), digits(active), time_text(one["rtt_ns"]["p50"]), time_text(one["rtt_ns"]["p99"])]
        if name != alone and alone in data:
            ratio = one["rtt_ns"]["p50"] / runs(data, alone)[0]["rtt_ns"]["p50"]
            row += [f"{ratio:.3f}", f"≤ {CROWD_TARGET}", verdict(ratio, CROWD_TARGET, True)]
        else:
            row += ["", "", ""]
        several = one["connections"] != one["first_connections"]
        row += [f"{digits(one[key])}{unit}" if several and key in one else ""
                for key, unit in (("rss_per_connection", " B"), ("pss_per_connection", " B"), ("descriptors_per_connection", ""))]
        rows.append(row)
    return table(["channels", "that talk", "round trip, p50", "p99", "p50 to that of these alone", "target", "reached",
                  "resident memory for each", "our share of it", "descriptors"], "rrrrrrlrrr", rows)


CONNECTION_TARGET = {"ws": 2048}  # bytes; else 8 KiB


def connections(data):
    rows = []
    for kind in ("ipc", "tcp", "tls", "ws"):
        for name, label in ((f"connections-{kind}", "idle"), (f"connections-{kind}-active", "1 % active")):
            if name not in data:
                continue
            one = runs(data, name)[0]
            per = one["pss_per_connection"]
            active = [rate_text(one["messages_per_second"]), time_text(one["rtt_ns"]["p50"])] if "rtt_ns" in one else ["", ""]
            wanted = ["< 8192 B", verdict(per, 8191, True)]
            if kind == "tls":  # most of it is OpenSSL's
                wanted = ["", ""]
            if kind in CONNECTION_TARGET:
                wanted = [f"≤ {CONNECTION_TARGET[kind]} B", verdict(per, CONNECTION_TARGET[kind], True)]
            rows.append([f"{kind}, {label}", digits(one["connections"]), f"{digits(per)} B", *wanted, *active])
    return table(["", "connections", "our memory for each", "target", "reached", "round trips", "p50"], "lrrrlrr", rows)


def limit_rows(one, kind):
    if kind not in one:
        return
    part = one[kind]
    if "pingpong_blocking_ns" in part:
        yield [f"{kind}: ping-pong of 64 B, sleeping, p50", time_text(part["pingpong_blocking_ns"]["p50"])]
    if "pingpong_spinning_ns" in part:
        yield [f"{kind}: ping-pong of 64 B, spinning, p50", time_text(part["pingpong_spinning_ns"])]
    for key, label in (("raw_oneway", "one write per message"), ("pipeline_oneway", "framed pipeline")):
        for row in part.get(key, []):
            if row["size"] in SIZES:
                yield [f"{kind}: {label}, {size_text(row['size'])}, buffer {size_text(row['buffer'])}",
                       f"{rate_text(row['messages_per_second'])}, {bytes_text(row['bytes_per_second'])}"]
    for row in part.get("echo", []):
        yield [f"{kind}: epoll echo, {row['connections']} connections, {row['in_flight']} in flight",
               rate_text(row["messages_per_second"])]
    for row in part.get("relay", []):
        yield [f"{kind}: relay, {row['clients']} x {row['virtual']} x {row['window']}, CPU per echo",
               time_text(row["cpu_ns_per_echo"])]


def limits(data):
    if "limits" not in data:
        return "Not measured yet.\n"
    one, rows = data["limits"]["result"], []
    if "cache_line_rtt_ns" in one:
        rows.append(["cache line to the other core and back, p50", time_text(one["cache_line_rtt_ns"]["p50"])])
    for key, label in (("memcpy_bytes_per_second", "memcpy, hot"), ("memcpy_walking_bytes_per_second", "memcpy, walking")):
        if key in one:
            rows.append([label, bytes_text(one[key])])
    rows += [*limit_rows(one, "unix"), *limit_rows(one, "tcp")]
    return table(["bare system calls, no channel", "median"], "lr", rows)


def picture(data, prefix, text, file):
    return f"![{text}](images/{file})\n" if any(name.startswith(prefix) for name in data) else ""


def commands(data):
    lines = "\n".join(one["command"] for one in data.values())
    return f"```\n{lines}\n```\n"


def round_trip_cell(data, kind):
    """For the README's table of transports."""
    names = {"inproc": ["rtt-inproc"], "shm": ["rtt-shm-sleep-free", "rtt-shm-spin-pinned"],
             "ipc": ["rtt-ipc-sleep-free", "rtt-ipc-spin-pinned"],
             "tcp": ["rtt-tcp-sleep-free", "rtt-tcp-spin-pinned"]}[kind]
    if any(name not in data for name in names):
        return "not measured"
    times = [time_text(median(data, name, "rtt_ns.p50")) for name in names]
    return " / ".join(times)


def readme(text, data):
    """The README with the round trips of its table, and the line below it, as measured."""
    for kind in ("inproc", "shm", "ipc", "tcp"):
        text = re.sub(rf"^(\| `{kind}://[^|]*\|(?:[^|]*\|){{3}})[^|]*\|",
                      lambda row, kind=kind: f"{row[1]} {round_trip_cell(data, kind)} |", text, flags=re.M)
    quick = any(data[name]["quick"] for name, _, _ in ROUND_TRIPS if name in data)
    note = ("Round trip: 64 bytes there and back on one host, median, sleeping / spinning (`spin=1ms`)"
            + (", provisional: measured on a busy machine" if quick else "")
            + "; [how, and against what](docs/performance.md).")
    return re.sub(r"^Round trip: .*$", lambda _: note, text, flags=re.M)


def page(data):
    parts = [
        "# Performance\n", head(data),
        "Each figure is the median of its runs; beside it stands what the machine itself can do, measured with bare "
        "system calls in the same minute ([how](../bench/README.md)). Compare ratios: the figures move with the machine. "
        "*2 cores* means pinned to two cores, else the scheduler decides.\n",
        "## Round trip of 64 bytes\n", picture(data, "rtt-", "Round trips", "rtt.svg"), round_trips(data),
        "Spinning (`spin=1ms`) means that both sides keep trying to receive before they sleep. Sleeping, most of the time "
        "is the kernel's waking of the other thread.\n",
        "## Shared memory against its limits\n", shared_memory(data),
        "Two processes on two cores, train by train in turns; a ratio is the median over rounds of those of neighbours. The "
        "cache line goes to and fro between the cores with nothing around it; waited for with the pause that the ring's "
        "consumer makes between two looks it is faster, which the second row shows. A system call that is left comes "
        "from a side that the scheduler took its core from for longer than the other one spins; an allocation that "
        "is left, from a run's beginning or end: a long run has as many as a short one.\n",
        "## Persistent sessions\n", sessions(data),
        "`session=persistent`: every message is a transaction at both ends. The first rows are measured like those above, "
        "train by train in turns; on the disk, a transaction syncs twice. Both are written into the directory for "
        "temporary files (`-o dir=` for another disk).\n",
        "Polled, a session executes 670 instructions for a message that it takes and one that answers it, and 70 for a "
        "look in vain (callgrind). Between two cores more depends on how often a line moves: a small message is written "
        "from its end to its beginning, so that the line which its reader watches moves once, and of its transaction one "
        "word is left to be written before the peer sees it.\n",
        "## One way through shared memory\n", picture(data, "oneway-shm", "One way, shared memory", "oneway-shm.svg"),
        one_way(data, "shm"),
        "## Several producers through shared memory\n",
        picture(data, "producers-shm", "Several producers", "producers-shm.svg"), producers(data),
        "Messages of 64 bytes; all producers share one core, the consumer has the other. Order is checked for each "
        "producer.\n",
        "## Many channels through shared memory, one thread\n", crowds(data),
        "Rings of 16 KiB; one message of 64 bytes in flight on each channel that talks, the load is one thread too.\n",
        "## One way over Unix sockets\n", picture(data, "oneway-ipc", "One way, Unix socket", "oneway-ipc.svg"), one_way(data, "ipc"),
        "## One way through a uds_writer and a uds_reader\n", one_way(data, "uds"),
        "## One way over TCP loopback\n", picture(data, "oneway-tcp", "One way, TCP", "oneway-tcp.svg"), one_way(data, "tcp"),
        "## One way over TLS\n", picture(data, "oneway-tls", "One way, TLS", "oneway-tls.svg"), one_way(data, "tls"),
        "Here the bare pipeline is one of SSL_write and SSL_read over the same loopback, with what OpenSSL chooses.\n",
        "## Echo over WebSocket\n",
        *(picture(data, "echo-ws", f"Echo over WebSocket, {number} in flight", f"echo-ws-{number}.svg") for number in ECHO_IN_FLIGHT),
        echoes(data),
        "`ferry bench echo ws://`: a listener on one core that sends everything back, a load on the other that is nothing "
        "but sockets and prepared frames. Bare epoll echoes unframed bytes of the same size under the same load, in turns. "
        "Every byte is checked.\n", ECHO_COST,
        "## Through a gateway\n", measure_gateway.echoes(data), measure_gateway.NOTE, measure_gateway.paced(data),
        measure_gateway.PACED_NOTE, measure_gateway.others(data),
        "## The WebSocket codec\n", codec(data),
        "## One way within a process\n", one_way(data, "inproc"),
        "The target for 64 B is also fewer than 0.05 system calls per message and no allocation.\n",
        "## Many connections, one thread\n", connections(data),
        "The load is another process; memory is the slope between a ninth of the connections and all of them.\n",
        "## What this machine can do\n", limits(data), PEERS, KEYS, "## Command lines\n", commands(data)]
    return "\n".join(part for part in parts if part)
