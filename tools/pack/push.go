package main

import (
	"archive/tar"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// runPush is pack push: it writes NAME:TAG@DIGEST to stdout, as the plugin of the same release has it.
func runPush(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("pack push", flag.ContinueOnError)
	flags.SetOutput(stderr)
	ref := flags.String("ref", "", "full name and tag of the image")
	if err := flags.Parse(args); err != nil {
		return err
	}
	tag, err := parseRef(*ref)
	if err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("give the archive to push")
	}
	digest, err := Push(tag, flags.Arg(0))
	if err != nil {
		return fmt.Errorf("pushing %s: %w", flags.Arg(0), err)
	}
	_, err = fmt.Fprintf(stdout, "%s@%s\n", tag, digest)
	return err
}

// Push writes the image of an archive to a registry, byte by byte as it is, with the credentials that docker login or
// podman login left. A tag that names another image already is an error: nodes that have it would never ask again.
func Push(tag name.Tag, archive string) (v1.Hash, error) {
	dir, err := os.MkdirTemp("", "pack-push-")
	if err != nil {
		return v1.Hash{}, err
	}
	defer os.RemoveAll(dir)
	if err := untar(archive, dir); err != nil {
		return v1.Hash{}, err
	}
	index, digest, err := openLayout(dir, tag.TagStr())
	if err != nil {
		return v1.Hash{}, err
	}
	auth := remote.WithAuthFromKeychain(authn.DefaultKeychain)
	there, err := remote.Head(tag, auth)
	var missing *transport.Error
	switch {
	case err == nil && there.Digest != digest:
		return v1.Hash{}, fmt.Errorf("%s is %s already, not %s: a tag names one image for ever", tag, there.Digest, digest)
	case err != nil && !(errors.As(err, &missing) && missing.StatusCode == http.StatusNotFound):
		return v1.Hash{}, err
	}
	return digest, remote.WriteIndex(tag, index, auth)
}

// openLayout finds the image that an archive has under a tag.
func openLayout(dir, tag string) (v1.ImageIndex, v1.Hash, error) {
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, v1.Hash{}, err
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		return nil, v1.Hash{}, err
	}
	for _, m := range manifest.Manifests {
		if m.Annotations[annotationTag] == tag {
			index, err := top.ImageIndex(m.Digest)
			return index, m.Digest, err
		}
	}
	return nil, v1.Hash{}, fmt.Errorf("no image %s in the archive", tag)
}

// untar unpacks what WriteArchive wrote.
func untar(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(dir) // nothing leaves it, whatever the archive says
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(f); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			return fmt.Errorf("%s is not a regular file", header.Name)
		}
		if err := root.MkdirAll(filepath.Dir(header.Name), 0o755); err != nil {
			return err
		}
		out, err := root.Create(header.Name)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}
