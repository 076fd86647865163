package plugin

import (
	"errors"
	"strings"
	"testing"
)

// A release is told by its digest: its archive has the version in its name, and a place from where it is had.
func TestArchiveOfARelease(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for _, tt := range []struct {
		name, packed, asked string
		file, source        string
		target              string
	}{
		{"a release", "ghcr.io/cosanet/kubectl-cosanet:v0.1.0" + digest, "ghcr.io/cosanet/kubectl-cosanet:v0.1.0" + digest,
			"collector-image_v0.1.0.tar", "https://github.com/cosanet/kubectl-cosanet/releases/download/v0.1.0/collector-image_v0.1.0.tar", "registry.example/cosanet:v0.1.0"},
		{"a release, mirrored", "ghcr.io/cosanet/kubectl-cosanet:v0.1.0" + digest, "mirror.example/c:v1" + digest,
			"collector-image_v0.1.0.tar", "https://github.com/cosanet/kubectl-cosanet/releases/download/v0.1.0/collector-image_v0.1.0.tar", "mirror.example/c:v1"},
		{"mirrored by digest alone", "ghcr.io/cosanet/kubectl-cosanet:v0.1.0" + digest, "mirror.example/c" + digest,
			"collector-image_v0.1.0.tar", "https://github.com/cosanet/kubectl-cosanet/releases/download/v0.1.0/collector-image_v0.1.0.tar", "registry.example/cosanet:v0.1.0"},
		{"a build of one's own", "ghcr.io/cosanet/kubectl-cosanet:v0.1.0-dev", "ghcr.io/cosanet/kubectl-cosanet:v0.1.0-dev",
			"dist/collector-image.tar", "make image builds it from the sources of this version", "registry.example/cosanet:v0.1.0-dev"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			packed, err := parseReference(tt.packed)
			if err != nil {
				t.Fatal(err)
			}
			asked, err := parseReference(tt.asked)
			if err != nil {
				t.Fatal(err)
			}
			a := newArchive(packed, asked)
			if a.file != tt.file || a.source != tt.source || a.target != tt.target {
				t.Errorf("%s\n%s\n%s\nwant\n%s\n%s\n%s", a.file, a.source, a.target, tt.file, tt.source, tt.target)
			}
			for _, l := range loaders {
				if text := l.text(a, asked); !strings.Contains(text, tt.file) || strings.Contains(text, "\n#") != (packed != asked && l.kind != registryKind) {
					t.Errorf("%s:\n%s", l.kind, text)
				}
			}
		})
	}
}

// What keeps a node from pulling decides what is said to help.
func TestNoImage(t *testing.T) {
	for _, tt := range []struct {
		name    string
		secrets []string
		said    string // by containerd 1.6, CRI-O and others
		want    string
	}{
		{"no registry", nil, `failed to do request: Head "https://registry.example/v2/": dial tcp: lookup registry.example: no such host`, "kubectl cosanet image"},
		{"no such tag", []string{"a"}, `failed to resolve reference "registry.example/c:v1": registry.example/c:v1: not found`, "check that the node can pull"},
		{"no credentials", nil, "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
			"kubectl create secret docker-registry NAME -n cosanet --docker-server=registry.example --docker-username=USER --docker-password=PASSWORD"},
		{"wrong credentials", []string{"a", "b"}, "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
			"registry.example does not take what --image-pull-secret names: kubectl get secret -n cosanet a b"},
		{"no rights", nil, "unexpected status code 403 Forbidden", "kubectl create secret docker-registry"},
		{"a digest with 401 in it", nil, "c@sha256:a4013b: not found", "check that the node can pull"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := testOrder(Privileged)
			o.pull.Secrets = tt.secrets
			if got := noImage(errNoAnswer, o.pod()).Error(); !strings.Contains(got, "check that the node can pull") {
				t.Errorf("without a reason: %s", got)
			}
			if got := noImage(errors.New(tt.said), o.pod()).Error(); !strings.Contains(got, tt.want) {
				t.Errorf("%s\nwant in it: %s", got, tt.want)
			}
		})
	}
}
