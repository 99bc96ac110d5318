"""docs/program.md and `ferry --help` name the same commands and the same options.

usage: program.py PROGRAM
"""
import re
import subprocess
import sys

import pages

EVERYWHERE = {"--help"}
PAGE = pages.read("docs/program.md")
SHARED = set(re.findall(r"`(--[a-z-]+)", pages.section(PAGE, "## Options of every command that opens channels")))


def help_of(*command):
    return subprocess.run([sys.argv[1], *command, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout


def commands_in(text):
    """The names under "Subcommands:"."""
    listed = text.partition("Subcommands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  ([\w-]+)", listed, re.M)


def options_in(text):
    """The long options of CLI11's list, without its examples."""
    return {option for line in text.splitlines() if re.match(r"  (-\w,)?--", line)
            for option in re.findall(r"(?:^|[ ,])(--[a-z][a-z-]*)", line.split("  ")[1])}


def check(*command):
    """Findings about one command and those below it."""
    text = help_of(*command)
    heading = f"{'###' if len(command) > 1 else '##'} ferry {' '.join(command)}"
    section = pages.section(PAGE, heading)
    if not section:
        yield f"docs/program.md has no heading '{heading}'"
        return
    own = section.partition("\n### ")[0]
    named = set(re.findall(r"`(?:-\w, )?(--[a-z][a-z-]*)", own))
    offered = options_in(text) - EVERYWHERE
    shared = SHARED if SHARED & offered else set()
    yield from (f"docs/program.md, {heading}: says nothing of {one}" for one in sorted(offered - named - shared))
    yield from (f"docs/program.md, {heading}: the program has no {one}" for one in sorted(named - offered - SHARED))
    for below in commands_in(text):
        yield from check(*command, below)


top = commands_in(help_of())
pages.finish([finding for command in top for finding in check(command)], len(top), "commands")
