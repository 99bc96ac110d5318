#!/usr/bin/env bash
# Lists the Debian packages that are missing for a task, and installs them if it may.
#
#   scripts/setup.sh build    what the library and the program need
#   scripts/setup.sh test     and what the tests need
#   scripts/setup.sh ci       and what formatting, Clang, fuzzing and coverage need
#
# As root it installs at once; else with sudo, after asking, when there is a terminal; else it prints the command.
# Exit status: 0 everything is there (now), 1 something is missing, 2 wrong usage.
set -euo pipefail

build=(make g++ cmake ninja-build pkg-config libboost1.81-dev libssl-dev zlib1g-dev libsystemd-dev libcli11-dev libtomlplusplus-dev libspdlog-dev libprotobuf-dev protobuf-compiler)
test=(libgtest-dev libgmock-dev python3 python3-protobuf python3-websockets python3-autobahn nodejs node-ws chromium libnss3-tools nginx-light libnginx-mod-stream haproxy openssl tshark libgoogle-perftools-dev logrotate)
ci=(ccache libbenchmark-dev clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev gcovr git)

case "${1:-}" in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${build[@]}" "${test[@]}") ;;
  ci) wanted=("${build[@]}" "${test[@]}" "${ci[@]}") ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "This is not a Debian system; needed are what these Debian 12 packages hold: ${wanted[*]}"
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "Packages for '$1': all ${#wanted[@]} are installed."
  exit 0
fi
echo "Packages for '$1': missing ${#missing[@]} of ${#wanted[@]}: ${missing[*]}"

as_root=()
if ((EUID != 0)); then
  answer=no
  if command -v sudo >/dev/null && [[ -t 0 && -t 1 ]]; then
    read -r -p "Install them with sudo? [Y/n] " answer
    case "${answer:-yes}" in [Yy]*) answer=yes ;; *) answer=no ;; esac
  fi
  if [[ $answer != yes ]]; then
    echo "Install them with:"
    echo "  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
    exit 1
  fi
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y "$@" </dev/null >>"$log" 2>&1
}

if ! apt-cache show "${missing[@]}" >/dev/null 2>&1; then
  echo "Reading the package lists ..."
  apt update || { cat "$log"; echo "apt-get update failed"; exit 1; }
fi
echo "Installing, this can take some minutes ..."
if ! apt install --no-install-recommends "${missing[@]}"; then
  # The lists may be older than the mirror.
  { apt update && apt install --no-install-recommends "${missing[@]}"; } || {
    cat "$log"
    echo "apt-get could not install: ${missing[*]}"
    exit 1
  }
fi
echo "Installed."
