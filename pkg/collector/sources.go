//go:build linux

package collector

import (
	"errors"
	"io/fs"

	"github.com/mdlayher/netlink"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// reader reads namespaces one after another. Each worker of a walk has one of its own: a buffer, and what the parsers
// remember of the kernel's headings.
type reader struct {
	config   *Config
	families *families
	buf      []byte
	dropped  [len(bounds)]int // series that were left out

	snmp      *twoLine
	netstat   *twoLine
	snmp6     *snmp6
	sockstat  *sockstat
	netdev    *netdev
	conntrack *conntrackStat
	sockets   []socketFamily
	tcp       *tcpDump
	diag      *netlink.Conn // sock_diag of the namespace that is being read; nil: nothing asked there yet
	ofPod     []source
	ofGuest   []source // of a pod with a kernel of its own
	ofHost    []source
	expected  int // samples of the last namespace, to make room for those of the next at once

	readSuccess *metrics.Metric
	sourceLabel map[string][]metrics.Label // of cosanet_read_success
	openedSnmp  int                        // net/snmp of the namespace that is being read
}

func newReader(c *Config, f *families) *reader {
	file := func(name string) func(proto, field string) *metrics.Metric {
		return func(proto, field string) *metrics.Metric { return f.field(name, proto, field) }
	}
	r := &reader{
		config: c, families: f, buf: make([]byte, maxFileBytes),
		snmp:      newTwoLine(file("snmp")),
		netstat:   newTwoLine(file("netstat")),
		snmp6:     newSnmp6(file("snmp6")),
		sockstat:  newSockstat(f.family),
		netdev:    newNetdev(f.family),
		conntrack: newConntrackStat(f.family),
		sockets:   newSocketFamilies(c.Protocols),
		tcp:       newTCPDump(c),
		expected:  64,

		readSuccess: f.family("cosanet_read_success"), sourceLabel: map[string][]metrics.Label{},
	}
	r.ofPod, r.ofGuest, r.ofHost = r.sources(false), []source{r.devices()}, r.sources(true)
	return r
}

// bounds are what cuts off what a pod can have any number of, as cosanet_dropped_series names them.
var bounds = [...]string{ofDevices: "interfaces", ofListeners: "listeners"}

const (
	ofDevices   = iota // maxInterfaces
	ofListeners        // maxListeners
)

// source is one thing that is read of a namespace, under the name that cosanet_read_success gives it.
type source struct {
	name     string
	wanted   bool
	optional bool // IPv6 may be off: a file that does not exist is then absent, and not a failure
	partial  bool // what was read before a failure is whole in itself and is kept
	read     func(p process, dst []metrics.Sample) ([]metrics.Sample, error)
}

// errAbsent says that the kernel does not have what was asked for: neither a value nor a failure.
var errAbsent = errors.New("not in this kernel")

// sources are what is read of a namespace, of the host's also what the kernel counts for the whole machine.
func (r *reader) sources(host bool) []source {
	c := r.config
	return []source{
		{name: "snmp", wanted: c.Snmp, read: r.readSnmp},
		{name: "snmp6", wanted: c.Snmp, optional: true, read: r.file("net/snmp6", r.snmp6.parse)},
		{name: "netstat", wanted: c.Netstat, read: r.file("net/netstat", r.netstat.parse)},
		{name: "sockstat", wanted: c.Sockstat && len(r.sockstat.known) > 0, read: r.file("net/sockstat", r.sockstat.parser(host))},
		{name: "sockstat6", wanted: c.Sockstat && len(r.sockstat.known) > 0, optional: true, read: r.file("net/sockstat6", r.sockstat.parser(host))},
		r.devices(),
		{name: "conntrack", wanted: c.Conntrack, read: r.readConntrack(host)},
		{name: "softnet", wanted: host, read: r.file("net/softnet_stat", r.parseSoftnet)},
		{name: "limits", wanted: host, optional: true, read: r.readLimits},
		{name: "neighbour", wanted: host, optional: true, read: r.readNeighbours},
		{name: "sockets", wanted: len(r.sockets) > 0, partial: true, read: r.readSockets},
		{name: "listen", wanted: c.Listen, read: r.readListen},
		{name: "tcp", wanted: c.TCPInfo, read: r.readTCPInfo},
		{name: "ports", wanted: c.Ports, read: r.readPorts},
	}
}

// devices are all that is seen from outside of a pod with a kernel of its own.
func (r *reader) devices() source {
	return source{name: "netdev", wanted: r.config.Netdev && r.netdev.wanted > 0, read: r.readDevices}
}

func (r *reader) parseSoftnet(dst []metrics.Sample, file []byte) ([]metrics.Sample, error) {
	return parseSoftnet(r.families.family, dst, file)
}

func (r *reader) file(name string, parse parser) func(process, []metrics.Sample) ([]metrics.Sample, error) {
	name += "\x00" // see openat
	return func(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
		file, _, err := p.read(name, r.buf)
		if err != nil {
			return dst, err
		}
		return parse(dst, file)
	}
}

// readSnmp reads the file that has identified the namespace.
func (r *reader) readSnmp(_ process, dst []metrics.Sample) ([]metrics.Sample, error) {
	file, _, err := readWhole(r.openedSnmp, r.buf)
	if err != nil {
		return dst, err
	}
	return r.snmp.parse(dst, file)
}

// readDevices reads net/dev, the one file that a pod can make larger than the bound: by making devices.
func (r *reader) readDevices(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
	file, more, err := p.read("net/dev\x00", r.buf)
	if err != nil && !errors.Is(err, errTooLarge) {
		return dst, err
	}
	dst, extra, err := r.netdev.parse(dst, file)
	r.dropped[ofDevices] += (more + extra) * r.netdev.wanted
	return dst, err
}

// samples reads sources of a process's namespace into dst. What fails is said in the samples and never ends the others.
func (r *reader) samples(p process, sources []source, dst []metrics.Sample) (samples []metrics.Sample, failed bool) {
	defer r.hangUp()
	r.tcp.forget()
	samples = dst
	for i := range sources {
		s := &sources[i]
		if !s.wanted {
			continue
		}
		read, err := s.read(p, samples)
		switch {
		case err == nil:
			samples = r.success(read, s.name, true)
		case errors.Is(err, errAbsent), s.optional && errors.Is(err, fs.ErrNotExist):
			// samples as they were: whatever was read of the source is left out
		default:
			failed = true
			if s.partial {
				samples = read
			}
			samples = r.success(samples, s.name, false)
		}
	}
	r.expected = len(samples) + 1
	return samples, failed
}

// success appends whether a source could be read.
func (r *reader) success(dst []metrics.Sample, source string, ok bool) []metrics.Sample {
	labels := r.sourceLabel[source]
	if labels == nil {
		labels = []metrics.Label{{Name: "source", Value: source}}
		r.sourceLabel[source] = labels
	}
	if r.readSuccess != nil {
		dst = append(dst, metrics.Sample{Metric: r.readSuccess, Labels: labels, Value: boolean(ok)})
	}
	return dst
}

func (r *reader) append(dst []metrics.Sample, name string, v float64, labels ...metrics.Label) []metrics.Sample {
	if m := r.families.family(name); m != nil {
		dst = append(dst, metrics.Sample{Metric: m, Labels: labels, Value: v})
	}
	return dst
}

// appendNamed appends a sample of a source that is asked for by its name, so that no set takes it away.
func appendNamed(dst []metrics.Sample, name string, v float64, labels ...metrics.Label) []metrics.Sample {
	m, _ := metrics.Lookup(name)
	return append(dst, metrics.Sample{Metric: m, Labels: labels, Value: v})
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
