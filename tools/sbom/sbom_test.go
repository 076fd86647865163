package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/xeipuuv/gojsonschema"
)

// programs builds pack, a program with dependencies of its own, for two systems.
func programs(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, goos := range []string{"linux", "windows"} {
		file := filepath.Join(t.TempDir(), goos)
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", file, "../pack")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building pack for %s: %v\n%s", goos, err, out)
		}
		files = append(files, file)
	}
	return files
}

// TestBill looks at the bills of two programs and of an image with them.
func TestBill(t *testing.T) {
	files := programs(t)
	const digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	tests := []struct {
		name string
		args []string
		want cdx.Component
	}{
		{"programs", []string{"-name", "pack"}, cdx.Component{
			Type: cdx.ComponentTypeApplication, Name: "pack", Version: "v1.2.3",
			PackageURL: "pkg:golang/github.com/cosanet/kubectl-cosanet/tools@v1.2.3",
		}},
		{"image", []string{"-name", "registry.example/team/pack", "-image", digest}, cdx.Component{
			Type: cdx.ComponentTypeContainer, Name: "registry.example/team/pack", Version: "v1.2.3",
			PackageURL: "pkg:oci/pack@" + strings.Replace(digest, ":", "%3A", 1) + "?repository_url=registry.example%2Fteam%2Fpack&tag=v1.2.3",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "bom.json")
			args := append(tt.args, "-version", "v1.2.3", "-o", out)
			bom := bill(t, out, append(args, files...)...)
			first := readFile(t, out)
			checkSchema(t, first)
			checkModules(t, bom, files)
			got := *bom.Metadata.Component
			if diff := cmp.Diff(tt.want, cdx.Component{Type: got.Type, Name: got.Name, Version: got.Version, PackageURL: got.PackageURL}); diff != "" {
				t.Errorf("the product (-want +got):\n%s", diff)
			}
			bill(t, out, append(args, files...)...)
			if !bytes.Equal(first, readFile(t, out)) {
				t.Error("a second bill of the same programs has other bytes")
			}
		})
	}
}

// TestRelease checks the bills that make dist made against the programs that it made.
func TestRelease(t *testing.T) {
	dir, version := os.Getenv("RELEASE"), os.Getenv("VERSION")
	if dir == "" && os.Getenv("CI") == "true" {
		t.Fatal("needs a release: make test-root builds one")
	} else if dir == "" {
		t.Skip("needs a release: make test-root builds one")
	}
	for name, programs := range map[string]string{"kubectl-cosanet": "../plugin/*/*/*", "collector-image": "../*/cosanet-collector"} {
		files, err := filepath.Glob(filepath.Join(dir, programs))
		if err != nil || len(files) < 2 {
			t.Fatalf("programs of %s: %v, %v", name, files, err)
		}
		text := readFile(t, filepath.Join(dir, name+"_"+version+".cdx.json"))
		checkSchema(t, text)
		checkModules(t, decode(t, text), files)
	}
}

func TestIdentify(t *testing.T) {
	const bsd = "Redistributions of source code must retain the above copyright\n// notice. "
	tests := map[string][]string{
		"Apache License\n  Version 2.0, January 2004": {"Apache-2.0"},
		bsd:                                    {"BSD-2-Clause"},
		"// " + bsd + "may be used to endorse": {"BSD-3-Clause"},
		bsd + "All advertising materials. may be used to endorse":                    nil, // four clauses
		"> Redistributions of source code must retain the above\n> copyright notice": {"BSD-2-Clause"},
		"GNU GENERAL PUBLIC LICENSE":                                                 nil,
	}
	for text, want := range tests {
		if diff := cmp.Diff(want, identify(text)); diff != "" {
			t.Errorf("identify(%q) (-want +got):\n%s", text, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"incomplete":          {"-name", "x", "-version", "v1"},
		"what is linked into": {"-name", "x", "-version", "v1", text},
	} {
		out := filepath.Join(t.TempDir(), "bom.json")
		err := run(append([]string{"-o", out}, args...), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %q", err, want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Error("a bill was written all the same")
		}
	}
	if ids, err := licensesIn(t.TempDir()); err != nil || len(ids) > 0 {
		t.Errorf("licences of an empty folder: %v, %v", ids, err)
	}
}

// bill makes a bill and reads it.
func bill(t *testing.T, out string, args ...string) *cdx.BOM {
	t.Helper()
	if err := run(args, io.Discard); err != nil {
		t.Fatalf("sbom %s: %v", strings.Join(args, " "), err)
	}
	return decode(t, readFile(t, out))
}

func decode(t *testing.T, text []byte) *cdx.BOM {
	t.Helper()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatalf("reading the bill: %v", err)
	}
	return &bom
}

// checkModules compares a bill with what the go tool says of the programs.
func checkModules(t *testing.T, bom *cdx.BOM, files []string) {
	t.Helper()
	out, err := exec.Command("go", append([]string{"version", "-m"}, files...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"stdlib@" + regexp.MustCompile(`: go(\S+)`).FindStringSubmatch(string(out))[1]}
	for _, m := range regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)\t`).FindAllStringSubmatch(string(out), -1) {
		want = append(want, m[1]+"@"+m[2])
	}
	slices.Sort(want)
	want = slices.Compact(want)
	var got []string
	for _, c := range *bom.Components {
		got = append(got, c.Name+"@"+c.Version)
		if c.Licenses == nil || len(*c.Licenses) == 0 {
			t.Errorf("%s: no licence", c.Name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules (-go version -m, +bill):\n%s", diff)
	}
	if bom.Metadata.Timestamp != "" {
		t.Errorf("a time in the bill: %s", bom.Metadata.Timestamp)
	}
}

// checkSchema checks a bill by the schema of CycloneDX 1.6, which its module brings along.
func checkSchema(t *testing.T, bom []byte) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatalf("looking for the schema: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	loader := gojsonschema.NewSchemaLoader()
	for _, file := range []string{"spdx.schema.json", "jsf-0.82.schemax.json"} { // found by their $id, not on the network
		if err := loader.AddSchemas(gojsonschema.NewBytesLoader(readFile(t, filepath.Join(dir, file)))); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	schema, err := loader.Compile(gojsonschema.NewBytesLoader(readFile(t, filepath.Join(dir, "bom-1.6.schema.json"))))
	if err != nil {
		t.Fatal(err)
	}
	result, err := schema.Validate(gojsonschema.NewBytesLoader(bom))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range result.Errors() {
		t.Errorf("not as the schema has it: %s", problem)
	}
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
