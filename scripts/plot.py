#!/usr/bin/env python3
"""Draws benchmark results (the JSON of `ferry bench`) as an SVG chart; needs nothing but Python 3.

A FILE holds one result, a list of repeated runs, or one result after another; LABEL=FILE gives it a name in the chart.
Values of the same series and place are one point: their median, with a whisker from the least to the largest. Results
that carry KEY_min and KEY_max beside KEY have these as their whisker.

  plot.py limits.json --list unix.pipeline_oneway --x size --y bytes_per_second --series buffer --log x -o pipeline.svg
  plot.py raw=a.json ferry=b.json --y rtt_ns.p50 --kind bar --title "Round trip of 64 bytes" -o rtt.svg
"""

import argparse
import json
import math
import statistics
import sys
from xml.sax.saxutils import escape, quoteattr

WIDTH, HEIGHT = 760, 420
COLOURS = ["#3b82c4", "#e08a1e", "#3a9d5d", "#c4508a", "#7a6fd0", "#9a8f3c", "#4aa5a8", "#8a8a8a"]
STYLE = """
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #6e7781; }
  .title { font-size: 16px; font-weight: 600; }
  .grid { stroke: #8c959f; stroke-opacity: 0.3; }
  .axis { stroke: #8c959f; }
  .whisker { stroke: #6e7781; stroke-width: 1.2; fill: none; }
  .line { fill: none; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #adb5bf; }
    .whisker { stroke: #adb5bf; }
  }
"""


class PlotError(Exception):
    """What is wrong with the arguments or the data, in one line."""


# ---- data ------------------------------------------------------------------------------------------------------------


def read_runs(path):
    """All results in a file."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as problem:
        raise PlotError(f"{path}: {problem.strerror}") from None
    runs, decoder, at = [], json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError as problem:
            raise PlotError(f"{path}: not JSON: {problem}") from None
        runs.extend(value if isinstance(value, list) else [value])
    if not runs:
        raise PlotError(f"{path}: no result in it")
    return runs


def look_up(value, dotted):
    """The value at a path such as rtt_ns.p50, or None."""
    for key in dotted.split("."):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def rows_of(run, list_path, path):
    if not list_path:
        return [run]
    rows = look_up(run, list_path)
    if not isinstance(rows, list):
        raise PlotError(f"{path}: no list at '{list_path}'")
    return rows


def fits(row, conditions):
    return all(str(look_up(row, key)) == value for key, value in conditions)


class Point:
    """The values of one series at one place."""

    def __init__(self):
        self.values, self.extremes = [], []

    def add(self, row, key):
        value = look_up(row, key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise PlotError(f"'{key}' is not a number in {json.dumps(row)[:200]}")
        self.values.append(value)
        own_spread = look_up(row, key + "_min"), look_up(row, key + "_max")
        self.extremes += [value] + [extreme for extreme in own_spread if extreme is not None]

    middle = property(lambda self: statistics.median(self.values))
    low = property(lambda self: min(self.extremes))
    high = property(lambda self: max(self.extremes))


def collect(args):
    """{series name: {place: Point}}, both in order of appearance."""
    files = [name.partition("=") if "=" in name else (name, "", name) for name in args.files]
    keys = args.y.split(",")
    chart = {}
    for label, _, path in files:
        for run in read_runs(path):
            for row in rows_of(run, args.list, path):
                if not fits(row, args.where):
                    continue
                place = look_up(row, args.x) if args.x else label
                if place is None:
                    raise PlotError(f"{path}: no '{args.x}' in {json.dumps(row)[:200]}")
                for key in keys:
                    parts = [label] if len(files) > 1 and args.x else []
                    parts += [key] if len(keys) > 1 else []
                    if args.series:
                        parts.append(f"{args.series} {place_text(look_up(row, args.series), args.series)}")
                    chart.setdefault(", ".join(parts), {}).setdefault(place, Point()).add(row, key)
    if not chart:
        raise PlotError("no row fits the conditions")
    return chart


# ---- units -----------------------------------------------------------------------------------------------------------


def three_digits(value):
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def place_text(value, key):
    """Sizes as people write them, anything else as it is."""
    if isinstance(value, int) and key and key.split(".")[-1] in ("size", "buffer", "bytes"):
        for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
            if value >= unit and value % unit == 0:
                return f"{value // unit} {name}"
        return f"{value} B"
    return str(value)


def unit_of(key, largest):
    """(divisor, unit) for an axis that ends at `largest`."""
    if key.endswith("bytes_per_second"):
        steps = [(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")]
    elif key.endswith("messages_per_second"):
        steps = [(1e6, "million messages/s"), (1e3, "thousand messages/s"), (1, "messages/s")]
    elif key.endswith("_per_second"):
        steps = [(1e6, "million/s"), (1e3, "thousand/s"), (1, "/s")]
    elif "_ns" in key:
        steps = [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns")]
    else:
        return 1, key
    return next((step for step in steps if largest >= step[0]), steps[-1])


# ---- scales ----------------------------------------------------------------------------------------------------------


class Linear:
    def __init__(self, low, high, first, last):
        rough = (high - low) / 5 or abs(high) or 1
        power = 10 ** math.floor(math.log10(rough))
        self.step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= rough * 0.999)
        self.low, self.high = math.floor(low / self.step) * self.step, math.ceil(high / self.step) * self.step
        self.first, self.last = first, last
        if self.high == self.low:
            self.high += self.step

    def at(self, value):
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)

    def ticks(self):
        return [self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)]


class Logarithmic:
    """Decades, and 2 and 5 between them when there are few."""

    def __init__(self, low, high, first, last):
        if low <= 0:
            raise PlotError("a logarithmic axis needs values above 0")
        decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
        marks = [n * 10**decade for decade in decades for n in (1, 2, 5)]
        self.low = max(m for m in marks if m <= low * 1.0001)
        self.high = min(m for m in marks if m >= high * 0.9999 and m > self.low)
        self.first, self.last = first, last
        inside = [m for m in marks if self.low <= m <= self.high]
        self.marks = inside if len(inside) <= 8 else [10**d for d in decades if self.low <= 10**d <= self.high]

    def at(self, value):
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self):
        return self.marks


class Places:
    """Equal steps, one for each value of x."""

    def __init__(self, places, first, last):
        self.places, self.width, self.first = places, (last - first) / len(places), first

    def at(self, place):
        return self.first + (self.places.index(place) + 0.5) * self.width


# ---- drawing ---------------------------------------------------------------------------------------------------------


class Chart:
    left, right, top, bottom = 84, WIDTH - 20, 56, HEIGHT - 76

    def __init__(self, series, args):
        self.series, self.args, self.parts = series, args, []
        self.places = list(dict.fromkeys(place for points in series.values() for place in points))
        numeric = all(isinstance(place, (int, float)) for place in self.places)
        if numeric:
            self.places.sort()
        self.kind = args.kind or ("line" if numeric and len(self.places) > 1 else "bar")
        if self.kind == "line" and not numeric:
            raise PlotError(f"a line needs numbers as x, and '{args.x}' has others")
        points = [point for row in series.values() for point in row.values()]
        self.y_key = args.y.split(",")[0]
        self.divisor, self.unit = unit_of(self.y_key, max(point.middle for point in points))
        low, high = min(p.low for p in points) / self.divisor, max(p.high for p in points) / self.divisor
        if "y" in args.log:
            self.y = Logarithmic(low, high, self.bottom, self.top)
        else:
            self.y = Linear(min(low, 0), high, self.bottom, self.top)
        self.x = self.x_scale()

    def x_scale(self):
        if self.kind == "bar":
            return Places(self.places, self.left, self.right)
        scale = Logarithmic if "x" in self.args.log else Linear
        return scale(self.places[0], self.places[-1], self.left + 12, self.right - 12)

    def put(self, tag, text=None, **attributes):
        named = {key.rstrip("_").replace("_", "-"): quoteattr(str(value)) for key, value in attributes.items()}
        inner = "".join(f" {name}={value}" for name, value in named.items())
        self.parts.append(f"<{tag}{inner}/>" if text is None else f"<{tag}{inner}>{escape(text)}</{tag}>")

    def line(self, x1, y1, x2, y2, class_):
        self.put("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=class_)

    def text(self, x, y, text, anchor="middle", **more):
        self.put("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, **more)

    def axes(self):
        for value in self.y.ticks():
            self.line(self.left, self.y.at(value), self.right, self.y.at(value), "grid")
            self.text(self.left - 8, self.y.at(value) + 4, three_digits(value), "end")
        self.line(self.left, self.bottom, self.right, self.bottom, "axis")
        for place in self.places:
            self.text(self.x.at(place), self.bottom + 20, place_text(place, self.args.x))
        self.text((self.left + self.right) / 2, self.bottom + 42, self.args.x_label or self.args.x or "")
        middle = (self.top + self.bottom) / 2
        self.text(20, middle, self.args.y_label or self.unit, transform=f"rotate(-90 20 {middle:.1f})")
        self.text(self.left, 26, self.args.title or "", "start", class_="title")

    def legend(self):
        if len(self.series) == 1:
            return
        at = self.left
        for index, name in enumerate(self.series):
            self.put("rect", x=f"{at:.1f}", y=HEIGHT - 22, width=12, height=12, rx=2, fill=self.colour(index))
            self.text(at + 18, HEIGHT - 11, name, "start")
            at += 36 + 7.2 * len(name)

    @staticmethod
    def colour(index):
        return COLOURS[index % len(COLOURS)]

    def whisker(self, x, point):
        if point.low == point.high:
            return
        low, high = self.y.at(point.low / self.divisor), self.y.at(point.high / self.divisor)
        path = f"M{x - 4:.1f} {low:.1f}h8M{x:.1f} {low:.1f}V{high:.1f}M{x - 4:.1f} {high:.1f}h8"
        self.put("path", d=path, class_="whisker")

    def bars(self):
        width = self.x.width * 0.76 / len(self.series)
        for index, points in enumerate(self.series.values()):
            for place, point in points.items():
                x = self.x.at(place) + (index - len(self.series) / 2) * width
                y = self.y.at(point.middle / self.divisor)
                self.put("rect", x=f"{x + 1:.1f}", y=f"{y:.1f}", width=f"{width - 2:.1f}",
                         height=f"{self.bottom - y:.1f}", rx=2, fill=self.colour(index), class_="bar")
                self.whisker(x + width / 2, point)
                top = min(y, self.y.at(point.high / self.divisor))
                self.text(x + width / 2, top - 5, three_digits(point.middle / self.divisor))

    def lines(self):
        for index, points in enumerate(self.series.values()):
            path = [(self.x.at(place), self.y.at(points[place].middle / self.divisor), points[place])
                    for place in self.places if place in points]
            corners = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in path)
            self.put("polyline", points=corners, class_="line", stroke=self.colour(index))
            for x, y, point in path:
                self.whisker(x, point)
                self.put("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3.5, fill=self.colour(index))

    def svg(self):
        self.axes()
        if self.kind == "bar":
            self.bars()
        else:
            self.lines()
        self.legend()
        body = "\n".join(self.parts)
        name = quoteattr(self.args.title or self.y_key)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
                f'height="{HEIGHT}" role="img" aria-label={name}>\n<style>{STYLE}</style>\n{body}\n</svg>\n')


def condition(text):
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="[LABEL=]FILE")
    parser.add_argument("--list", help="path of the list of rows, such as unix.raw_oneway; without: each run is a row")
    parser.add_argument("--x", help="key of the place; without: each file is a place")
    parser.add_argument("--y", required=True, help="key of the value, or several with commas between")
    parser.add_argument("--series", help="key whose values become series of their own")
    parser.add_argument("--where", action="append", default=[], type=condition, metavar="KEY=VALUE",
                        help="only rows with this value")
    parser.add_argument("--kind", choices=["bar", "line"], help="default: line for numbers, bar for names")
    parser.add_argument("--log", choices=["x", "y", "xy"], default="", help="logarithmic axes")
    parser.add_argument("--title")
    parser.add_argument("--x-label")
    parser.add_argument("--y-label")
    parser.add_argument("-o", "--output", help="default: standard output")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    try:
        svg = Chart(collect(args), args).svg()
    except PlotError as problem:
        print(f"plot.py: {problem}", file=sys.stderr)
        return 1
    if not args.output:
        sys.stdout.write(svg)
        return 0
    with open(args.output, "w", encoding="utf-8") as file:
        file.write(svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
