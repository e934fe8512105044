#!/bin/sh
# Makes the Debian package: manual and completions from the program itself, then cargo-deb ([package.metadata.deb] in
# Cargo.toml says what is in it).
#
#   packaging/deb.sh [PROFILE] [cargo-deb option...]
#
# PROFILE is a profile of Cargo that is built already; without one `dist` is built, which takes its time and is what one
# gives away. Tests package the `dev` build they have anyway.
set -eu
cd "$(dirname "$0")/.."

profile=${1:-dist}
[ $# -eq 0 ] || shift
case $profile in
    dist) cargo build --locked --bins --profile dist; built=dist ;;
    dev) built=debug ;;
    *) built=$profile ;;
esac
target=${CARGO_TARGET_DIR:-target}

parts=$target/package
rm -rf "$parts"
mkdir -p "$parts"
"$target/$built/maestroctl" man "$parts/man" >/dev/null
for shell in bash zsh fish; do
    "$target/$built/maestroctl" completions "$shell" >"$parts/maestroctl.$shell"
done
cargo deb --locked --no-build --profile "$profile" "$@"
