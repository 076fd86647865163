// Command dist makes the files of a release from programs that were built: an archive for each platform, the manifest
// of krew and the checksums. Everything else that lies in the folder already (the image, the SBOMs) is summed too.
//
//	dist -version v1.2.3 [-license FILE] [-url URL] -o DIR PROGRAMS
//
// The programs lie in PROGRAMS/OS/ARCH/.
//
// The same files give the same bytes, on any machine and at any time.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/semver"
)

func main() {
	err := run(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "dist: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("dist", flag.ContinueOnError)
	flags.SetOutput(stderr)
	version := flags.String("version", "", "version of the release")
	license := flags.String("license", "LICENSE", "the file LICENSE of the archives")
	out := flags.String("o", "", "the folder to write to")
	url := flags.String("url", "https://github.com/cosanet/kubectl-cosanet/releases/download", "where releases are downloaded: URL/VERSION/FILE")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("no folder to write to: give it by -o DIR")
	}
	if err := checkVersion(*version); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("give the folder with the programs: OS/ARCH/kubectl-cosanet")
	}
	plugins, err := findPlugins(flags.Arg(0))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o777); err != nil {
		return err
	}
	release := Release{Version: *version, URL: *url, License: *license, Plugins: plugins}
	if err := release.WriteArchives(*out); err != nil {
		return err
	}
	if err := release.WriteManifest(filepath.Join(*out, "krew-manifest.yaml"), *out); err != nil {
		return err
	}
	return WriteSums(*out)
}

// checkVersion wants what krew takes and what can be a tag of an image: "v" and a semantic version
// (https://semver.org/spec/v2.0.0.html) without build metadata, whose "+" no tag may have.
func checkVersion(version string) error {
	switch {
	case version == "" || version == "latest":
		return fmt.Errorf("version %q: a release must name its version", version)
	case !semver.IsValid(version) || semver.Canonical(version) != version:
		return fmt.Errorf("version %q: not like v1.2.3 or v1.2.3-rc.1", version)
	}
	return nil
}

// findPlugins finds the programs that were built: DIR/OS/ARCH/kubectl-cosanet, with .exe for Windows.
func findPlugins(dir string) ([]Plugin, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "*"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no program in %s: build them with make dist", dir)
	}
	var plugins []Plugin
	for _, file := range files {
		arch, os := filepath.Base(filepath.Dir(file)), filepath.Base(filepath.Dir(filepath.Dir(file)))
		p := Plugin{OS: os, Arch: arch, File: file}
		if filepath.Base(file) != p.Bin() {
			return nil, fmt.Errorf("%s: the program for %s is called %s", file, os, p.Bin())
		}
		plugins = append(plugins, p)
	}
	return plugins, nil
}
