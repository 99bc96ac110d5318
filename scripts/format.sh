#!/usr/bin/env bash
# scripts/format.sh fix | check: lays out every C++ file as .clang-format says, or lists those that are not.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t files < <(find include src apps bench examples fuzz testing tests cmake -name '*.?pp' | sort)
case "${1:-}" in
  fix) clang-format-14 -i "${files[@]}" ;;
  check) clang-format-14 --dry-run -Werror "${files[@]}" && echo "${#files[@]} files are laid out as .clang-format says" ;;
  *) sed -n 2s/..//p "$0" >&2 && exit 2 ;;
esac
