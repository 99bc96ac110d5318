"""Includes go down only: a file may use its own folder and the floors below it."""
import house

FLOORS = {
    "base": 0, "codec": 1, "ring": 1, "session": 2, "os": 3, "net": 4, "channel": 5,
    "socket": 5, "socket_c": 5, "compat": 5, "systemd": 5, "gateway": 6, "sidecar": 6,
}
TOP = {"apps": 7, "bench": 7, "examples": 7, "fuzz": 7, "tests": 7, "testing": 7}
# Folders on one floor do not know each other, but for these.
NEIGHBOURS = {("socket", "channel"), ("compat", "channel"), ("systemd", "channel"), ("apps", "bench")}

# The lowest floor that may include a public header: not where its functions are written, but what its contract needs.
# Below channel.hpp they are vocabulary (plain values and interfaces), which the drivers in os/ and net/ speak too.
PUBLIC = {
    "errc.hpp": 0, "error.hpp": 0, "bytes.hpp": 0, "buffer_pool.hpp": 0, "message.hpp": 0, "metrics.hpp": 0,
    "log.hpp": 0, "http.hpp": 0, "options.hpp": 0, "detail/ring_core.hpp": 1, "detail/taken.hpp": 0, "url.hpp": 2, "stream.hpp": 2, "context.hpp": 4,
    "detail/channel_front.hpp": 5, "detail/completion.hpp": 5, "channel.hpp": 5, "formatted.hpp": 5, "listener.hpp": 5, "runner.hpp": 5, "ring.hpp": 5, "ring_file.hpp": 5, "session.hpp": 5, "session_files.hpp": 5, "blocking.hpp": 5,
    "socket.hpp": 5, "socket.h": 5,
    "service_manager.hpp": 5, "systemd.hpp": 5, "service_message.hpp": 1, "gateway.hpp": 6, "gateway_service.hpp": 6, "sidecar.hpp": 6, "sidecar_transport.hpp": 6,
}


def public_floor(name):
    """Of "channel.hpp", "compat/uds_writer.hpp"; None if it has none."""
    folder = name.rpartition("/")[0]
    return PUBLIC.get(name, FLOORS.get(folder))


def place(name):
    """(folder, floor) of a file of the repository."""
    parts = name.parts
    if parts[0] == "src":
        return parts[1], FLOORS.get(parts[1])
    if parts[0] == "include":
        return "include/ferry/" + "/".join(parts[2:]), public_floor("/".join(parts[2:]))
    return parts[0], TOP.get(parts[0])


def is_test(name):
    return name.stem.endswith("_test") or name.parts[0] in {"tests", "testing"}


def target(name, included, angle):
    """(folder, floor) that an #include leads to, None for what is not ours."""
    if included.startswith("ferry/"):
        return "include/" + included, public_floor(included.removeprefix("ferry/"))
    first = included.split("/")[0]
    if angle or "/" not in included:
        return None
    return (first, FLOORS[first]) if first in FLOORS else (first, TOP[first]) if first in TOP else None


def check(name):
    folder, floor = place(name)
    if floor is None:
        yield f"{name}: has no floor; give it one in tests/architecture/includes_go_down.py"
        return
    for line, included, angle in house.includes(name):
        if included.endswith(".pb.h") and name.parts[:3] != ("src", "sidecar", "wire"):
            yield f"{name}:{line}: includes {included}, but protobuf is for src/sidecar/wire/ alone"
        found = target(name, included, angle)
        if found is None:
            continue
        where = f"{name}:{line}: includes {included}"
        if found[1] is None:
            yield f"{where}, which has no floor; give it one in tests/architecture/includes_go_down.py"
        elif found[0] == "testing":
            if not is_test(name):
                yield f"{where}, but testing/ is for tests only"
        elif name.parts[0] in {"include", "examples"} and not included.startswith("ferry/"):
            yield f"{where}, which is not installed"
        elif found[1] > floor:
            yield f"{where} from floor {floor} ({folder}), up to floor {found[1]}"
        elif found[1] == floor and not angle and found[0] != folder and (folder, found[0]) not in NEIGHBOURS \
                and not is_test(name):
            yield f"{where}: {folder} and {found[0]} are on one floor and do not know each other"


looked_at = house.code("src", "include", "apps", "bench", "examples", "fuzz", "tests", "testing")
stale = [f"include/ferry/{name}: has a floor but does not exist" for name in PUBLIC
         if not (house.ROOT / "include/ferry" / name).is_file()]
house.finish([finding for name in looked_at for finding in check(name)] + stale, len(looked_at), "files")
