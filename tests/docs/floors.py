"""The page of each floor names every module of the floor."""
import re

import pages

FLOORS = {"base": "src/base", "codec": "src/codec", "ring": "src/ring", "session": "src/session", "os": "src/os", "net": "src/net",
          "channel": "src/channel", "socket": "src/socket", "gateway": "src/gateway", "sidecar": "src/sidecar"}

findings, looked_at = [], 0
for floor, folder in FLOORS.items():
    page = pages.read(f"docs/floors/{floor}.md")
    modules = {re.sub(r"(_data|_link|_threads)$", "", name.stem) for name in pages.files()
               if name.parent.as_posix() == folder and not name.stem.endswith("_test")}
    looked_at += len(modules)
    findings += [f"docs/floors/{floor}.md does not name {one}" for one in sorted(modules) if not re.search(rf"\b{one}\b", page)]
pages.finish(findings, looked_at, "modules")
