package collector

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseNumbers(t *testing.T) {
	for text, want := range map[string][]float64{"287898\t383867\t575796\n": {287898, 383867, 575796}, "131072\n": {131072}, "0": {0}} {
		got, err := parseNumbers([]byte(text), len(want))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"", "\n", "1 2\n", "x\n", "1x\n"} {
		if got, err := parseNumbers([]byte(text), 1); err == nil {
			t.Errorf("%q: taken as %v", text, got)
		}
	}
}

func TestParseNeighbours(t *testing.T) {
	const head = "entries  allocs   destroys hash_grows lookups  hits     res_failed rcv_probes_mcast rcv_probes_ucast periodic_gc_runs forced_gc_runs unresolved_discards table_fulls\n"
	tests := []struct {
		name, file    string
		entries, full float64
		wrong         bool
	}{
		{"two CPUs", head + "00000031 00000174 0000016e 00000003   000005b0 000000a0 00000005   00000000         00000000         00000000         00000000       00000000            0000000a\n" +
			"00000031 0000016e 00000143 00000001   0000058f 0000009f 00000001   00000000         00000000         000000f4         00000000       00000000            00000002\n", 49, 12, false},
		{"before table_fulls", "entries  allocs\n00000007 00000001\n", 7, 0, false},
		{"none", "", 0, 0, true},
		{"no CPU", head, 0, 0, true},
		{"another file", "found new\n00000001 00000002\n", 0, 0, true},
		{"no number", "entries allocs\nxyz 1\n", 0, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			entries, full, err := parseNeighbours([]byte(test.file))
			if entries != test.entries || full != test.full || (err != nil) != test.wrong {
				t.Errorf("%v entries, %v times full, %v", entries, full, err)
			}
		})
	}
}
