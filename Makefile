# Everything that a newcomer needs. Each target prepares the machine first, so that a fresh clone is enough.

SHELL := bash
.DEFAULT_GOAL := help

# The queries are checked against the committed .sqlx folder: compiling needs no database.
export SQLX_OFFLINE := true

# For example: make run ARGS="serve --port 9000"
ARGS ?= serve --demo-shop
# For example: make bench-attack ATTACK="--mixed --minutes 60"
ATTACK ?=

.PHONY: help prerequisites run test test-clients test-server bench-attack check sqlx-prepare

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prerequisites: ## Install what the machine lacks: Postgres server binaries, a C compiler
	@scripts/install-prerequisites

run: prerequisites ## Start everything in one process, with a demo shop (other arguments: ARGS="…")
	cargo run --release -p emporium -- $(ARGS)

test: prerequisites ## Run all tests, with a Postgres server that lives as long as they do
	scripts/test

test-clients: ## Run the scenarios of the official clients against the embedded event store and the sandbox gateway
	@scripts/install-prerequisites --for-clients
	scripts/test-clients

test-server: prerequisites ## Try the shop on a server or a cluster: EVENT_STORE_URL='esdb://…', and LEADER_KILL='command that kills the leader'
	scripts/test-server

bench-attack: prerequisites ## Attack a shop of its own, on the loopback, while shoppers shop on (other arguments: ATTACK="…")
	cargo run --release -p bench -- attack $(ATTACK)

check: prerequisites ## Check formatting, lints, documentation and dependencies
	scripts/check

sqlx-prepare: prerequisites ## Write the .sqlx folder anew, after a query or a migration has changed
	scripts/sqlx-prepare
