#!/bin/sh
# Builds and runs the fuzz targets: see fuzz/README.md.
#
#   fuzz/run.sh                     short: each target for a fixed number of made-up inputs, always the same ones
#   fuzz/run.sh SECONDS [TARGET..]  long: each target (or these) for that long, with inputs nobody has seen
#
# Does what `cargo fuzz run -s none` does, without having to install it. Ends with 1 if a target failed; the input that
# did it is then in fuzz/artifacts/TARGET.
set -eu
cd "$(dirname "$0")"

if ! command -v c++ >/dev/null 2>&1; then
    echo "fuzz: there is no C++ compiler (c++), which libFuzzer is built with" >&2
    case $(uname -s) in
        Linux) exit 1 ;; # tests/install-deps.sh installs it
        *) echo "fuzz: SKIPPED. Install one (macOS: xcode-select --install) and run it again" >&2; exit 0 ;;
    esac
fi

# What cargo-fuzz passes to the compiler: counters and comparisons guide the search. There is no address sanitizer: it
# needs an unstable compiler and would have nothing to watch, the code is safe Rust.
INSTRUMENT="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
export INSTRUMENT

seconds=${1:-}
[ $# -gt 0 ] && shift
targets=${*:-$(for file in fuzz_targets/*.rs; do basename "$file" .rs; done)}

if [ -n "$seconds" ]; then
    # The libraries are searched too. `--target` keeps the options away from build scripts and macros.
    host=$(rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS=$INSTRUMENT cargo build --locked --release --target "$host" --target-dir target
    built=target/$host/release
else
    RUSTC_WRAPPER=$PWD/instrument.sh cargo build --locked --target-dir ../target
    built=../target/debug
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ -z "$seconds" ]; then
    # They do not stay beside our programs, which tests look for there: one of them is called like a program we look for.
    mkdir "$scratch/bin"
    for file in fuzz_targets/*.rs; do
        mv "$built/$(basename "$file" .rs)" "$scratch/bin/"
    done
    built=$scratch/bin
fi
failed=
for target in $targets; do
    mkdir -p "artifacts/$target" "found/$target" "$scratch/$target"
    # No input may take ten seconds, or half a gigabyte.
    limits="-timeout=10 -rss_limit_mb=512 -artifact_prefix=artifacts/$target/"
    if [ -n "$seconds" ]; then
        # New inputs are kept in found/, so that the next run begins where this one ended.
        set -- -max_total_time="$seconds" -print_final_stats=1 "found/$target" "corpus/$target"
    else
        set -- -seed=1 -runs="${FUZZ_RUNS:-2000}" -max_total_time=30 "$scratch/$target" "corpus/$target"
    fi
    # shellcheck disable=SC2086 # the words of the limits are options
    if "$built/$target" $limits "$@" >"$scratch/log" 2>&1; then
        echo "fuzz: $target: $(grep DONE "$scratch/log" || tail -n 1 "$scratch/log")"
        grep 'stat::' "$scratch/log" || true
    else
        tail -n 60 "$scratch/log" >&2
        failed="$failed $target"
    fi
done
if [ -n "$failed" ]; then
    echo "fuzz: FAILED:$failed; the inputs are in fuzz/artifacts" >&2
    exit 1
fi
