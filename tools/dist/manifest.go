package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed krew-manifest.yaml.tmpl
var manifestTemplate string

// sumsFile is the name of the checksums, in the format of sha256sum.
const sumsFile = "SHA256SUMS"

// platform is what the manifest says of one archive.
type platform struct {
	OS, Arch string
	URI      string // where the archive is downloaded
	SHA256   string // of the archive, 64 lower-case hexadecimal digits
	Bin      string // the program in the archive
}

// WriteManifest writes the plugin's manifest for krew (https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/)
// with the sums of the archives in dir.
func (r Release) WriteManifest(file, dir string) error {
	t, err := template.New(filepath.Base(file)).Option("missingkey=error").Parse(manifestTemplate)
	if err != nil {
		return fmt.Errorf("parsing the template of the manifest: %w", err)
	}
	var platforms []platform
	for _, p := range r.Plugins {
		archive := p.Archive(r.Version)
		sum, err := sumOf(filepath.Join(dir, archive))
		if err != nil {
			return err
		}
		uri := r.URL + "/" + r.Version + "/" + archive
		platforms = append(platforms, platform{OS: p.OS, Arch: p.Arch, URI: uri, SHA256: sum, Bin: p.Bin()})
	}
	var manifest bytes.Buffer
	if err := t.Execute(&manifest, map[string]any{"Version": r.Version, "Platforms": platforms}); err != nil {
		return fmt.Errorf("rendering the manifest: %w", err)
	}
	return os.WriteFile(file, manifest.Bytes(), 0o644)
}

// WriteSums writes the checksums of all files of a folder into it, in the order of their names.
func WriteSums(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, f := range files {
		if f.Name() == sumsFile {
			continue
		}
		sum, err := sumOf(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, f.Name())
	}
	return os.WriteFile(filepath.Join(dir, sumsFile), sums.Bytes(), 0o644)
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), nil
}
