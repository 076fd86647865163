package main

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// The annotations that tell an importer the image's name: containerd's own, which holds the whole name, and the one of
// the OCI image layout (https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md), which holds the tag.
const (
	annotationName = "io.containerd.image.name"
	annotationTag  = "org.opencontainers.image.ref.name"
)

// WriteArchive writes the image as an OCI layout in a tar. A failure leaves no half-written archive.
//
// The image is named twice, by its tag and by its digest: of NAME:TAG@DIGEST, as a released plugin asks for it,
// containerd drops the tag and looks for NAME@DIGEST alone (ParseDockerRef of github.com/distribution/reference), a name
// that an import by tag does not make. Only the first has the tag's annotation, so that tools which look for that find one.
func WriteArchive(file string, tag name.Tag, index v1.ImageIndex) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".pack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	digest, err := index.Digest()
	if err != nil {
		return fmt.Errorf("computing the digest of %s: %w", tag, err)
	}
	top := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{
			Annotations: map[string]string{annotationName: fullName(tag) + ":" + tag.TagStr(), annotationTag: tag.TagStr()},
		}},
		mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{
			Annotations: map[string]string{annotationName: fullName(tag) + "@" + digest.String()},
		}})
	root := filepath.Join(dir, "layout")
	if _, err := layout.Write(root, top); err != nil {
		return fmt.Errorf("writing the layout of %s: %w", tag, err)
	}
	tmp := filepath.Join(dir, "archive.tar")
	if err := tarTree(tmp, root); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return os.Rename(tmp, file)
}

// fullName is the name, without the tag, as containerd and the kubelet spell it: Docker Hub is docker.io there,
// index.docker.io here.
func fullName(tag name.Tag) string {
	registry := tag.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return registry + "/" + tag.RepositoryStr()
}

// tarTree packs the regular files below root, in the order of their names (WalkDir's) and with nothing of this machine
// in their headers.
func tarTree(file, root string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	w := tar.NewWriter(out)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return tarFile(w, filepath.ToSlash(rel), path)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

func tarFile(w *tar.Writer, entry, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: entry, Mode: 0o644, Size: info.Size(), ModTime: epoch, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
