package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Spec is what an image is made from.
type Spec struct {
	Tag        name.Tag
	Entrypoint string // absolute path of the binary in the image; empty for / and the last word of the image's name
	User       string
	Labels     map[string]string
	Binaries   []Binary
}

// Binary is the one file of the image on one platform.
type Binary struct {
	Platform v1.Platform
	File     string
}

// epoch is the time of everything in an image: what was built when must not change its digest.
var epoch = time.Unix(0, 0).UTC()

// parseRef reads NAME:TAG. A tag that moves (latest, or none, which means latest) is refused: the plugin and the image
// must be the same version, and IfNotPresent would keep a stale one for ever.
func parseRef(ref string) (name.Tag, error) {
	if ref == "" {
		return name.Tag{}, errors.New("no image name: give it by -ref NAME:TAG")
	}
	tag, err := name.NewTag(ref, name.WithDefaultTag(""))
	if err != nil {
		return name.Tag{}, fmt.Errorf("image name %q: %w", ref, err)
	}
	if t := tag.TagStr(); t == "" || t == "latest" {
		return name.Tag{}, fmt.Errorf("image name %q: the tag must name a version, not be empty or latest", ref)
	}
	return tag, nil
}

// parseBinaries reads the arguments os/arch=FILE; the result is sorted by platform.
func parseBinaries(args []string) ([]Binary, error) {
	if len(args) == 0 {
		return nil, errors.New("no binary: give one or more of linux/amd64=FILE")
	}
	var binaries []Binary
	for _, arg := range args {
		platform, file, ok := strings.Cut(arg, "=")
		if !ok || file == "" {
			return nil, fmt.Errorf("binary %q: not os/arch=FILE", arg)
		}
		p, err := v1.ParsePlatform(platform)
		if err != nil || p.OS != "linux" || p.Architecture == "" {
			return nil, fmt.Errorf("binary %q: %q is not linux/ARCH", arg, platform)
		}
		if slices.ContainsFunc(binaries, func(b Binary) bool { return b.Platform.Equals(*p) }) {
			return nil, fmt.Errorf("binary %q: a second one for %s", arg, platform)
		}
		binaries = append(binaries, Binary{Platform: *p, File: file})
	}
	slices.SortFunc(binaries, func(a, b Binary) int { return strings.Compare(a.Platform.String(), b.Platform.String()) })
	return binaries, nil
}

// Index makes the image of every platform and the index over them.
func (s Spec) Index() (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range s.Binaries {
		img, err := s.image(b)
		if err != nil {
			return nil, fmt.Errorf("making the image for %s: %w", b.Platform, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &b.Platform}})
	}
	return index, nil
}

func (s Spec) image(b Binary) (v1.Image, error) {
	program, err := os.ReadFile(b.File)
	if err != nil {
		return nil, err
	}
	if err := checkStatic(program, b.Platform.Architecture); err != nil {
		return nil, fmt.Errorf("%s: %w", b.File, err)
	}
	entrypoint := s.Entrypoint
	if entrypoint == "" {
		entrypoint = "/" + path.Base(s.Tag.RepositoryStr())
	}
	if !path.IsAbs(entrypoint) || path.Clean(entrypoint) != entrypoint || path.Dir(entrypoint) != "/" {
		return nil, fmt.Errorf("entrypoint %q: not a file right below /", entrypoint)
	}
	layer, err := layerOf(strings.TrimPrefix(entrypoint, "/"), program)
	if err != nil {
		return nil, err
	}
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		Architecture: b.Platform.Architecture,
		OS:           b.Platform.OS,
		Variant:      b.Platform.Variant,
		Created:      v1.Time{Time: epoch},
		RootFS:       v1.RootFS{Type: "layers"},
		Config:       v1.Config{Entrypoint: []string{entrypoint}, User: s.User, Labels: s.Labels, WorkingDir: "/"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(img, mutate.Addendum{
		Layer:     layer,
		MediaType: types.OCILayer,
		History:   v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "pack " + entrypoint},
	})
}

// layerOf packs the one file, owned by root and executable by all.
func layerOf(file string, program []byte) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	header := &tar.Header{Name: file, Mode: 0o755, Size: int64(len(program)), ModTime: epoch, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	return tarball.LayerFromOpener(open,
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
}
