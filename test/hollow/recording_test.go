package main

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// testNode is a node of a fleet without a cluster, with pods that have UIDs.
func testNode(t testing.TB, pods int) (*fleet, *node) {
	t.Helper()
	recording, err := loadRecording()
	if err != nil {
		t.Fatal(err)
	}
	store, err := newAnswers()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.close)
	f := &fleet{options: &options{nodes: 1, pods: pods}, recording: recording, answers: store, began: time.Unix(1.8e9, 0)}
	n := &node{name: nodeName(1), number: 1, uids: make([]string, pods), guests: map[podKey]sandbox{}}
	for i := range n.uids {
		n.uids[i] = uuid("pod", uint64(i))
	}
	f.nodes = []*node{n}
	return f, n
}

// What the node says is what the plugin's half of the contract reads back, whole, and about its own pods.
func TestSnapshotIsOfTheNode(t *testing.T) {
	f, n := testNode(t, 30)
	for _, q := range []question{{set: metrics.Default}, {set: metrics.Errors}, {set: metrics.All}, {set: metrics.Default, sockets: true}, {set: metrics.Default, sources: [len(switched)]bool{true, true, true, true}}} {
		t.Run(fmt.Sprint(q), func(t *testing.T) {
			at := f.began.Add(time.Hour)
			sent := f.recording.snapshot(n.name, "v9", n.sandboxes(), q, at, f.began)
			got, err := metrics.NewFrame("r", sent).Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if !got.Time.Equal(at) {
				t.Errorf("counted at %s, want %s", got.Time, at)
			}
			pods, hosts := 0, 0
			for i := range got.Records {
				r := &got.Records[i]
				if r.Sandbox.Node != n.name {
					t.Errorf("a record is of node %q", r.Sandbox.Node)
				}
				for _, s := range r.Samples {
					if !q.has(s.Metric) {
						t.Errorf("%s was not asked for", s.Metric.Name)
					}
				}
				switch {
				case r.Sandbox.Host():
					hosts++
				case r.Sandbox.Pod != "":
					pods++
				}
			}
			if pods != 30 || hosts != 1 {
				t.Errorf("%d pods and %d hosts, want 30 and 1", pods, hosts)
			}
		})
	}
}

// Counters never fall, some grow, and pods differ.
func TestCountersGrow(t *testing.T) {
	f, n := testNode(t, 110)
	q := question{set: metrics.All}
	at := func(d time.Duration) *metrics.Snapshot {
		return f.recording.snapshot(n.name, "", n.sandboxes(), q, f.began.Add(d), f.began)
	}
	first, second := at(time.Hour), at(time.Hour+time.Second)
	rates := map[float64]bool{}
	for i := range first.Records {
		for j, s := range first.Records[i].Samples {
			grown := second.Records[i].Samples[j].Value - s.Value
			if s.Metric.Type == metrics.Counter && grown < 0 {
				t.Fatalf("%s fell by %g", s.Metric.Name, -grown)
			}
			if s.Metric.Name == "cosanet_proc_net_netstat_IpExt_InOctets" {
				rates[grown] = true
			}
		}
	}
	if len(rates) < 40 {
		t.Errorf("bytes grow at %d different rates: there is nothing to sort", len(rates))
	}
	var a, b bytes.Buffer
	metrics.Write(&a, first)
	metrics.Write(&b, at(time.Hour))
	if diff := cmp.Diff(a.String(), b.String()); diff != "" {
		t.Errorf("the same moment again differs:\n%s", diff)
	}
}

func TestMixtureIsOfAHundred(t *testing.T) {
	sum := 0
	for _, kind := range mixture {
		sum += kind.share
	}
	if sum != 100 {
		t.Errorf("the shares make %d", sum)
	}
}

func BenchmarkFrame(b *testing.B) {
	for _, pods := range []int{30, 110} {
		f, n := testNode(b, pods)
		p := &program{question: question{set: metrics.Default}, encoding: metrics.Gzip, samples: 2, interval: time.Second}
		b.Run(fmt.Sprintf("made/pods=%d", pods), func(b *testing.B) {
			for b.Loop() {
				n.change.Add(1)
				text, err := f.frame(n, p, time.Time{}, 0)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(text)))
			}
		})
		b.Run(fmt.Sprintf("kept/pods=%d", pods), func(b *testing.B) {
			for b.Loop() {
				if _, err := f.frame(n, p, time.Time{}, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
