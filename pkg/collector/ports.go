//go:build linux

package collector

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// The range out of which connect takes local ports, and what it leaves out of it. Both are each namespace's own and are
// those of the thread that asks.
const (
	portRangeFile     = "/proc/sys/net/ipv4/ip_local_port_range"
	reservedPortsFile = "/proc/sys/net/ipv4/ip_local_reserved_ports"
)

// Bounds of what is held and shown of a namespace. The kernel names sockets in the order of their hash: a tuple that takes a
// good part of all sockets has shown itself long before there are so many others.
const (
	maxTuples   = 8192
	shownTuples = 3
	shownShare  = 10 // percent of the limit
)

// tuple is what the local ports of connections are used up by: from one address to one address and port.
type tuple struct {
	source, destination [16]byte
	port                uint16
	family              uint8
}

// portUse counts the local ports that a namespace's connections take out of its range, by tuple. Two connections of a tuple
// have two ports.
type portUse struct {
	low, high uint16 // the range, both ends included
	limit     int    // ports in it that are not reserved
	err       error  // of reading it

	listening [1 << 16 / 64]uint64 // a bit a port: connections that came to these take none
	used      map[tuple]int
}

func newPortUse() *portUse { return &portUse{used: map[tuple]int{}} }

func (u *portUse) reset() {
	clear(u.listening[:])
	clear(u.used)
}

// readRange reads the range of a process's namespace.
func (u *portUse) readRange(p process, buf []byte) {
	u.limit = 0
	u.err = p.enter(func() error {
		file, _, err := process{fd: atCWD}.read(portRangeFile, buf)
		if err != nil {
			return err
		}
		if u.low, u.high, err = parsePortRange(file); err != nil {
			return err
		}
		if file, _, err = (process{fd: atCWD}).read(reservedPortsFile, buf); err != nil {
			return err
		}
		reserved, err := reservedIn(file, u.low, u.high)
		u.limit = int(u.high) - int(u.low) + 1 - reserved
		return err
	})
}

// parsePortRange parses two ports: "32768\t60999\n".
func parsePortRange(file []byte) (low, high uint16, err error) {
	var ports [2]uint16
	for i := range ports {
		v, rest, err := number(bytes.TrimSuffix(file, []byte("\n")))
		if err != nil || v != float64(uint16(v)) {
			return 0, 0, errMalformed
		}
		ports[i], file = uint16(v), rest
	}
	if ports[0] > ports[1] {
		return 0, 0, errMalformed
	}
	return ports[0], ports[1], nil
}

// reservedIn counts the ports of a list such as "8080,9000-9010\n" that are in a range. The kernel writes them in order,
// none twice.
func reservedIn(list []byte, low, high uint16) (n int, err error) {
	for len(bytes.TrimSpace(list)) > 0 {
		var part []byte
		part, list, _ = bytes.Cut(bytes.TrimSpace(list), []byte(","))
		first, last, isRange := bytes.Cut(part, []byte("-"))
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(string(first), 10, 16)
		if err != nil {
			return 0, errMalformed
		}
		to, err := strconv.ParseUint(string(last), 10, 16)
		if err != nil {
			return 0, errMalformed
		}
		n += max(0, min(int(to), int(high))-max(int(from), int(low))+1)
	}
	return n, nil
}

// add notes the local port of a socket. The kernel names listening sockets before all others.
func (u *portUse) add(socket []byte) {
	local, remote := binary.BigEndian.Uint16(socket[4:]), binary.BigEndian.Uint16(socket[6:])
	switch {
	case socket[1] == tcpListen:
		u.listening[local/64] |= 1 << (local % 64)
		return
	case remote == 0 || local < u.low || local > u.high || u.listening[local/64]&(1<<(local%64)) != 0:
		return
	}
	t := tuple{[16]byte(socket[8:24]), [16]byte(socket[24:40]), remote, socket[0]}
	n, known := u.used[t]
	if known || len(u.used) < maxTuples {
		u.used[t] = n + 1
	}
}

// readPorts appends what the dump of the namespace counted.
func (r *reader) readPorts(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
	err := cmp.Or(r.readTCP(p), r.tcp.ports.err)
	if err != nil {
		return dst, err
	}
	return r.tcp.ports.append(dst), nil
}

func (u *portUse) append(dst []metrics.Sample) []metrics.Sample {
	fullest := u.fullest()
	used := 0
	if len(fullest) > 0 {
		used = u.used[fullest[0]]
	}
	dst = appendNamed(dst, "cosanet_ports_used", float64(used))
	dst = appendNamed(dst, "cosanet_ports_limit", float64(u.limit))
	for _, t := range fullest {
		if n := u.used[t]; 100*n >= shownShare*u.limit {
			dst = appendNamed(dst, "cosanet_ports_tuple_used", float64(n), t.labels()...)
		}
	}
	return dst
}

// fullest are the tuples with the most ports.
func (u *portUse) fullest() []tuple {
	top := make([]tuple, 0, shownTuples+1)
	more := func(a, b tuple) int {
		return cmp.Or(cmp.Compare(u.used[b], u.used[a]), cmp.Compare(a.port, b.port), bytes.Compare(a.destination[:], b.destination[:]), bytes.Compare(a.source[:], b.source[:]))
	}
	for t := range u.used {
		at, _ := slices.BinarySearchFunc(top, t, more)
		if at < shownTuples {
			top = slices.Insert(top, at, t)
			top = top[:min(len(top), shownTuples)]
		}
	}
	return top
}

func (t *tuple) labels() []metrics.Label {
	return []metrics.Label{
		{Name: "cosanet_port_source", Value: diagAddress(t.family, t.source)},
		{Name: "cosanet_port_destination", Value: diagAddress(t.family, t.destination)},
		{Name: "cosanet_port_number", Value: strconv.Itoa(int(t.port))},
	}
}

// diagAddress writes an address as sock_diag has it.
func diagAddress(family uint8, a [16]byte) string {
	if family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(a[:4])).String()
	}
	return netip.AddrFrom16(a).Unmap().String()
}
