#!/usr/bin/env bash
# What cosanet costs, against what anybody could do without it, side by side in one run on the embedded cluster:
# a walk over 150 real pods of a node, and a scrape of the exporter, against opening, reading and closing the same files;
# and a first table against creating a bare pod and reading its log. Prints ratios; `make bench` builds what this needs.
#
# OTHER=/path/to/an/exporter measures another exporter beside this one, run as
#   $OTHER -listen ADDRESS $OTHER_ARGS [switches for every counter]
# on the node, with NODE_NAME and the KUBECONFIG of an administrator. COUNT is how many times each is scraped.
set -euo pipefail
cd "$(dirname "$0")/../.."

pods=150 most=240
eval "$(bin/cluster env)"
export PATH=$PWD/bin:$PATH
tracked=/proc/sys/net/netfilter/nf_conntrack_max
admitted=
finish() {
	[[ -z $admitted ]] || echo "$admitted" >$tracked
	rm -f bin/bench.kubeconfig
	kubectl delete namespace bench --ignore-not-found --wait=false
}
trap finish EXIT

echo "# $pods pods on node-1"
kubectl apply -f - <<YAML
apiVersion: v1
kind: Namespace
metadata: {name: bench}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: many, namespace: bench}
spec:
  replicas: $pods
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec:
      nodeSelector: {kubernetes.io/hostname: node-1}
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: "cosanet-demo:dev", imagePullPolicy: Never, args: [idle]}]
YAML
kubectl -n bench rollout status deployment/many --timeout=300s | tail -n 1

sleep 30 # until the kubelet has settled

echo "# On the node: the whole walk (discovery, reading, parsing, encoding) / bare: open, read and close the same seven files of the same pods"
echo "# (bare3: only snmp, snmp6 and netstat)"
go test -c -o bin/collector.test ./pkg/collector
bin/cluster exec node-1 -- env COSANET_BENCH_PODS=$pods "$PWD/bin/collector.test" -test.run '^$' -test.bench '^BenchmarkNode' -test.benchtime 40x

echo "# From 10 to 1,000 plain namespaces"
bin/collector.test -test.run '^$' -test.bench '^BenchmarkGrowth$' -test.benchtime 10x

echo "# What each source with a switch adds to a walk over 150 plain namespaces, without and with one more that has 200,000 sockets"
bin/collector.test -test.run '^$' -test.bench '^BenchmarkSources$' -test.benchtime 10x
echo "# Owners of a million entries of a connection tracking table: the machine is told to admit as many until then"
admitted=$(cat $tracked)
((admitted >= 1200000)) || echo 1200000 >$tracked
bin/collector.test -test.run '^$' -test.bench '^BenchmarkOwners$' -test.benchtime 5x
echo "$admitted" >$tracked
admitted=

echo "# On the node: exporters as processes, scraped over loopback, in turn with the bare reads of the same files, and a body of the same size written"
go test -c -o bin/bench.test ./test/bench
cp "$KUBECONFIG" bin/bench.kubeconfig
bench() { # PATTERN TIMES
	bin/cluster exec node-1 -- env NODE_NAME=node-1 KUBECONFIG="$PWD/bin/bench.kubeconfig" OTHER="${OTHER-}" OTHER_ARGS="${OTHER_ARGS-}" \
		COSANET_COLLECTOR="$PWD/dist/$(go env GOARCH)/cosanet-collector" COSANET_DEMO="$PWD/dist/$(go env GOARCH)/demo" \
		"$PWD/bin/bench.test" -test.run '^$' -test.bench "$1" -test.benchtime "$2" -test.timeout 60m
}
bench '^BenchmarkScrape$' "${COUNT-10}x"
echo "# A thousand scrapes at once, and a neighbour with 200,000 sockets"
bench '^Benchmark(Crowd|Neighbour)$' 1x

echo "# From the workstation: kubectl cosanet top --interval 0 / kubectl run, wait and logs, on the same node"
go test -run '^$' -bench BenchmarkFirstTable -benchtime 7x -timeout 20m ./test/e2e

echo "# $most pods on the node: the most memory that the exporter ever had"
kubectl -n bench scale deployment many --replicas=$most
kubectl -n bench rollout status deployment/many --timeout=300s | tail -n 1
OTHER='' bench '^BenchmarkScrape$' 10x
