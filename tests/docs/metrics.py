"""docs/metrics.md has the metrics that the gateway and the sidecar show, with their kinds, labels and texts.

usage: metrics.py PROGRAM; with FERRY_UPDATE_DOCS set it writes the tables instead
"""
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

import pages

PROGRAM = os.path.abspath(sys.argv[1])
PAGE = "docs/metrics.md"
HEAD = "| name | kind | labels | what |\n|---|---|---|---|\n"


def shown_by(*command):
    """What /metrics of a daemon says."""
    with tempfile.TemporaryDirectory() as place:
        words = [word.replace("PLACE", place) for word in command]
        program = subprocess.Popen([PROGRAM, *words, "--admin-addr", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True,
                                   cwd=place)
        try:
            line = next(line for line in program.stderr if "operators: listening on tcp://" in line)
            url = line.split("tcp://")[1].strip()
            with urllib.request.urlopen(f"http://{url}/metrics", timeout=60) as page:
                return page.read().decode()
        finally:
            program.kill()
            program.communicate()


def rows(text):
    """The lines of a table, by name."""
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    made = {}
    for name, what in re.findall(r"^# HELP (\w+) (.+)$", text, re.M):
        samples = re.findall(rf"^{name}(?:_bucket)?\{{(.*)\}} ", text, re.M)
        labels = {label for one in samples for label in re.findall(r'(\w+)="', one)} - {"quantile", "le"}
        shown = "".join(f"`{one}` " for one in sorted(labels))
        made[name] = f"| `{name}` | {kinds[name]} | {shown}| {what} |"
    return made


def sections():
    gateway = rows(shown_by("gateway", "--name", "", "--client-addr", "127.0.0.1:0", "--server-addr", "127.0.0.1:0"))
    sidecar = rows(shown_by("sidecar", "--service", "name=1,id=1,dir=PLACE/1"))
    yield "## Channels and listeners", [row for name, row in gateway.items() if not name.startswith("ferry_gateway_")]
    yield "## The gateway", [row for name, row in gateway.items() if name.startswith("ferry_gateway_")]
    yield "## The sidecar", list(sidecar.values())


page, findings, looked_at = pages.read(PAGE), [], 0
for heading, wanted in sections():
    section = pages.section(page, heading)
    written = [line for line in section.splitlines() if line.startswith("| `")]
    looked_at += len(wanted)
    findings += [f"{PAGE}, {heading}: lacks {row}" for row in wanted if row not in written]
    findings += [f"{PAGE}, {heading}: nobody shows {row}" for row in written if row not in wanted]
    prose = section.partition("| name |")[0].strip()
    page = page.replace(heading + section, f"{heading}\n\n{prose}\n\n{HEAD}" + "\n".join(sorted(wanted)) + "\n\n")
if os.environ.get("FERRY_UPDATE_DOCS"):
    (pages.ROOT / PAGE).write_text(page.rstrip("\n") + "\n", encoding="utf-8")
    findings = []
pages.finish(findings, looked_at, "metrics")
