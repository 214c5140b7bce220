# Sluice: `make run` shows a live call in a browser, `make test` checks everything.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A call of one's own: make run CALL=https://meet.example/room
CALL ?=
# What cargo builds for `make run`, `make bench` and `make build`.
PROFILE ?= release

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Cargo keeps what it builds with the profile "dev" in "debug".
BIN := $(TARGET)/$(patsubst dev,debug,$(PROFILE))
WEB := relay/web/dist/preview.html
WEB_SOURCES := $(shell find relay/web -path relay/web/node_modules -prune -o -path relay/web/dist -prune -o -type f -print)
step = @printf '\n\033[1m==> %s\033[0m\n' '$(1)'

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

.PHONY: run
run: toolchain packages-run build ## Show a live call in the preview page (CALL=url for your own)
	$(call step,Starting)
	@exec $(BIN)/sluice up $(if $(CALL),--call '$(CALL)',--demo)

.PHONY: build
build: toolchain packages-build web ## Build the programs
	$(call step,Building the programs; a first build takes some minutes)
	cargo build --profile $(PROFILE) --locked --workspace --bins

.PHONY: web
web: $(WEB) ## Bundle the pages

relay/web/node_modules/.package-lock.json: relay/web/package-lock.json
	$(call step,Fetching the player and the bundler)
	cd relay/web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(WEB): relay/web/node_modules/.package-lock.json $(WEB_SOURCES)
	$(call step,Bundling the pages)
	cd relay/web && npm run --silent build
	@touch $@

hls/tests/validator/node_modules/.package-lock.json: hls/tests/validator/package-lock.json
	$(call step,Fetching the playlist validator)
	cd hls/tests/validator && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: test
test: toolchain packages-test web hls/tests/validator/node_modules/.package-lock.json ## Install what it needs and run every test
	$(call step,Testing the pages)
	cd relay/web && npm run --silent check && npm run --silent test
	$(call step,Building programs and tests; a first build takes some minutes)
	cargo build --locked --workspace --bins --tests
	$(call step,Testing the parts)
	cargo test --locked --workspace --exclude worker --exclude e2e --no-fail-fast
	$(call step,Testing the worker and then the whole; one at a time because they keep real time)
	cargo test --locked -p worker -p e2e --no-fail-fast -- --test-threads=1

.PHONY: bench
bench: toolchain packages-bench build ## Measure, and print what docs/performance.md quotes
	cargo bench --locked -p e2e

# How long each fuzz target runs.
FUZZ_TIME ?= 600s
FUZZ_TARGETS := a_handshake a_session an_answer_to_our_player an_answer_to_our_publisher amf0_values tags

.PHONY: fuzz
fuzz: toolchain packages-build ## Look for bytes that harm the wire, ten minutes for each target (FUZZ_TIME=600s)
	@command -v cargo-bolero >/dev/null || cargo install --locked cargo-bolero
	for target in $(FUZZ_TARGETS); do \
		cargo bolero test --rustc-bootstrap -p rtmp-fuzz --engine libfuzzer --sanitizer NONE --target-dir $(TARGET)/fuzz \
			-T $(FUZZ_TIME) $$target; \
	done

.PHONY: lint
lint: toolchain packages-build web ## Formatting and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

# Asked first: nobody should wait for packages to hear that this is missing.
.PHONY: toolchain
toolchain:
	@command -v cargo >/dev/null || { echo 'There is no Rust toolchain here. Install one (https://rustup.rs), open a new shell, and try again.' >&2; exit 69; }

.PHONY: packages-build packages-run packages-test packages-bench
packages-build:
	@docker/install build
packages-run:
	@docker/install build run
packages-test:
	@docker/install build run test
packages-bench:
	@docker/install build run test bench
