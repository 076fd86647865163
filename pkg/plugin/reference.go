package plugin

import (
	"fmt"
	"regexp"
	"strings"
)

// reference is an image's name, taken apart: REPOSITORY[:TAG][@DIGEST].
type reference struct {
	repository string // with the registry's host, where it has one
	tag        string // empty: none
	digest     string // sha256:..., of an index or of one platform's manifest; empty: none
}

// referenceForm is the grammar of https://github.com/distribution/reference (reference.go), which the kubelet holds names
// against. A host is told from a part of the path by a dot, a port, an upper case letter, or the name localhost.
var referenceForm = regexp.MustCompile(`^((?:` + referenceHost + `/)?` + referencePart + `(?:/` + referencePart + `)*)` +
	`(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?` +
	`(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}))?$`)

const (
	referenceHost = `(?:(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?`
	referencePart = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
)

// parseReference reads an image's name. One that may mean another image tomorrow is refused: the plugin and the collector
// are of one version, and a node that has an image of that name does not look for a newer one.
func parseReference(s string) (reference, error) {
	m := referenceForm.FindStringSubmatch(s)
	if m == nil {
		return reference{}, fmt.Errorf("%q is no name of an image: write REPOSITORY:TAG, such as registry.example/cosanet:v0.1.0", s)
	}
	r := reference{repository: m[1], tag: m[2], digest: m[3]}
	switch {
	case r.digest != "":
	case r.tag == "":
		return r, fmt.Errorf("%q has no tag, which means latest: name a version, or a digest", s)
	case r.tag == "latest":
		return r, fmt.Errorf("%q does not say which version it is: name it in place of latest, or a digest", s)
	}
	return r, nil
}

func (r reference) String() string {
	s := r.named()
	if r.digest != "" {
		s += "@" + r.digest
	}
	return s
}

// named is the reference without its digest.
func (r reference) named() string {
	if r.tag == "" {
		return r.repository
	}
	return r.repository + ":" + r.tag
}

// host is the registry that a node asks for the image, as a pull secret names it: kubectl create secret docker-registry has
// a name of its own for Docker Hub.
func (r reference) host() string {
	first, _, ok := strings.Cut(r.repository, "/")
	named := strings.ContainsAny(first, ".:") || first == "localhost" || first != strings.ToLower(first)
	if !ok || !named || first == "docker.io" {
		return "https://index.docker.io/v1/"
	}
	return first
}
