package bench

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Which counters the exporters are asked for. The first two give this exporter, beside the switches that it has in common
// with the original, those for what it reads in addition: it then counts the same. The others are what it counts by itself.
var asks = []struct {
	name   string
	ours   []string
	others []string // beside OTHER_ARGS; nil: nothing to compare with
	files  []string // of each namespace, that this exporter reads
}{
	{"same-all", append(everyCounter, sameSources...), everyCounter, sameFiles},
	{"same-default", append(originalDefault, sameSources...), []string{}, sameFiles},
	{"all-counters", everyCounter, everyCounter, allFiles},
	{"default-set", []string{}, []string{}, allFiles},
	{"all-and-sockets", []string{"-metrics=all"}, nil, allFiles},
}

var (
	everyCounter    = []string{"-collector.snmp.metric-include=.*", "-collector.netstat.metric-include=.*"}
	originalDefault = []string{
		"-collector.snmp.metric-include=^(Tcp_((Act|Pass)iveOpens|CurrEstab)|Ip6_(In|Out)Octets|Udp6?_(In|Out)Datagrams)$",
		"-collector.netstat.metric-include=^IpExt_(In|Out)Octets$",
	}
	sameSources = []string{"-collector.sockstat.enabled=false", "-collector.netdev.enabled=false"}
	sameFiles   = []string{"snmp", "snmp6", "netstat", "stat/nf_conntrack"}
	allFiles    = append([]string{"sockstat", "sockstat6", "dev"}, sameFiles...)
)

// BenchmarkScrape scrapes the exporter, and another one (OTHER, its arguments OTHER_ARGS) if there is one, in turn, with
// the least that anybody could do on the same node: open, read and close the same files of each namespace, one after the other,
// and write as many bytes to a connection.
func BenchmarkScrape(b *testing.B) {
	ours := collector(b)
	for _, ask := range asks {
		for _, encoding := range []string{"identity", "gzip"} {
			b.Run(ask.name+"/"+encoding, func(b *testing.B) {
				subjects := []*exporter{start(b, "cosanet", ours, append([]string{"-serve"}, ask.ours...)...)}
				if other := os.Getenv("OTHER"); other != "" && ask.others != nil {
					args := append(strings.Fields(os.Getenv("OTHER_ARGS")), ask.others...)
					subjects = append(subjects, start(b, "other", other, args...))
				}
				compare(b, subjects, encoding, ask.files)
			})
		}
	}
}

func compare(b *testing.B, subjects []*exporter, encoding string, files []string) {
	scrapes := make([][]scrape, len(subjects))
	var bare []scrape
	size := len(subjects[0].body(b))
	processes := onePerNamespace(b)
	for b.Loop() {
		for i, e := range subjects {
			time.Sleep(600 * time.Millisecond) // longer than what the exporters cache for
			s, err := e.scrape(encoding)
			if err != nil {
				b.Fatalf("%s: %v", e.name, err)
			}
			scrapes[i] = append(scrapes[i], s)
		}
		bare = append(bare, readAndWrite(b, processes, files, size))
	}
	floor := middle(bare)
	b.ReportMetric(0, "ns/op") // the sum of all of them and their pauses says nothing
	b.ReportMetric(float64(len(processes)), "namespaces")
	b.ReportMetric(floor.wall.Seconds()*1e3, "ms-bare")
	b.ReportMetric(floor.cpu.Seconds()*1e3, "cpu-ms-bare")
	for i, e := range subjects {
		m := middle(scrapes[i])
		b.ReportMetric(m.wall.Seconds()*1e3, "ms-"+e.name)
		b.ReportMetric(m.cpu.Seconds()*1e3, "cpu-ms-"+e.name)
		b.ReportMetric(float64(m.wire)/1e6, "wire-MB-"+e.name)
		b.ReportMetric(float64(len(e.body(b)))/1e6, "text-MB-"+e.name)
		b.ReportMetric(float64(e.peak(b))/(1<<20), "peak-MiB-"+e.name)
		b.ReportMetric(m.wall.Seconds()/floor.wall.Seconds(), "wall/bare-"+e.name)
		b.ReportMetric(m.cpu.Seconds()/floor.cpu.Seconds(), "cpu/bare-"+e.name)
	}
	if len(subjects) == 2 {
		ours, other := middle(scrapes[0]), middle(scrapes[1])
		b.ReportMetric(other.wall.Seconds()/ours.wall.Seconds(), "x-faster")
		b.ReportMetric(other.cpu.Seconds()/ours.cpu.Seconds(), "x-less-cpu")
	}
}

// middle is the median of each figure.
func middle(s []scrape) scrape {
	at := func(figure func(scrape) int64) int64 {
		var values []int64
		for _, v := range s {
			values = append(values, figure(v))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return scrape{
		wall: time.Duration(at(func(s scrape) int64 { return int64(s.wall) })),
		cpu:  time.Duration(at(func(s scrape) int64 { return int64(s.cpu) })),
		wire: at(func(s scrape) int64 { return s.wire }),
	}
}

// onePerNamespace returns a process for each network namespace of the node.
func onePerNamespace(b *testing.B) []int {
	b.Helper()
	seen := map[uint64]bool{}
	var pids []int
	stats, err := filepath.Glob("/proc/[0-9]*/net/snmp")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range stats {
		info, err := os.Stat(path)
		if err != nil {
			continue // it has ended
		}
		if inode := info.Sys().(*syscall.Stat_t).Ino; !seen[inode] {
			seen[inode] = true
			pid, err := strconv.Atoi(strings.Split(path, "/")[2])
			if err != nil {
				b.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// readAndWrite opens, reads and closes files of each process, and writes size bytes to a loopback connection that somebody
// reads.
func readAndWrite(b *testing.B, pids []int, files []string, size int) scrape {
	b.Helper()
	runtime.LockOSThread() // its clock is then that of this function, without the reader's part
	defer runtime.UnlockOSThread()
	conn, drained := sink(b)
	begin, cpu := time.Now(), threadCPU(b)
	buf := make([]byte, 64<<10)
	for _, pid := range pids {
		for _, name := range files {
			readFile(b, fmt.Sprintf("/proc/%d/net/%s", pid, name), buf)
		}
	}
	for left := size; left > 0; left -= len(buf) {
		if _, err := conn.Write(buf[:min(left, len(buf))]); err != nil {
			b.Fatal(err)
		}
	}
	conn.Close()
	used := threadCPU(b) - cpu
	<-drained
	return scrape{wall: time.Since(begin), cpu: used, wire: int64(size)}
}

// sink is a connection to somebody who reads all that is written, and then closes drained.
func sink(b *testing.B) (conn net.Conn, drained <-chan struct{}) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	if conn, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		b.Fatal(err)
	}
	reader, err := listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer reader.Close()
		io.Copy(io.Discard, reader)
	}()
	return conn, done
}

func threadCPU(b *testing.B) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

func readFile(b *testing.B, path string, buf []byte) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return // the process has ended
	}
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for {
		n, err := f.Read(buf)
		if n == 0 || err != nil {
			return
		}
	}
}
