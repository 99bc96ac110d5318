#!/usr/bin/env bash
# check.sh FOLDER [types]: the tests of the package that build.sh has compiled there; types: that its declarations hold.
# Status 77: it has not, or ws is missing.
set -euo pipefail
cd "$1"
if [[ ! -f dist/index.js ]]; then
  echo "skipped: the package is not built"
  exit 77
fi
if [[ ${2:-} == types ]]; then
  exec node_modules/.bin/tsc -p test/types
fi
if ! node -e 'require(require("fs").existsSync("/usr/share/nodejs/ws") ? "/usr/share/nodejs/ws" : "ws")'; then
  echo "skipped: there is no ws for Node (scripts/setup.sh test installs it)"
  exit 77
fi
node --test test/client.test.mjs
