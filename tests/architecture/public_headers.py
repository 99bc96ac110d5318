"""Each public header compiles on its own, and those that say "Includes no Boost" keep their word.

usage: public_headers.py COMPILER
"""
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import house

compiler = sys.argv[1]
FLAGS = ["-std=c++20", "-x", "c++", "-Wall", "-Wextra", "-Wno-unused-const-variable", "-Werror", f"-I{house.ROOT}/include"]
# These promise it whatever their text says.
BOOST_FREE = {"errc.hpp", "bytes.hpp", "buffer_pool.hpp", "message.hpp", "metrics.hpp", "log.hpp", "options.hpp",
              "runner.hpp", "blocking.hpp"}


def compile_with(name, *more):
    source = f'#include <{name.relative_to("include")}>\nint main() {{}}\n'
    return subprocess.run([compiler, *FLAGS, *more, "-"], input=source, capture_output=True, text=True)


def check(name):
    alone = compile_with(name, "-fsyntax-only")
    if alone.returncode != 0:
        yield f"{name}: does not compile on its own:\n{alone.stderr}"
        return
    promised = "includes no boost" in house.read(name).lower()
    if name.name in BOOST_FREE and not promised:
        yield f"{name}: includes no Boost, and should say so"
    if promised or name.name in BOOST_FREE:
        boost = re.findall(r"\S*\bboost/\S+", compile_with(name, "-M").stdout)
        if boost:
            yield f"{name}: promises no Boost, but includes {boost[0]} and {len(boost) - 1} more"


headers = house.code("include")
with ThreadPoolExecutor(2) as pool:
    findings = [finding for found in pool.map(lambda name: list(check(name)), headers) for finding in found]
house.finish(findings, len(headers), "headers")
