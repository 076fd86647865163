package collector

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// diagMessage is a netlink message as sock_diag sends one a socket.
func diagMessage(kind uint16, body []byte) []byte {
	m := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(m, uint32(len(m)+len(body)))
	binary.NativeEndian.PutUint16(m[4:], kind)
	return append(m, body...)
}

func diagSocket(family, state byte) []byte {
	body := make([]byte, inetDiagMsgBytes)
	body[0], body[1] = family, state
	return body
}

// FuzzParseDump walks any datagram of a dump: of each message that it hands on there is a whole socket, it ends, and both who
// count sockets and who gather queues can take it.
func FuzzParseDump(f *testing.F) {
	one := diagMessage(sockDiagByFamily, diagSocket(unix.AF_INET, 10))
	done := diagMessage(unix.NLMSG_DONE, make([]byte, 4))
	refused := diagMessage(unix.NLMSG_ERROR, binary.NativeEndian.AppendUint32(nil, ^uint32(unix.ENOENT)+1))
	for _, seed := range [][]byte{
		nil, one, done, refused,
		append(append(one[:len(one):len(one)], diagMessage(tcpDiagGetSock, diagSocket(unix.AF_INET6, 1))...), done...),
		diagMessage(sockDiagByFamily, append(diagSocket(unix.AF_INET6, 13), 1, 2, 3)), // attributes, and a length that is not aligned
		diagMessage(sockDiagByFamily, diagSocket(unix.AF_UNIX, 0)), one[:len(one)-1], {255, 255, 255, 255}, make([]byte, unix.NLMSG_HDRLEN),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		var counts stateCounts
		queues := newListeners()
		sockets := 0
		_, err := parseDump(datagram, inetDiagMsgBytes, func(socket []byte) error {
			if len(socket) < inetDiagMsgBytes {
				t.Fatalf("a socket of %d bytes", len(socket))
			}
			sockets++
			return errors.Join(counts.add(socket[1]), queues.add(socket))
		})
		if most := len(datagram) / (unix.NLMSG_HDRLEN + inetDiagMsgBytes); sockets > most {
			t.Errorf("%d sockets in %d bytes", sockets, len(datagram))
		}
		if err == nil {
			samples, dropped := queues.append(nil)
			if len(samples) > 2*maxListeners || len(samples)/2+dropped > sockets {
				t.Errorf("%d samples, %d left out, of %d sockets", len(samples), dropped, sockets)
			}
		}
	})
}

// FuzzController takes any names and labels of a pod: a controller has a kind and a name or neither, and the name is a part of
// what named it.
func FuzzController(f *testing.F) {
	f.Add("web-6d4cf56db6-x7k2p", "pod-template-hash", "6d4cf56db6", int64(0))
	f.Add("backup-29000000-x7k2p", "batch.kubernetes.io/job-name", "backup-29000000", int64(29000000*60))
	f.Add("db-0", "statefulset.kubernetes.io/pod-name", "db-0", int64(0))
	f.Add("-bbbbb", "rollouts-pod-template-hash", "", int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, pod, label, value string, created int64) {
		labels := map[string]string{label: value, "pod-template-generation": "1"}
		c := controllerOf(pod, "node-a", labels, map[string]string{label: value}, time.Unix(created, 0))
		if (c.kind == "") != (c.name == "") && value != "" {
			t.Errorf("%q labelled %s=%q: %+v", pod, label, value, c)
		}
		if c.kind != "Node" && !strings.HasPrefix(pod, c.name) && !strings.HasPrefix(value, c.name) {
			t.Errorf("%q labelled %s=%q is of %+v", pod, label, value, c)
		}
	})
}

// FuzzScrapeHeaders takes any headers of a scrape: a format and a bounded time come of them.
func FuzzScrapeHeaders(f *testing.F) {
	f.Add("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", "gzip;q=0.5, *;q=0", "9.5")
	f.Add("*/*", "identity;q=1, *", "1e400")
	f.Add(";q=,;", ";;=,", "NaN")
	f.Fuzz(func(t *testing.T, accept, encoding, timeout string) {
		if got := negotiate(accept); got != metrics.TextFormat && got != metrics.OpenMetricsFormat {
			t.Errorf("%q: format %d", accept, got)
		}
		if acceptsGzip([]string{encoding}) && !strings.Contains(strings.ToLower(encoding), "gzip") && !strings.Contains(encoding, "*") {
			t.Errorf("%q has no gzip", encoding)
		}
		if got := scrapeTimeout(timeout, time.Second); got < 0 || got > maxScrapeTimeout {
			t.Errorf("%q: %s", timeout, got)
		}
	})
}

// FuzzParseProtocols takes any --collector.sockproto.protos: known protocols, none of them twice.
func FuzzParseProtocols(f *testing.F) {
	for _, s := range []string{"", "tcp", "tcp,udp,icmp,udplite,raw", "tcp,tcp", " tcp", ",", "TCP"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ps, err := ParseProtocols(s)
		if err != nil {
			return
		}
		seen := map[Protocol]bool{}
		for _, p := range ps {
			if int(p) >= len(protocols) || seen[p] || !strings.Contains(strings.ToLower(s), p.String()) {
				t.Errorf("%q: %v", s, ps)
			}
			seen[p] = true
		}
	})
}
