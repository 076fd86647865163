package rules

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestRules proves the rules of explain: healthy traffic has no findings, and the cause of each rule has that rule's and no
// other. The table in docs/findings.md is what came of it.
func TestRules(t *testing.T) {
	needsRoot(t)
	o := outcome{provoked: map[string]bool{}}
	t.Run("quiet", o.quiet)
	t.Run("quiet machine", o.quietMachine)
	t.Run("provoked", o.provoke)
	switch {
	case t.Failed():
	case o.skipped && *update:
		t.Error("docs/findings.md is left as it is: what was skipped is not known")
	case o.skipped:
		t.Log("docs/findings.md is not looked at: what was skipped is not known")
	default:
		o.document(t)
	}
}

// outcome is what was seen.
type outcome struct {
	mu       sync.Mutex
	rules    []string        // all there are, in their order
	calm     []string        // those that were checked on healthy traffic, and found nothing
	provoked map[string]bool // by the name of the proof
	skipped  bool            // there is no virtual machine
}

// quiet wants every rule to be checked on healthy traffic, and to be silent.
func (o *outcome) quiet(t *testing.T) {
	n := startNode(t)
	n.do("serve", "both")
	n.do("talk", "both") // some things are counted from the first packet on
	var v verdict
	// What the kernel has once for the machine is quiet only while everybody else on it is.
	for range 10 {
		n.walk()
		n.do("talk", "both")
		n.walk()
		v = n.explain()
		if !slices.ContainsFunc(v.Items, func(f finding) bool { return strings.HasPrefix(f.ID, "softnet-") }) {
			break
		}
	}
	v.silent(t)
	for _, rule := range v.Checked.Lacking {
		if !slices.ContainsFunc(proofs(), func(p proof) bool { return p.rule == rule && (p.unproven != "" || p.machine) }) {
			t.Errorf("not checked: %s", rule)
		}
	}
	o.rules, o.calm = append(v.Checked.Rules, v.Checked.Lacking...), v.Checked.Rules
}

// quietMachine wants the same of a machine that talks to itself, where no rule but those that are unproven goes unchecked.
// Since its kernel may be of another version than this one, it is also seen to that a walk and the kernel's files agree.
func (o *outcome) quietMachine(t *testing.T) {
	defer func() { o.skipped = t.Skipped() }()
	n := startMachine(t)
	n.do("serve", "itself")
	n.do("talk", "itself")
	n.walk()
	n.do("talk", "itself")
	n.walk()
	n.do("compare", "files")
	v := n.explain()
	v.silent(t)
	for _, rule := range v.Checked.Lacking {
		if !slices.ContainsFunc(proofs(), func(p proof) bool { return p.rule == rule && p.unproven != "" }) {
			t.Errorf("not checked: %s", rule)
		}
	}
	o.calm = append(o.calm, v.Checked.Rules...)
}

// silent wants no findings.
func (v *verdict) silent(t *testing.T) {
	t.Helper()
	for _, f := range v.Items {
		t.Errorf("of healthy traffic, %s: %s %s %v %v", f.Object, f.Severity, f.ID, f.Value, f.Evidence)
	}
}

// provoke makes each cause happen. Those that other nodes feel come first, one by one.
func (o *outcome) provoke(t *testing.T) {
	for _, p := range proofs() {
		if p.unproven != "" {
			continue
		}
		t.Run(p.name(), func(t *testing.T) {
			if !p.alone {
				t.Parallel()
			}
			n := p.start(t)
			if p.prepare != nil {
				n.do("prepare", p.name())
			}
			n.walk()
			if p.machine { // whose limits are such that it takes little
				n.walk()
				before := n.explain()
				before.silent(t)
			}
			if p.provoke != nil {
				n.do("provoke", p.name())
			}
			n.walk()
			p.check(t, n.explain())
			o.mu.Lock()
			defer o.mu.Unlock()
			o.provoked[p.name()] = !t.Failed()
		})
	}
}

// start starts what the cause happens on.
func (p *proof) start(t *testing.T) *node {
	t.Helper()
	if p.machine {
		return startMachine(t)
	}
	return startNode(t)
}

// check wants the rule's finding, and beside it only those of which the cause is the same.
func (p *proof) check(t *testing.T, v verdict) {
	t.Helper()
	object := map[bool]string{false: "Pod", true: "Node"}[p.node || p.machine]
	found := false
	for _, f := range v.Items {
		switch {
		case f.Object != object: // the other end of the wire has its own view
		case f.ID == p.rule:
			found = true
			t.Logf("%s: %s %v %v", f.Severity, f.ID, f.Value, f.Evidence)
			if p.says != "" && !strings.Contains(strings.Join(f.Evidence, "\n"), p.says) {
				t.Errorf("the evidence is %q, and nowhere %q", f.Evidence, p.says)
			}
		case p.node && strings.HasPrefix(f.ID, "softnet-"): // of the machine, on which all of these tests run
		case !slices.Contains(p.also, f.ID):
			t.Errorf("%s finds %s, too: %v %v", object, f.ID, f.Value, f.Evidence)
		}
	}
	if !found {
		t.Errorf("not found by %s: %+v", p.rule, v.Items)
	}
}
