package plugin

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// A table of reduced snapshots is that of whole ones, with all that is said below it: for the default columns, for all, and
// for metrics by name. And it holds less.
func TestReduce(t *testing.T) {
	custom, err := parseColumns("Tcp_RetransSegs,proc_net_tcp{CLOSE_WAIT},netdev_receive_bytes_total,CT")
	if err != nil {
		t.Fatal(err)
	}
	for name, columns := range map[string][]column{"default": columnsOf(false, false, false, false), "all": columnsOf(true, true, true, true), "custom": custom} {
		for _, samples := range []int{1, 2} {
			whole, wholly := read(t, Ask{}, samples)
			reduced, held := read(t, Ask{Only: readBy(columns)}, samples)
			if diff := cmp.Diff(shownBy(t, whole, columns, samples > 1), shownBy(t, reduced, columns, samples > 1)); diff != "" {
				t.Errorf("%s columns of %d samples (-whole +reduced):\n%s", name, samples, diff)
			}
			if held >= wholly {
				t.Errorf("%s columns of %d samples: %d samples held of %d", name, samples, held, wholly)
			}
		}
	}
}

// read decodes the fixture as the answers of its nodes, and counts the samples that are held of them.
func read(t *testing.T, ask Ask, samples int) (fleet *Fleet, held int) {
	fleet = &Fleet{}
	turns := newDecoding()
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		var log bytes.Buffer
		for _, s := range record(t, node, nodes[node], samples) {
			if err := metrics.WriteFrame(&log, metrics.Gzip, "run", s); err != nil {
				t.Fatal(err)
			}
		}
		frames := turns.frames(&log, "run", ask)
		o := Observation{Node: node}
		for range samples {
			frame, err := frames.Next()
			if err != nil {
				t.Fatal(err)
			}
			s, err := turns.decode(frame)
			if err != nil {
				t.Fatal(err)
			}
			o.Snapshots = append(o.Snapshots, s)
		}
		ask.reduce(o.Snapshots)
		for _, s := range o.Snapshots {
			for _, r := range s.Records {
				held += len(r.Samples)
			}
		}
		fleet.Observations = append(fleet.Observations, o)
	}
	return fleet, held
}

// shownBy is the table of a fleet, and what is said below it.
func shownBy(t *testing.T, fleet *Fleet, columns []column, rates bool) string {
	all := anything()
	rows := rowsOf(fleet, &all, rates)
	view := &topView{selection: all, columns: columns}
	var out bytes.Buffer
	if err := view.table(rows, rates).write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String() + strings.Join(slices.Concat(notes(rows), failures(rows), fleet.undiscovered()), "\n")
}
