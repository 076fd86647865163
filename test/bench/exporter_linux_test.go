// Package bench measures whole exporters, as processes, on a node of the embedded cluster: see run.sh.
package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// collector is the program that is measured. The benchmarks run where a node's namespaces are seen.
func collector(b *testing.B) string {
	b.Helper()
	program := os.Getenv("COSANET_COLLECTOR")
	if program == "" {
		b.Skip("runs on a node: make bench")
	}
	return program
}

// exporter is a process that serves /metrics on loopback.
type exporter struct {
	name    string
	cmd     *exec.Cmd
	address string
}

// start runs an exporter on a port of its own until the benchmark ends, and returns when it has answered once.
func start(b *testing.B, name, program string, args ...string) *exporter {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	e := &exporter{name: name, address: l.Addr().String()}
	l.Close()
	var output bytes.Buffer
	e.cmd = exec.Command(program, append([]string{"-listen", e.address}, args...)...)
	e.cmd.Stdout, e.cmd.Stderr = &output, &output
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := e.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.cmd.Wait() }()
	b.Cleanup(func() { e.cmd.Process.Kill(); <-ended })
	for begin := time.Now(); time.Since(begin) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		if _, err = e.scrape("identity"); err == nil {
			return e
		}
		select {
		case err := <-ended:
			ended <- err
			b.Fatalf("%s ended: %v\n%s", name, err, &output)
		default:
		}
	}
	b.Fatalf("%s does not answer: %v\n%s", name, err, &output)
	return nil
}

// scrape is one answer: how long it took to the last byte, and its size as it came over the wire.
func (e *exporter) scrape(encoding string) (s scrape, err error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+e.address+"/metrics", nil)
	if err != nil {
		return s, err
	}
	request.Header.Set("Accept-Encoding", encoding)
	begin, cpu := time.Now(), e.cpu()
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return s, errors.New(response.Status)
	}
	s.wire, err = io.Copy(io.Discard, response.Body)
	s.wall, s.cpu = time.Since(begin), e.cpu()-cpu
	return s, err
}

type scrape struct {
	wall, cpu time.Duration
	wire      int64
}

// body is the answer as text.
func (e *exporter) body(b *testing.B) []byte {
	b.Helper()
	response, err := http.Get("http://" + e.address + "/metrics") // inflates
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// cpu is what the process has used so far, its ended threads included: its CPU-time clock (clock_getcpuclockid(3)).
func (e *exporter) cpu() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^e.cmd.Process.Pid<<3|2), &t); err != nil {
		return 0 // it has ended, which shows elsewhere
	}
	return time.Duration(t.Nano())
}

// peak is the most memory that the process ever had, in bytes: VmHWM.
func (e *exporter) peak(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	var kib int64
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		b.Fatal(err)
	}
	return kib << 10
}
