package plugin

import (
	"fmt"
	"slices"
	"strings"
)

// archive is the file that holds the image of this build, and the names that commands about it need.
type archive struct {
	reference        // of the image in it
	file      string // its name
	source    string // where it is had
	target    string // what to push it as, to a registry of one's own
}

// newArchive is the archive that a release, or make image, has of an image; asked is the image that nodes are to run. Only
// a release knows the digest: it is computed from that very archive.
func newArchive(packed, asked reference) archive {
	a := archive{reference: packed, file: "dist/collector-image.tar", source: "make image builds it from the sources of this version"}
	if packed.digest != "" {
		a.file = "collector-image_" + packed.tag + ".tar"
		a.source = "https://github.com/cosanet/kubectl-cosanet/releases/download/" + packed.tag + "/" + a.file
	}
	a.target = asked.named()
	if asked == packed || asked.tag == "" {
		a.target = "registry.example/cosanet:" + packed.tag
	}
	return a
}

// loader is a way to bring the archive's image to nodes that cannot pull it.
type loader struct {
	kind   string // as --load names it
	where  string // what to run it on
	script func(a archive) []string
}

// registryKind is the one that gives the image another name.
const registryKind = "registry"

// loaders are the known ways. All but registry import the archive under the name of the image in it.
var loaders = []loader{
	{"containerd", "on every node, as root", func(a archive) []string {
		return []string{"ctr -n k8s.io images import " + a.file}
	}},
	{"k3s", "on every node, as root", func(a archive) []string {
		return []string{"k3s ctr -n k8s.io images import " + a.file}
	}},
	{"kind", "where kind runs; --name NAME for a cluster that is not called kind", func(a archive) []string {
		return []string{"kind load image-archive " + a.file}
	}},
	{"minikube", "where minikube runs; not with the runtime docker, which reads no OCI archive", func(a archive) []string {
		return []string{"minikube image load " + a.file}
	}},
	{"crio", "on every node, as root; the last line where you call the plugin", func(a archive) []string {
		return []string{
			fmt.Sprintf("skopeo copy oci-archive:%s:%s containers-storage:%s", a.file, a.tag, a.named()),
			fmt.Sprintf("export %s=%s", ImageVariable, a.named()), // where you type: without the digest, by which it may not be found there
		}
	}},
	{registryKind, "from a machine that reaches your registry, after skopeo login; the last line where you call the plugin", func(a archive) []string {
		return []string{
			fmt.Sprintf("skopeo copy --all oci-archive:%s:%s docker://%s", a.file, a.tag, a.target),
			fmt.Sprintf("export %s=%s", ImageVariable, a.target),
		}
	}},
}

func loaderKinds() []string {
	var kinds []string
	for _, l := range loaders {
		kinds = append(kinds, l.kind)
	}
	return kinds
}

func findLoader(kind string) (loader, error) {
	i := slices.IndexFunc(loaders, func(l loader) bool { return l.kind == kind })
	if i < 0 {
		return loader{}, fmt.Errorf("unknown --load %q: use %s", kind, strings.Join(loaderKinds(), ", "))
	}
	return loaders[i], nil
}

// text is a shell script: what is no command is a comment.
func (l loader) text(a archive, asked reference) string {
	text := "# " + l.kind + ": " + l.where + "\n" + strings.Join(l.script(a), "\n") + "\n"
	if asked != a.reference && l.kind != registryKind {
		text += "# " + asked.String() + " is another image: ask for this one with --image " + a.String() + "\n"
	}
	return text
}
