package main

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// A kept frame is read back for another run as that run's, whole, and without being made again.
func TestFramesAreKept(t *testing.T) {
	f, n := testNode(t, 5)
	p := program{question: question{set: metrics.Default}, encoding: metrics.Gzip, samples: 2, interval: time.Second}
	for _, run := range []string{"first", "second-run-with-a-longer-id"} {
		p.run = run
		var log bytes.Buffer
		for i := range p.samples {
			text, err := f.frame(n, &p, time.Now(), i)
			if err != nil {
				t.Fatal(err)
			}
			log.Write(text)
		}
		frames := metrics.NewFrameReader(&log, run)
		var times []time.Time
		for {
			frame, err := frames.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("run %s: %v", run, err)
			}
			s, err := frame.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			times = append(times, s.Time)
		}
		if len(times) != 2 || times[1].Sub(times[0]) != time.Second {
			t.Errorf("run %s: samples of %v, want two a second apart", run, times)
		}
	}
	totals := p
	totals.samples, totals.interval = 1, 0 // by --interval 0: the first of the others
	if _, err := f.frame(n, &totals, time.Now(), 0); err != nil {
		t.Fatal(err)
	}
	if got := len(f.answers.at); got != 2 {
		t.Errorf("%d frames are kept, want 2", got)
	}
	n.host(podKey{"x", "guest"}, metrics.Sandbox{Node: n.name, Namespace: "x", Pod: "guest", NetNS: "cni-1"})
	text, err := f.frame(n, &p, time.Now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := metrics.NewFrameReader(bytes.NewReader(text), p.run).Next()
	if err != nil || !bytes.Contains(frame.Text, []byte(`cosanet_pod="guest"`)) {
		t.Errorf("a pod that came is not in the next frame (%v)", err)
	}
}
