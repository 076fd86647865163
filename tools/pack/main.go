// Command pack makes a container image without a container engine: FROM scratch, one static binary a platform, written
// as an OCI archive that containerd imports under its full name and both platforms.
//
//	pack -ref NAME:TAG -o OUT.tar [-entrypoint /x] [-user UID] [-label k=v]... linux/amd64=FILE [linux/arm64=FILE]...
//	pack push -ref NAME:TAG FILE.tar
//
// The same files give the same bytes, on any machine and at any time. The digest of the image's index goes to stdout.
// Pushed, the image keeps its digest.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "pack: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "push" {
		return runPush(args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	flags.SetOutput(stderr)
	ref := flags.String("ref", "", "full name and tag of the image")
	out := flags.String("o", "", "the archive to write")
	entrypoint := flags.String("entrypoint", "", "path of the binary in the image (default / and the last word of the name)")
	user := flags.String("user", "", "user the image runs as (default root)")
	labels := map[string]string{}
	flags.Func("label", "`k=v` label of the image; repeatable", func(s string) error {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return errors.New("not k=v")
		}
		labels[k] = v
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("no archive to write: give it by -o OUT.tar")
	}
	tag, err := parseRef(*ref)
	if err != nil {
		return err
	}
	binaries, err := parseBinaries(flags.Args())
	if err != nil {
		return err
	}
	spec := Spec{Tag: tag, Entrypoint: *entrypoint, User: *user, Labels: labels, Binaries: binaries}
	index, err := spec.Index()
	if err != nil {
		return err
	}
	if err := WriteArchive(*out, tag, index); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return fmt.Errorf("computing the digest of %s: %w", tag, err)
	}
	_, err = fmt.Fprintln(stdout, digest)
	return err
}
