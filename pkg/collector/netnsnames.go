//go:build linux

package collector

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// netnsDirs are where CNI plugins and runtimes give names to namespaces, by mounting them on a file. In a pod they are
// below the root of pid 1; the collector's own /run/netns is the node's when it runs outside of one, where a hardened machine
// may forbid the root of pid 1.
var netnsDirs = [...]string{"/run/netns", "/proc/1/root/run/netns", "/proc/1/root/var/run/netns"}

// netnsNames are the names of namespaces, read anew when a directory of them has changed.
type netnsNames struct {
	names map[uint64]string // by inode in nsfs
	dirs  [len(netnsDirs)]netnsDir
	read  time.Time
}

type netnsDir struct {
	id       fileID // zero: not there, or not permitted: namespaces are then called by their inode
	modified unix.Timespec
}

// refresh makes the names those of now.
func (n *netnsNames) refresh() {
	var dirs [len(netnsDirs)]netnsDir
	settled := true
	for i, path := range netnsDirs {
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil {
			continue
		}
		dirs[i] = netnsDir{fileID{st.Dev, st.Ino}, st.Mtim}
		// The file is made first and the namespace mounted on it after; and time stamps are coarse.
		settled = settled && n.read.Sub(time.Unix(st.Mtim.Unix())) > time.Second
	}
	if settled && dirs == n.dirs && n.names != nil {
		return
	}
	n.dirs, n.read, n.names = dirs, time.Now(), map[uint64]string{}
	var nsfs unix.Stat_t
	if unix.Stat("/proc/self/ns/net", &nsfs) != nil {
		return
	}
	for i, dir := range dirs {
		if dir.id != (fileID{}) && (i == 0 || dir.id != dirs[i-1].id) {
			n.add(netnsDirs[i], nsfs.Dev)
		}
	}
}

func (n *netnsNames) add(dir string, nsfs uint64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		var st unix.Stat_t
		if unix.Stat(dir+"/"+e.Name(), &st) == nil && st.Dev == nsfs {
			n.names[st.Ino] = e.Name()
		}
	}
}
