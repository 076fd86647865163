package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func is(v float64) reading { return reading{present, v} }

func TestPairDiffers(t *testing.T) {
	none, fell, unread := reading{}, reading{state: reset}, reading{state: unreadable}
	tests := map[string]struct {
		a, b      reading
		threshold float64
		want      bool
	}{
		"the same":                      {is(5), is(5), 0, false},
		"both zero":                     {is(0), is(0), 0, false},
		"another":                       {is(5), is(6), 0, true},
		"below the threshold":           {is(95), is(100), 0.1, false},
		"at the threshold":              {is(90), is(100), 0.1, true},
		"the other way round":           {is(100), is(90), 0.1, true},
		"from zero":                     {is(0), is(1), 1, true},
		"across zero":                   {is(-1), is(1), 1, true},
		"one side has it":               {none, is(1), 1, true},
		"one side has none of it":       {none, is(0), 0, false},
		"neither":                       {none, none, 0, false},
		"began again":                   {fell, is(1), 1, true},
		"both began again":              {fell, fell, 0, true},
		"could not be read":             {unread, is(0), 1, true},
		"could be read on neither side": {unread, unread, 0, false},
	}
	for name, tt := range tests {
		p := pair{a: tt.a, b: tt.b}
		if got := p.differs(tt.threshold); got != tt.want {
			t.Errorf("%s: differs is %v, want %v", name, got, tt.want)
		}
		p = pair{a: tt.b, b: tt.a}
		if got := p.differs(tt.threshold); got != tt.want {
			t.Errorf("%s, turned: differs is %v, want %v", name, got, tt.want)
		}
	}
}

func TestRank(t *testing.T) {
	traffic, info := &metrics.Metric{Signal: metrics.Traffic}, &metrics.Metric{Signal: metrics.Info}
	failing, drop := &metrics.Metric{Signal: metrics.Error}, &metrics.Metric{Signal: metrics.Drop}
	pairs := []pair{
		{name: "tie, info", metric: info, a: is(0), b: is(1)},
		{name: "tie, traffic", metric: traffic, a: is(0), b: is(1)},
		{name: "an error", metric: failing, a: is(0), b: is(1)},
		{name: "a drop", metric: drop, a: is(0), b: is(1)},
		{name: "two errors", metric: failing, a: is(0), b: is(2)},
		{name: "twice as much of a lot", metric: traffic, a: is(20000), b: is(10000)},
		{name: "a hundred times", metric: traffic, a: is(10), b: is(1000)},
		{name: "out of nothing", metric: traffic, a: is(0), b: is(1000)},
		{name: "a sign", metric: traffic, a: is(-1000), b: is(1000)},
		{name: "on one side", metric: traffic, b: is(50)},
	}
	rank(pairs)
	var got []string
	for _, p := range pairs {
		got = append(got, p.name)
	}
	want := []string{
		"two errors", "a drop", "an error",
		"a sign", "out of nothing", "a hundred times", "on one side", "tie, traffic", "tie, info", "twice as much of a lot",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestPairTexts(t *testing.T) {
	count := &metrics.Metric{Unit: "segments"}
	tests := []struct {
		p                        pair
		a, b, delta, ratio, name string
	}{
		{pair{name: "x", metric: count, a: is(2), b: is(5)}, "2", "5", "+3", "2.5x", "x"},
		{pair{name: "x", metric: count, rate: true, a: is(5), b: is(2)}, "5", "2", "-3", "0.4x", "x/s"},
		{pair{name: `x{device="lo"}`, metric: count, rate: true, a: is(3), b: is(3)}, "3", "3", "0", "1x", `x/s{device="lo"}`},
		{pair{name: "x", metric: &metrics.Metric{Unit: "bytes"}, a: is(1024), b: is(1 << 20)}, "1.0Ki", "1.0Mi", "+1.0Mi", "1024x", "x"},
		{pair{name: "x", metric: count, a: is(0), b: is(5)}, "0", "5", "+5", "?", "x"},
		{pair{name: "x", metric: count, b: is(0)}, "", "0", "", "", "x"},
		{pair{name: "x", metric: count, a: reading{state: reset}, b: reading{state: unreadable}}, "reset", "err", "", "", "x"},
	}
	for _, tt := range tests {
		p := tt.p
		got := []string{p.side(p.a), p.side(p.b), p.delta(), p.ratio(), p.title()}
		if diff := cmp.Diff([]string{tt.a, tt.b, tt.delta, tt.ratio, tt.name}, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", p, diff)
		}
	}
}
