package rules

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// initramfs writes an archive of which Linux makes its first root directory: a program that it starts as pid 1, and its
// modules below /modules.
func initramfs(out io.Writer, program string, modules []string) error {
	a := archive{out: out}
	a.add("init", 0o100755, program)
	a.entry("modules", 0o040755, nil)
	for _, m := range modules {
		a.add("modules/"+filepath.Base(m), 0o100644, m)
	}
	a.entry("TRAILER!!!", 0, nil)
	return a.err
}

// archive is of the form that cpio calls newc (Documentation/driver-api/early-userspace/buffer-format.rst of Linux).
type archive struct {
	out    io.Writer
	number int
	err    error
}

// add adds a file.
func (a *archive) add(name string, mode int, from string) {
	content, err := os.ReadFile(from)
	if err != nil {
		a.err = err
	}
	a.entry(name, mode, content)
}

// entry adds a head of thirteen numbers, a name and what is in it. Name and content each end at a multiple of four bytes.
func (a *archive) entry(name string, mode int, content []byte) {
	a.number++
	head := [13]int{0: a.number, 1: mode, 4: 1, 6: len(content), 11: len(name) + 1}
	a.write([]byte("070701"))
	for _, n := range head {
		a.write(fmt.Appendf(nil, "%08X", n))
	}
	a.write([]byte(name + "\x00"))
	a.write(make([]byte, (4-(110+len(name)+1)%4)%4))
	a.write(content)
	a.write(make([]byte, (4-len(content)%4)%4))
}

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.out.Write(b)
	}
}
