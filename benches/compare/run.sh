#!/usr/bin/env bash
# Measures the release binary and the Node server side by side, interleaved, with the harness of ../shared/bench, and
# records the result in docs/BENCHMARKS.md. See `make compare`.
#
#   ROUNDS=3        how often everything is measured, A B then B A
#   QUICK=1         fewer samples, and five thousand phones once: 4 minutes a round instead of 13, and 4 more
#   GROUPS_=...     only these groups of the harness
#   BENCH=...       where the harness is
set -euo pipefail
cd "$(dirname "$0")/../.."
BENCH=${BENCH:-../shared/bench}
ROUNDS=${ROUNDS:-3}
export BENCH_WORK=${BENCH_WORK:-${TMPDIR:-/tmp}/maestro-bench}

if [ ! -f "$BENCH/bench.py" ]; then
    echo "the side-by-side harness is not at $BENCH; say where it is with BENCH=DIR" >&2
    exit 1
fi
sh tests/install-deps.sh build redis compare
mkdir -p "$BENCH_WORK"
BENCH=$(readlink -f "$BENCH")
CARGO_TARGET_DIR=$BENCH_WORK/target cargo build -q --release --locked --manifest-path "$BENCH/load/Cargo.toml"
[ -d "$BENCH_WORK/node-baseline/node_modules" ] || "$BENCH/node-baseline/setup.sh"
cp target/release/maestrod "$BENCH_WORK/maestrod"
ulimit -n "$(ulimit -H -n)"

results=$BENCH_WORK/results-$(date +%Y%m%dT%H%M%S).jsonl
python3 "$BENCH/bench.py" compare --target benches/compare/maestrod.toml \
    --peer "$BENCH/targets/node-seed-noadapter.toml" --peer "$BENCH/targets/limit.toml" \
    --rounds "$ROUNDS" ${QUICK:+--quick} --quiet-wait 10 --out "$results" ${GROUPS_:+--groups "$GROUPS_"}
if [ -n "${QUICK:-}" ] && [ -z "${GROUPS_:-}" ]; then
    # What takes few samples leaves out: five thousand phones, once.
    crowd=$BENCH_WORK/crowd.jsonl
    rm -f "$crowd"
    python3 "$BENCH/bench.py" compare --target benches/compare/maestrod.toml \
        --peer "$BENCH/targets/node-seed-noadapter.toml" --peer "$BENCH/targets/limit.toml" \
        --rounds 1 --quiet-wait 10 --out "$crowd" --groups memory,fanout
    grep '_5000"' "$crowd" >>"$results"
fi
# The machine's own limits, in the same sitting.
python3 "$BENCH/bench.py" physical --out "$BENCH_WORK/physical.jsonl" >/dev/null

{
    echo "Written by \`make compare\`: $ROUNDS rounds${QUICK:+ of few samples (5,000 phones: one round)}, both servers interleaved on this machine with one harness and one client,"
    echo "medians and (ranges). The peer is the same architecture in Node (Express, Socket.IO, ioredis), which does not wait"
    echo "for the disk; ours does. \`limit\` moves the same bytes with no JSON, store or Redis."
    echo
    echo "Machine: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, Linux $(uname -r), Node $(node --version), $(date +%F)."
    echo
    python3 "$BENCH/bench.py" table "$results" maestrod node-seed-noadapter
    echo
    python3 "$BENCH/bench.py" table "$results" maestrod limit | grep -v "| n/a |"
    echo
    python3 benches/compare/physical.py "$BENCH_WORK/physical.jsonl"
} | python3 benches/compare/record.py docs/BENCHMARKS.md compare
echo "results: $results"
