#!/usr/bin/env bash
# build.sh FOLDER: compiles the package in a copy of this one, so that nothing is written here. Status 77: npm cannot
# get the compiler.
set -euo pipefail
to=$1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$to"
rm -rf "$to/src" "$to/test" "$to/dist"
cp -r "$here"/{src,test,package.json,package-lock.json,tsconfig.json,.npmrc} "$to"
cd "$to"
if [[ ! -x node_modules/.bin/tsc || package-lock.json -nt node_modules/.package-lock.json ]] &&
  ! timeout 90 npm ci --prefer-offline --no-audit --no-fund --fetch-retries 0 >npm.log 2>&1; then
  tail -n 3 npm.log
  echo "skipped: npm cannot get the TypeScript compiler"
  exit 77
fi
npm run --silent build
