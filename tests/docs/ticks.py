"""The tests that the pages name are there: `file_test` is a file, and in a table the words behind it in parentheses are tests of it."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEST = re.compile(r"^TEST(?:_F|_P)?\(\s*\w+,\s*(\w+)\)|^TYPED_TEST(?:_P)?\(\s*\w+,\s*(\w+)\)", re.M)
NAMED = re.compile(r"`(?:[\w./-]+/)?(\w+_test)`(?: \(([^)]*)\))?")


def main():
    files = {}
    for place in ("src", "apps", "tests", "testing", "bench"):
        for path in (ROOT / place).rglob("*_test.cpp"):
            files.setdefault(path.stem, set()).update(a or b for a, b in TEST.findall(path.read_text()))
    wrong, count = [], 0
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
