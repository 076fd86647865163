package collector

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// setPorts narrows the range of a pod's local ports. The file is that of the namespace of whoever opens it.
func (p *testPod) setPorts(low, high int, reserved string) {
	p.inside("sh", "-c", fmt.Sprintf("echo %d %d > %s && echo %s > %s", low, high, portRangeFile, reserved, reservedPortsFile))
}

// The ports that are taken are those that ss shows, by where the connections go, and when the kernel has no further one the
// limit is reached: the range and what is reserved of it are read as they are in the namespace.
func TestPortsEqualSs(t *testing.T) {
	needsRoot(t, "nsenter", "ss")
	pod, neighbour := startInhabited(t), startInhabited(t)
	pod.setPorts(40000, 40099, "40010-40019,40050,50000")
	neighbour.setPorts(50000, 50499, "")
	pod.do("tcp", "127.0.0.1", 12)
	pod.do("tcp", "::1", 20)
	pod.do("closewait", "127.0.0.1", 3) // too few to be told of

	c := noRuntime(t)
	check := func() map[string]string { return tuplesBySs(pod) }
	read := func() map[string]string { return tuplesOf(recordOf(t, Walk(context.Background(), c), pod.uid)) }
	got, want := settled(t, read, check)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ss (-), walk (+):\n%s", diff)
	}
	if got["used"] != "20" || got["limit"] != "89" || got["127.0.0.1 to 127.0.0.1:7000"] != "12" {
		t.Errorf("%v: want 20 of 89 ports", got)
	}

	pod.do("exhaust", "127.0.0.1", 0)
	got, want = settled(t, read, check)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("when they are used up: ss (-), walk (+):\n%s", diff)
	}
	if got["used"] != "89" || got["127.0.0.1 to 127.0.0.1:7004"] != "89" {
		t.Errorf("%v: want 89 of 89 ports, those in TIME_WAIT too", got)
	}

	quiet := recordOf(t, Walk(context.Background(), c), neighbour.uid)
	wantValue(t, quiet, 0, "cosanet_ports_used")
	wantValue(t, quiet, 500, "cosanet_ports_limit")
	wantValue(t, quiet, 1, "cosanet_read_success", "ports")
}

// tuplesOf is what a record says of ports.
func tuplesOf(r *metrics.Record) map[string]string {
	said := map[string]string{}
	for _, s := range r.Samples {
		value := strconv.FormatFloat(s.Value, 'f', -1, 64)
		switch s.Metric.Name {
		case "cosanet_ports_used":
			said["used"] = value
		case "cosanet_ports_limit":
			said["limit"] = value
		case "cosanet_ports_tuple_used":
			said[s.Labels[0].Value+" to "+s.Labels[1].Value+":"+s.Labels[2].Value] = value
		}
	}
	return said
}

// tuplesBySs counts what ss shows of connections whose local port is in the range, and nobody listens there.
func tuplesBySs(p *testPod) map[string]string {
	counts := map[string]int{}
	for l := range strings.Lines(p.inside("ss", "-Htan")) {
		f := strings.Fields(l)
		local, remote := strings.LastIndexByte(f[3], ':'), f[4]
		port, _ := strconv.Atoi(f[3][local+1:])
		if f[0] != "LISTEN" && 40000 <= port && port <= 40099 {
			counts[strings.Trim(f[3][:local], "[]")+" to "+strings.NewReplacer("[", "", "]", "").Replace(remote)]++
		}
	}
	most := 0
	maps.DeleteFunc(counts, func(_ string, n int) bool {
		most = max(most, n)
		return n < 9 // a tenth of 89
	})
	said := map[string]string{"used": strconv.Itoa(most), "limit": "89"}
	for tuple, n := range counts {
		said[tuple] = strconv.Itoa(n)
	}
	return said
}

func TestPortRanges(t *testing.T) {
	for text, want := range map[string][2]uint16{"32768\t60999\n": {32768, 60999}, "1\t65535\n": {1, 65535}, "5\t5": {5, 5}} {
		if low, high, err := parsePortRange([]byte(text)); err != nil || [2]uint16{low, high} != want {
			t.Errorf("%q: %d to %d, %v", text, low, high, err)
		}
	}
	for _, text := range []string{"", "\n", "1\n", "1 70000\n", "2 1\n", "-1 5\n", "a b\n"} {
		if low, high, err := parsePortRange([]byte(text)); err == nil {
			t.Errorf("%q: taken as %d to %d", text, low, high)
		}
	}
	for text, want := range map[string]int{"\n": 0, "": 0, "99\n": 0, "100\n": 1, "100-109,115\n": 11, "1-65535\n": 101, "95-101,200-300\n": 3} {
		if n, err := reservedIn([]byte(text), 100, 200); err != nil || n != want {
			t.Errorf("%q: %d reserved, %v, want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"x", "1-", "1-70000", "1,,2", "-5"} {
		if n, err := reservedIn([]byte(text), 100, 200); err == nil {
			t.Errorf("%q: taken as %d", text, n)
		}
	}
}

// connectionMessage is what the kernel would say of a connection between two ports.
func connectionMessage(state byte, local, remote uint16, destination uint32) []byte {
	m := make([]byte, inetDiagMsgBytes)
	m[0], m[1] = unix.AF_INET, state
	binary.BigEndian.PutUint16(m[4:], local)
	binary.BigEndian.PutUint16(m[6:], remote)
	binary.BigEndian.PutUint32(m[24:], destination)
	return m
}

// A pod that connects everywhere takes no more room than maxTuples, and hides no destination that takes many ports.
func TestPortsAreBounded(t *testing.T) {
	u := newPortUse()
	u.low, u.high, u.limit = 10000, 59999, 50000
	for i := range uint32(60_000) { // in the order of a hash: both kinds mixed
		u.add(connectionMessage(tcpEstablished, uint16(10000+i%50000), 443, i))
		if i%3 == 0 {
			u.add(connectionMessage(tcpEstablished, uint16(10000+i/3), 80, 7))
		}
	}
	if len(u.used) != maxTuples {
		t.Errorf("%d tuples are held, want %d", len(u.used), maxTuples)
	}
	if got := tuplesOf(&metrics.Record{Samples: u.append(nil)}); got["used"] != "20000" || got["0.0.0.0 to 0.0.0.7:80"] != "20000" || len(got) != 3 {
		t.Errorf("%v, want 20000 ports to port 80", got)
	}
}

// Connections that came in take no port out of the range, though they may be in it.
func TestPortsOfListeners(t *testing.T) {
	u := newPortUse()
	u.low, u.high, u.limit = 10000, 10099, 100
	u.add(connectionMessage(tcpListen, 10050, 0, 0))
	for i := range uint16(50) {
		u.add(connectionMessage(tcpEstablished, 10050, 20000+i, 7))
	}
	u.add(connectionMessage(tcpEstablished, 9999, 80, 7))
	u.add(connectionMessage(7, 10001, 0, 0)) // bound, not connected
	if got := tuplesOf(&metrics.Record{Samples: u.append(nil)}); got["used"] != "0" {
		t.Errorf("%v, want no port used", got)
	}
}
