package collector

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Every accept queue is what ss shows as Recv-Q and Send-Q of a listening socket, by the address and port it listens at.
func TestListenQueuesEqualSs(t *testing.T) {
	needsRoot(t, "nsenter", "ss")
	pod, neighbour := startInhabited(t), startInhabited(t)
	pod.do("tcp", "127.0.0.1", 3)
	pod.do("tcp", "::1", 2)
	pod.do("overflow", "127.0.0.1", 5)
	pod.do("overflow", "::1", 0)

	c := noRuntime(t)
	got, want := settled(t,
		func() map[string]string { return acceptQueues(recordOf(t, Walk(context.Background(), c), pod.uid)) },
		func() map[string]string {
			queues := map[string]string{}
			for l := range strings.Lines(pod.inside("ss", "-Hlnt")) {
				f := strings.Fields(l) // LISTEN Recv-Q Send-Q Local:Port Peer:Port
				queues[f[3]] = f[1] + " of " + f[2]
			}
			return queues
		})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ss (-), walk (+):\n%s", diff)
	}
	if len(got) != 4 || got["127.0.0.1:7001"] != "2 of 1" {
		t.Errorf("%v: want four listening sockets, of which that on port 7001 is full", got)
	}
	if queues := acceptQueues(recordOf(t, Walk(context.Background(), c), neighbour.uid)); len(queues) != 0 {
		t.Errorf("a neighbour that listens nowhere has %v", queues)
	}
	wantValue(t, recordOf(t, Walk(context.Background(), c), neighbour.uid), 1, "cosanet_read_success", "listen")
}

// acceptQueues are a record's, as ss writes them.
func acceptQueues(r *metrics.Record) map[string]string {
	queues := map[string]string{}
	for _, s := range r.Samples {
		if s.Metric.Name != "cosanet_listen_queue_length" {
			continue
		}
		address, port := netip.MustParseAddr(s.Labels[0].Value), s.Labels[1].Value
		n, _ := strconv.ParseUint(port, 10, 16)
		limit, _ := r.Value("cosanet_listen_queue_limit", address.String(), port, s.Labels[2].Value)
		queues[netip.AddrPortFrom(address, uint16(n)).String()] = fmt.Sprintf("%.0f of %.0f", s.Value, limit)
	}
	return queues
}

// listenMessage is what the kernel would say of a listening socket of IPv4.
func listenMessage(port uint16, length, limit uint32) []byte {
	m := make([]byte, inetDiagMsgBytes)
	m[0], m[1] = unix.AF_INET, 10
	binary.BigEndian.PutUint16(m[4:], port)
	binary.NativeEndian.PutUint32(m[56:], length)
	binary.NativeEndian.PutUint32(m[60:], limit)
	return m
}

func TestListeners(t *testing.T) {
	type socket struct {
		port          uint16
		length, limit uint32
	}
	tests := []struct {
		name    string
		sockets []socket
		want    map[string]string // port: queue
		dropped int
	}{
		{"none", nil, map[string]string{}, 0},
		{"empty queue", []socket{{80, 0, 128}}, map[string]string{"80": "0 of 128"}, 0},
		{"fullest of one port", []socket{{80, 0, 128}, {80, 127, 128}, {80, 90, 128}}, map[string]string{"80": "127 of 128"}, 0},
		{"share before length", []socket{{80, 100, 4096}, {80, 2, 1}}, map[string]string{"80": "2 of 1"}, 0},
		{"no room at all", []socket{{80, 1, 0}, {80, 0, 128}}, map[string]string{"80": "1 of 0"}, 0},
		{"largest numbers", []socket{{80, 1<<32 - 1, 1<<32 - 1}, {80, 1<<32 - 2, 1<<32 - 1}}, map[string]string{"80": "4294967295 of 4294967295"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newListeners()
			for _, s := range test.sockets {
				if err := l.add(listenMessage(s.port, s.length, s.limit)); err != nil {
					t.Fatal(err)
				}
			}
			samples, dropped := l.append(nil)
			got := map[string]string{}
			r := &metrics.Record{Samples: samples}
			for at, queue := range acceptQueues(r) {
				got[at[strings.LastIndexByte(at, ':')+1:]] = queue
			}
			if diff := cmp.Diff(test.want, got); diff != "" || dropped != test.dropped {
				t.Errorf("%d dropped, want %d; queues (-want +got):\n%s", dropped, test.dropped, diff)
			}
		})
	}
}

// A pod that listens everywhere takes no more room than one that listens at maxListeners ports, and hides no full queue.
func TestListenersAreBounded(t *testing.T) {
	l := newListeners()
	for port := range uint16(60_000) {
		length := uint32(0)
		if port == 50_000 {
			length = 129
		}
		if err := l.add(listenMessage(port+1, length, 128)); err != nil {
			t.Fatal(err)
		}
	}
	samples, dropped := l.append(nil)
	if len(samples) != 2*maxListeners || dropped != 60_000-maxListeners {
		t.Errorf("%d samples and %d dropped, want %d and %d", len(samples), dropped, 2*maxListeners, 60_000-maxListeners)
	}
	if got := acceptQueues(&metrics.Record{Samples: samples})["0.0.0.0:50001"]; got != "129 of 128" {
		t.Errorf("the full queue is shown as %q", got)
	}
}

func TestListenersRefuse(t *testing.T) {
	l := newListeners()
	if err := l.add(make([]byte, inetDiagMsgBytes)); err == nil {
		t.Error("a socket of no IP version was taken")
	}
}
