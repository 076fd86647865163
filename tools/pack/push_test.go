package main

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestPush pushes to a registry on loopback: what arrives has the digest that was printed when it was packed.
func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	ref := strings.TrimPrefix(server.URL, "http://") + "/team/hello:v1.2.3"
	archive := filepath.Join(t.TempDir(), "image.tar")
	amd64 := "linux/amd64=" + buildHello(t, "amd64")
	digest := pack(t, "-ref", ref, "-o", archive, amd64, "linux/arm64="+buildHello(t, "arm64"))

	for range 2 { // the second time it is there
		if got, want := pack(t, "push", "-ref", ref, archive), ref+"@"+digest; got != want {
			t.Errorf("pack push printed %s, want %s", got, want)
		}
	}
	for _, there := range []string{ref, strings.TrimSuffix(ref, ":v1.2.3") + "@" + digest} {
		parsed, err := name.ParseReference(there)
		if err != nil {
			t.Fatal(err)
		}
		index, err := remote.Index(parsed)
		if err != nil {
			t.Fatalf("reading back %s: %v", there, err)
		}
		if got, err := index.Digest(); err != nil || got.String() != digest {
			t.Errorf("%s has the digest %s (%v), want %s", there, got, err, digest)
		}
		for img, platform := range images(t, index) {
			if _, err := img.Layers(); err != nil {
				t.Errorf("%s: reading the layers: %v", platform, err)
			}
		}
	}

	// Another image under the same tag.
	other := filepath.Join(t.TempDir(), "other.tar")
	pack(t, "-ref", ref, "-o", other, amd64)
	var stderr bytes.Buffer
	err := run([]string{"push", "-ref", ref, other}, io.Discard, &stderr)
	if err == nil || !strings.Contains(err.Error(), "names one image for ever") {
		t.Errorf("pushing another image under a tag: error %v, want a refusal", err)
	}
	err = run([]string{"push", "-ref", strings.Replace(ref, "v1.2.3", "v1.2.4", 1), archive}, io.Discard, &stderr)
	if err == nil || !strings.Contains(err.Error(), "no image v1.2.4") {
		t.Errorf("pushing a tag that the archive does not have: error %v", err)
	}
}
