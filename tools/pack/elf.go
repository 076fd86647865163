package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
)

// machines maps the architectures of an image to those of its binary.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// checkStatic says why a program cannot run in an image that has nothing else in it. A binary of the wrong architecture
// or one that wants a dynamic loader would only fail on the node, as "exec format error" or "no such file or directory".
func checkStatic(program []byte, arch string) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("not a Linux program: %w", err)
	}
	want, ok := machines[arch]
	if !ok {
		return fmt.Errorf("architecture %s is not one that this image is made for", arch)
	}
	if f.Machine != want {
		return fmt.Errorf("a program for %s, not for %s", f.Machine, arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("not static (it needs a dynamic loader): build it with CGO_ENABLED=0")
		}
	}
	return nil
}
