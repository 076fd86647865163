package collector

import (
	"bytes"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// sockstat parses /proc/net/sockstat and /proc/net/sockstat6: a line a protocol, pairs of key and value.
//
//	sockets: used 14
//	TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0
//	TCP6: inuse 0
//
// orphan, alloc and mem count the whole machine in every namespace (sockstat_seq_show in net/ipv4/proc.c), so they are
// of the node's row alone.
type sockstat struct {
	known map[string]metrics.Sample // "TCP6 inuse" -> its sample without a value; what is not asked for is missing
}

func newSockstat(family func(name string) *metrics.Metric) *sockstat {
	s := &sockstat{known: map[string]metrics.Sample{}}
	add := func(key, name string, labels []metrics.Label) {
		if m := family("cosanet_sockstat_" + name); m != nil {
			s.known[key] = metrics.Sample{Metric: m, Labels: labels}
		}
	}
	add("sockets used", "sockets_used", nil)
	add("TCP tw", "tcp_tw", nil)
	add("TCP orphan", "tcp_orphan", nil)
	add("TCP alloc", "tcp_alloc", nil)
	add("TCP mem", "tcp_mem_pages", nil)
	add("UDP mem", "udp_mem_pages", nil)
	for _, v := range []struct {
		suffix string
		labels []metrics.Label
	}{{"", ipv4Label}, {"6", ipv6Label}} {
		add("TCP"+v.suffix+" inuse", "tcp_inuse", v.labels)
		add("UDP"+v.suffix+" inuse", "udp_inuse", v.labels)
		add("UDPLITE"+v.suffix+" inuse", "udplite_inuse", v.labels)
		add("RAW"+v.suffix+" inuse", "raw_inuse", v.labels)
		add("FRAG"+v.suffix+" inuse", "frag_inuse", v.labels)
		add("FRAG"+v.suffix+" memory", "frag_memory_bytes", v.labels)
	}
	return s
}

// ipv4Label and ipv6Label are shared by all samples that have them; nobody writes to them.
var (
	ipv4Label = []metrics.Label{{Name: "cosanet_ipversion", Value: "ipv4"}}
	ipv6Label = []metrics.Label{{Name: "cosanet_ipversion", Value: "ipv6"}}
)

// parse appends the file's samples to dst, those of the whole machine only for the host.
func (s *sockstat) parse(dst []metrics.Sample, file []byte, host bool) ([]metrics.Sample, error) {
	key := make([]byte, 0, 32)
	for len(file) > 0 {
		var l []byte
		l, file = line(file)
		proto, pairs, ok := bytes.Cut(l, []byte(": "))
		if !ok {
			return dst, errMalformed
		}
		for !blank(pairs) {
			name, rest, _ := bytes.Cut(pairs, []byte(" "))
			v, rest, err := number(rest)
			if err != nil {
				return dst, err
			}
			key = append(append(append(key[:0], proto...), ' '), name...)
			if sample, ok := s.known[string(key)]; ok && (host || sample.Metric.Scope == metrics.Pod) {
				sample.Value = v
				dst = append(dst, sample)
			}
			pairs = bytes.TrimLeft(rest, " ")
		}
	}
	return dst, nil
}

// parser appends what a file of the kernel says to samples.
type parser func(dst []metrics.Sample, file []byte) ([]metrics.Sample, error)

// parser parses the file of the host, or of another namespace.
func (s *sockstat) parser(host bool) parser {
	return func(dst []metrics.Sample, file []byte) ([]metrics.Sample, error) { return s.parse(dst, file, host) }
}
