"""The table of codes in docs/errors.md is what src/base/error.cpp says: every code, its text, its condition, in order."""
import re

import pages

header = pages.read("include/ferry/errc.hpp").partition("enum class errc")[2]
codes = re.findall(r"^  (\w+)(?: = \d+)?,", header.partition("};")[0], re.M)
source = pages.read("src/base/error.cpp")
texts = dict(re.findall(r'case errc::(\w+): return "([^"]+)";', source))
conditions, waiting = {}, []
for code, condition in re.findall(r"case errc::(\w+):|return condition::(\w+);",
                                  source.partition("condition condition_of(")[2].partition("\n}\n")[0]):
    waiting.append(code)
    if condition:
        conditions.update((one, condition) for one in waiting)
        waiting = []

wanted = [(f"`{code}`", texts.get(code), f"`{conditions.get(code)}`") for code in codes]
page = pages.section(pages.read("docs/errors.md"), "## Codes")
written = [tuple(cells[:3]) for cells in pages.rows(page, 4) if cells[0] != "code"]
findings = [f"docs/errors.md has no row {row}" for row in wanted if row not in written]
findings += [f"docs/errors.md has a row {row}, and the source has none" for row in written if row not in wanted]
if not findings and wanted != written:
    findings.append("docs/errors.md has the codes in another order than include/ferry/errc.hpp")
findings += [f"docs/errors.md does not say what to do about {cells[0]}" for cells in pages.rows(page, 4) if not cells[3]]
pages.finish(findings, len(codes), "codes")
