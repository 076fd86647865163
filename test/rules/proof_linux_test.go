package rules

import "slices"

// proof is how a rule's cause is made to happen, inside a node of its own. A rule may have several.
type proof struct {
	rule    string
	by      string   // tells proofs of one rule apart
	how     string   // the cause, in the words of the table
	also    []string // rules that may find the same cause: it shows in more than one counter
	alone   bool     // others would feel it: not side by side with them
	node    bool     // it is the node's own row that is judged, not its pod's
	machine bool     // it happens on a machine of its own, see startMachine, whose own row is judged
	says    string   // a part of the evidence that must be there

	// prepare is what goes before the cause, outside the time that is judged, and provoke the cause. Either may be nil.
	prepare, provoke func(w *world) error

	unproven string // in place of all that: why it cannot be made to happen here
}

func (p *proof) name() string { return p.rule + p.by }

// proofs are all of them. Those of one device or counter share a file.
func proofs() []proof {
	return slices.Concat(listenProofs(), connectionProofs(), datagramProofs(), conntrackProofs(), machineProofs(), scarceProofs(), []proof{{
		rule:     "odd-one-out",
		unproven: "a node of this test has one pod, and it takes four of one workload. `TestOddOneOut` of test/e2e makes it happen on a cluster",
	}})
}
