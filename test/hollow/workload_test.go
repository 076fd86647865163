package main

import (
	"regexp"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Every pod of the largest fleet has a name of its own, of the form that collector and plugin know a Deployment's pods by.
func TestPodNames(t *testing.T) {
	form := regexp.MustCompile(`^([a-z]+)-([bcdfghjklmnpqrstvwxz2456789]{9})-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
	seen := make(map[string]ownPod, maxNodes*maxPods)
	used := map[[2]int]int{}
	for node := 1; node <= maxNodes; node++ {
		for index := range maxPods {
			p := newOwnPod(node, index)
			name := p.name()
			if other, ok := seen[name]; ok {
				t.Fatalf("%+v and %+v are both %s", p, other, name)
			}
			seen[name] = p
			used[[2]int{p.namespace, p.workload}]++
			m := form.FindStringSubmatch(name)
			if m == nil || m[1] != workloads[p.workload] || m[2] != templateHash(p.workload) {
				t.Fatalf("%s is no name of a pod of %s", name, workloads[p.workload])
			}
		}
	}
	if len(used) != namespaces*len(workloads) {
		t.Errorf("%d workloads have pods, want all %d", len(used), namespaces*len(workloads))
	}
	if problems := validation.IsDNS1123Label(newOwnPod(1, 0).name()); len(problems) > 0 {
		t.Error(problems)
	}
}

// Neighbours are not alike: who sorts by name does not sort by node.
func TestScrambleIsOneToOne(t *testing.T) {
	if suffixes%3 != 0 || 6_480_001%3 == 0 {
		t.Error("the factor has to have no divisor in common with a power of 27")
	}
	if a, b := scramble(1), scramble(2); max(a, b)-min(a, b) < suffixes/10 {
		t.Errorf("neighbours became %d and %d", a, b)
	}
}
