package collector

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestTroublesOnce walks some times with a runtime that fails, and some times with one that answers again: a line when it
// begins and a line when it is over. The reason is in the log and not in a label.
func TestTroublesOnce(t *testing.T) {
	var broken atomic.Bool
	runtime := &faultyRuntime{list: func(ctx context.Context) (*cri.ListPodSandboxResponse, error) {
		if broken.Load() {
			return nil, errors.New("the shim is on fire")
		}
		return &cri.ListPodSandboxResponse{}, nil
	}}
	c := cheap(t)
	c.CRISocket = runtime.serve(t)
	s := startExporter(t, c, func(e *exporter) { e.walks.cacheFor = 0 })
	s.ready(t)
	const begins, over = "pods cannot be found by cri", "pods cannot be found by cri: over"
	for i := range 3 {
		broken.Store(i%2 == 0)
		for range 3 {
			_, text := s.get(t, "GET", "/metrics")
			want := 1.0
			if broken.Load() {
				want = 0
			}
			if got := seriesValue(t, parseText(t, text), "cosanet_discovery_success", "source", "cri", "reason", ""); got != want {
				t.Errorf("discovery by cri: %v, want %v", got, want)
			}
			if strings.Contains(string(text), "on fire") {
				t.Error("the text of an error in a label")
			}
		}
	}
	if n := s.log.count("on fire"); n != 2 {
		t.Errorf("%d lines with the reason, want one each time it began:\n%s", n, &s.log.text)
	}
	if n := s.log.count(over); n != 1 {
		t.Errorf("%d lines that it is over, want 1", n)
	}
	if n := s.log.count(begins); n != 3 {
		t.Errorf("%d lines about it, want 3", n)
	}
}
