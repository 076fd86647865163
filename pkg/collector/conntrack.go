//go:build linux

package collector

import (
	"bytes"
	"errors"
	"io/fs"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// conntrackMax is one limit for the machine; every namespace shows the value of the first.
const conntrackMax = "/proc/sys/net/netfilter/nf_conntrack_max"

// readConntrack reads the connection tracking table's statistics: from /proc/<pid>/net/stat/nf_conntrack, which needs no
// right but exists only with CONFIG_NF_CONNTRACK_PROCFS (default n since Linux 6.0, and off in Ubuntu's kernels), else by
// ctnetlink in the namespace. Of the host also the limit.
func (r *reader) readConntrack(host bool) func(process, []metrics.Sample) ([]metrics.Sample, error) {
	table := r.file("net/stat/nf_conntrack", r.conntrack.parse)
	return func(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
		dst, err := table(p, dst)
		if errors.Is(err, fs.ErrNotExist) {
			if !p.has(conntrackMax) {
				return dst, errAbsent // no connection tracking in this kernel, or its module is not loaded
			}
			dst, err = r.ctnetlink(p, dst)
		}
		if host && err == nil {
			return r.appendConntrackMax(dst)
		}
		return dst, err
	}
}

func (r *reader) appendConntrackMax(dst []metrics.Sample) ([]metrics.Sample, error) {
	file, _, err := process{fd: atCWD}.read(conntrackMax, r.buf)
	if err != nil {
		return dst, err
	}
	limit, _, err := number(bytes.TrimSpace(file))
	return r.append(dst, "cosanet_conntrack_max", limit), err
}

// ctnetlink asks the namespace of a process over netlink, which needs CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_NET_ADMIN.
func (r *reader) ctnetlink(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
	var conn *conntrack.Conn
	err := p.dial(func(c *netlink.Config) (err error) {
		conn, err = conntrack.Dial(c)
		return err
	})
	if err != nil {
		return dst, err
	}
	defer conn.Close()
	global, err := conn.StatsGlobal()
	if err != nil {
		return dst, err
	}
	cpus, err := conn.Stats()
	if err != nil {
		return dst, err
	}
	return r.appendConntrack(dst, global, cpus), nil
}

// appendConntrack sums the CPUs. ti-mo/conntrack does not decode the two newest counters, clash_resolve and
// chain_toolong: they are absent.
func (r *reader) appendConntrack(dst []metrics.Sample, global conntrack.StatsGlobal, cpus []conntrack.Stats) []metrics.Sample {
	var found, invalid, insert, insertFailed, drop, earlyDrop, icmpError, searchRestart uint64
	for _, s := range cpus {
		found += uint64(s.Found)
		invalid += uint64(s.Invalid)
		insert += uint64(s.Insert)
		insertFailed += uint64(s.InsertFailed)
		drop += uint64(s.Drop)
		earlyDrop += uint64(s.EarlyDrop)
		icmpError += uint64(s.Error)
		searchRestart += uint64(s.SearchRestart)
	}
	dst = r.append(dst, "cosanet_conntrack_curr", float64(global.Entries))
	dst = r.append(dst, "cosanet_conntrack_found_total", float64(found))
	dst = r.append(dst, "cosanet_conntrack_invalid_total", float64(invalid))
	dst = r.append(dst, "cosanet_conntrack_insert_total", float64(insert))
	dst = r.append(dst, "cosanet_conntrack_insert_failed_total", float64(insertFailed))
	dst = r.append(dst, "cosanet_conntrack_drop_total", float64(drop))
	dst = r.append(dst, "cosanet_conntrack_early_drop_total", float64(earlyDrop))
	dst = r.append(dst, "cosanet_conntrack_error_total", float64(icmpError))
	return r.append(dst, "cosanet_conntrack_search_restart_total", float64(searchRestart))
}

// dial calls a netlink dialler for the network namespace of the process. To enter one takes CAP_SYS_ADMIN, and
// CAP_SYS_PTRACE to open its handle, which must not be kept: it keeps the namespace, and the host's end of its veth, alive.
func (p process) dial(dialler func(*netlink.Config) error) error {
	if p.inOwnNetNS() {
		return dialler(nil)
	}
	fd, err := openat(p.fd, "ns/net", unix.O_RDONLY)
	if err != nil {
		return err
	}
	ns := netns.NsHandle(fd)
	defer ns.Close()
	return dialler(&netlink.Config{NetNS: int(ns)})
}
