//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the demo program: the tests start it so, in network namespaces of its own.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Getenv("BE_THE_DEMO") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestTrouble starts each role in a fresh namespace and waits until the kernel has counted there what the role is for.
func TestTrouble(t *testing.T) {
	needRoot(t)
	tests := []struct {
		name     string
		roles    [][]string // all in one namespace
		file     string
		counters []string
	}{
		{"full listen queue", [][]string{{"full-listen-queue"}}, "netstat", []string{"TcpExt ListenOverflows", "TcpExt ListenDrops"}},
		{"odd replica", [][]string{{"replica", "cart-1", "cart-2"}, {"replica", "cart-2", "cart-2"}}, "netstat", []string{"TcpExt ListenOverflows"}},
		{"slow UDP reader", [][]string{{"slow-udp-reader", ":5353"}, {"udp-sender", "127.0.0.1:5353"}}, "snmp", []string{"Udp RcvbufErrors"}},
		{"HTTP over IPv4", [][]string{{"http-server", ":8080"}, {"http-client", "http://127.0.0.1:8080/"}}, "snmp", []string{"Tcp ActiveOpens", "Tcp OutSegs"}},
		{"HTTP over IPv6", [][]string{{"http-server", ":8080"}, {"http-client", "http://[::1]:8080/"}}, "snmp6", []string{"Ip6InOctets"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ns := newNetNS(t)
			before := ns.counters(t, tt.file)
			for _, args := range tt.roles {
				ns.start(t, args...)
			}
			for _, counter := range tt.counters {
				if _, ok := before[counter]; !ok {
					t.Fatalf("no counter %s in /proc/net/%s", counter, tt.file)
				}
				for ns.counters(t, tt.file)[counter] < before[counter]+3 { // go test's own timeout ends a wait that is in vain
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
}

// TestManySockets wants as many established sockets as were asked for, from more than one process.
func TestManySockets(t *testing.T) {
	needRoot(t)
	const want = socketsPerProcess + 2000
	ns := newNetNS(t)
	ns.start(t, "many-sockets", strconv.Itoa(want))
	for ns.counters(t, "snmp")["Tcp CurrEstab"] != want {
		time.Sleep(50 * time.Millisecond)
	}
}

// TestEnds starts every role and wants each to end cleanly on SIGTERM, as a pod's end is sent.
func TestEnds(t *testing.T) {
	needRoot(t)
	args := map[string]string{"ADDR": "127.0.0.1:8080", "URL": "http://127.0.0.1:8080/", "N": "1000"}
	for _, r := range roles {
		t.Run(r.name, func(t *testing.T) {
			ns := newNetNS(t)
			command := []string{r.name}
			for _, a := range r.args {
				command = append(command, args[a])
			}
			p := ns.start(t, command...)
			if err := p.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(); err != nil {
				t.Errorf("after SIGTERM: %v\n%s", err, p.Stderr)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"no-such-role"}, {"http-client"}, {"idle", "more"}} {
		err := run(t.Context(), args)
		if err == nil || !strings.Contains(err.Error(), "demo full-listen-queue") {
			t.Errorf("run(%q) = %v, want the list of roles", args, err)
		}
	}
}

// netNS is a network namespace that lives as long as the process that holds it.
type netNS struct{ pid int }

func newNetNS(t *testing.T) netNS {
	t.Helper()
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(func() {
		holder.Process.Kill()
		holder.Wait()
	})
	ns := netNS{holder.Process.Pid}
	if out, err := ns.command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("bringing up lo: %v\n%s", err, out)
	}
	return ns
}

func (ns netNS) command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", ns.pid), name}, args...)...)
}

// start runs the demo program in the namespace until the test ends; it returns when the program listens to signals.
func (ns netNS) start(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := ns.command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "BE_THE_DEMO=1")
	cmd.Stderr = new(bytes.Buffer)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("starting %q: %v after %q\n%s", args, err, line, cmd.Stderr)
	}
	return cmd
}

// counters reads a counter file of the namespace: "Proto Name" of snmp and netstat, "Name" of snmp6.
func (ns netNS) counters(t *testing.T, file string) map[string]uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", ns.pid, file))
	if err != nil {
		t.Fatal(err)
	}
	counters := map[string]uint64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		names := strings.Fields(lines.Text())
		if file == "snmp6" {
			counters[names[0]], _ = strconv.ParseUint(names[1], 10, 64)
			continue
		}
		lines.Scan()
		values := strings.Fields(lines.Text())
		for i := 1; i < len(names); i++ {
			counters[strings.TrimSuffix(names[0], ":")+" "+names[i]], _ = strconv.ParseUint(values[i], 10, 64)
		}
	}
	return counters
}

// needRoot skips on a machine where the test cannot run, and fails where it has to.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root, to make network namespaces")
	}
	t.Skip("needs root, to make network namespaces")
}
