#!/usr/bin/env bash
# run.sh installed BUILD COMPILER SCRATCH [systemd] [sidecar] [program]
#   Installs the build into a fresh prefix, moves the prefix, and builds and runs consumers against it: through
#   find_package and through pkg-config. Nothing but headers may be taken from Boost.
# run.sh minimal BUILD COMPILER SCRATCH
#   The same for a build with every optional part off, made in SCRATCH, not optimised: what it needs is looked at.
set -euo pipefail
shopt -s nullglob

mode=$1 build=$2 compiler=$3 scratch=$4
shift 4
parts=" $* "
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
mkdir -p "$scratch"
prefix=$scratch/prefix
trap 'rm -rf "$prefix" "$scratch/first" "$scratch/consumer"' EXIT
rm -rf "$prefix" "$scratch/first" "$scratch/consumer"

fail() {
  echo "FAILED: $*"
  exit 1
}
has() { [[ $parts == *" $1 "* ]]; }

if [[ $mode == minimal ]]; then
  build=$scratch/build
  cmake -S "$source" -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 \
    -DFERRY_TLS=OFF -DFERRY_SYSTEMD=OFF -DFERRY_SIDECAR=OFF -DFERRY_PROGRAM=OFF -DFERRY_TESTS=OFF -DFERRY_EXAMPLES=OFF -DFERRY_FUZZ=OFF
  cmake --build "$build" --parallel 2
fi
cmake --install "$build" --prefix "$scratch/first" >"$scratch/install.log" || { cat "$scratch/install.log"; exit 1; }
mv "$scratch/first" "$prefix"  # a package that remembers where it was installed fails from here on
! grep -rIlF -e "$source" -e "$scratch/first" "$prefix" || fail "these files name the build's own folders"

# What the package asks to be linked is linked, also if the linker is set to drop what is not used.
link_all=-Wl,--no-as-needed
cmake -S "$here/consumer" -B "$scratch/consumer" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_EXE_LINKER_FLAGS="$link_all" \
  -DWITH_SYSTEMD="$(has systemd && echo ON || echo OFF)" -DWITH_SIDECAR="$(has sidecar && echo ON || echo OFF)"
cmake --build "$scratch/consumer" --parallel 2

pkg_config_dirs=("$prefix"/lib*/pkgconfig "$prefix"/lib*/*/pkgconfig)
export PKG_CONFIG_PATH=${pkg_config_dirs[0]}
read -ra flags <<<"$(pkg-config --cflags --libs ferry)"
"$compiler" -std=c++20 "$here/consumer/consumer.cpp" $link_all "${flags[@]}" -o "$scratch/consumer/by_pkg_config"
read -ra flags <<<"$(pkg-config --cflags --libs ferry-socket)"
libraries_at=("$prefix"/lib*/libferry_socket.so "$prefix"/lib*/*/libferry_socket.so)
cc -std=c99 -Wall -Wextra -Werror -pedantic "$here/consumer/c_consumer.c" "${flags[@]}" \
  -Wl,-rpath,"$(dirname "${libraries_at[0]}")" -o "$scratch/consumer/c_by_pkg_config"
if has systemd; then
  read -ra flags <<<"$(pkg-config --cflags --libs ferry-systemd)"
  "$compiler" -std=c++20 "$here/consumer/consumer.cpp" $link_all "${flags[@]}" -o "$scratch/consumer/systemd_by_pkg_config"
fi
if has sidecar; then
  read -ra flags <<<"$(pkg-config --cflags --libs ferry-sidecar)"
  "$compiler" -std=c++20 "$here/consumer/sidecar_consumer.cpp" $link_all "${flags[@]}" -o "$scratch/consumer/sidecar_by_pkg_config"
fi

for program in "$scratch"/consumer/{consumer,dry_consumer,gateway_consumer,by_pkg_config,systemd_consumer,systemd_by_pkg_config,sidecar_consumer,sidecar_by_pkg_config,c_consumer,c_by_pkg_config}; do
  [[ -e $program ]] || continue
  "$program" || fail "$(basename "$program") ended with status $?"
  libraries=$(ldd "$program")
  ! grep -i boost <<<"$libraries" || fail "$(basename "$program") links a Boost library"
  [[ $mode != minimal ]] || ! grep -Ev 'linux-vdso|ld-linux|lib(stdc\+\+|gcc_s|m|c|z|ferry_socket)\.so' <<<"$libraries" ||
    fail "$(basename "$program") needs more than the language's own libraries and zlib"
  echo "$(basename "$program"): runs"
done
if has program; then
  [[ $("$prefix/bin/ferry" --help) == *demo* ]] || fail "the installed program does not help"
  echo "ferry --help: speaks"
fi
