package collector

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// BenchmarkSources walks the same namespaces without and with each source that has a switch, in turn, and reports what it
// adds as a ratio: of 150 pods that do nothing, and of one more with 200,000 sockets.
//
//	go test ./pkg/collector -run '^$' -bench '^BenchmarkSources$' -benchtime 10x
func BenchmarkSources(b *testing.B) {
	needsRoot(b)
	startSleepers(b, benchmarkPods)
	for _, sockets := range []int{0, 200_000} {
		if sockets > 0 {
			crowd := startInhabited(b)
			const apart = 20 // neither the descriptors of one process nor the ports for one destination suffice
			for i := range apart {
				crowd.do("apart", "127.0.0."+strconv.Itoa(i+1), sockets/2/apart)
			}
		}
		b.Run(fmt.Sprintf("%d-sockets", sockets), func(b *testing.B) {
			sources := []struct {
				name   string
				choose func(c *Config)
			}{
				{"none", func(*Config) {}},
				{"states", func(c *Config) { c.Protocols = []Protocol{TCP} }},
				{"listen", func(c *Config) { c.Listen = true }},
				{"tcp", func(c *Config) { c.TCPInfo = true }},
				{"ports", func(c *Config) { c.Ports = true }},
				{"all", func(c *Config) { c.Listen, c.TCPInfo, c.Ports, c.Protocols = true, true, true, []Protocol{TCP} }},
			}
			walks := make([]stopwatch, len(sources))
			for b.Loop() {
				for i, source := range sources {
					c := noRuntime(b)
					c.Protocols, c.Listen, c.TCPInfo, c.Ports = nil, false, false, false
					source.choose(c)
					walks[i].measure(func() { Walk(context.Background(), c) })
				}
			}
			for i, source := range sources {
				b.ReportMetric(walks[i].wall(), "ms/"+source.name)
				b.ReportMetric(walks[i].wall()/walks[0].wall(), source.name+"/none")
			}
		})
	}
}

// BenchmarkOwners reads a connection tracking table of a million entries, or as many as this machine admits, in a namespace
// that stands for the node's, and counts them by their owners.
func BenchmarkOwners(b *testing.B) {
	needsRoot(b)
	node := startInhabited(b)
	c := noRuntime(b)
	r := newReader(c, newFamilies(c))
	limit, err := r.readNumbers(conntrackMax, 1)
	if err != nil {
		b.Skip(err)
	}
	entries := int(min(1_000_000, limit[0]*0.9))
	p, err := openProcess(node.pid)
	if err != nil {
		b.Fatal(err)
	}
	defer p.close()
	fillTable(b, p, entries)
	b.ReportAllocs()
	for b.Loop() {
		o := &ownership{of: map[netip.Addr]*owned{}}
		mine := o.claim([]netip.Addr{netip.MustParseAddr("10.0.0.1")})
		if _, err := r.readOwners(context.Background(), p, o); err != nil {
			b.Fatal(err)
		}
		if got := int(mine[0][trackedEstablished][out]); got != entries {
			b.Fatalf("%d entries, want %d", got, entries)
		}
	}
	b.ReportMetric(float64(entries), "entries")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(entries), "ns/entry")
	if out, err := exec.Command("nsenter", "-t", strconv.Itoa(node.pid), "-n", "conntrack", "-F").CombinedOutput(); err != nil {
		b.Errorf("emptying the table: %v: %s", err, out)
	}
}

// fillTable puts entries into the table of a namespace, many to a message.
func fillTable(b *testing.B, p process, entries int) {
	b.Helper()
	var conn *netlink.Conn
	if err := p.dial(func(c *netlink.Config) (err error) {
		conn, err = netlink.Dial(unix.NETLINK_NETFILTER, c)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	for i := range entries {
		entry := newEntry(uint32(i))
		m := netlink.Message{Header: netlink.Header{Type: unix.NFNL_SUBSYS_CTNETLINK << 8, Flags: netlink.Request | netlink.Create | netlink.Excl}, Data: entry}
		if i%1024 == 0 { // whose answer says that those before it are done, too
			m.Header.Flags |= netlink.Acknowledge
			if _, err := conn.Execute(m); err != nil {
				b.Fatalf("entry %d: %v", i, err)
			}
		} else if _, err := conn.Send(m); err != nil {
			b.Fatalf("entry %d: %v", i, err)
		}
	}
}

// newEntry is the request for one more established connection from 10.0.0.1.
func newEntry(i uint32) []byte {
	attr := func(kind uint16, value ...byte) []byte {
		a := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
		a = append(binary.NativeEndian.AppendUint16(a, kind), value...)
		return append(a, make([]byte, (4-len(a)%4)%4)...)
	}
	join := func(parts ...[]byte) (all []byte) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	const nested = unix.NLA_F_NESTED
	source, destination := []byte{10, 0, 0, 1}, []byte{11, byte(i >> 16), byte(i >> 8), byte(i)}
	tuple := func(kind uint16, from, to []byte, ports ...byte) []byte {
		return attr(kind|nested, join(attr(ctaTupleIP|nested, join(attr(ctaIPv4Src, from...), attr(2, to...))...),
			attr(ctaTupleProto|nested, join(attr(ctaProtoNum, unix.IPPROTO_TCP), attr(2, ports[:2]...), attr(3, ports[2:]...))...))...)
	}
	const (
		ctaTimeout      = 7
		statusConfirmed = 1 << 3 // as the kernel has set it by then; to take it back is refused (nf_conntrack_core.c nf_ct_change_status_common)
	)
	return join([]byte{unix.AF_INET, 0, 0, 0},
		tuple(ctaTupleOrig, source, destination, 4, 0, 0, 80), tuple(ctaTupleReply, destination, source, 0, 80, 4, 0),
		attr(ctaTimeout, 0, 0, 14, 16), attr(ctaStatus, 0, 0, 0, statusSeenReply|statusAssured|statusConfirmed),
		attr(ctaProtoInfo|nested, attr(ctaProtoInfoTCP|nested, attr(ctaProtoInfoTCPState, trackedEstablished)...)...))
}
