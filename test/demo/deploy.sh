#!/usr/bin/env bash
# Puts the demo's pods on the cluster of $KUBECONFIG, anew, and waits until they are ready.
set -euo pipefail
cd "$(dirname "$0")/../.."

kubectl delete namespace demo --ignore-not-found --wait >/dev/null
kubectl apply -f test/demo/servers.yaml >/dev/null
kubectl -n demo wait pod/web pod/udp-slow --for=condition=Ready --timeout=120s >/dev/null
address() { kubectl -n demo get pod "$1" -o jsonpath='{.status.podIP}'; }
kubectl -n demo create configmap peers --from-literal=web="$(address web)" --from-literal=udp-slow="$(address udp-slow)" >/dev/null
kubectl apply -f test/demo/clients.yaml >/dev/null
kubectl -n demo rollout status statefulset/cart --timeout=120s >/dev/null
kubectl -n demo wait pod --all --for=condition=Ready --timeout=120s >/dev/null
