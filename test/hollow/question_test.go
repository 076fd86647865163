package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// What a hollow exporter says that it reads is what its answers have, and a collector says of the same sources that it read them.
func TestSourcesWithASwitch(t *testing.T) {
	r, err := loadRecording()
	if err != nil {
		t.Fatal(err)
	}
	tcp, owners := [len(switched)]bool{1: true, 2: true}, [len(switched)]bool{3: true}
	for _, test := range []struct {
		name string
		q    question
		want string   // what the exporter says
		of   []string // families that are in an answer; those of the other sources are not
	}{
		{"none", question{set: metrics.Default}, "", nil},
		{"tcp and ports", question{set: metrics.Default, sources: tcp}, "tcp,ports", []string{"cosanet_tcp_rtt_seconds_count", "cosanet_ports_used"}},
		{"owners", question{set: metrics.Errors, sources: owners}, "conntrack_owners", []string{"cosanet_conntrack_owned_entries"}},
		{"all metrics", question{set: metrics.All}, "listen,tcp,ports", []string{"cosanet_listen_queue_length", "cosanet_tcp_rtt_seconds_count", "cosanet_ports_used"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			about := aboutExporter(test.q).Samples[0]
			if got := about.Labels[len(about.Labels)-1]; got != (metrics.Label{Name: "sources", Value: test.want}) {
				t.Errorf("it says %v, want %q", got, test.want)
			}
			got, want := map[string]bool{}, map[string]bool{}
			for _, name := range test.of {
				want[name] = true
			}
			for _, s := range samples(&metrics.Sandbox{}, r.pods["web"], 1, 0, test.q) {
				for _, name := range []string{"cosanet_listen_queue_length", "cosanet_tcp_rtt_seconds_count", "cosanet_ports_used", "cosanet_conntrack_owned_entries"} {
					if s.Metric.Name == name {
						got[name] = true
					}
				}
				if s.Metric.Name != "cosanet_read_success" {
					continue
				}
				for i := range switched {
					if s.Labels[0].Value == switched[i].name && !test.q.read(i) {
						t.Errorf("it says of %s that it was read", switched[i].name)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("families (-want +got):\n%s", diff)
			}
		})
	}
}
