package collector

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// maxInterfaces bounds the devices of one namespace that are shown: a pod with NET_ADMIN can make thousands.
const maxInterfaces = 64

// netdevColumns are the columns of /proc/net/dev, unchanged since Linux 2.2 (dev_seq_show in net/core/net-procfs.c).
var netdevColumns = [...]string{
	"receive_bytes", "receive_packets", "receive_errs", "receive_drop", "receive_fifo", "receive_frame", "receive_compressed", "receive_multicast",
	"transmit_bytes", "transmit_packets", "transmit_errs", "transmit_drop", "transmit_fifo", "transmit_colls", "transmit_carrier", "transmit_compressed",
}

// netdev parses /proc/net/dev: two lines of headings, then a device a line.
//
//	lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
type netdev struct {
	columns [len(netdevColumns)]*metrics.Metric // nil: not asked for
	wanted  int
	names   map[string][]metrics.Label // of the devices last seen: mostly lo and eth0
}

func newNetdev(family func(name string) *metrics.Metric) *netdev {
	d := &netdev{names: map[string][]metrics.Label{}}
	for i, column := range netdevColumns {
		if d.columns[i] = family("cosanet_netdev_" + column + "_total"); d.columns[i] != nil {
			d.wanted++
		}
	}
	return d
}

// parse appends the file's samples to dst; more is the number of devices beyond maxInterfaces.
func (d *netdev) parse(dst []metrics.Sample, file []byte) (_ []metrics.Sample, more int, err error) {
	_, file = line(file)
	heading, file := line(file)
	if !bytes.Contains(heading, []byte("|bytes")) {
		return dst, 0, errMalformed
	}
	for devices := 0; len(file) > 0; devices++ {
		var l []byte
		l, file = line(file)
		if devices >= maxInterfaces {
			more++
			continue
		}
		colon := bytes.IndexByte(l, ':') // dev_valid_name allows no colon in a name
		if colon < 0 {
			return dst, 0, errMalformed
		}
		labels := d.device(bytes.TrimLeft(l[:colon], " "))
		rest := l[colon+1:]
		for _, m := range d.columns {
			var v float64
			if v, rest, err = number(rest); err != nil {
				return dst, 0, err
			}
			if m != nil {
				dst = append(dst, metrics.Sample{Metric: m, Labels: labels, Value: v})
			}
		}
		if !blank(rest) {
			return dst, 0, errMalformed
		}
	}
	return dst, more, nil
}

// device returns the label of a device, shared by all its samples.
func (d *netdev) device(name []byte) []metrics.Label {
	if labels, ok := d.names[string(name)]; ok {
		return labels
	}
	labels := []metrics.Label{{Name: "cosanet_device", Value: printable(name)}}
	if len(d.names) >= 2*maxInterfaces {
		clear(d.names)
	}
	d.names[string(name)] = labels
	return labels
}

// printable makes a device's name valid UTF-8 that can be printed, in a way that keeps two names two. The kernel allows any
// byte but blanks, slash and colon; the exposition format allows no invalid UTF-8; a terminal obeys escape sequences.
func printable(name []byte) string {
	const hex = "0123456789abcdef"
	var s strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRune(name)
		if r == utf8.RuneError && n <= 1 || r == '\\' || !unicode.IsPrint(r) {
			for _, c := range name[:n] {
				s.WriteString(`\x`)
				s.WriteByte(hex[c>>4])
				s.WriteByte(hex[c&15])
			}
		} else {
			s.Write(name[:n])
		}
		name = name[n:]
	}
	return s.String()
}
