//go:build linux

package collector

import (
	"errors"
	"io/fs"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Limits that the kernel has once for the machine and shows in its first namespace alone (ipv4_table of
// net/ipv4/sysctl_net_ipv4.c): a node that is itself a container has none to show.
const (
	tcpMemoryFile  = "/proc/sys/net/ipv4/tcp_mem"
	tcpOrphansFile = "/proc/sys/net/ipv4/tcp_max_orphans"
)

// readLimits reads the limits of TCP on the machine, in the namespace of the host.
func (r *reader) readLimits(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
	err := p.enter(func() error {
		memory, err := r.readNumbers(tcpMemoryFile, 3) // low, pressure, high
		if err != nil {
			return err
		}
		orphans, err := r.readNumbers(tcpOrphansFile, 1)
		if err != nil {
			return err
		}
		dst = r.append(dst, "cosanet_limits_tcp_memory_pressure_pages", memory[1])
		dst = r.append(dst, "cosanet_limits_tcp_memory_high_pages", memory[2])
		dst = r.append(dst, "cosanet_limits_tcp_orphans", orphans[0])
		return nil
	})
	return dst, err
}

// readNumbers reads a file of one line of so many numbers.
func (r *reader) readNumbers(path string, n int) ([]float64, error) {
	file, _, err := process{fd: atCWD}.read(path, r.buf)
	if err != nil {
		return nil, err
	}
	return parseNumbers(file, n)
}

// neighbourTables are the tables of neighbours, each one for the machine (arp_tbl, nd_tbl): their statistics below
// /proc/1/net, which only the first namespace has, and the number of entries that they may have.
var neighbourTables = [...]struct {
	statistics, limit string
	version           []metrics.Label
}{
	{"net/stat/arp_cache\x00", "/proc/sys/net/ipv4/neigh/default/gc_thresh3", ipv4Label},
	{"net/stat/ndisc_cache\x00", "/proc/sys/net/ipv6/neigh/default/gc_thresh3", ipv6Label},
}

// readNeighbours reads the tables of neighbours. IPv6 may be off.
func (r *reader) readNeighbours(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
	whole := dst
	for _, table := range neighbourTables {
		file, _, err := p.read(table.statistics, r.buf)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return dst, err
		}
		entries, full, err := parseNeighbours(file)
		if err != nil {
			return dst, err
		}
		var limit []float64
		if err := p.enter(func() (err error) {
			limit, err = r.readNumbers(table.limit, 1)
			return err
		}); err != nil {
			return dst, err
		}
		whole = r.append(whole, "cosanet_neighbour_entries", entries, table.version...)
		whole = r.append(whole, "cosanet_neighbour_limit", limit[0], table.version...)
		whole = r.append(whole, "cosanet_neighbour_table_full_total", full, table.version...)
	}
	if len(whole) == len(dst) {
		return dst, errAbsent
	}
	return whole, nil
}
