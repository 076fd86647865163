package collector

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// The sums of tcp_info are those of what ss -ti shows of each connection.
func TestTCPInfoEqualsSs(t *testing.T) {
	needsRoot(t, "nsenter", "ss", "iptables")
	pod, neighbour := startInhabited(t), startInhabited(t)
	pod.do("tcp", "127.0.0.1", 3)
	pod.do("tcp", "::1", 2)
	pod.do("stalled", "127.0.0.1", 4)
	pod.do("closewait", "127.0.0.1", 2) // which are not established

	c := noRuntime(t)
	got, want := settled(t,
		func() map[string]string { return tcpOf(recordOf(t, Walk(context.Background(), c), pod.uid)) },
		func() map[string]string { return tcpBySs(pod) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ss (-), walk (+):\n%s", diff)
	}
	if got["connections"] != "18" || got["state loss"] != "4" || got["state open"] != "14" || got["unacked"] != "4" {
		t.Errorf("%v: want 18 connections, of which 4 wait for what is lost", got)
	}
	if n, _ := strconv.Atoi(got["retransmitted"]); n < 4 {
		t.Errorf("%d segments sent again, want one of each of 4 connections at least", n)
	}

	quiet := recordOf(t, Walk(context.Background(), c), neighbour.uid)
	wantValue(t, quiet, 1, "cosanet_read_success", "tcp")
	wantValue(t, quiet, 0, "cosanet_tcp_rtt_seconds_count")
	wantValue(t, quiet, 0, "cosanet_tcp_retransmitted_segments")
	wantValue(t, quiet, 1, "cosanet_tcp_info_sampled_ratio")
}

// tcpOf is what a record says of its connections.
func tcpOf(r *metrics.Record) map[string]string {
	said := map[string]string{}
	say := func(name, family string, unit float64, labels ...string) {
		if v, ok := r.Value(family, labels...); ok {
			said[name] = strconv.FormatFloat(math.Round(v/unit), 'f', -1, 64)
		}
	}
	say("connections", "cosanet_tcp_rtt_seconds_count", 1)
	say("rtt", "cosanet_tcp_rtt_seconds_sum", 1e-6)
	for _, ms := range []string{"0.1", "0.25", "0.5", "1"} {
		bound, _ := strconv.ParseFloat(ms, 64)
		say("up to "+ms, "cosanet_tcp_rtt_seconds_bucket", 1, strconv.FormatFloat(bound/1e3, 'g', -1, 64))
	}
	say("minrtt", "cosanet_tcp_rtt_min_seconds", 1e-6)
	say("rates", "cosanet_tcp_delivery_rate_bytes_per_second_count", 1)
	say("unacked", "cosanet_tcp_unacked_segments", 1)
	say("segs_out", "cosanet_tcp_sent_segments", 1)
	say("retransmitted", "cosanet_tcp_retransmitted_segments", 1)
	say("bytes_sent", "cosanet_tcp_sent_bytes", 1)
	say("bytes_retrans", "cosanet_tcp_retransmitted_bytes", 1)
	for _, state := range congestionStates {
		say("state "+state, "cosanet_tcp_congestion_state", 1, state)
	}
	return said
}

// tcpBySs sums up what ss shows. It shows no state of congestion control, but what makes one: backoff comes with loss.
func tcpBySs(p *testPod) map[string]string {
	sums := map[string]float64{"unacked": 0, "bytes_retrans": 0, "retransmitted": 0, "rates": 0, "state loss": 0}
	minimum := math.Inf(1)
	microseconds := func(ms string) float64 {
		v, _ := strconv.ParseFloat(ms, 64)
		return math.Round(v * 1e3)
	}
	for l := range strings.Lines(p.inside("ss", "-HOtni", "state", "established")) {
		sums["connections"]++
		limited := false
		for _, field := range strings.Fields(l) {
			name, value, _ := strings.Cut(field, ":")
			n, _ := strconv.ParseFloat(value, 64)
			switch name {
			case "rtt":
				value, _, _ = strings.Cut(value, "/")
				us := microseconds(value)
				sums["rtt"] += us
				for _, ms := range []string{"0.1", "0.25", "0.5", "1"} {
					if us <= microseconds(ms) {
						sums["up to "+ms]++
					}
				}
			case "minrtt":
				minimum = min(minimum, microseconds(value))
			case "unacked", "segs_out", "bytes_sent", "bytes_retrans":
				sums[name] += n
			case "retrans":
				_, total, _ := strings.Cut(value, "/")
				n, _ = strconv.ParseFloat(total, 64)
				sums["retransmitted"] += n
			case "backoff":
				sums["state loss"]++
			case "app_limited":
				limited = true
			}
		}
		if strings.Contains(l, "delivery_rate") && !limited {
			sums["rates"]++
		}
	}
	sums["minrtt"] = minimum
	sums["state open"] = sums["connections"] - sums["state loss"]
	sums["state disorder"], sums["state cwr"], sums["state recovery"] = 0, 0, 0
	said := map[string]string{}
	for name, v := range sums {
		said[name] = strconv.FormatFloat(v, 'f', -1, 64)
	}
	return said
}

// infoMessage is what the kernel would say of an established connection of IPv4, with as much of tcp_info as it has.
func infoMessage(info []byte) []byte {
	m := make([]byte, inetDiagMsgBytes)
	m[0], m[1] = unix.AF_INET, tcpEstablished
	m = append(m, 5, 0, 8, 0, 0, 0, 0, 0) // INET_DIAG_SHUTDOWN
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.SizeofRtAttr+len(info)))
	m = binary.NativeEndian.AppendUint16(m, inetDiagInfo)
	return append(m, info...)
}

func TestTCPInfoOfKernels(t *testing.T) {
	info := make([]byte, 248)
	binary.NativeEndian.PutUint32(info[tcpiRTT:], 1500)
	binary.NativeEndian.PutUint32(info[tcpiMinRTT:], 700)
	binary.NativeEndian.PutUint32(info[tcpiSegsOut:], 10)
	binary.NativeEndian.PutUint64(info[tcpiBytesSent:], 5000)
	tests := []struct {
		name  string
		bytes int
		want  map[string]float64 // absent: not there
	}{
		{"Linux 6.18", 248, map[string]float64{"cosanet_tcp_rtt_seconds_count": 1, "cosanet_tcp_sent_segments": 10, "cosanet_tcp_sent_bytes": 5000}},
		{"Linux 4.9", 192, map[string]float64{"cosanet_tcp_rtt_seconds_count": 1, "cosanet_tcp_sent_segments": 10}},
		{"none", 0, map[string]float64{"cosanet_tcp_rtt_seconds_count": 0, "cosanet_tcp_sent_segments": 0, "cosanet_tcp_sent_bytes": 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ti := newTCPInfo()
			ti.reset()
			if err := ti.add(infoMessage(info[:test.bytes])); err != nil {
				t.Fatal(err)
			}
			r := &metrics.Record{Samples: ti.append(nil, 1)}
			for _, name := range []string{"cosanet_tcp_rtt_seconds_count", "cosanet_tcp_sent_segments", "cosanet_tcp_sent_bytes"} {
				got, ok := r.Value(name)
				want, wanted := test.want[name]
				if ok != wanted || got != want {
					t.Errorf("%s = %v (present: %v), want %v (%v)", name, got, ok, want, wanted)
				}
			}
		})
	}
}

// Of more connections than the bound a sample is taken, which is said, and the dump is given up and begun again without
// tcp_info. The bound is that of a walk: a namespace with so many real connections.
func TestTCPInfoIsSampled(t *testing.T) {
	needsRoot(t, "nsenter")
	pod := startInhabited(t)
	const connections = maxTCPInfo/2 + 500 // each has two ends
	pod.do("many", "127.0.0.1", connections)
	r := recordOf(t, Walk(context.Background(), noRuntime(t)), pod.uid)
	wantValue(t, r, 2*connections, "cosanet_proc_net_tcp", "ESTABLISHED", "ipv4")
	wantValue(t, r, maxTCPInfo, "cosanet_tcp_rtt_seconds_count")
	wantValue(t, r, maxTCPInfo/float64(2*connections), "cosanet_tcp_info_sampled_ratio")
	wantValue(t, r, connections, "cosanet_ports_used")
	wantValue(t, r, 1, "cosanet_read_success", "listen")
}

func TestTCPInfoBound(t *testing.T) {
	ti := newTCPInfo()
	ti.reset()
	m := infoMessage(make([]byte, 248))
	for range maxTCPInfo {
		if err := ti.add(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := ti.add(m); !errors.Is(err, errEnough) {
		t.Errorf("%v after %d connections, want errEnough", err, maxTCPInfo)
	}
	ti.reset()
	if err := ti.add(m); err != nil || ti.taken != 1 {
		t.Errorf("after a reset: %v, %d taken", err, ti.taken)
	}
}

// FuzzAttribute finds no attribute outside of what it was given.
func FuzzAttribute(f *testing.F) {
	f.Add(infoMessage(make([]byte, 248))[inetDiagMsgBytes:], uint16(inetDiagInfo))
	f.Add([]byte{3, 0, 2, 0}, uint16(2))
	f.Add([]byte{255, 255, 2, 0}, uint16(2))
	f.Fuzz(func(t *testing.T, attributes []byte, kind uint16) {
		if value := attribute(attributes, kind); len(value) > max(0, len(attributes)-unix.SizeofRtAttr) {
			t.Errorf("%d bytes of %d", len(value), len(attributes))
		}
		ti := newTCPInfo()
		ti.reset()
		if err := ti.add(append(make([]byte, inetDiagMsgBytes), attributes...)); err != nil {
			t.Error(err)
		}
	})
}
