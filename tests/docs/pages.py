"""What the tests of the pages share: the pages, and how a finding is reported."""
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "architecture"))
from house import ROOT, files, finish, read  # noqa: E402, F401  (found through the line above; used by the tests)


def pages():
    return [name for name in files() if name.suffix == ".md"]


def rows(text, columns):
    """The cells of each table row of that many columns, without the heads."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and len(cells) == columns and not set(line) <= set("|-: "):
            yield cells


def section(text, heading):
    """What stands under a heading, up to the next one of its level or above."""
    level = heading.split()[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.M | re.S)
    return found[1] if found else ""
