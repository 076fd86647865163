package collector

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// once runs the program for one frame of everything and returns it, decoded.
func (p profile) once(t *testing.T, proc procMount, program string, args ...string) *metrics.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := p.command(ctx, append([]string{program, "--once", "--node", "node-a", "--run", "r", "--metrics", "all"}, args...)...)
	if proc != "" {
		mount := `mount -t proc -o ` + string(proc) + ` proc /proc && exec "$@"`
		cmd.Args = append([]string{"unshare", "--mount", "sh", "-c", mount, "sh"}, cmd.Args...)
		cmd.Path = "/usr/bin/unshare"
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", p.name, err, &stderr)
	}
	return decodeFrame(t, out)
}

// procMount are the options of a /proc of its own; empty: that of the machine.
type procMount string

// startTargets starts a pod of each kind that a node may have, by what its process is.
func startTargets(t *testing.T) map[string]*testPod {
	t.Helper()
	targets := map[string]*testPod{
		"A root with every capability": startInhabited(t),
		"B nobody, as pause is":        startPod(t, syscall.CLONE_NEWNET, "setpriv", "--reuid", "65535", "--regid", "65535", "--clear-groups", "--bounding-set", "-all", "sleep", "infinity"),
		"C in a user namespace":        startPod(t, 0, "unshare", "--user", "--map-root-user", "--net", "sleep", "infinity"),
		"D root, not dumpable":         startInhabited(t),
		"E root as docker has it":      startPod(t, syscall.CLONE_NEWNET, "setpriv", "--bounding-set", "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot", "sleep", "infinity"),
	}
	targets["D root, not dumpable"].do("nodump")
	for name, pod := range targets {
		if name[0] == 'A' || name[0] == 'D' {
			continue
		}
		waitFor(t, name, func() bool { // the program of the pod has been exec'd by what prepared it
			comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pod.pid))
			return err == nil && string(comm) == "sleep\n"
		})
	}
	return targets
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// seen is what a profile shows of a target.
type seen struct {
	Named   bool            // namespace and name, from the container runtime
	Inode   bool            // of the network namespace
	Read    map[string]bool // by source
	Sockets bool            // any series of TCP or UDP sockets, or of accept queues
}

func seenOf(r *metrics.Record) seen {
	s := seen{Named: r.Sandbox.Pod != "", Inode: r.Sandbox.Inode != 0, Read: map[string]bool{}}
	for _, sample := range r.Samples {
		switch name := sample.Metric.Name; {
		case name == "cosanet_read_success":
			s.Read[sample.Labels[0].Value] = sample.Value == 1
		case name == "cosanet_proc_net_tcp", name == "cosanet_proc_net_udp", strings.HasPrefix(name, "cosanet_listen_"):
			s.Sockets = true
		}
	}
	return s
}

// TestPrivileges is the table of what each profile can read of each kind of pod, and of what it says that it cannot. It is
// the same for every kind of pod: with the profile's rights none of them can be kept out, and none lets more in.
func TestPrivileges(t *testing.T) {
	needsRoot(t, "setpriv", "unshare", "go")
	program := program(t)
	targets := startTargets(t)
	listening := targets["A root with every capability"]
	listening.do("tcp", "127.0.0.1", 1)
	socket := rootsRuntime(t, listening)

	all := map[string]bool{"snmp": true, "snmp6": true, "netstat": true, "sockstat": true, "sockstat6": true, "netdev": true, "conntrack": true, "sockets": true, "listen": true, "tcp": true, "ports": true}
	counters := map[string]bool{"snmp": true, "snmp6": true, "netstat": true, "sockstat": true, "sockstat6": true, "netdev": true, "conntrack": true, "sockets": false, "listen": false, "tcp": false, "ports": false}
	if _, err := os.Stat("/proc/net/stat/nf_conntrack"); err != nil {
		t.Skip("without /proc/net/stat/nf_conntrack the table is another: docs/security.md")
	}
	tests := []struct {
		profile profile
		proc    procMount
		want    seen
		runtime bool // the container runtime may be asked
		nobody  bool // no process can be seen, so that no pod is found, which is said
	}{
		{profile: profiles[0], want: seen{Inode: true, Read: all, Sockets: true}, runtime: true},
		{profile: profiles[1], want: seen{Inode: true, Read: all, Sockets: true}, runtime: true},
		{profile: profiles[2], want: seen{Read: counters}},
		{profile: profiles[0], proc: "hidepid=2", want: seen{Inode: true, Read: all, Sockets: true}, runtime: true},
		{profile: profiles[1], proc: "hidepid=2", want: seen{Inode: true, Read: all, Sockets: true}, runtime: true},
		{profile: profiles[2], proc: "hidepid=1", nobody: true},
		{profile: profiles[2], proc: "hidepid=2", nobody: true},
		{profile: profiles[2], proc: "hidepid=4", nobody: true},
	}
	shown, lost := 0, 0
	for _, test := range tests {
		t.Run(strings.TrimSpace(test.profile.name+" "+string(test.proc)), func(t *testing.T) {
			s := test.profile.once(t, test.proc, program, "--cri-socket", socket)
			found := map[string]bool{}
			for _, r := range s.Records {
				for _, sample := range r.Samples {
					if sample.Metric.Name == "cosanet_discovery_success" {
						found[sample.Labels[0].Value] = sample.Value == 1
					}
				}
			}
			if diff := cmp.Diff(map[string]bool{"cri": test.runtime, "cgroup": !test.nobody}, found); diff != "" {
				t.Errorf("cosanet_discovery_success (-want +got):\n%s", diff)
			}
			for name, pod := range targets {
				shown++
				i := slices.IndexFunc(s.Records, func(r metrics.Record) bool { return r.Sandbox.UID == pod.uid })
				switch {
				case test.nobody && i >= 0:
					t.Errorf("%s: %+v, but no process can be seen", name, s.Records[i].Sandbox)
				case test.nobody:
					continue
				case test.runtime && pod != listening: // the runtime knows one pod, and its list decides
					if i >= 0 {
						t.Errorf("%s: shown, though the runtime does not have it", name)
					}
					continue
				case i < 0:
					t.Errorf("%s: has no record", name)
				default:
					want := test.want
					want.Named = test.runtime
					if diff := cmp.Diff(want, seenOf(&s.Records[i])); diff != "" {
						t.Errorf("%s (-want +got):\n%s", name, diff)
					} else {
						continue
					}
				}
				lost++
			}
			if !test.runtime {
				return
			}
			// Once more without the runtime, where every pod is found.
			s = test.profile.once(t, test.proc, program, "--cri-socket", "/none")
			for name, pod := range targets {
				shown++
				if diff := cmp.Diff(test.want, seenOf(recordOf(t, s, pod.uid))); diff != "" {
					lost++
					t.Errorf("%s, by its cgroup (-want +got):\n%s", name, diff)
				}
			}
		})
	}
	trial.Record(t, trial.Result{Group: trial.Privilege, Claim: "each profile reads of each kind of pod what its documentation says, and says what it could not read",
		Runs: shown, Survived: shown - lost, Lost: lost})
}
