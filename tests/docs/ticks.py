"""The tests that the pages name are there: `file_test` is a file, and in a table the words behind it in parentheses are tests of it.
Each failure on the page about delivery has a row with tests that show what it costs."""
import re
import sys

from pages import ROOT, section

TEST = re.compile(r"^TEST(?:_F|_P)?\(\s*\w+,\s*(\w+)\)|^TYPED_TEST(?:_P)?\(\s*\w+,\s*(\w+)\)", re.M)
NAMED = re.compile(r"`(?:[\w./-]+/)?(\w+_test)`(?: \(([^)]*)\))?")
FAILURES, SHOWN = "## Each failure, each level", "## Which test shows it"


def table(text, heading):
    """The rows below the head of what stands under a heading; a cell may be empty."""
    lines = [line for line in section(text, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def failures_not_shown(page):
    text = page.read_text()
    told, shown = table(text, FAILURES), table(text, SHOWN)
    if not told:
        yield f"{page.name}: no failures under '{FAILURES}'"
    if [row[0] for row in told] != [row[0] for row in shown]:
        yield f"{page.name}: the tables under '{FAILURES}' and '{SHOWN}' do not have the same failures in the same order"
    for row in shown:
        if not NAMED.search(row[-1]):
            yield f"{page.name}: no test shows what a session is worth when: {row[0]}"


def main():
    files = {}
    for place in ("src", "apps", "tests", "testing", "bench"):
        for path in (ROOT / place).rglob("*_test.cpp"):
            files.setdefault(path.stem, set()).update(a or b for a, b in TEST.findall(path.read_text()))
    wrong, count = list(failures_not_shown(ROOT / "docs" / "delivery.md")), 0
    for page in sorted((ROOT / "docs").glob("*.md")):
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for name, inside in NAMED.findall(line):
                count += 1
                if name not in files:
                    wrong.append(f"{page.name}:{number}: there is no {name}")
                    continue
                for word in re.split(r"[,;] *", inside):
                    if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", word) and word not in files[name]:
                        wrong.append(f"{page.name}:{number}: {name} has no test {word}")
    for one in wrong:
        print(one)
    print(f"{count} names looked at, {len(wrong)} findings")
    return 1 if wrong else 0


sys.exit(main())
