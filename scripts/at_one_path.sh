#!/usr/bin/env bash
# scripts/at_one_path.sh COMMAND...: runs COMMAND in this tree, which for it and its children alone lies at /run/ferry.
#
# What a compiler makes holds the paths of its sources, so a compiler cache (ccache) serves a fresh clone only where that
# lies at the path of the one before. Needs root and mount namespaces; without them COMMAND runs where the tree is.
set -euo pipefail
cd "$(dirname "$0")/.."

(($# > 0)) || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
at=/run/ferry
# shellcheck disable=SC2016
if ((EUID == 0)) && mkdir -p "$at" 2>/dev/null && unshare --mount mount --bind . "$at" 2>/dev/null; then
  exec unshare --mount --propagation private bash -c 'mount --bind . "$1" && cd "$1" && shift && exec "$@"' at_one_path "$at" "$@"
fi
exec "$@"
