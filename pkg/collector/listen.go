//go:build linux

package collector

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// maxListeners bounds the listening addresses of one namespace that are shown: a pod can listen on every port there is.
const maxListeners = 64

// listening is where a socket listens.
type listening struct {
	version int // ipv4 or ipv6, by the family of the socket
	address netip.Addr
	port    uint16
}

// acceptQueue is what ss -lt shows as Recv-Q and Send-Q: connections that wait to be accepted, and how many may.
type acceptQueue struct{ length, limit uint32 }

// fuller orders queues by the share that is taken. One that admits n connections is full with n+1 (sk_acceptq_is_full).
func (q acceptQueue) fuller(than acceptQueue) int {
	return cmp.Or(cmp.Compare(uint64(than.length)*(uint64(q.limit)+1), uint64(q.length)*(uint64(than.limit)+1)), cmp.Compare(than.length, q.length))
}

// listeners gathers the accept queues of a namespace. Of several sockets at one listening (SO_REUSEPORT), each with a queue
// of its own, the fullest is kept: a sum would hide it.
type listeners struct {
	queues map[listening]acceptQueue
	length *metrics.Metric
	limit  *metrics.Metric
}

// newListeners prepares the families. They are asked for by name, so no set takes them away.
func newListeners() *listeners {
	l := &listeners{queues: map[listening]acceptQueue{}}
	l.length, _ = metrics.Lookup("cosanet_listen_queue_length")
	l.limit, _ = metrics.Lookup("cosanet_listen_queue_limit")
	return l
}

// readListen appends what the dump of the namespace found.
func (r *reader) readListen(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
	if err := r.readTCP(p); err != nil {
		return dst, err
	}
	dst, dropped := r.tcp.listen.append(dst)
	r.dropped[ofListeners] += 2 * dropped // a length and a limit
	return dst, nil
}

// add notes the queue of one socket. In a listening one idiag_rqueue is sk_ack_backlog and idiag_wqueue sk_max_ack_backlog.
func (l *listeners) add(socket []byte) error {
	version, err := ipVersion(socket)
	if err != nil {
		return err
	}
	address := netip.AddrFrom4([4]byte(socket[8:12]))
	if version == ipv6 {
		address = netip.AddrFrom16([16]byte(socket[8:24]))
	}
	at := listening{version, address, binary.BigEndian.Uint16(socket[4:])}
	q := acceptQueue{binary.NativeEndian.Uint32(socket[56:]), binary.NativeEndian.Uint32(socket[60:])}
	if other, ok := l.queues[at]; !ok || q.fuller(other) < 0 {
		l.queues[at] = q
	}
	return nil
}

// append appends the queues, the fullest maxListeners of them in the order of their ports.
func (l *listeners) append(dst []metrics.Sample) (_ []metrics.Sample, dropped int) {
	shown := make([]listening, 0, len(l.queues))
	for at := range l.queues {
		shown = append(shown, at)
	}
	place := func(a, b listening) int {
		return cmp.Or(cmp.Compare(a.port, b.port), cmp.Compare(a.version, b.version), a.address.Compare(b.address))
	}
	if len(shown) > maxListeners {
		slices.SortFunc(shown, func(a, b listening) int { return cmp.Or(l.queues[a].fuller(l.queues[b]), place(a, b)) })
		shown, dropped = shown[:maxListeners], len(shown)-maxListeners
	}
	slices.SortFunc(shown, place)
	first := len(dst)
	for _, at := range shown {
		dst = append(dst, metrics.Sample{Metric: l.length, Labels: at.labels(), Value: float64(l.queues[at].length)})
	}
	for i, at := range shown {
		dst = append(dst, metrics.Sample{Metric: l.limit, Labels: dst[first+i].Labels, Value: float64(l.queues[at].limit)})
	}
	return dst, dropped
}

func (at listening) labels() []metrics.Label {
	return []metrics.Label{
		{Name: "cosanet_listen_address", Value: at.address.String()},
		{Name: "cosanet_listen_port", Value: strconv.Itoa(int(at.port))},
		{Name: "cosanet_ipversion", Value: [2]string{"ipv4", "ipv6"}[at.version]},
	}
}
