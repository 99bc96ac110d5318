#!/usr/bin/env bash
# check.sh FOLDER: the tests of the package that build.sh has compiled there. Status 77: it has not, or ws is missing.
set -euo pipefail
cd "$1"
if [[ ! -f dist/index.js ]] || ! node -e 'require(require("fs").existsSync("/usr/share/nodejs/ws") ? "/usr/share/nodejs/ws" : "ws")'; then
  echo "skipped: the package is not built, or there is no ws for Node (scripts/setup.sh test installs it)"
  exit 77
fi
node --test test/client.test.mjs
