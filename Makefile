# Every target works on a fresh machine with Go; `make test` installs or starts what else it can and says what it skipped.
SHELL       := bash
.SHELLFLAGS := -o pipefail -c
GO          ?= go
STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
BIN         := bin/waybill
FOR         ?= 10m

.PHONY: build demo test test-whole test-browser test-systems test-repeat schemathesis supply release check fmt vet lint bench bench-road bench-flat bench-reconcile bench-backfill bench-capture bench-edi bench-console bench-troubles faults soak fuzz clean
COUNT       ?= 10
RUNS        ?= 3
CHANGES     ?= 200000

build: ## compile the hub
	$(GO) build -o $(BIN) ./cmd/waybill

demo: ## the whole hub with three sandbox systems and live traffic
	$(GO) run ./cmd/waybill demo

test: ## checks, then every test, with the real components that this machine can have
	@./internal/test/run

test-whole: ## the same as CI runs it: with the short form of every fault
	@WHOLE=1 ./internal/test/run

test-systems: ## connectors on the real systems that this machine can have; the last line is the result
	@GO="$(GO)" ./internal/test/systems/run

test-browser: ## the console of running hubs in a real Chromium, with axe-core (npm) looking at every page; the last line is the result
	@GO="$(GO)" ./internal/test/browser/run

test-repeat: ## every package COUNT=10 times in a random order, then RUNS=3 whole runs (0: none); the last line is the result
	@GO="$(GO)" COUNT=$(COUNT) RUNS=$(RUNS) ./internal/test/repeat

schemathesis: ## the API of running hubs against its description: every phase; `make test` has a short form of it
	@GO="$(GO)" ./internal/test/schemathesis.sh

supply: ## known vulnerabilities, licences, bill of materials
	@GO="$(GO)" ./internal/test/supply

release: ## archives of VERSION=v1.2.3 in dist/, built twice and compared
	@GO="$(GO)" ./internal/test/release $(VERSION) --twice

check: fmt vet lint ## formatting, vet, staticcheck, the import-direction test, and the shipped files
	$(GO) test ./internal/house
	$(GO) run ./cmd/waybill check

fmt:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi

# What the tag makes no other is not looked at twice.
TAGGED = $(shell grep -rl "^//go:build .*failpoints" --include=*.go . | xargs -n1 dirname | sort -u)

vet:
	$(GO) vet ./...
	$(GO) vet -tags failpoints $(TAGGED)
	$(GO) vet -tags oracle ./connectors/sql

lint:
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(STATICCHECK) -tags failpoints $(TAGGED)
	$(GO) run $(STATICCHECK) -tags oracle ./connectors/sql

bench: build ## the bench work beside a raw echo; the last line is the result
	$(BIN) bench

bench-road: ## the main job beside the build of a2de369 and Benthos 4.27, on both set-ups
	internal/test/road $(ARGS)

bench-flat: build ## what the work costs against how much is kept: the pictures and tables of docs/flat
	cd internal/test/flat && $(GO) run . --hub ../../../$(BIN) --out ../../../docs/flat $(ARGS)

bench-reconcile: ## two tables of ROWS=10000000 rows in PostgreSQL compared, beside reading them and beside reladiff 0.6; the last line is the result
	@GO="$(GO)" internal/test/reconcile

bench-backfill: ## ROWS=100000 products loaded into a target of 5 ms a write beside 25 live changes a second, the hub killed three times; the last line is the result
	@GO="$(GO)" ROWS="$(ROWS)" internal/test/backfill

bench-capture: ## CHANGES=200000 changes of a PostgreSQL from its log to a canonical topic, beside a bare reader of the log; the last line is the result
	@$(GO) test -count=1 -timeout 60m -run '^TestSpeed$$' ./internal/bench/capture -changes $(CHANGES) -runs 3 | grep '^capture:'

bench-edi: ## X12: segments, documents and canonical orders beside node-x12, RUNS=5 turns of which the medians count; the last line is the result
	@GO="$(GO)" internal/test/edi

bench-console: ## every page and search of a hub that holds ROWS=10000000 fates, on SQLite and on PostgreSQL; how soon an event is on the screen, what a hundred open consoles cost; a line for each store
	@GO="$(GO)" ROWS="$(ROWS)" internal/test/console

bench-troubles: ## how soon `waybill status` names each of the troubles of docs/operations.md; the last line is the result
	@$(GO) test -count=1 -v -run '^TestTroubles$$' ./internal/acceptance -soon | grep -e '^troubles\?:' -e '--- FAIL'

faults: ## the short form of every fault, on both set-ups; needs Kafka, as in WAYBILL_TEST_KAFKA
	@GO="$(GO)" ./internal/test/faults

soak: ## the whole matrix of faults for FOR=10m, and the table of docs/reliability.md; the last line is the result
	@GO="$(GO)" ./internal/test/soak $(FOR)

fuzz: ## every fuzz target for a short while
	@./internal/test/fuzz

clean:
	rm -rf bin
