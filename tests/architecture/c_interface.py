"""The interface for C is what <ferry/socket.h> declares: the shared library exports exactly those functions under one
version, the header compiles as C99 and as C++, and its structures have the sizes that were promised.

usage: c_interface.py NM LIBRARY COMPILER
"""
import re
import subprocess
import sys

import house

nm, library, compiler = sys.argv[1:]
HEADER = "include/ferry/socket.h"
declared = set(re.findall(r"^FERRY_API [^;]*?\b(ferry_\w+)\(", house.read(HEADER), re.M))
findings = []

exported = set()
for line in subprocess.run([nm, "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout.splitlines():
    name, _, version = line.split()[-1].partition("@@")
    if line.split()[-2] == "A":  # the name of the version itself
        continue
    exported.add(name)
    if version != "FERRY_SOCKET_0":
        findings.append(f"{name} is exported with the version '{version}'")
findings += [f"{name} is declared and not exported" for name in sorted(declared - exported)]
findings += [f"{name} is exported and not declared" for name in sorted(exported - declared)]

SIZES = {"ferry_address": 1284, "ferry_message_info": 16, "ferry_pollfd": 12, "ferry_socket_info": 12, "ferry_stats": 136}
checks = "".join(f"typedef char {name}_size[sizeof(struct {name}) == {size} ? 1 : -1];\n" for name, size in SIZES.items())
source = f"#include <ferry/socket.h>\n{checks}int main(void) {{ return 0; }}\n"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-unused-local-typedefs", f"-I{house.ROOT}/include", "-fsyntax-only"]
for language in (["-x", "c", "-std=c99"], ["-x", "c++", "-std=c++11"], ["-x", "c++", "-std=c++20"]):
    compiled = subprocess.run([compiler, *language, *WARNINGS, "-"], input=source, capture_output=True, text=True)
    if compiled.returncode != 0:
        findings.append(f"{HEADER} as {language[1]} {language[2]}:\n{compiled.stderr}")
house.finish(findings, len(declared), "functions")
