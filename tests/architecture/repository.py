"""The repository speaks of the product alone: nothing left to do, no path of one machine, no file that is too large,
and no link that leads nowhere."""
import re

import house

MAX_BYTES = 1 << 20
# Written so that this file does not find itself.
WORDS = {
    "something left to do": r"\b(?:T[O]DO|F[I]XME|X[X]X|H[A]CK)\b",
    "a path of one machine": r"/(?:w[o]rk|h[o]me/[a-z]|r[o]ot)/|/t[m]p/(?:b[u]ild|b[r]ief)",
    "a word about how it came about": r"(?i)\b(?:cl[a]ude|anthr[o]pic|chat-?g[p]t|cop[i]lot|op[e]nai|l[l]m|"
                                      r"ai[- ]gen[e]rated|sub-?ag[e]nts?|this iss[u]e|iss[u]e #?\d+|later iss[u]es?)\b",
}


def is_text(data):
    return b"\0" not in data[:8192]


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    body = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for heading in re.findall(r"^#+ +(.*?) *#*$", body, flags=re.M):
        yield re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading)).strip().lower().replace(" ", "-")


def broken_links(name, text):
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.M | re.S)
    for link in re.findall(r"\]\(\s*<?([^)\s>]+)", prose):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        goal = (house.ROOT / name).parent / path if path else house.ROOT / name
        if not goal.exists():
            yield f"{name}: link to {link}, which does not exist"
        elif anchor and goal.suffix == ".md" and anchor not in set(anchors(goal.read_text(encoding="utf-8"))):
            yield f"{name}: link to {link}, which has no such heading"


def check(name):
    data = (house.ROOT / name).read_bytes()
    if len(data) > MAX_BYTES:
        yield f"{name}: {len(data)} bytes, the limit is {MAX_BYTES}"
    if not is_text(data):
        return
    text = data.decode("utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in WORDS.items():
            found = re.search(pattern, line)
            if found:
                yield f"{name}:{number}: {what}: {found[0]}"
    if name.suffix == ".md":
        yield from broken_links(name, text)


looked_at = [name for name in house.files() if name.name != "LICENSE"]
house.finish([finding for name in looked_at for finding in check(name)], len(looked_at), "files")
