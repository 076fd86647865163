package plugin

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// judged is a row over ten seconds whose rule's value is exactly v: a rate, a percentage or a level.
func judged(t *testing.T, rule *rule, v float64) *row {
	t.Helper()
	const seconds = 10
	r := &row{
		Namespace: "shop", Name: "web-0", Node: "node-1", window: seconds * time.Second,
		first: &metrics.Record{Sandbox: metrics.Sandbox{Node: "node-1"}}, last: &metrics.Record{Sandbox: metrics.Sandbox{Node: "node-1"}},
	}
	if rule.node {
		r.Namespace, r.Name = metrics.HostNamespace, "node/node-1"
	}
	count := func(family string, v float64) {
		m := known(t, family)
		s := metrics.Sample{Metric: m, Value: 1000}
		for i, label := range m.Labels {
			value := "x"
			if i < len(rule.measure.values) {
				value = rule.measure.values[i]
			}
			s.Labels = append(s.Labels, metrics.Label{Name: label, Value: value})
		}
		r.first.Samples = append(r.first.Samples, s)
		if m.Type == metrics.Counter {
			s.Value += v * seconds
		} else {
			s.Value = v
		}
		r.last.Samples = append(r.last.Samples, s)
	}
	for _, family := range rule.measure.minus {
		count(family, 3)
		v += 3
	}
	if rule.measure.share() {
		const whole = 10_000.0
		for _, family := range rule.measure.over {
			count(family, whole)
		}
		v *= whole * float64(len(rule.measure.over)) / 100
	}
	for i, family := range rule.measure.sum {
		share := v
		if i > 0 {
			share = 0
		}
		count(family, share)
	}
	return r
}

// Every rule finds nothing below its first level, the severity of each above it.
func TestRulesAtTheirLevels(t *testing.T) {
	all := rules()
	for i := range all {
		rule := &all[i]
		if rule.worst != nil {
			continue // TestAcceptQueues
		}
		t.Run(rule.id, func(t *testing.T) {
			if f, state := rule.judge(judged(t, rule, 0)); f != nil || state != present {
				t.Errorf("of nothing: %+v, state %d", f, state)
			}
			for i, l := range rule.levels {
				f, _ := rule.judge(judged(t, rule, l.above*0.999))
				if i == 0 && f != nil || i > 0 && (f == nil || f.severity != rule.levels[i-1].severity) {
					t.Errorf("below %v: %+v", l.above, f)
				}
				f, _ = rule.judge(judged(t, rule, l.above*1.001+0.0001))
				if f == nil || f.severity != l.severity {
					t.Errorf("above %v: %+v, want %s", l.above, f, l.severity)
				}
			}
		})
	}
}

// What is not known is no finding, and is told apart from what is well.
func TestRulesWithoutValue(t *testing.T) {
	all := rules()
	overflows := &all[slices.IndexFunc(all, func(r rule) bool { return r.id == "listen-overflows" })]
	conntrack := &all[slices.IndexFunc(all, func(r rule) bool { return r.id == "conntrack-full" })]
	failed := metrics.Sample{Metric: known(t, "cosanet_read_success"), Labels: []metrics.Label{{Name: "source", Value: "netstat"}}}
	tests := []struct {
		name   string
		rule   *rule
		change func(*row)
		want   state
	}{
		{"not in this kernel", overflows, func(r *row) { r.last.Samples = nil }, absent},
		{"not read", overflows, func(r *row) { r.last.Samples = []metrics.Sample{failed} }, unreadable},
		{"fell", overflows, func(r *row) { r.last.Samples[0].Value = 1 }, reset},
		{"made anew", overflows, func(r *row) { r.reborn = true }, reset},
		{"a total", overflows, func(r *row) { r.first, r.window = nil, 0 }, absent},
		{"no limit", conntrack, func(r *row) { r.last.Samples[0].Value = 0 }, absent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := judged(t, test.rule, 95)
			if f, _ := test.rule.judge(r); f == nil {
				t.Fatal("nothing is found in the first place")
			}
			test.change(r)
			if f, state := test.rule.judge(r); f != nil || state != test.want {
				t.Errorf("%+v, state %d, want none and %d", f, state, test.want)
			}
		})
	}
}

// listens adds an accept queue to a row.
func (r *row) listens(t *testing.T, port string, length, limit float64) {
	t.Helper()
	at := []metrics.Label{{Name: "cosanet_listen_address", Value: "::"}, {Name: "cosanet_listen_port", Value: port}, {Name: "cosanet_ipversion", Value: "ipv6"}}
	read := metrics.Sample{Metric: known(t, readSuccess), Labels: []metrics.Label{{Name: "source", Value: "listen"}}, Value: 1}
	r.last.Samples = append(r.last.Samples, read, metrics.Sample{Metric: known(t, queueLength), Labels: at, Value: length}, metrics.Sample{Metric: known(t, queueLimit), Labels: at, Value: limit})
}

func TestAcceptQueues(t *testing.T) {
	r := &row{Namespace: "shop", Name: "web-0", Node: "node-1", last: &metrics.Record{}}
	r.listens(t, "80", 0, 128)
	r.listens(t, "81", 128, 128)
	if j := examine(rules(), []*row{r}); len(j.findings) > 0 {
		t.Errorf("a queue that is as long as may be has room for one more: %+v", j.findings)
	}
	r.listens(t, "82", 129, 128)
	j := examine(rules(), []*row{r})
	if len(j.findings) != 1 || j.findings[0].rule.id != "accept-queue-full" {
		t.Fatalf("findings %+v, want one of a full queue", j.findings)
	}
	if diff := cmp.Diff([]string{"[::]:82: 129 wait to be accepted, with room for 128"}, j.findings[0].evidence); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}

	all := rules()
	overflowing := judged(t, &all[0], 9)
	overflowing.listens(t, "81", 100, 128)
	overflowing.listens(t, "82", 129, 128)
	j = examine(all, []*row{overflowing})
	if len(j.findings) != 1 || j.findings[0].rule.id != "listen-overflows" {
		t.Fatalf("findings %+v, want the overflow alone", j.findings)
	}
	want := []string{"[::]:82: 129 wait to be accepted, with room for 128", "[::]:81: 100 wait to be accepted, with room for 128"}
	if diff := cmp.Diff(want, j.findings[0].evidence); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}

	unread := &row{Namespace: "shop", Name: "web-1", last: &metrics.Record{Samples: []metrics.Sample{
		{Metric: known(t, "cosanet_read_success"), Labels: []metrics.Label{{Name: "source", Value: "listen"}}},
	}}}
	if j := examine(rules(), []*row{unread}); len(j.unread["accept-queue-full"]) != 1 {
		t.Errorf("queues that could not be read are not told: %v", j.unread)
	}
}

// The worst comes first; of one severity what is furthest above its level.
func TestExamineRanks(t *testing.T) {
	all := rules()
	of := func(id string, v float64) *row {
		return judged(t, &all[slices.IndexFunc(all, func(r rule) bool { return r.id == id })], v)
	}
	j := examine(all, []*row{of("listen-overflows", 2), of("listen-overflows", 50), of("udp-no-port", 200), of("listen-overflows", 6)})
	var got []string
	for _, f := range j.findings {
		got = append(got, f.severity.String()+" "+f.rule.id+" "+number(f.value))
	}
	want := []string{"critical listen-overflows 50", "critical listen-overflows 6", "warning udp-no-port 200", "warning listen-overflows 2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// Commands can be pasted, whatever a node says that its pods are called.
func TestCommandsArePasted(t *testing.T) {
	const top, debug = "kubectl cosanet top -n $NAMESPACE $POD --interval 5s", "kubectl debug -n $NAMESPACE $POD -it --image=i -- ss"
	pod := row{Namespace: "shop", Name: "web-0", Node: "node-1"}
	node := row{Namespace: metrics.HostNamespace, Name: "node/node-1", Node: "node-1"}
	hostile := row{Namespace: "shop", Name: "x';reboot #", Node: "-rf"}
	tests := []struct {
		row           row
		command, want string
	}{
		{pod, top, "kubectl cosanet top -n shop web-0 --interval 5s"},
		{pod, debug, "kubectl debug -n shop web-0 -it --image=i -- ss"},
		{node, top, "kubectl cosanet top --node node-1 --interval 5s"},
		{node, debug, "kubectl debug node/node-1 -it --profile=sysadmin --image=i -- ss"},
		{hostile, top, `kubectl cosanet top -n shop 'x'\'';reboot #' --interval 5s`},
		{hostile, "kubectl describe node $NODE", "kubectl describe node '-rf'"},
	}
	for _, test := range tests {
		if got := test.row.command(test.command); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
