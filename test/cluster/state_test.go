package main

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestStateRoundTrip(t *testing.T) {
	s := exampleState()
	s.dir = t.TempDir()
	s.Boot, s.Created, s.Up = bootID(), time.Now().Round(0), true
	s.Processes = []Process{{Name: "etcd", PID: 7, Start: 1 << 40}}
	s.Mounts, s.Cgroup, s.Link = []string{"/a"}, "/cosanet", "cosanet-host"
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	got, err := load(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got, cmp.AllowUnexported(State{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(filepath.Join(s.dir, stateFile))
	if err != nil || info.Mode().Perm() != 0o600 { // it has the tokens
		t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := load(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(`{"name":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(dir); err == nil || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("got %v, want what to do about it", err)
	}
}

func TestClaimIsExclusive(t *testing.T) {
	dir := t.TempDir()
	release, err := claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claim(dir); err == nil || !strings.Contains(err.Error(), "another cluster command") {
		t.Errorf("got %v, want a refusal", err)
	}
	release()
	release, err = claim(dir)
	if err != nil {
		t.Fatalf("after its release: %v", err)
	}
	release()
}

// A pid that the kernel has handed out again is somebody else's process.
func TestRecycledPidIsNotKilled(t *testing.T) {
	cmd := exec.Command("sleep", "300")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	start, running := startTime(cmd.Process.Pid)
	if !running {
		t.Fatal("a new process does not run")
	}
	earlier := Process{Name: "of before", PID: cmd.Process.Pid, Start: start - 1}
	if earlier.alive() {
		t.Error("a process counts as alive for its pid alone")
	}
	if err := earlier.kill(); err != nil {
		t.Error(err)
	}
	p := Process{Name: "sleep", PID: cmd.Process.Pid, Start: start}
	if !p.alive() {
		t.Fatal("the process that has the pid now was killed")
	}
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if p.alive() {
		t.Error("alive after kill")
	}
	if err := p.kill(); err != nil { // down after down
		t.Error(err)
	}
}

func TestParseStat(t *testing.T) {
	rest := strings.Repeat(" 0", 18) + " 4711 0 0"
	tests := []struct {
		name, stat string
		ticks      uint64
		running    bool
	}{
		{"plain", "12 (etcd) S" + rest, 4711, true},
		{"a name with a parenthesis and spaces", "12 (a) S 1 (b) R" + rest, 4711, true},
		{"a zombie", "12 (etcd) Z" + rest, 4711, false},
		{"cut short", "12 (etcd) S 1 2 3", 0, false},
		{"empty", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ticks, running := parseStat(tt.stat)
			if ticks != tt.ticks || running != tt.running {
				t.Errorf("got %d, %v, want %d, %v", ticks, running, tt.ticks, tt.running)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("12 (etcd) S" + strings.Repeat(" 0", 18) + " 4711")
	f.Add(")")
	f.Fuzz(func(t *testing.T, stat string) {
		if ticks, running := parseStat(stat); running && !strings.Contains(stat, " ") {
			t.Errorf("%q runs since %d", stat, ticks)
		}
	})
}

func TestTail(t *testing.T) {
	log := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(log, []byte(strings.Repeat("line of a long log\n", 5000)+"last\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := tail(log)
	if n := strings.Count(got, "\n"); n != 20 || !strings.HasSuffix(got, "| last") {
		t.Errorf("got %d lines, want 20 that end with the last:\n%s", n, got)
	}
	if got := tail(log + ".none"); !strings.Contains(got, "no such file") {
		t.Errorf("got %q, want why there is no log", got)
	}
}
