#!/usr/bin/env bash
# Runs every fuzz target of the repository, one after another, each for FUZZTIME. A target that fails does not keep the
# others from running: the input is then in its package's testdata/fuzz, where the next go test tries it. FUZZ is a pattern
# for the targets' names, all by default. With COSANET_FIGURES, what was tried is noted there for docs/reliability.md.
set -euo pipefail
cd "$(dirname "$0")/.."
each=${FUZZTIME:-30s} wanted=${FUZZ:-.}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

failed=()
count=0
for dir in $(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n 1 dirname | sort -u); do
	targets=$(go -C "$dir" test -list '^Fuzz' . | sed -n 's/^\(Fuzz[A-Za-z0-9_]*\)$/\1/p' | grep -E "$wanted") || continue
	for target in $targets; do
		count=$((count + 1))
		if ! go -C "$dir" test -run '^$' -fuzz "^$target\$" -fuzztime "$each" . >"$log" 2>&1; then
			failed+=("$dir $target")
			cat "$log"
			continue
		fi
		tried=$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
		printf '%-20s %-24s %10s inputs\n' "$dir" "$target" "${tried:?$dir $target: how many inputs were tried is not in what go test says}"
		[[ -z ${COSANET_FIGURES:-} || $tried == 0 ]] || printf '{"group":"Parsers","claim":"inputs that the fuzzer makes up for %s: no crash, no hang, nothing believed that is not so","test":"%s","runs":%d,"faults":%d,"survived":%d,"lost":0}\n' \
			"$dir" "$target" "$tried" "$tried" "$tried" >>"$COSANET_FIGURES"
	done
done
echo "$count targets"
[[ ${#failed[@]} -eq 0 ]] || { printf 'FAILED: %s\n' "${failed[@]}" >&2 && exit 1; }
