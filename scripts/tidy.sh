#!/usr/bin/env bash
# scripts/tidy.sh BUILD [all | COMMIT]: clang-tidy on every .cpp file, or on those that changed since COMMIT (default:
# where the branch left its upstream, else the commit before). BUILD is a configured Clang build.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:?a configured build directory}
since=${2:-}
if [[ -z $since ]]; then
  since=$(git merge-base HEAD '@{upstream}' 2>/dev/null || true)
  [[ -n $since && $since != "$(git rev-parse HEAD)" ]] || since=$(git rev-parse --verify --quiet HEAD~1 || echo all)
fi
if [[ $since == all ]]; then
  mapfile -t files < <(git ls-files '*.cpp')
else
  mapfile -t files < <(git diff --name-only --diff-filter=d "$since" -- '*.cpp')
fi
# Only what this build compiles has flags to check it with.
mapfile -t files < <(for file in "${files[@]}"; do
  grep -qF "\"$PWD/$file\"" "$build/compile_commands.json" && echo "$file"
done || true)
((${#files[@]} > 0)) || { echo "no C++ file changed since $since"; exit 0; }
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy-14 -p "$build" --quiet --warnings-as-errors='*'
echo "${#files[@]} files: clang-tidy has nothing to say"
