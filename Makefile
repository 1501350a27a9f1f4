# What a developer types. Anything longer than a few lines is a program or a
# script in tools/.

TAGS    := x11,no_emoji,migrated_fynedo
E2ETAGS := x11,no_emoji,e2e

# The flags that fyne package uses, so that one build cache serves all: a cold
# build of the window library takes minutes.
export CGO_CFLAGS  := -O3 -pipe -D_FORTIFY_SOURCE=3 $(if $(filter x86_64,$(shell uname -m)),-fcf-protection )-fstack-protector-strong
export CGO_LDFLAGS := -Wl,-z,relro,-z,now -Wl,--as-needed
export GOFLAGS     := -trimpath -tags=$(TAGS)

.PHONY: help setup run build build-e2e test taptest crash sim mutate e2e screens bench package generate fmt lint clean

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## install what build, run and tests need (Debian)
	tools/setup/setup.sh

run: setup ## the whole system on this machine; FACE=cashier for a till, READER=pcsc for a real card stack
	go build -o build/demo ./tools/demo
	exec build/demo

build: ## the three programs, as released, into bin/
	go build -ldflags='-s -w' -o bin/ . ./cmd/...

build-e2e: ## the programs with hooks and thread checks for tests, into bin/
	go build -tags=$(E2ETAGS) -o bin/quancun-e2e .
	go build -o bin/ ./cmd/...
	cp FyneApp.toml bin/

test: ## everything that CI runs
	tools/test/test.sh

taptest: ## no tap may be lost between the panel and a widget
	go run ./tools/taptest -tags $(TAGS)

crash: ## power cuts and failing disks; SEED=n, STATES=n, FOR=10m
	go run ./tools/crash $(if $(SEED),-seed $(SEED)) $(if $(STATES),-states $(STATES)) $(if $(FOR),-for $(FOR))

mutate: ## does a test notice a line that is gone? N=mutants, ONLY=pattern; takes hours
	go run ./tools/mutate $(if $(N),-n $(N)) $(if $(ONLY),-only '$(ONLY)')

e2e: build-e2e ## scenarios through screen and finger; S=name for one; S=soak VISITS=n
	go run ./tools/e2e $(if $(VISITS),-visits $(VISITS)) $(S)

sim: ## campuses on virtual time, each from a seed; SEED=n for one, SEEDS=n, DAYS=n
	go build -o build/sim ./tools/sim
	build/sim $(if $(SEED),-seed $(SEED) -v) $(if $(SEEDS),-seeds $(SEEDS)) $(if $(DAYS),-days $(DAYS))

screens: ## a picture of every screen
	go run ./tools/screens

bench: build ## benchmarks; B=prefix for some
	go run ./tools/bench $(B)

package: ## the terminal as a bundle and Debian packages, into build/package/
	tools/package/package.sh
	tools/package/deb.sh

generate: ## the wire's Go code, from its .proto file
	tools/generate/generate.sh

fmt: ## format the Go code
	gofmt -l -w $$(git ls-files -co --exclude-standard '*.go' | grep -v '\.pb\.go$$')

lint: ## vet and staticcheck
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

clean: ## remove what was built; run/ keeps the demonstration's data
	rm -rf bin build
