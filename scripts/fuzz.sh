#!/usr/bin/env bash
# scripts/fuzz.sh SECONDS [BUILD]: runs each fuzz target of a Clang build (build/fuzz) for SECONDS, two at a time, from
# its corpus. What a run finds is left in BUILD/findings, and the exit status is 1.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?how many seconds for each target}
build=${2:-build/fuzz}
mapfile -t targets < <(find "$build/fuzz" -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x | sort)
((${#targets[@]} > 0)) || { echo "no fuzz targets in $build/fuzz"; exit 1; }
mkdir -p "$build/findings"

run_one() {
  local program=$1 seconds=$2 build=$3
  local name log new
  name=$(basename "$program")
  log=$build/findings/$name.log
  new=$(mktemp -d)  # what is new goes here, the corpus in the repository stays as it is
  local status=0
  "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="$build/findings/$name-" "$new" "fuzz/corpus/${name#fuzz_}" >"$log" 2>&1 || status=$?
  rm -rf "$new"
  if ((status != 0)); then
    tail -n 60 "$log"
    echo "$name: FAILED with status $status, see $log"
    return 1
  fi
  echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s, nothing found"
}
export -f run_one
printf '%s\n' "${targets[@]}" | xargs -P 2 -I {} bash -c 'run_one "$@"' _ {} "$seconds" "$build"
