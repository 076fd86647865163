package plugin

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// readSuccess tells whether a source could be read.
const readSuccess = "cosanet_read_success"

// What the accept queues of listening sockets are known by.
const (
	queueLength = "cosanet_listen_queue_length"
	queueLimit  = "cosanet_listen_queue_limit"
)

// queue is the accept queue of a listening socket in the last snapshot.
type queue struct {
	at            string // address and port
	length, limit float64
}

func (q queue) full() bool { return q.length > q.limit }

func (q queue) String() string {
	return fmt.Sprintf("%s: %s wait to be accepted, with room for %s", q.at, number(q.length), number(q.limit))
}

// queues are the accept queues in which anybody waits, the fullest first.
func (r *row) queues() (waiting []queue) {
	if r.last == nil {
		return nil
	}
	for i := range r.last.Samples {
		s := &r.last.Samples[i]
		if s.Metric.Name != queueLength || s.Value == 0 {
			continue
		}
		limit := slices.IndexFunc(r.last.Samples, func(other metrics.Sample) bool {
			return other.Metric.Name == queueLimit && slices.Equal(other.Labels, s.Labels)
		})
		if limit < 0 {
			continue
		}
		at := net.JoinHostPort(label(s, "cosanet_listen_address"), label(s, "cosanet_listen_port"))
		waiting = append(waiting, queue{at, s.Value, r.last.Samples[limit].Value})
	}
	slices.SortFunc(waiting, func(a, b queue) int {
		return cmp.Or(cmp.Compare(b.length*(a.limit+1), a.length*(b.limit+1)), cmp.Compare(a.at, b.at))
	})
	return waiting
}

// fullestQueues are the lines of evidence for connections that find no room. A queue may have emptied since.
func fullestQueues(r *row) (lines []string) {
	waiting := r.queues()
	for _, q := range waiting[:min(len(waiting), 3)] {
		lines = append(lines, q.String())
	}
	return lines
}

// fullQueues are those that take no further connection now.
func fullQueues(r *row) (lines []string) {
	for _, q := range r.queues() {
		if q.full() {
			lines = append(lines, q.String())
		}
	}
	return lines
}

// fullestTuples name the destinations that take the most local ports.
func fullestTuples(r *row) (lines []string) {
	limit := r.sumOf("cosanet_ports_limit")
	for i := range r.last.Samples {
		if s := &r.last.Samples[i]; s.Metric.Name == "cosanet_ports_tuple_used" {
			to := net.JoinHostPort(label(s, "cosanet_port_destination"), label(s, "cosanet_port_number"))
			lines = append(lines, fmt.Sprintf("from %s to %s: %s of %s ports", label(s, "cosanet_port_source"), to, number(s.Value), number(limit.value)))
		}
	}
	return lines
}

// slowConnections say how the connections of a pod that loses segments fare now.
func slowConnections(r *row) (lines []string) {
	if p50, p99 := r.quantile("cosanet_tcp_rtt_seconds", 0.5), r.quantile("cosanet_tcp_rtt_seconds", 0.99); p50.state == present {
		lines = append(lines, fmt.Sprintf("round trips of its connections: half up to %s ms, 99 of 100 up to %s ms", number(1000*p50.value), number(1000*p99.value)))
	}
	for _, state := range []string{"loss", "recovery"} {
		if v := r.sumOf("cosanet_tcp_congestion_state", state); v.state == present && v.value > 0 {
			lines = append(lines, plural(int(v.value), "connection")+" now in the state "+state)
		}
	}
	return append(lines, sampledNotes([]*row{r})...)
}

// droppingDevices names the devices that dropped anything in the window.
func droppingDevices(r *row) (lines []string) {
	if r.last == nil {
		return nil
	}
	for i := range r.last.Samples {
		s := &r.last.Samples[i]
		if !strings.HasPrefix(s.Metric.Name, "cosanet_netdev_") || s.Metric.Signal < metrics.Error {
			continue
		}
		if v := r.read(s); v.state == present && v.value > 0 {
			lines = append(lines, fmt.Sprintf("%s: %s %s", label(s, "cosanet_device"), s.Metric.Short(), number(v.value)))
		}
	}
	return lines
}

func label(s *metrics.Sample, name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}
