#!/bin/sh
# Everything that must hold of the page: types, lint, tests; and what is committed in dist/ is what the sources make.
set -eu
cd "$(dirname "$0")"

[ node_modules/.package-lock.json -nt package-lock.json ] || {
    npm ci --ignore-scripts --no-audit --no-fund
    touch node_modules/.package-lock.json
}
npm run --silent check

built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
# Beside the committed one, so that a look changes nothing.
MAESTRO_DIST=$built npm run --silent build >/dev/null
if ! diff -r dist "$built"; then
    echo "web/dist is not what web/src makes: run \`npm run build\` in web/ and commit dist/" >&2
    exit 1
fi
