"""Code in the pages is code that is compiled or run: each block of C++, CMake or JavaScript stands, line by line, in the file that
the comment before it names. Only the indentation of the whole may differ, and where the block has an empty line the file
may have more."""
import re
import textwrap

import pages

BLOCK = re.compile(r"(?:<!-- snippet: (\S+) -->\n)?^```(cpp|c\+\+|cmake|js|ts)\n(.*?)^```$", re.M | re.S)


def lines_of(text):
    return textwrap.dedent(text).rstrip().splitlines()


def stands_in(block, text):
    all_lines, at = text.splitlines(), 0
    for wanted in (lines_of(paragraph) for paragraph in re.split(r"\n\n+", textwrap.dedent(block).strip("\n"))):
        places = [i for i in range(at, len(all_lines)) if lines_of("\n".join(all_lines[i:i + len(wanted)])) == wanted]
        if not places:
            return False
        at = places[0] + len(wanted)
    return True


findings, looked_at = [], 0
for name in pages.pages():
    text = pages.read(name)
    for found in BLOCK.finditer(text):
        looked_at += 1
        where = f"{name}:{text.count(chr(10), 0, found.start(3))}"
        source = found[1]
        if not source:
            findings.append(f"{where}: no <!-- snippet: FILE --> before this code: nobody compiles it")
        elif not (pages.ROOT / source).is_file():
            findings.append(f"{where}: {source} does not exist")
        elif not stands_in(found[3], pages.read(source)):
            findings.append(f"{where}: these lines do not stand in {source}")
pages.finish(findings, looked_at, "pieces of code")
