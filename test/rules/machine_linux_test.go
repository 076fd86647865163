package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machineProofs are about devices, and what the kernel has once for the machine.
func machineProofs() []proof {
	return []proof{
		{
			rule: "device-drops", how: "2000 datagrams leave by a device whose other end does not take them", says: "far0: netdev_transmit_drop_total",
			prepare: func(w *world) error {
				return w.inPod(func() (err error) {
					w.far, err = tun("far0", "1500")
					return err
				})
			},
			provoke: func(w *world) error { return w.inPod(func() error { return send("10.99.9.9:7000", 2000, 100) }) },
		},
		{
			rule: "softnet-drops", node: true, alone: true, also: []string{"device-drops"}, // the kernel counts it for the device, too
			how:     "datagrams are steered (`rps_cpus`) to a CPU that takes longer for each, by 3000 firewall rules, than the next needs to arrive",
			prepare: slowCPU(3000), provoke: flood(false),
		},
		{rule: "softnet-squeezed", node: true, alone: true, also: []string{"device-drops"},
			how: "the same with 40000 rules: a poll of 64 packets takes longer than `netdev_budget_usecs`", prepare: slowCPU(40_000), provoke: flood(true)},
	}
}

// slowCPU makes a device of the node whose packets all go to the last CPU, and a lot of work for each.
func slowCPU(rules int) func(w *world) error {
	return func(w *world) error { return w.slowCPU(rules) }
}

func (w *world) slowCPU(n int) (err error) {
	last := runtime.NumCPU() - 1
	if last == 0 {
		return errors.New("there is only one CPU: packets cannot be given to another one")
	}
	if w.far, err = tun("far0", "1500"); err != nil {
		return err
	}
	if err := w.swallow(7000); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sys")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := unix.Mount("sysfs", dir, "sysfs", 0, ""); err != nil { // that of this namespace
		return fmt.Errorf("mounting /sys: %w", err)
	}
	defer unix.Unmount(dir, 0)
	if err := os.WriteFile(filepath.Join(dir, "class/net/far0/queues/rx-0/rps_cpus"), []byte(strconv.FormatUint(1<<last, 16)), 0); err != nil {
		return err
	}
	rules := "*raw\n" + strings.Repeat("-A PREROUTING -s 203.0.113.1 -j ACCEPT\n", n) + "COMMIT\n"
	cmd := exec.Command("iptables-restore", "-w")
	cmd.Stdin = strings.NewReader(rules)
	return finish(cmd)
}

// flood has datagrams arrive, from the first CPU, until 1000 of them were dropped or, squeezed, until the other CPU has
// stopped 50 times with packets left.
func flood(squeezed bool) func(w *world) error {
	return func(w *world) error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var all, first unix.CPUSet
		first.Set(0)
		if err := unix.SchedGetaffinity(0, &all); err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(0, &first); err != nil {
			return err
		}
		defer unix.SchedSetaffinity(0, &all)
		p := datagram(stranger(1), netip.MustParseAddr(farIP), 1024, 7000, "x")
		drops, squeezes, err := softnet()
		for round := 0; err == nil && round < 1000; round++ {
			if err := inject(w.far, 1000, func(int) []byte { return p }); err != nil {
				return err
			}
			var d, s uint64
			d, s, err = softnet()
			if !squeezed && d >= drops+1000 || squeezed && s >= squeezes+50 {
				return err
			}
		}
		return errors.Join(errors.New("a million packets were not enough"), err)
	}
}

// softnet sums what all CPUs have dropped, and how often they stopped with packets left.
func softnet() (dropped, squeezed uint64, err error) {
	text, err := os.ReadFile("/proc/net/softnet_stat")
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		d, e1 := strconv.ParseUint(f[1], 16, 64)
		s, e2 := strconv.ParseUint(f[2], 16, 64)
		dropped, squeezed, err = dropped+d, squeezed+s, errors.Join(err, e1, e2)
	}
	return dropped, squeezed, err
}
