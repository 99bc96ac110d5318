"""The dry library refers to no system call, clock, lock, thread, randomness or stdio.

usage: dry_symbols.py NM LIBRARY
"""
import re
import subprocess
import sys

import house

FORBIDDEN = re.compile("^(?:" + "|".join([
    # descriptors, memory mappings, sockets
    "p?(?:read|write)v?(?:64)?2?", "open(?:at)?(?:64)?", "creat(?:64)?", "close", "dup[23]?", "fcntl(?:64)?", "ioctl",
    "socket(?:pair)?", "bind", "listen", "accept4?", "connect", "recv(?:from|m?msg)?", "send(?:to|m?msg|file(?:64)?)?",
    "shutdown", "[gs]etsockopt", "poll", "select", "epoll_.*", "eventfd", "pipe2?", "mmap(?:64)?", "munmap", "mremap",
    "msync", "shm_.*", "memfd_create", "ftruncate(?:64)?", "fsync", "fdatasync", "l?stat(?:64)?", "fstat(?:64)?",
    "unlink", "rename", "mkdir", "syscall",
    # processes, threads, locks, signals
    "fork", "vfork", "exec[lv]p?e?", "kill", "raise", "signal", "sigaction", "pthread_.*", "sem_.*", "futex.*",
    "thrd_.*", "mtx_.*", "cnd_.*", "_ZNSt6thread.*", "_ZNSt18condition_variable.*", "_ZNKSt.*__atomic_futex.*",
    # clocks, randomness, the environment
    "clock_.*", "time", "gettimeofday", "nanosleep", "usleep", "sleep", "timerfd_.*", "localtime(?:_r)?",
    "_ZNSt6chrono3_V21[23](?:system|steady)_clock3nowEv", "getrandom", "getentropy", "rand(?:om)?(?:_r)?", "srand",
    "_ZNSt13random_device.*", "(?:secure_)?getenv",
    # stdio and streams
    "v?[fsd]?n?printf", "__v?[fs]?n?printf_chk", "v?[fs]?scanf", "f?puts", "f?putc(?:har)?", "f(?:open(?:64)?|close)",
    "f(?:read|write|flush|gets)", "perror", "stdin", "stdout", "stderr",
    "_ZSt(?:3cin|4cout|4cerr|4clog)", "_ZNSt8ios_base4InitC1Ev", "_ZNSt.*basic_(?:[io]?f)stream.*",
]) + ")$")

# Boost.System builds the std::error_category of a category once, under a mutex, when a code is converted.
ALLOWED = {("to_std.cpp.o", "pthread_mutex_lock"), ("to_std.cpp.o", "pthread_mutex_unlock")}
# Its categories write numbers of unknown errors with a function of its own, which formats in memory; objects that
# hold a copy of that function refer to this.
BOOST_SNPRINTF = "_ZN5boost6system6detail8snprintf"

nm, library = sys.argv[1:]
listing = subprocess.run([nm, "--print-file-name", library], capture_output=True, text=True, check=True).stdout
references, has_boost_snprintf = [], set()
for line in listing.splitlines():
    where, kind, symbol = re.fullmatch(r"(.*?):\s*[0-9a-f]*\s+(\w) (\S+)", line).groups()
    member = re.split("[:/]", where)[-1]
    if kind == "U":
        references.append((member, symbol.split("@")[0]))
    elif symbol.startswith(BOOST_SNPRINTF):
        has_boost_snprintf.add(member)

findings = [f"{member} refers to {symbol}" for member, symbol in references
            if FORBIDDEN.match(symbol) and (member, symbol) not in ALLOWED
            and not (symbol == "vsnprintf" and member in has_boost_snprintf)]
house.finish(findings, len(references), "references")
