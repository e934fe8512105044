# Everything one does with this repository. `make help` lists it.

CARGO ?= cargo
# Where `make run` keeps its data; the default is the configuration's own (~/.maestro/data).
DATA ?=
# How long `make fuzz` looks at each target, in seconds.
TIME ?= 600
# Further options for `maestrod run`, as in ARGS="--port 4000 --redis off".
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run build test lint fmt bench costs compare deb fuzz chaos crashes malformed load page screens page-speed macos

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  make run DATA=/srv/maestro ARGS="--port 4000"'

run: ## install what is missing, build, and run the hub here until Ctrl-C
	@sh tests/install-deps.sh build
	@sh tests/install-deps.sh redis || echo "no redis-server: the hub runs in embedded mode, on this machine alone"
	$(CARGO) build --release --locked
	@exec target/release/maestrod run \
	  $(if $(DATA),--data-dir "$(DATA)/data" --set session_dir="$(DATA)/sessions") $(ARGS)

build: ## build maestrod and maestroctl into target/release
	$(CARGO) build --release --locked

# Format and lints first: they answer within seconds what a test run would hide behind minutes.
test: ## install what the tests need, and run everything that must hold
	sh tests/install-deps.sh
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	web/check.sh
	$(CARGO) test --locked
	fuzz/run.sh
	sh tests/macos-check.sh

macos: ## compile everything for a Mac, lints included (the first time takes minutes)
	sh tests/macos-check.sh

lint: ## check format and lints only
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

fmt: ## format everything
	$(CARGO) fmt

page: ## build the phone page into web/dist, which is committed and embedded
	cd web && npm ci --ignore-scripts --no-audit --no-fund && npm run format && npm run build

screens: ## take the pictures of docs/screens from a real hub, in Chromium
	sh tests/install-deps.sh web chromium
	$(CARGO) build --locked
	cd web && npm ci --ignore-scripts --no-audit --no-fund && node screens/take.mjs

page-speed: ## measure how fast the page opens on a slow phone over 4G, in Chromium
	sh tests/install-deps.sh web chromium
	$(CARGO) build --release --locked
	cd web && npm ci --ignore-scripts --no-audit --no-fund && MAESTRO_BIN=../target/release node screens/speed.mjs

fuzz: ## search for inputs that break a parser, TIME seconds each: make fuzz TIME=3600
	fuzz/run.sh $(TIME)

# How long, and which faults: the same seed has the same ones. Unset: three minutes of seed 1.
MINUTES ?=
SEED ?=
# How many kills (crashes), how many messages (malformed). Unset: as in `make test`.
N ?=

chaos: ## break everything around a hub that is used, and judge it: make chaos MINUTES=60 SEED=7
	MINUTES=$(MINUTES) SEED=$(SEED) $(CARGO) test --locked --test chaos -- --nocapture whatever

crashes: ## kill the hub between any two steps: make crashes N=1000
	N=$(N) $(CARGO) test --locked --test crashes -- --nocapture killed

malformed: ## say to the hub what no client would: make malformed N=100000
	N=$(N) SEED=$(SEED) $(CARGO) test --locked --test malformed -- --nocapture

load: ## a crowd for a while, release build: make load PHONES=5000 AGENTS=500 RATE=50 MINUTES=10
	PHONES=$(PHONES) AGENTS=$(AGENTS) RATE=$(RATE) MINUTES=$(MINUTES) $(CARGO) bench --locked --bench load

deb: ## make the Debian package, in target/debian
	@sh tests/install-deps.sh build deb
	packaging/deb.sh

bench: ## measure what docs/BENCHMARKS.md records
	$(CARGO) bench --locked --bench hub -- --write

costs: ## count what each operation allocates at three sizes, and record it in docs/BENCHMARKS.md
	$(CARGO) test --release --locked --test costs -- --write

compare: build ## measure beside the Node server, and record it in docs/BENCHMARKS.md (40 minutes; QUICK=1: 20)
	benches/compare/run.sh
