#!/usr/bin/env python3
"""What the tests that failed have printed: the end of each one's output, and their names once more behind it.

Use: failed_tests.py RESULTS, as written by `ctest --output-junit RESULTS`.
"""

import sys
import xml.etree.ElementTree as tree

LINES = 60  # of each test


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    failed = [one for one in tree.parse(sys.argv[1]).getroot().iter("testcase") if one.get("status") == "fail"]
    for one in failed:
        said = (one.findtext("system-out") or "").splitlines()
        print(f"\n--- {one.get('name')} ({float(one.get('time')):.1f} s)")
        if len(said) > LINES:
            print(f"... {len(said) - LINES} lines before")
        print("\n".join(said[-LINES:]))
    print(f"\n{len(failed)} failed:")
    for one in failed:
        print(f"  {one.get('name')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
