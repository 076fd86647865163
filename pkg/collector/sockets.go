//go:build linux

package collector

import (
	"errors"
	"io/fs"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Indexes of what is kept by IP version.
const (
	ipv4 = iota
	ipv6
)

// socketFamily is one protocol's family of series, with the labels of every state prepared.
type socketFamily struct {
	protocol Protocol
	metric   *metrics.Metric
	labels   [2][len(socketStates)][]metrics.Label
}

// newSocketFamilies prepares the protocols asked for. They are asked for by name, so no set takes them away.
func newSocketFamilies(ps []Protocol) []socketFamily {
	fs := make([]socketFamily, len(ps))
	for i, p := range ps {
		f := &fs[i]
		f.protocol = p
		f.metric, _ = metrics.Lookup("cosanet_proc_net_" + p.String())
		for v, version := range [2]string{"ipv4", "ipv6"} {
			for state, name := range socketStates {
				f.labels[v][state] = []metrics.Label{{Name: "cosanet_state", Value: name}, {Name: "cosanet_ipversion", Value: version}}
			}
		}
	}
	return fs
}

// always tells which states are said even where no socket is in them, so that zero and unknown stay apart: all of TCP's,
// and of the others those that a socket without connections can be in, connected to one peer or not.
func (p Protocol) always(state string) bool {
	return p == TCP && state != "" || state == "ESTABLISHED" || state == "CLOSE"
}

// readSockets counts the sockets of a namespace by state. TCP and UDP by sock_diag; the others, for which the kernel has no
// sock_diag (ICMP, UDP-Lite) or often none (raw), from their small tables, which need no right over the process. What one
// protocol or IP version fails at takes nothing from the others.
func (r *reader) readSockets(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
	var failures []error
	for i := range r.sockets {
		f := &r.sockets[i]
		var counts [2]stateCounts
		var present [2]bool
		var err error
		switch f.protocol {
		case TCP:
			present, err = r.countTCP(p, &counts)
		case UDP:
			present, err = r.countUDP(p, &counts)
		default:
			present, err = r.readSocketTables(p, f.protocol, &counts)
		}
		failures = append(failures, err)
		for v := range counts {
			if present[v] {
				dst = f.append(dst, v, &counts[v])
			}
		}
	}
	return dst, errors.Join(failures...)
}

func (f *socketFamily) append(dst []metrics.Sample, version int, counts *stateCounts) []metrics.Sample {
	for state, n := range counts {
		if n > 0 || f.protocol.always(socketStates[state]) {
			dst = append(dst, metrics.Sample{Metric: f.metric, Labels: f.labels[version][state], Value: float64(n)})
		}
	}
	return dst
}

// dialSockDiag dials sock_diag in the process's namespace, once for all that is asked there: see hangUp.
func (r *reader) dialSockDiag(p process) (*netlink.Conn, error) {
	if r.diag != nil {
		return r.diag, nil
	}
	err := p.dial(func(c *netlink.Config) (err error) {
		r.diag, err = netlink.Dial(unix.NETLINK_SOCK_DIAG, c)
		return err
	})
	return r.diag, err
}

// hangUp ends what was dialled in the namespace that was read.
func (r *reader) hangUp() {
	if r.diag != nil {
		r.diag.Close()
		r.diag = nil
	}
}

// countTCP counts by sock_diag, embryonic sockets and TIME_WAIT included. present tells which IP versions the kernel has and
// could be counted; so it does below.
func (r *reader) countTCP(p process, counts *[2]stateCounts) (present [2]bool, err error) {
	if err := r.readTCP(p); err != nil {
		return present, err
	}
	*counts = r.tcp.counts
	return [2]bool{ipv4: true, ipv6: p.has("net/sockstat6")}, nil
}

func (r *reader) countUDP(p process, counts *[2]stateCounts) (present [2]bool, err error) {
	diag, err := r.dialSockDiag(p)
	if err != nil {
		return present, err
	}
	for v, family := range [2]byte{unix.AF_INET, unix.AF_INET6} {
		dumpErr := dumpUDP(diag, r.buf, family, &counts[v])
		present[v] = dumpErr == nil
		if !errors.Is(dumpErr, fs.ErrNotExist) {
			err = errors.Join(err, dumpErr)
		}
	}
	return present, err
}

// readSocketTables reads /proc/<pid>/net/raw and raw6, or those of another protocol.
func (r *reader) readSocketTables(p process, protocol Protocol, counts *[2]stateCounts) (present [2]bool, err error) {
	for v, suffix := range [2]string{"", "6"} {
		file, _, readErr := p.read("net/"+protocol.String()+suffix, r.buf)
		if errors.Is(readErr, fs.ErrNotExist) {
			continue // not in this kernel
		}
		if readErr == nil {
			readErr = parseSocketTable(&counts[v], file)
		}
		present[v] = readErr == nil
		err = errors.Join(err, readErr)
	}
	return present, err
}
