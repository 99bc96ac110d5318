"""The gateway's part of docs/performance.md: what is measured, and its tables. Dry: data in, text out."""

from measure_text import digits, median, rate_text, runs, size_text, table, time_text, verdict

LOADS = ((1, 1, 1), (10, 4, 16), (100, 1, 4), (1000, 4, 1))  # clients, virtual connections of each, window
SIZES = (64, 1024)
CARRIERS = {"tcp": "TCP", "ws": "WebSocket", "snet": "resumable, snet", "token": "resumable, token over TLS"}
RATIO_TARGETS = {"1x1x1": 1.3, "10x4x16": 5, "100x1x4": 1.3}  # of 64 bytes over TCP, against the bare relay
# What the original reaches at most, echoes in a second, and half of its 99th percentile there in nanoseconds.
PACED = {(10, 4, 16): (138_000, 6e6), (100, 1, 4): (91_000, 4.95e6)}
# The same of one echo at a time, which no rate can pace: the next one begins when it is back.
ONE_BY_ONE, ONE_BY_ONE_P99 = (1, 1, 1), 62.5e3
DIALS_TARGET, IDLE_TARGET = 100_000, 4096

NOTE = """`ferry bench gateway`: the gateway on one core, service and load on the other; every echo is checked. The bare relay \
is epoll, copies 64 bytes between each client's socket and one server socket of its own, and ran next under the same load \
(of 1000 clients: 500). Echoes per second and times are the service's and the load's as much as the gateway's.
"""
PACED_NOTE = """With `--rate`: so many echoes begin in a second as the original reaches at most; the target is half of its 99th \
percentile. A time counts from when the question was due. One at a time, each begins when the one before is back: the original \
has 16.8 k/s. Each of the four hops of such an echo wakes a process on the other core; the bare relay, which does nothing else, \
says how long that takes in the same minute. The gateway can take less, for it looks for more before it sleeps \
([`spin`](gateway.md#threads)).
"""


def load_text(load):
    return "x".join(str(one) for one in load)


def echo_name(carrier, load, size):
    return f"gateway-{carrier}-{load_text(load)}-{size}"


def paced_name(load):
    return f"gateway-paced-{load_text(load)}"


def load_words(load):
    return tuple(word for flag, value in zip(("--clients", "--virtual", "--window"), load) for word in (flag, str(value)))


def calls():
    """(name, arguments of `ferry bench`, more of a full run, more of a quick one)"""
    full, quick = ("--repeat", "3", "--seconds", "0.6"), ("--seconds", "0.2")
    for carrier in CARRIERS:
        for load in LOADS:
            for size in SIZES:
                words = ("gateway", *load_words(load), "--size", str(size), "--carrier", carrier, "--pin", "0,1")
                yield echo_name(carrier, load, size), words, full, quick
    for load, (rate, _) in PACED.items():
        words = ("gateway", *load_words(load), "--rate", str(rate), "--pin", "0,1")
        yield paced_name(load), words, full, quick
    yield "gateway-dials", ("gateway", "--dials", "--pin", "0,1"), full, quick
    yield "gateway-idle", ("gateway", "--idle", "--pin", "0,1"), ("--clients", "9000"), ("--clients", "900")


def times(data, name):
    return [time_text(median(data, name, "p50_ns")), time_text(median(data, name, "p99_ns"))]


def echoes(data):
    rows = []
    for carrier, label in CARRIERS.items():
        for load in LOADS:
            for size in SIZES:
                name = echo_name(carrier, load, size)
                if name not in data:
                    continue
                ratio, target = median(data, name, "ratio"), None
                if carrier == "tcp" and size == 64:
                    target = RATIO_TARGETS.get(load_text(load))
                rows.append([label, load_text(load), size_text(size), time_text(median(data, name, "cpu_ns_per_echo")),
                             time_text(median(data, name, "limit_cpu_ns_per_echo")), f"{ratio:.2f}",
                             *([f"≤ {target}", verdict(ratio, target, True)] if target else ["", ""]),
                             rate_text(median(data, name, "echoes_per_second")), *times(data, name)])
    return table(["clients over", "clients x virtual x window", "message", "gateway's CPU per echo", "bare relay's", "ratio",
                  "target", "reached", "echoes", "p50", "p99"], "llrrrrrlrrr", rows)


def relays_times(data, name):
    keys = ("limit_p50_ns", "limit_p99_ns")
    return [time_text(median(data, name, key)) if all(key in run for run in runs(data, name)) else "" for key in keys]


def paced(data):
    rows = []
    name = echo_name("tcp", ONE_BY_ONE, 64)
    if name in data:
        p99 = median(data, name, "p99_ns")
        rows.append([load_text(ONE_BY_ONE), "one by one", rate_text(median(data, name, "echoes_per_second")),
                     *times(data, name), *relays_times(data, name), f"≤ {time_text(ONE_BY_ONE_P99)}",
                     verdict(p99, ONE_BY_ONE_P99, True)])
    for load, (rate, most) in PACED.items():
        name = paced_name(load)
        if name not in data:
            continue
        p99 = median(data, name, "p99_ns")
        rows.append([load_text(load), rate_text(rate), rate_text(median(data, name, "echoes_per_second")), *times(data, name),
                     "", "", f"≤ {time_text(most)}", verdict(p99, most, True)])
    return table(["clients x virtual x window", "begun", "come back", "p50", "p99", "bare relay's p50", "bare relay's p99",
                  "target of p99", "reached"], "lrrrrrrrl", rows)


def others(data):
    rows = []
    if "gateway-dials" in data:
        rate = median(data, "gateway-dials", "dials_per_second")
        rows.append(["dials, each closed again", rate_text(rate),
                     time_text(median(data, "gateway-dials", "cpu_ns_per_dial")) + " of the gateway's CPU each",
                     f"≥ {rate_text(DIALS_TARGET)}", verdict(rate, DIALS_TARGET, False)])
    if "gateway-idle" in data:
        size = median(data, "gateway-idle", "rss_bytes_per_client")
        rows.append(["a client that says nothing", f"{digits(size)} B", "of the gateway's memory", f"≤ {IDLE_TARGET} B",
                     verdict(size, IDLE_TARGET, True)])
    return table(["", "measured", "", "target", "reached"], "lrlrl", rows)
