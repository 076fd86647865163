# kubectl-cosanet: build, try and test. `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL: # the go tool uses all cores as it is, and some targets rest on those before them

# The plugin, the collector and the collector's image are one version: the last tag and the commits since, or, where git
# knows no tag, a development version. Characters that no image tag may have become dots.
VERSION ?= $(shell { git describe --tags --dirty --match 'v[0-9]*' 2>/dev/null || \
	echo "v0.1.0-dev$$(git describe --always --dirty --exclude '*' 2>/dev/null | sed 's/^/.g/')"; } | tr -c 'A-Za-z0-9_.\n-' .)
ifeq ($(filter-out latest,$(VERSION)),)
$(error VERSION must name a version: "$(VERSION)" would not tell which image a plugin needs)
endif
REPOSITORY ?= ghcr.io/cosanet/kubectl-cosanet
IMAGE := $(REPOSITORY):$(VERSION)
REVISION ?= $(shell git describe --always --dirty --exclude '*' --abbrev=40 2>/dev/null)

# The same flags for every build, test and check: reproducible bytes, and one build cache for all of them.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -buildvcs=false
export GOAMD64 := v1
export GOARM64 := v8.0
unexport GOEXPERIMENT GOFIPS140
export PATH := $(CURDIR)/bin:$(CURDIR)/bin/tools:$(PATH)

LDFLAGS := -s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)
ARCHES := amd64 arm64
PLATFORMS := darwin/amd64 darwin/arm64 linux/amd64 linux/arm64 windows/amd64 windows/arm64
PACKAGES = $$(go list ./... | grep -v -e /test/e2e -e /test/faults -e /test/krew -e /test/runtimes)
TRUST = $$(git grep -l 'trial\.Record(' -- '*_test.go' | xargs -n 1 dirname | sed 's,^,./,' | sort -u | grep -v test/trial)
MODULES := . tools test/cluster

##@ Build

.PHONY: build
build: ## The plugin for this machine: bin/kubectl-cosanet
	go build -ldflags '$(LDFLAGS) -X main.image=$(IMAGE)' -o bin/kubectl-cosanet ./cmd/kubectl-cosanet

.PHONY: image
image: bin/tools/pack ## The collector's image, without a container engine: dist/collector-image.tar (amd64 and arm64)
	for arch in $(ARCHES); do GOARCH=$$arch go build -ldflags '$(LDFLAGS)' -o dist/$$arch/cosanet-collector ./node-image; done
	bin/tools/pack -ref $(IMAGE) -o dist/collector-image.tar -entrypoint /cosanet-collector \
		-label org.opencontainers.image.source=https://github.com/cosanet/kubectl-cosanet \
		-label org.opencontainers.image.licenses=MIT -label org.opencontainers.image.version=$(VERSION) \
		$(foreach arch,$(ARCHES),linux/$(arch)=dist/$(arch)/cosanet-collector) | tee dist/collector-image.digest

.PHONY: demo-image
demo-image: bin/tools/pack ## The image of the demo's pods: dist/demo-image.tar
	for arch in $(ARCHES); do GOARCH=$$arch go build -ldflags '-s -w' -o dist/$$arch/demo ./test/demo; done
	bin/tools/pack -ref cosanet-demo:dev -o dist/demo-image.tar -entrypoint /demo -user 65534 \
		$(foreach arch,$(ARCHES),linux/$(arch)=dist/$(arch)/demo)

.PHONY: docs
docs: ## The documents that are generated from the code
	go test ./pkg/metrics -run TestMarkdown -update
	go test ./pkg/plugin -run 'TestManual|TestFindingsDocument|TestRightsAreDocumented' -update
	go test ./deploy -run TestRulesAreThoseOfTheOperator -update
	go test ./test/rules -update
	go test ./pkg/collector -run TestSeccompProfile -update

.PHONY: readme
readme: build image demo-image cluster-up ## The outputs in the README, from the demo's pods on the embedded cluster (root)
	bin/cluster import dist/collector-image.tar dist/demo-image.tar
	go test -count=1 ./test/e2e -run TestReadme -update

.PHONY: clean
clean: ## Remove what was built here (not the cluster: make cluster-down)
	rm -rf bin dist

##@ Release

.PHONY: dist
dist: image bin/tools/dist bin/tools/sbom ## What a release consists of, the same bytes on any machine: dist/release
	rm -rf dist/release dist/plugin
	mkdir -p dist/release
	image=$(IMAGE)@$$(cat dist/collector-image.digest); for platform in $(PLATFORMS); do \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} go build -ldflags "$(LDFLAGS) -X main.image=$$image" -o dist/plugin/$$platform/ ./cmd/kubectl-cosanet; done
	cp dist/collector-image.tar dist/release/collector-image_$(VERSION).tar
	bin/tools/sbom -name $(REPOSITORY) -version $(VERSION) -image $$(cat dist/collector-image.digest) \
		-o dist/release/collector-image_$(VERSION).cdx.json $(ARCHES:%=dist/%/cosanet-collector)
	bin/tools/sbom -name kubectl-cosanet -version $(VERSION) -o dist/release/kubectl-cosanet_$(VERSION).cdx.json dist/plugin/*/*/*
	bin/tools/dist -version $(VERSION) -o dist/release dist/plugin

.PHONY: push
push: bin/tools/pack ## The image of make dist, to the registry of its name (docker login first)
	bin/tools/pack push -ref $(IMAGE) dist/release/collector-image_$(VERSION).tar

##@ Try

.PHONY: demo
demo: deps-cluster build image demo-image cluster-up ## Everything once, on a real two-node Kubernetes on this machine (root)
	test/demo/run.sh

.PHONY: cluster-up
cluster-up: deps-cluster bin/cluster $(if $(HOLLOW),bin/hollow) ## Bring up the embedded Kubernetes (root; the first time builds it: some 10 minutes); HOLLOW=1000 adds nodes without a machine
	bin/cluster up
	$(if $(HOLLOW),bin/cluster hollow $(HOLLOW) $(HOLLOW_FLAGS))

.PHONY: cluster-down
cluster-down: bin/cluster ## Take it down without a trace, and those of test-faults and test-runtimes
	bin/cluster down
	bin/cluster down --name faults
	bin/cluster down --name runtimes

.PHONY: cluster-status
cluster-status: bin/cluster ## What runs, and whether the nodes are Ready
	bin/cluster status

##@ Test

.PHONY: test
test: deps cluster-up test-root test-clusters test-runtimes krew-check ## Every level: units, fuzz seeds, namespaces, containerd, image, cluster (root)
	@echo 'all levels passed; the cluster is still up: make cluster-down takes it down'

.PHONY: test-unit
test-unit: ## What runs anywhere; a test that needs root or Linux says why it skips
	go test $(PACKAGES)
	go -C tools test ./...

.PHONY: test-root
test-root: dist ## The same with real network namespaces, a real containerd and a real release, as root: nothing is skipped
	CI=true go test -timeout 30m $(PACKAGES)
	CI=true RELEASE=$(CURDIR)/dist/release VERSION=$(VERSION) REVISION=$(REVISION) REPOSITORY=$(REPOSITORY) go -C tools test -timeout 20m ./...
	CI=true go -C test/cluster test -timeout 40m .

.PHONY: test-e2e
test-e2e: build image bin/tools/registry bin/hollow demo-image cluster-up ## Real kubectl, real nodes, real pods, on the embedded cluster (root)
	bin/cluster import dist/collector-image.tar dist/demo-image.tar
	CI=true go test -count=1 -timeout 20m ./test/e2e

.PHONY: test-faults
test-faults: build image demo-image faults-up ## What breaks: connections, kubelets, container runtimes, webhooks, quotas, rights; on a cluster of its own (root)
	CI=true go test -count=1 -timeout 20m ./test/faults

# Both wait for their clusters most of the time, each for one of its own.
.PHONY: test-clusters
test-clusters: build image bin/tools/registry bin/hollow demo-image cluster-up faults-up ## test-e2e and test-faults, side by side (root)
	bin/cluster import dist/collector-image.tar dist/demo-image.tar
	CI=true go test -count=1 -timeout 30m ./test/e2e ./test/faults

.PHONY: test-runtimes
test-runtimes: deps-cluster deps-runtimes build image demo-image bin/cluster ## The same pods by three container runtimes, on a cluster that is taken down again (root)
	bin/cluster up --name runtimes --runtime containerd-2 --runtime cri-o --image dist/collector-image.tar --image dist/demo-image.tar
	CI=true go test -count=1 -timeout 10m ./test/runtimes
	bin/cluster down --name runtimes

.PHONY: faults-up
faults-up: deps-cluster bin/cluster
	bin/cluster up --name faults --image dist/collector-image.tar --image dist/demo-image.tar

.PHONY: krew-check
krew-check: dist cluster-up bin/tools/kubectl-krew bin/tools/validate-krew-manifest ## The release through the real krew: every platform, install, upgrade, use, uninstall (root)
	bin/cluster import dist/release/collector-image_$(VERSION).tar
	CI=true go test -count=1 -v ./test/krew

CHAOS ?= .
.PHONY: chaos
chaos: deps build image bin/hollow bin/tools/registry demo-image cluster-up faults-up ## The long forms of the tests of trust, and docs/reliability.md from what they measured (root; an hour and a half); CHAOS=TestNodes: of those tests and fuzz targets alone
	bin/cluster import dist/collector-image.tar dist/demo-image.tar
	rm -f dist/figures
	CI=true COSANET_CHAOS=1 COSANET_FIGURES=$(CURDIR)/dist/figures go test -count=1 -p 1 -parallel 1 -timeout 120m -run '$(CHAOS)' $(TRUST)
	[[ ! TestThreadsReturn =~ $(CHAOS) ]] || CI=true COSANET_CHAOS=1 CGO_ENABLED=1 go test -race -count=1 -run '^TestThreadsReturn$$' ./pkg/collector
	FUZZ='$(CHAOS)' COSANET_FIGURES=$(CURDIR)/dist/figures test/fuzz.sh
	COSANET_FIGURES=$(CURDIR)/dist/figures go test -count=1 ./test/trial -run TestDocument -update

export FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## Every fuzz target of the repository, for FUZZTIME=30s each; an input that fails is kept in testdata/fuzz, and then a test
	test/fuzz.sh

.PHONY: bench
bench: build image demo-image cluster-up ## Collecting against bare reads, and a first table against a bare pod, as ratios (root)
	bin/cluster import dist/collector-image.tar dist/demo-image.tar
	test/bench/run.sh

SCALE ?= 1 10 100 1000
.PHONY: bench-scale
bench-scale: build image bin/hollow cluster-up ## A look at SCALE="1 10 100 1000" hollow nodes (1000x110: with 110 pods each): time, memory, requests, bytes (root)
	COSANET_SCALE="$(SCALE)" go test -run '^$$' -bench 'Benchmark(Scale|Concurrency)' -benchtime 1x -timeout 120m ./test/e2e

##@ Check

.PHONY: check
check: check-format check-tidy check-vet check-static check-vuln check-race ## All of what follows

.PHONY: check-format
check-format: ## gofmt
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "not gofmt'ed: $$files"; exit 1; }

.PHONY: check-tidy
check-tidy: ## go.mod and go.sum say what the code needs
	for module in $(MODULES); do go -C $$module mod tidy -diff; done

# The workstation's half must build wherever kubectl runs, and the collector's parsers are tested wherever people develop. kube/ is
# all of Kubernetes: building it is check enough.
.PHONY: check-vet
check-vet: ## go vet, the plugin for macOS and Windows too, and what of the collector is no matter of Linux
	go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./pkg/collector
	for os in darwin windows; do GOOS=$$os GOARCH=arm64 go vet ./cmd/... ./pkg/plugin/... ./pkg/metrics/...; done
	go -C tools vet ./...
	go -C test/cluster vet .

.PHONY: check-static
check-static: bin/tools/staticcheck ## staticcheck
	bin/tools/staticcheck ./...
	cd tools && ../bin/tools/staticcheck ./...
	cd test/cluster && ../../bin/tools/staticcheck .

.PHONY: check-vuln
check-vuln: bin/tools/govulncheck ## Known vulnerabilities in what is released and in what builds it; without a database it says that it checked nothing
	tools/vulncheck . ./cmd/kubectl-cosanet ./node-image
	tools/vulncheck tools ./pack ./dist ./sbom

.PHONY: check-race
check-race: ## The tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -timeout 30m ./pkg/... ./node-image ./test/demo ./test/hollow

##@ Needed for the above

.PHONY: deps
deps: deps-cluster deps-test deps-runtimes ## Install what is missing (Debian, root); otherwise say what to install

.PHONY: deps-cluster deps-test deps-runtimes
deps-cluster deps-test deps-runtimes: deps-%:
	@tools/deps $*

.PHONY: bin/cluster bin/tools/pack bin/tools/dist bin/tools/sbom bin/tools/registry # the go tool knows whether they are current
bin/cluster:
	go -C test/cluster build -o $(CURDIR)/bin/cluster .

bin/tools/pack bin/tools/dist bin/tools/sbom bin/tools/registry: bin/tools/%:
	go -C tools build -o $(CURDIR)/$@ ./$*

.PHONY: bin/hollow
bin/hollow:
	go build -ldflags '-s -w' -o $@ ./test/hollow

bin/tools/staticcheck: tools/go.mod
	go -C tools build -o $(CURDIR)/$@ honnef.co/go/tools/cmd/staticcheck

bin/tools/govulncheck: tools/go.mod
	go -C tools build -o $(CURDIR)/$@ golang.org/x/vuln/cmd/govulncheck

bin/tools/kubectl-krew: tools/go.mod # by that name kubectl finds it
	go -C tools build -o $(CURDIR)/$@ sigs.k8s.io/krew/cmd/krew

bin/tools/validate-krew-manifest: tools/go.mod
	go -C tools build -o $(CURDIR)/$@ sigs.k8s.io/krew/cmd/validate-krew-manifest

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 } \
		END { print "" }' $(firstword $(MAKEFILE_LIST))

.PHONY: print-image
print-image: # for scripts: the image's full name
	@echo $(IMAGE)

.PHONY: print-version
print-version: # for scripts: the version alone
	@echo $(VERSION)
