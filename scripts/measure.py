#!/usr/bin/env python3
"""Runs the whole set of measurements with `ferry bench`, writes docs/performance.md and the round trips in the README;
needs nothing but Python 3.

  scripts/measure.py                      everything, a quarter of an hour; wants a quiet machine
  scripts/measure.py --quick              everything once and briefly: shows that it works, says little
  scripts/measure.py --only rtt           only measurements whose name begins so; the others keep their data
  scripts/measure.py --report             no measuring: the page and the charts again, from docs/data
  scripts/measure.py --check              no measuring: exit status 1 if the pages are not what docs/data says

Raw results are kept in docs/data/NAME.json: {"command", "date", "quick", "result"}, where result is what
`ferry bench ... --json` printed. Charts are drawn by plot.py into docs/images.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import measure_gateway  # noqa: E402  (found through the line above)
import measure_page  # noqa: E402
import plot  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DATA = Path("docs/data")
PAGE = Path("docs/performance.md")
README = Path("README.md")
URLS = {"shm": "shm://ferry-measure", "ipc": "ipc://@ferry-measure", "tcp": "tcp://127.0.0.1:0",
        "tls": "tls://127.0.0.1:0", "ws": "ws://127.0.0.1:0/",
        "inproc": "inproc://measure"}
SIZES = measure_page.SIZES
PATIENCE = 1800  # seconds that one measurement may take before it counts as hanging


class Measurement:
    """One call of `ferry bench`; `full` and `quick` are what it has besides its arguments."""

    def __init__(self, name, *arguments, full=(), quick=()):
        self.name, self.arguments, self.full, self.quick = name, arguments, full, quick

    def program(self, ferry):
        return ferry

    def command(self, quick):
        return ["bench", *self.arguments, *(self.quick if quick else self.full), "--json"]

    def result(self, printed):
        return printed


class CodecMeasurement(Measurement):
    """The codec's inner loops, which Google Benchmark times."""

    def __init__(self):
        super().__init__("codec")

    def program(self, ferry):
        return str(Path(ferry).parent / "bench" / "ferry_bench_codec")

    def command(self, quick):
        runs = ("--benchmark_min_time=0.02",) if quick else ("--benchmark_repetitions=5",)
        return ["--benchmark_format=json", *runs]

    def result(self, printed):
        """{case: {"bytes_per_second" or "items_per_second": of each run}}"""
        figures = {}
        for one in printed["benchmarks"]:
            if one.get("run_type") != "aggregate":
                for key in ("bytes_per_second", "items_per_second"):
                    if key in one:
                        figures.setdefault(one.get("run_name", one["name"]), {}).setdefault(key, []).append(one[key])
        return {"name": "codec", "machine": {"load_average": printed["context"].get("load_avg", [0])[0]},
                "figures": figures}


def repeated(name, *arguments, runs=5):
    return Measurement(name, *arguments, full=("--repeat", str(runs), "--seconds", "1"), quick=("--seconds", "0.3"))


def one_way(name, url, size, *arguments):
    # Large messages move as fast as the kernel copies, which differs by a factor of two from run to run.
    return repeated(name, "oneway", url, "--size", str(size), *arguments, runs=15 if size > 50_000 else 5)


def connections(name, url, *arguments):
    return Measurement(name, "connections", url, *arguments, full=("--count", "9000"), quick=("--count", "900"))


def crowd(active, count):
    """So many of so many channels talk; the same number alone is what that is held against."""
    share = f"{100 * active / count:g}"
    words = ("connections", f"{URLS['shm']}?ring_bytes=16KiB", "--active", share, "--count", str(count))
    return Measurement(f"connections-shm-{active}-of-{count}", *words,
                       full=("--seconds", "1"), quick=("--seconds", "0.2"))


def echoes():
    """A server that sends everything back, beside bare epoll, which echoes unframed bytes under the same load."""
    for size in measure_page.ECHO_SIZES:
        for count in measure_page.ECHO_CONNECTIONS:
            for in_flight in measure_page.ECHO_IN_FLIGHT:
                # With one in flight the ratio of a pair moves by a tenth, more than what its target leaves.
                full, quick = ("--repeat", "15" if in_flight == 1 else "5", "--seconds", "0.3"), ("--seconds", "0.1")
                words = ("echo", URLS["ws"], "--size", str(size), "--connections", str(count), "--in-flight", str(in_flight))
                yield Measurement(measure_page.echo_name("ws", size, count, in_flight), *words, "--pin", "0,1",
                                  full=full, quick=quick)


def encrypted():
    """One way through TLS, beside bare SSL_write and SSL_read."""
    for size in SIZES:
        yield one_way(f"oneway-tls-{size}-pinned", URLS["tls"], size, "--limit", "--pin", "0,1")
    yield connections("connections-tls", URLS["tls"])


def channels(kind):
    """Round trips and one way through channels, beside the bare limit where there is one."""
    url, pinned = URLS[kind], ("--pin", "0,1")
    limit = () if kind == "shm" else ("--limit",)
    yield repeated(f"rtt-{kind}-sleep-free", "rtt", url, "--size", "64", *limit)
    yield repeated(f"rtt-{kind}-sleep-pinned", "rtt", url, "--size", "64", *limit, *pinned)
    yield repeated(f"rtt-{kind}-spin-pinned", "rtt", f"{url}?spin=1ms", "--size", "64", *limit, *pinned)
    for size in SIZES:
        yield one_way(f"oneway-{kind}-{size}", url, size, *limit)
        yield one_way(f"oneway-{kind}-{size}-pinned", url, size, *limit, *pinned)


def sessions(kind):
    """The same in a persistent session, every message a transaction at both ends."""
    url, limit = f"{URLS[kind]}?session=persistent", () if kind == "shm" else ("--limit",)
    pinned = ("--size", "64", "--pin", "0,1", *limit)
    yield repeated(f"rtt-{kind}-persistent-sleep-free", "rtt", url, "--size", "64", *limit)
    yield repeated(f"rtt-{kind}-persistent-spin-pinned", "rtt", f"{url}&spin=1ms", *pinned)
    yield repeated(f"oneway-{kind}-persistent-64-pinned", "oneway", url, *pinned)


def measurements():
    yield Measurement("limits", "limits", quick=("--quick",))
    yield CodecMeasurement()
    yield Measurement("ring", "ring", "--pin", "0,1", quick=("--quick",))
    yield Measurement("session", "session", "--pin", "0,1", quick=("--quick",))
    for kind in ("shm", "ipc", "tcp"):
        yield from sessions(kind)
    yield from channels("shm")
    yield repeated("oneway-shm-64-spin-pinned", "oneway", f"{URLS['shm']}?spin=1ms", "--size", "64", "--pin", "0,1")
    for number in measure_page.PRODUCERS:
        words = ("producers", URLS["shm"], "--producers", str(number), "--pin", "0,1")
        yield repeated(f"producers-shm-{number}-processes", *words)
        yield repeated(f"producers-shm-{number}-threads", *words, "--threads")
    for active, count in measure_page.CROWDS:
        yield crowd(active, count)
    for kind in ("ipc", "tcp"):
        yield from channels(kind)
        yield connections(f"connections-{kind}", URLS[kind])
        yield connections(f"connections-{kind}-active", URLS[kind], "--active", "1")
    yield from encrypted()
    yield from echoes()
    yield connections("connections-ws", URLS["ws"])
    for name, words, full, quick in measure_gateway.calls():
        yield Measurement(name, *words, full=full, quick=quick)
    for size in SIZES:
        yield one_way(f"oneway-uds-{size}", URLS["ipc"], size, "--limit", "--uds-pair")
    yield repeated("rtt-inproc", "rtt", URLS["inproc"], "--size", "64")
    for size in SIZES:
        yield one_way(f"oneway-inproc-{size}", URLS["inproc"], size)


def run(ferry, one, quick):
    """Measures, and writes the result to its file. @return an error text, or None"""
    words, program = one.command(quick), one.program(ferry)
    if not os.access(program, os.X_OK):
        return f"{program} is not there: it is built where Google Benchmark is installed"
    try:
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"no result after {PATIENCE} s"
    complaint = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    try:
        result = one.result(json.loads(done.stdout))
    except (ValueError, KeyError):
        return complaint[0]
    if done.returncode != 0:
        return complaint[0]
    now = datetime.datetime.now(datetime.timezone.utc)
    kept = {"command": " ".join([Path(program).name, *(f"'{word}'" if "?" in word else word for word in words)]),
            "date": now.strftime("%Y-%m-%d %H:%M UTC"), "quick": quick, "result": result}
    (ROOT / DATA).mkdir(parents=True, exist_ok=True)
    (ROOT / DATA / f"{one.name}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return None


def measure(args):
    wanted = [one for one in measurements() if not args.only or one.name.startswith(tuple(args.only))]
    if not wanted:
        sys.exit(f"measure.py: nothing begins with {' or '.join(args.only)}; known: "
                 + ", ".join(one.name for one in measurements()))
    if not os.access(args.ferry, os.X_OK):
        sys.exit(f"measure.py: {args.ferry} is not there: build it with "
                 "cmake --preset release && cmake --build --preset release --target ferry_program")
    load = os.getloadavg()[0]
    if load > 0.5 and not args.quick:
        print(f"measure.py: the load average is {load:.2f}: others are at work, the figures will say little", flush=True)
    failed, began = [], time.monotonic()
    for number, one in enumerate(wanted, 1):
        print(f"[{number:2}/{len(wanted)}] {one.name:<28} ", end="", flush=True)
        since = time.monotonic()
        problem = run(args.ferry, one, args.quick)
        print(f"{time.monotonic() - since:6.1f} s" + (f"  FAILED: {problem}" if problem else ""), flush=True)
        if problem:
            failed.append(one.name)
    print(f"{len(wanted) - len(failed)} of {len(wanted)} measured in {time.monotonic() - began:.0f} s")
    return failed


def stored():
    """{name: what measure() kept}"""
    paths = [ROOT / DATA / f"{one.name}.json" for one in measurements()]
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()}


def pages(data):
    """{page: its text as it must be}"""
    return {PAGE: measure_page.page(data),
            README: measure_page.readme((ROOT / README).read_text(encoding="utf-8"), data)}


def chart(output, title, rows_by_label, *more):
    """Draws {label: rows}; @return the name of the picture, or None if there is nothing to draw"""
    rows_by_label = {label: rows for label, rows in rows_by_label.items() if rows}
    if not rows_by_label:
        return None
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for label, rows in rows_by_label.items():
            path = Path(folder, f"{len(files)}.json")
            path.write_text(json.dumps(rows), encoding="utf-8")
            files.append(f"{label}={path}")
        if plot.main([*files, "--title", title, *more, "-o", str(ROOT / "docs/images" / output)]) != 0:
            sys.exit("measure.py: a chart could not be drawn")
    return output


def draw(data):
    for kind, name, placed in (("shm", "shared memory", ""), ("ipc", "Unix socket", ""), ("tcp", "TCP loopback", ""),
                               ("tls", "TLS over TCP loopback", "-pinned")):
        rows = {"channel": [], "bare pipeline": []}
        for size in SIZES:
            for one in measure_page.runs(data, f"oneway-{kind}-{size}{placed}"):
                rows["channel"].append({"size": size, "bytes_per_second": one["bytes_per_second"]})
                if "limit_bytes_per_second" in one:
                    rows["bare pipeline"].append({"size": size, "bytes_per_second": one["limit_bytes_per_second"]})
        chart(f"oneway-{kind}.svg", f"One way, {name}", rows, "--x", "size", "--y", "bytes_per_second", "--log", "xy",
              "--x-label", "size of a message")
    rows = {"channel": [], "bare ping-pong": []}
    for name, _, label in measure_page.ROUND_TRIPS:
        for one in measure_page.runs(data, name):
            rows["channel"].append({"case": label, "rtt_ns": one["rtt_ns"]["p50"]})
            if "limit_rtt_ns" in one:
                rows["bare ping-pong"].append({"case": label, "rtt_ns": one["limit_rtt_ns"]["p50"]})
    chart("rtt.svg", "Round trip of 64 bytes, median", rows, "--x", "case", "--y", "rtt_ns", "--log", "y",
          "--x-label", " ")
    for in_flight in measure_page.ECHO_IN_FLIGHT:
        rows = {"ws": [], "bare epoll": []}
        for count in measure_page.ECHO_CONNECTIONS:
            for size in measure_page.ECHO_SIZES:
                for one in measure_page.runs(data, measure_page.echo_name("ws", size, count, in_flight)):
                    case = f"{measure_page.size_text(size)} x {count}"
                    rows["ws"].append({"case": case, "messages_per_second": one["messages_per_second"]})
                    rows["bare epoll"].append({"case": case, "messages_per_second": one["limit_messages_per_second"]})
        chart(f"echo-ws-{in_flight}.svg", f"Echo over WebSocket, {in_flight} in flight on each connection", rows,
              "--x", "case", "--y", "messages_per_second", "--x-label", "size of a message x connections")
    rows = {"processes": [], "threads": []}
    for kind, drawn in rows.items():
        for number in measure_page.PRODUCERS:
            for one in measure_page.runs(data, f"producers-shm-{number}-{kind}"):
                drawn.append({"producers": number, "messages_per_second": one["messages_per_second"]})
    chart("producers-shm.svg", "One consumer, 64 bytes", rows, "--x", "producers", "--y", "messages_per_second")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ferry", default=str(ROOT / "build/release/ferry"), help="the program (build/release/ferry)")
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only what begins so; may be repeated")
    parser.add_argument("--report", action="store_true", help="only write the page and the charts")
    parser.add_argument("--check", action="store_true", help="only compare the page with the data")
    return parser.parse_args()


def main():
    args = parse()
    if args.check:
        stale = [page for page, text in pages(stored()).items() if (ROOT / page).read_text(encoding="utf-8") != text]
        for page in stale:
            print(f"{page} is not what {DATA} says: scripts/measure.py --report")
        return 1 if stale else 0
    failed = [] if args.report else measure(args)
    data = stored()
    draw(data)
    for page, text in pages(data).items():
        (ROOT / page).write_text(text, encoding="utf-8")
        print(f"wrote {page}")
    if failed:
        print("failed: " + ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
