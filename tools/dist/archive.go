package main

import (
	"archive/tar"
	"archive/zip"
	"compress/flate"
	"compress/gzip"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Release is what the files of a release are made from.
type Release struct {
	Version string // v1.2.3
	URL     string // a file is downloaded from URL/VERSION/FILE
	License string // file
	Plugins []Plugin
}

// Plugin is the program for one platform, in the words of Go, which are those of krew too.
type Plugin struct {
	OS, Arch string
	File     string
}

// entry is a file in an archive. There is nothing but regular files: krew takes no other (internal/download of krew).
type entry struct {
	name string
	mode os.FileMode
	data []byte
}

// epoch is the time of everything in an archive: what was built when must not change a sum. A zip knows none before it.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Bin is the name of the program in its archive.
func (p Plugin) Bin() string {
	if p.OS == "windows" {
		return "kubectl-cosanet.exe"
	}
	return "kubectl-cosanet"
}

// Archive is the name of the plugin's archive.
func (p Plugin) Archive(version string) string {
	suffix := "tar.gz"
	if p.OS == "windows" {
		suffix = "zip"
	}
	return fmt.Sprintf("kubectl-cosanet_%s_%s_%s.%s", version, p.OS, p.Arch, suffix)
}

// WriteArchives writes the archives of all platforms side by side.
func (r Release) WriteArchives(dir string) error {
	errs := make([]error, len(r.Plugins))
	var wg sync.WaitGroup
	for i, p := range r.Plugins {
		wg.Go(func() {
			if err := r.writeArchive(filepath.Join(dir, p.Archive(r.Version)), p); err != nil {
				errs[i] = fmt.Errorf("packing the plugin for %s/%s: %w", p.OS, p.Arch, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r Release) writeArchive(file string, p Plugin) (err error) {
	if err := p.check(); err != nil {
		return err
	}
	program, err := os.ReadFile(p.File)
	if err != nil {
		return err
	}
	license, err := os.ReadFile(r.License)
	if err != nil {
		return err
	}
	entries := []entry{{p.Bin(), 0o755, program}, {"LICENSE", 0o644, license}}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	if filepath.Ext(file) == ".zip" {
		return writeZip(out, entries)
	}
	return writeTarGz(out, entries)
}

// check says why a program is not one for its platform: an archive with another one would only fail where it is used.
func (p Plugin) check() error {
	info, err := buildinfo.ReadFile(p.File)
	if err != nil {
		return err
	}
	for key, want := range map[string]string{"GOOS": p.OS, "GOARCH": p.Arch} {
		if !slices.Contains(info.Settings, debug.BuildSetting{Key: key, Value: want}) {
			return fmt.Errorf("%s was not built with %s=%s", p.File, key, want)
		}
	}
	return nil
}

func writeTarGz(out io.Writer, entries []entry) error {
	zw, err := gzip.NewWriterLevel(out, gzip.BestCompression) // its header has neither a name nor a time
	if err != nil {
		return err
	}
	w := tar.NewWriter(zw)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: int64(e.mode), Size: int64(len(e.data)), ModTime: epoch, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := w.Write(e.data); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), zw.Close())
}

func writeZip(out io.Writer, entries []entry) error {
	w := zip.NewWriter(out)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestCompression)
	})
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: epoch}
		header.SetMode(e.mode)
		f, err := w.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := f.Write(e.data); err != nil {
			return err
		}
	}
	return w.Close()
}
