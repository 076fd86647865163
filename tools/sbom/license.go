package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// license is a licence by what only its text says.
type license struct {
	id     string // of https://spdx.org/licenses
	says   []string
	silent string // a text that says this is another licence
}

func knownLicenses() []license {
	const redistribution = "redistributions of source code must retain the above copyright notice"
	return []license{
		{id: "Apache-2.0", says: []string{"apache license", "version 2.0, january 2004"}},
		{id: "Apache-2.0", says: []string{"licensed under the apache license, version 2.0"}},
		{id: "BSD-2-Clause", says: []string{redistribution}, silent: "may be used to endorse"},
		{id: "BSD-3-Clause", says: []string{redistribution, "may be used to endorse"}, silent: "all advertising materials"},
		{id: "ISC", says: []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"}},
		{id: "ISC", says: []string{"permission to use, copy, modify, and distribute this software for any purpose with or without fee"}},
		{id: "MIT", says: []string{"permission is hereby granted, free of charge", "the above copyright notice and this permission notice shall be included"}},
		{id: "MPL-2.0", says: []string{"mozilla public license", "version 2.0", "covered software"}},
	}
}

// findLicenses reads the licences of modules that were just linked, which the module cache therefore has. One whose
// licence is unknown is an error: it may not be given away before somebody has read it.
func findLicenses(modules []*module) error {
	dirs, err := moduleDirs(modules)
	if err != nil {
		return err
	}
	var unknown []error
	for _, m := range modules {
		if m.licenses, err = licensesIn(dirs[m.path+"@"+m.version]); err != nil {
			return err
		}
		if len(m.licenses) == 0 {
			unknown = append(unknown, fmt.Errorf("%s@%s: no licence that is known here: read it, then name it in tools/sbom/license.go", m.path, m.version))
		}
	}
	return errors.Join(unknown...)
}

// moduleDirs asks the go tool where modules lie, by module@version, and has it check them against the sums that the
// linker noted.
func moduleDirs(modules []*module) (map[string]string, error) {
	args := []string{"mod", "download", "-json"}
	sums := map[string]string{}
	for _, m := range modules {
		args = append(args, m.path+"@"+m.version)
		sums[m.path+"@"+m.version] = m.sum
	}
	var stderr strings.Builder
	cmd := exec.Command("go", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking for the modules: %w\n%s", err, &stderr)
	}
	dirs := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var got struct{ Path, Version, Dir, Sum string }
		if err := d.Decode(&got); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the answer of go mod download: %w", err)
		}
		key := got.Path + "@" + got.Version
		if got.Sum != sums[key] {
			return nil, fmt.Errorf("%s has the sum %s, what was linked has %s", key, got.Sum, sums[key])
		}
		dirs[key] = got.Dir
	}
}

// licensesIn reads the licences in the top folder of a module, sorted.
func licensesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if !regexp.MustCompile(`(?i)^(licen[sc]e|copying|unlicense)`).MatchString(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		ids = append(ids, identify(string(text))...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// identify names the licences of a text, which may hold several.
func identify(text string) []string {
	quoted := strings.NewReplacer("\n>", "\n", "\n//", "\n", "\n#", "\n") // one that is set in Markdown or in code
	words := strings.Join(strings.Fields(quoted.Replace(strings.ToLower(text))), " ")
	var ids []string
	for _, l := range knownLicenses() {
		says := !slices.ContainsFunc(l.says, func(phrase string) bool { return !strings.Contains(words, phrase) })
		if says && (l.silent == "" || !strings.Contains(words, l.silent)) {
			ids = append(ids, l.id)
		}
	}
	return ids
}
