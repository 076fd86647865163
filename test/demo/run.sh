#!/usr/bin/env bash
# The demo: deploys pods that talk and pods in trouble to the embedded cluster and looks at them with kubectl cosanet, as
# anybody would type it. `make demo` builds what this needs and brings the cluster up.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
show() { # prints a command as one would type it, and runs it
	printf '\033[1m$ %s\033[0m\n' "$*"
	"$@"
}
[[ -t 1 && -z ${NO_COLOR-} ]] || {
	say() { printf '\n# %s\n' "$*"; }
	show() { printf '$ %s\n' "$*" && "$@"; }
}

eval "$(bin/cluster env)" # KUBECONFIG, and kubectl on PATH
export PATH=$PWD/bin:$PATH # where kubectl finds kubectl-cosanet

say "The cluster: a real Kubernetes, two nodes, on this machine"
show kubectl get nodes -o wide

say "The images, from archives: no registry is involved"
bin/cluster import dist/collector-image.tar dist/demo-image.tar

say "The demo's pods: an HTTP pair across the nodes, four replicas of which one hangs, a UDP reader that is too slow"
test/demo/deploy.sh
show kubectl -n demo get pods -o wide

say "What the kernel counts in every pod, by rates over one second"
show kubectl cosanet top -A

say "The same by workload: which replica is unlike the others"
show kubectl cosanet top -n demo --group-by workload

say "What differs between a healthy replica and the one that hangs"
code=0
show kubectl cosanet diff demo/cart-1 demo/cart-2 || code=$?
[[ $code -eq 1 ]] || { echo "kubectl cosanet diff ended with exit code $code; 1 means that the two differ" >&2 && exit 1; }

say "The numbers themselves, as Prometheus reads them"
printf '$ kubectl cosanet raw -n demo cart-2 | head -n 12\n'
set +o pipefail # head closes the pipe on purpose: 141 is what the plugin ends with then
kubectl cosanet raw -n demo cart-2 | head -n 12
ends=("${PIPESTATUS[@]}")
set -o pipefail
[[ ${ends[0]} -eq 0 || ${ends[0]} -eq 141 ]] || { echo "kubectl cosanet raw ended with exit code ${ends[0]}" >&2 && exit 1; }

say "What is wrong, with whom, and what to do next"
show kubectl cosanet explain -A

say "What all this left behind in the cluster"
show kubectl get pods -A -l app.kubernetes.io/managed-by=kubectl-cosanet

cat <<'TEXT'

# Look around:    eval "$(bin/cluster env)"; export PATH=$PWD/bin:$PATH; kubectl cosanet --help
# Take it down:   make cluster-down
TEXT
