#!/usr/bin/env python3
"""What the crash tests counted, as tables for docs/crash-safety.md: from the file that --gtest_output=json:FILE makes."""

import json
import sys

OF_GOOGLETEST = {"name", "file", "line", "status", "result", "timestamp", "time", "classname", "value_param",
                 "type_param", "failures", "skipped"}


def number(text):
    """With thin groups of digits, as the documentation has them."""
    return f"{int(text):,}".replace(",", " ") if text.isdigit() else text


def rows(report):
    """(suite, test, figures) of each test that recorded any; of one with parameters each."""
    for suite in report["testsuites"]:
        for test in suite["testsuite"]:
            figures = {name: value for name, value in test.items() if name not in OF_GOOGLETEST}
            if figures:
                yield suite["name"].rstrip("/"), test["name"], figures


def table(report):
    """A table for each suite, in the order in which they ran."""
    lines, last = [], None
    for suite, test, figures in rows(report):
        if suite != last:
            lines += ["", f"`{suite}`", "", "| test | figures |", "|---|---|"]
            last = suite
        told = ", ".join(f"{number(value)} {name.replace('_', ' ')}" for name, value in figures.items())
        lines.append(f"| {test.replace('_', ' ')} | {told} |")
    return "\n".join(lines).strip()


def main(path):
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    print(f"{report['tests']} tests, {report['failures']} failed, {report['time']}")
    print()
    print(table(report))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
