"""docs/socket-api.md is what is: its table of options is the one in src/socket/option_names.cpp with the defaults of the
option table, its errors are those of the header, and every test that it names exists."""
import re

import pages

page = pages.read("docs/socket-api.md")
rows = re.findall(r'option_row\{o::(\w+), "(\w+)", "(\w+)", (?:option_unit::)?(\w+)', pages.read("src/socket/option_names.cpp"))
numbers = dict(re.findall(r"^  (\w+) = (\d+),", pages.read("include/ferry/socket.hpp").partition("enum class socket_option")[2].partition("};")[0], re.M))
macros = {number: name for name, number in re.findall(r"(FERRY_SO_\w+) = (\d+)", pages.read("include/ferry/socket.h"))}
written = {cells[0].strip("`"): cells for cells in pages.rows(pages.section(page, "## Options"), 5)}
findings = [f"docs/socket-api.md has no option row for {name}" for number, spelling, name, unit in rows if spelling not in written]
for number, spelling, name, unit in rows:
    cells = written.get(spelling)
    if cells and (cells[1].strip("`"), cells[2].strip("`")) != (name, macros.get(numbers[number])):
        findings.append(f"{spelling}: the page says {cells[1]} {cells[2]}, the source {name} {macros.get(numbers[number])}")
defaults = {cells[0].strip("`"): cells for cells in pages.rows(pages.read("docs/options.md"), 4)}
defaults.update({cells[0].strip("`"): cells for cells in pages.rows(pages.read("docs/options.md"), 5)})
for spelling, cells in written.items():
    said, known = cells[3].strip("`"), defaults.get(cells[1].strip("`"))
    if known and f"`{said}`" not in known and said != "empty":
        findings.append(f"{spelling}: the page says that {said} is the default, docs/options.md {known}")

sources = "\n".join(pages.read(str(name)) for name in pages.files() if name.suffix in {".cpp", ".py"} and ("test" in name.name or name.parts[0] == "tests"))
tests = {f"{suite}.{name}" for suite, name in re.findall(r"TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", sources)}
named = set(re.findall(r"`([a-z]\w+\.\w+)`", page))
named = {one for one in named if one.split(".")[1] not in {"hpp", "h", "cpp", "md", "so", "c", "py", "map"}}
findings += [f"docs/socket-api.md names the test {one}, which does not exist" for one in sorted(named - tests)]
codes = re.findall(r"FERRY_(E\w+) = \d+", pages.read("include/ferry/socket.h"))
findings += [f"docs/socket-api.md does not name {code}" for code in codes if f"`{code}`" not in page]
closes = {name: int(code) for name, code in re.findall(r'name_row\{n::\w+, "(E\w+)", (\d+)\}', pages.read("src/socket/errors.cpp"))}
for cells in pages.rows(pages.section(page, "## Errors"), 3):
    for name in re.findall(r"`(E\w+)`", cells[0]):
        if int(cells[2].strip() or 0) != closes.get(name):
            findings.append(f"{name}: the page says that its close code is {cells[2]}, the source {closes.get(name)}")
pages.finish(findings, len(rows) + len(named) + len(codes), "rows, tests and errors")
