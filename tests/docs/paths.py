"""Files that the pages name are there, and so are the options that they write into URLs and behind -o."""
import re

import pages

TREE = {name.as_posix() for name in pages.files()}
NAMES = {path.rpartition("/")[2] for path in TREE}
TOP = {path.partition("/")[0] for path in TREE if "/" in path}
OPTIONS = set(re.findall(r"^\| `(\w+)` \|", pages.read("docs/options.md"), re.M))
# Of URLs, but no options: whom a sidecar's channel is for, the path of a request over a Unix socket.
PARAMETERS = {"to", "path"}
PATH = re.compile(r"`((?:[\w.*-]+/)*[\w.*-]+\.(?:cpp|hpp|ipp|h|c|py|sh|ts|js|toml|proto|svg|md))`")


def is_there(path):
    if "*" in path or path.startswith("..."):
        return True
    if path.partition("/")[0] in TOP and "/" in path:
        return path in TREE
    return path in TREE or any(one.endswith("/" + path) for one in TREE)


def check(name):
    text = pages.read(name)
    yield from (f"{name}: names {path}, which is not there"
                for path in sorted(set(PATH.findall(text))) if not is_there(path))
    urls = re.findall(r"\b(?:ipc|tcp|tls|shm|sidecar):[^\s`'\")|]*", text)
    asked = {option for url in urls for option in re.findall(r"[?&]([a-z_-]+)=", url)}
    asked |= set(re.findall(r"(?<=\s-o )([a-z_-]+)=", text))
    yield from (f"{name}: there is no option {one}"
                for one in sorted(asked) if one.replace("-", "_") not in OPTIONS | PARAMETERS)


# CONTRIBUTING.md speaks of a module x.
looked_at = [name for name in pages.pages() if name.as_posix() != "CONTRIBUTING.md"]
pages.finish([finding for name in looked_at for finding in check(name)], len(looked_at), "pages")
