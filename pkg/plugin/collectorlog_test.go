package plugin

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// framesOf is what a collector on the pod's node prints: one frame for every sample asked for.
func framesOf(pod *corev1.Pod) []byte {
	args := pod.Spec.Containers[0].Args
	after := func(flag string) string { return args[slices.Index(args, flag)+1] }
	samples, _ := strconv.Atoi(after("--samples"))
	var log strings.Builder
	for i := range samples {
		curr, _ := metrics.Lookup("cosanet_conntrack_curr")
		metrics.WriteFrame(&log, metrics.Gzip, after("--run"), &metrics.Snapshot{Time: time.Unix(int64(i), 0), Records: []metrics.Record{{
			Sandbox: metrics.Sandbox{Node: pod.Spec.NodeName, Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace},
			Samples: []metrics.Sample{{Metric: curr, Value: float64(i)}},
		}}})
	}
	return []byte(log.String())
}

// counter is a collector that writes a frame each interval, as the log of its pod has it.
type counter struct {
	t        *testing.T
	interval time.Duration
	mu       sync.Mutex
	began    map[string]time.Time // by pod
}

func newCounter(t *testing.T, interval time.Duration) *counter {
	return &counter{t: t, interval: interval, began: map[string]time.Time{}}
}

// frame is the nth one of a pod, from 1.
func (c *counter) frame(pod *corev1.Pod, n int) []byte {
	c.mu.Lock()
	if c.began[pod.Name].IsZero() {
		c.began[pod.Name] = time.Now()
	}
	at := c.began[pod.Name].Add(time.Duration(n-1) * c.interval)
	c.mu.Unlock()
	args := pod.Spec.Containers[0].Args
	node := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
	f := metrics.NewFrame(args[slices.Index(args, "--run")+1], &metrics.Snapshot{Time: at, Records: []metrics.Record{
		{Sandbox: metrics.Sandbox{Node: node}, Samples: []metrics.Sample{{Metric: known(c.t, "cosanet_walk_timestamp_seconds"), Value: float64(at.UnixMilli()) / 1e3}}},
		{Sandbox: metrics.Sandbox{Node: node, Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace},
			Samples: []metrics.Sample{{Metric: known(c.t, "cosanet_conntrack_curr"), Value: float64(n)}}},
	}})
	f.Trailer.Number = n
	var out bytes.Buffer
	if err := f.Write(&out, metrics.Gzip); err != nil {
		c.t.Error(err)
	}
	return out.Bytes()
}

// write writes the frames from one to another, each when it is due, until the reader goes.
func (c *counter) write(w http.ResponseWriter, pod *corev1.Pod, from, to int) {
	for n := from; n <= to; n++ {
		frame := c.frame(pod, n)
		c.mu.Lock()
		due := c.began[pod.Name].Add(time.Duration(n-1) * c.interval)
		c.mu.Unlock()
		time.Sleep(time.Until(due))
		if _, err := w.Write(frame); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}
