package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// down ends everything that up started and removes the cluster's folder. Without a cluster it does nothing.
func down(_ context.Context, o options, p *progress) error {
	if _, err := load(o.dir); errors.Is(err, fs.ErrNotExist) {
		if err := foreign(o.dir); err != nil {
			return err
		}
		p.step("no cluster in %s", o.dir)
		return nil
	} else if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run as root", err)
	} else if err != nil {
		return err
	}
	release, err := claim(o.dir)
	if err != nil {
		return err
	}
	defer release()
	s, err := load(o.dir)
	if err != nil {
		return err
	}
	if err := s.remove(false); err != nil {
		return fmt.Errorf("%w: run `cluster down` again", err)
	}
	p.step("down: nothing of the cluster is left")
	return nil
}

// remove ends and removes all that is written down, last made first; it goes on past an error to end as much as
// it can. Nothing of an earlier boot of the machine can still be there but the folder.
func (s *State) remove(keepLogs bool) error {
	var errs []error
	if s.Boot == bootID() {
		if s.Hollow != nil {
			errs = append(errs, s.Hollow.kill())
		}
		for i := len(s.Processes) - 1; i >= 0; i-- {
			errs = append(errs, s.Processes[i].kill())
		}
		if s.Cgroup != "" {
			list, err := hierarchies()
			errs = append(errs, err, removeCgroup(list, s.Cgroup))
		}
		errs = append(errs, removeLink(s.Link))
		for _, path := range s.Mounts {
			errs = append(errs, unmount(path))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.removeFolder(keepLogs)
}

func removeLink(name string) error {
	if name == "" {
		return nil
	}
	if _, err := net.InterfaceByName(name); err != nil {
		return nil // never made, or gone with the namespace of its peer
	}
	out, err := exec.Command("ip", "link", "delete", name).CombinedOutput()
	if _, gone := net.InterfaceByName(name); err != nil && gone == nil {
		return fmt.Errorf("removing interface %s: ip: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func unmount(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	// EINVAL: nothing is mounted there. ENOENT: up ended before it made the file.
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting %s: %w", path, err)
	}
	return nil
}

// removeFolder removes the cluster's folder, or all of it but the logs and a state in which nothing runs.
func (s *State) removeFolder(keepLogs bool) error {
	// A mount below it that nobody wrote down is somebody's: removing through it would remove what is theirs.
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("listing mounts: %w", err)
	}
	for _, m := range parseMounts(string(mountinfo)) {
		if strings.HasPrefix(m.path, s.dir+"/") {
			return fmt.Errorf("removing %s: %s is still mounted: unmount it", s.dir, m.path)
		}
	}
	if !keepLogs {
		if err := os.RemoveAll(s.dir); err != nil {
			return fmt.Errorf("removing the cluster's folder: %w", err)
		}
		return nil
	}
	s.Processes, s.Hollow, s.Mounts, s.Cgroup, s.Link = nil, nil, nil, "", ""
	if err := s.save(); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("removing the cluster's folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() != stateFile && e.Name() != "logs" {
			if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
				return fmt.Errorf("removing the cluster's folder: %w", err)
			}
		}
	}
	return nil
}
