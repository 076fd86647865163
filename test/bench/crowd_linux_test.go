package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkCrowd lets 1,000 clients scrape at once, while one more reads its answer a few bytes a second. It fails if one
// of them is not answered.
func BenchmarkCrowd(b *testing.B) {
	const clients = 1000
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			e := start(b, "cosanet", collector(b), append([]string{"-serve"}, everyCounter...)...)
			var one, all []scrape
			var walks float64
			for b.Loop() {
				stop := e.readSlowly(b)
				time.Sleep(600 * time.Millisecond)
				alone, err := e.scrape(encoding)
				if err != nil {
					b.Fatal(err)
				}
				one = append(one, alone)
				before := e.walks(b)
				all = append(all, e.crowd(b, clients, encoding))
				walks = e.walks(b) - before
				stop()
			}
			alone, together := middle(one), middle(all)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(alone.wall.Seconds()*1e3, "ms-alone")
			b.ReportMetric(together.wall.Seconds()*1e3, "ms-all-1000")
			b.ReportMetric(together.cpu.Seconds()/alone.cpu.Seconds(), "cpu/alone")
			b.ReportMetric(walks, "walks")
			b.ReportMetric(float64(e.peak(b))/(1<<20), "peak-MiB")
		})
	}
}

// crowd scrapes from many clients at once and returns what all of them took together.
func (e *exporter) crowd(b *testing.B, clients int, encoding string) scrape {
	b.Helper()
	var wg sync.WaitGroup
	failures := make(chan error, clients)
	begin, cpu := time.Now(), e.cpu()
	for range clients {
		wg.Go(func() {
			if _, err := e.scrape(encoding); err != nil {
				failures <- err
			}
		})
	}
	wg.Wait()
	s := scrape{wall: time.Since(begin), cpu: e.cpu() - cpu}
	close(failures)
	if err, failed := <-failures; failed {
		b.Fatalf("%d of %d scrapes failed, one by %v", len(failures)+1, clients, err)
	}
	return s
}

// readSlowly begins a scrape and takes 100 bytes of it every 100 ms, until stop.
func (e *exporter) readSlowly(b *testing.B) (stop func()) {
	b.Helper()
	conn, err := net.Dial("tcp", e.address)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 100)
		for {
			if _, err := conn.Read(buf); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return func() { conn.Close(); <-done }
}

// walks is how often the exporter has walked so far.
func (e *exporter) walks(b *testing.B) float64 {
	b.Helper()
	m := regexp.MustCompile(`(?m)^cosanet_exporter_walks_total(?:\{[^}]*\})? (\S+)$`).FindSubmatch(e.body(b))
	if m == nil {
		b.Fatal("no cosanet_exporter_walks_total")
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// BenchmarkNeighbour scrapes before and after somebody on the node has opened 200,000 TCP sockets.
func BenchmarkNeighbour(b *testing.B) {
	const sockets = 200_000
	for _, ask := range asks {
		b.Run(ask.name, func(b *testing.B) {
			e := start(b, "cosanet", collector(b), append([]string{"-serve"}, ask.ours...)...)
			var quiet, crowded []scrape
			for b.Loop() {
				quiet = append(quiet, e.some(b)...)
				stop := holdSockets(b, sockets)
				crowded = append(crowded, e.some(b)...)
				stop()
			}
			before, after := middle(quiet), middle(crowded)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(before.wall.Seconds()*1e3, "ms-quiet")
			b.ReportMetric(after.wall.Seconds()*1e3, "ms-crowded")
			b.ReportMetric(after.wall.Seconds()/before.wall.Seconds(), "crowded/quiet")
		})
	}
}

// some are a few scrapes with pauses.
func (e *exporter) some(b *testing.B) (scrapes []scrape) {
	b.Helper()
	for range 10 {
		time.Sleep(600 * time.Millisecond)
		s, err := e.scrape("identity")
		if err != nil {
			b.Fatal(err)
		}
		scrapes = append(scrapes, s)
	}
	return scrapes
}

// holdSockets has a process in a network namespace of its own hold so many sockets until stop.
func holdSockets(b *testing.B, n int) (stop func()) {
	b.Helper()
	cmd := exec.Command("sh", "-c", fmt.Sprintf(`ip link set lo up && exec "$COSANET_DEMO" many-sockets %d`, n))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.Contains(lines.Text(), "ready") {
	}
	if !strings.Contains(lines.Text(), "ready") {
		b.Fatalf("holding %d sockets: %v", n, cmd.Wait())
	}
	return func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Errorf("holding %d sockets: %v", n, err)
		}
	}
}
