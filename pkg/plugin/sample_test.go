package plugin

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSample(t *testing.T) {
	for _, tt := range []struct {
		text string
		want float64 // 0: refused
	}{{"5%", 5}, {"0.1%", 0.1}, {"100%", 100}, {"0%", 0}, {"-1%", 0}, {"101%", 0}, {"NaN%", 0}, {"5", 0}, {"%", 0}, {"five%", 0}} {
		got, err := parseSample(tt.text, 3)
		if got.Percent != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("parseSample(%q) = %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
}

func TestSample(t *testing.T) {
	var nodes []string
	for i := range 1000 {
		nodes = append(nodes, fmt.Sprintf("node-%04d", i))
	}
	for _, tt := range []struct {
		percent float64
		of      int
		want    int
	}{{5, 1000, 50}, {5, 1, 1}, {5, 0, 0}, {0.01, 1000, 1}, {100, 7, 7}, {33, 10, 4}} {
		got := Sample{tt.percent, 1}.of(nodes[:tt.of])
		if len(got) != tt.want || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != tt.want {
			t.Errorf("%v%% of %d are %v, want %d different ones, sorted", tt.percent, tt.of, got, tt.want)
		}
	}
	five := Sample{5, 1}
	taken := five.of(nodes)
	if diff := cmp.Diff(taken, five.of(nodes)); diff != "" {
		t.Errorf("the same seed takes other nodes (-first +second):\n%s", diff)
	}
	if slices.Equal(taken, Sample{5, 2}.of(nodes)) {
		t.Error("another seed takes the same nodes")
	}
	// Of 900 nodes the share is smaller, and the nodes in it are those of before that are still there.
	for _, node := range five.of(nodes[:900]) {
		if !slices.Contains(taken, node) {
			t.Errorf("%s was not taken of more nodes", node)
		}
	}
	if got, want := five.remark([]string{"a", "b"}, 40), "sample of 2 of 40 nodes (--sample-seed 1): a, b"; got != want {
		t.Errorf("remark %q, want %q", got, want)
	}
}

// A run over a sample visits its nodes alone, and says which.
func TestObserveSample(t *testing.T) {
	s, c := newAPIServer(t, "a", "b", "c", "d"), testCollection()
	sel := everyNodeSelected()
	sel.Sample = Sample{50, 1}
	fleet, err := c.Observe(t.Context(), s.client(t), sel, Ask{})
	if err != nil || c.ledger.settle() != nil || fleet.failure() != nil {
		t.Fatal(err, fleet.failure())
	}
	var nodes []string
	for _, o := range fleet.Observations {
		nodes = append(nodes, o.Node)
	}
	if diff := cmp.Diff([]string{sel.Sample.remark(nodes, 4)}, fleet.remarks); diff != "" || len(nodes) != 2 || s.creates != 2 {
		t.Errorf("%v visited with %d pods; remarks (-want +got):\n%s", nodes, s.creates, diff)
	}
	gone(t, s, c)
}
