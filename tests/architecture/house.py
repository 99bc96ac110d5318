"""What the architecture tests share: the files of the repository, and how a finding is reported."""
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = {".hpp", ".cpp", ".ipp", ".h"}


def files():
    """Every file of the repository, relative to ROOT: what git knows or would add; without git all but build trees."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        names = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        names = []
        for folder, folders, found in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in {".git", "build", "__pycache__"}]
            names += [(Path(folder) / name).relative_to(ROOT) for name in found]
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def code(*folders):
    """The C++ files below the given folders, relative to ROOT."""
    return [name for name in files() if name.suffix in CODE and name.parts[0] in folders]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def includes(name):
    """(line number, name as written, True if in angle brackets) of each #include of a file."""
    for number, line in enumerate(read(name).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match[2], match[1] == "<"


def finish(findings, looked_at, what):
    """Prints the findings and ends the program. Looking at nothing is a failure too: the test would never fail."""
    for finding in findings:
        print(finding)
    if not looked_at:
        print(f"found no {what} to look at")
    print(f"{looked_at} {what} looked at, {len(findings)} findings")
    sys.exit(1 if findings or not looked_at else 0)
