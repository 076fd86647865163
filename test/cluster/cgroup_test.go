package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// A process that runc left frozen ends with its cgroup.
func TestRemoveCgroupFrozen(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root, to make cgroups")
		}
		t.Skip("needs root, to make cgroups")
	}
	list, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list, func(h hierarchy) bool { return slices.Contains(h.controllers, "freezer") })
	if at < 0 {
		t.Skip("this machine has no v1 freezer: that of v2 lets SIGKILL through")
	}
	const path = "cosanet-test-frozen"
	dir := filepath.Join(list[at].mount, path)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	go sleeper.Wait()
	for _, write := range [][2]string{{"cgroup.procs", strconv.Itoa(sleeper.Process.Pid)}, {"freezer.state", "FROZEN"}} {
		if err := os.WriteFile(filepath.Join(dir, write[0]), []byte(write[1]), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeCgroup(list[at:at+1], path); err != nil {
		t.Error(err)
	}
}
