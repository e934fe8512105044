#!/bin/sh
# RUSTC_WRAPPER of the short run: only our own code gets the counters that guide libFuzzer, so that every library is the
# one that `cargo test` has built already.
case ${CARGO_PKG_NAME:-} in
    # shellcheck disable=SC2086 # the words are options
    maestro | maestro-fuzz) exec "$@" $INSTRUMENT ;;
    *) exec "$@" ;;
esac
