package collector

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Entries are those that conntrack -L lists, by whom they are from and to, NAT followed back. The table is that of a
// namespace that stands for the node's, since that of this machine is not for a test to fill.
func TestOwnersEqualConntrack(t *testing.T) {
	needsRoot(t, "nsenter", "conntrack")
	node := startInhabited(t)
	insert := func(args ...string) { node.inside("conntrack", append([]string{"-I", "-t", "600"}, args...)...) }
	for port := range 3 {
		insert("-p", "tcp", "-s", "10.9.0.1", "-d", "192.0.2.1", "--sport", strconv.Itoa(1000+port), "--dport", "443", "--state", "ESTABLISHED")
	}
	insert("-p", "tcp", "-s", "10.9.0.1", "-d", "192.0.2.1", "--sport", "1010", "--dport", "443", "--state", "TIME_WAIT")
	// From the first pod to a Service whose pod is the second, and from outside to the second, behind the node's address.
	insert("-p", "tcp", "-s", "10.9.0.1", "-d", "10.96.0.10", "-r", "10.9.0.2", "-q", "10.9.0.1", "--sport", "2000", "--dport", "80", "--reply-port-src", "8080", "--reply-port-dst", "2000", "--state", "ESTABLISHED")
	insert("-p", "udp", "-s", "198.51.100.7", "-d", "192.0.2.9", "-r", "10.9.0.2", "-q", "192.0.2.9", "--sport", "53", "--dport", "5353", "--reply-port-src", "53", "--reply-port-dst", "53")
	insert("-p", "udp", "-s", "198.51.100.7", "-d", "198.51.100.8", "--sport", "1", "--dport", "2") // of nobody
	insert("-p", "tcp", "-s", "fd00::1", "-d", "fd00::2", "--sport", "1", "--dport", "2", "--state", "SYN_SENT")

	pods := map[string]string{"10.9.0.1": "first", "fd00::1": "first", "10.9.0.2": "second"}
	o := &ownership{of: map[netip.Addr]*owned{}}
	first := o.claim([]netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fd00::1")})
	second := o.claim([]netip.Addr{netip.MustParseAddr("10.9.0.2")})
	c := noRuntime(t)
	p, err := openProcess(node.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	limit, err := newReader(c, newFamilies(c)).readOwners(context.Background(), p, o)
	if err != nil || limit == 0 {
		t.Fatalf("limit %v, %v", limit, err)
	}
	got := map[string]int{"none": int(o.unattributed)}
	for name, mine := range map[string]*owned{"first": first, "second": second} {
		for _, s := range mine.append(nil) {
			if s.Value > 0 {
				got[name+" "+s.Labels[0].Value+" "+s.Labels[1].Value+" "+s.Labels[2].Value] += int(s.Value)
			}
		}
	}
	want := map[string]int{}
	sources := regexp.MustCompile(`src=(\S+)`)
	for _, family := range []string{"ipv4", "ipv6"} {
		for l := range strings.Lines(node.inside("conntrack", "-L", "-f", family)) {
			f := strings.Fields(l)
			state := f[3]
			if f[0] != "tcp" {
				if state = "REPLIED"; strings.Contains(l, "[UNREPLIED]") {
					state = "UNREPLIED"
				} else if strings.Contains(l, "[ASSURED]") {
					state = "ASSURED"
				}
			}
			ends := sources.FindAllStringSubmatch(l, 2)
			from, to := pods[ends[0][1]], pods[ends[1][1]]
			if from == "" && to == "" {
				want["none"]++
			}
			if from != "" {
				want[fmt.Sprintf("%s %s %s out", from, f[0], state)]++
			}
			if to != "" && to != from {
				want[fmt.Sprintf("%s %s %s in", to, f[0], state)]++
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conntrack -L (-), dump (+):\n%s", diff)
	}
	if got["first tcp ESTABLISHED out"] != 4 || got["second tcp ESTABLISHED in"] != 1 || got["none"] != 1 {
		t.Errorf("%v: the entries are not there", got)
	}
}

// The addresses of a namespace are those that ip shows, but for the loopback's and those of a link.
func TestAddressesEqualIP(t *testing.T) {
	needsRoot(t, "nsenter", "ip")
	pod := startInhabited(t)
	pod.inside("ip", "address", "add", "10.9.0.1/24", "dev", "lo")
	pod.inside("ip", "address", "add", "10.9.9.1", "peer", "10.9.9.2", "dev", "lo")
	pod.inside("ip", "address", "add", "fd00::1/64", "dev", "lo", "nodad")
	p, err := openProcess(pod.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	c := noRuntime(t)
	got, err := newReader(c, newFamilies(c)).readAddresses(p)
	want := []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.9.1"), netip.MustParseAddr("fd00::1")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}

	// In a walk each pod is told what is its own in the node's table, which here may be anything.
	c.ConntrackOwners = true
	s := Walk(context.Background(), c)
	r := recordOf(t, s, pod.uid)
	wantValue(t, r, 1, "cosanet_read_success", "conntrack_owners")
	wantValue(t, r, 0, "cosanet_conntrack_owned_entries", "tcp", "ESTABLISHED", "out")
	if limit, ok := r.Value("cosanet_conntrack_owned_limit"); !ok || limit <= 0 {
		t.Errorf("limit %v", limit)
	}
	wantValue(t, &s.Records[0], 1, "cosanet_read_success", "conntrack_owners")
}

// An address that two namespaces have names neither, and one entry of a pod with itself is one entry.
func TestOwnershipIsTrue(t *testing.T) {
	o := &ownership{of: map[netip.Addr]*owned{}}
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	mine := o.claim([]netip.Addr{a, b, a})
	if err := o.add(trackedEntry(a, a)); err != nil || mine[0][trackedEstablished] != [2]uint32{1, 0} {
		t.Errorf("with itself: %v, %v", mine[0][trackedEstablished], err)
	}
	other := o.claim([]netip.Addr{a})
	o.add(trackedEntry(a, b))
	if mine[0][trackedEstablished] != [2]uint32{1, 1} || *other != (owned{}) || o.unattributed != 0 {
		t.Errorf("an address of two: %v, %v, %d", mine[0][trackedEstablished], *other, o.unattributed)
	}
	o.claim([]netip.Addr{a}) // of three
	o.add(trackedEntry(a, a))
	if o.unattributed != 1 {
		t.Errorf("an address of three: %d of nobody", o.unattributed)
	}
}

// trackedEntry is what the kernel would say of an established connection from one address to another.
func trackedEntry(from, to netip.Addr) []byte {
	attr := func(kind uint16, value ...byte) []byte {
		a := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
		a = append(binary.NativeEndian.AppendUint16(a, kind), value...)
		return append(a, make([]byte, (4-len(a)%4)%4)...)
	}
	tuple := func(kind uint16, source netip.Addr) []byte {
		return attr(kind|unix.NLA_F_NESTED, append(attr(ctaTupleIP|unix.NLA_F_NESTED, attr(ctaIPv4Src, source.AsSlice()...)...),
			attr(ctaTupleProto|unix.NLA_F_NESTED, attr(ctaProtoNum, unix.IPPROTO_TCP)...)...)...)
	}
	state := attr(ctaProtoInfo|unix.NLA_F_NESTED, attr(ctaProtoInfoTCP|unix.NLA_F_NESTED, attr(ctaProtoInfoTCPState, trackedEstablished)...)...)
	return append(append(append(make([]byte, nfGenMsgBytes), tuple(ctaTupleOrig, from)...), tuple(ctaTupleReply, to)...), state...)
}

// FuzzEntry counts whatever the kernel might send once, for somebody or for nobody.
func FuzzEntry(f *testing.F) {
	a := netip.MustParseAddr("10.0.0.1")
	f.Add(trackedEntry(a, a))
	f.Add(make([]byte, nfGenMsgBytes))
	f.Fuzz(func(t *testing.T, entry []byte) {
		if len(entry) < nfGenMsgBytes {
			return
		}
		o := &ownership{of: map[netip.Addr]*owned{}}
		mine := o.claim([]netip.Addr{a})
		if err := o.add(entry); err != nil {
			t.Fatal(err)
		}
		var sum float64
		for _, s := range mine.append([]metrics.Sample(nil)) {
			sum += s.Value
		}
		if sum+float64(o.unattributed) != 1 {
			t.Errorf("counted %v times, %d for nobody", sum, o.unattributed)
		}
	})
}
