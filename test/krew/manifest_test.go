package krew

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// manifest is all that krew reads of one, https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest. krew leaves out
// what it does not know; read strictly, a mistyped field shows.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string     `json:"version"`
		Homepage         string     `json:"homepage"`
		ShortDescription string     `json:"shortDescription"`
		Description      string     `json:"description"`
		Caveats          string     `json:"caveats"`
		Platforms        []platform `json:"platforms"`
	} `json:"spec"`
}

type platform struct {
	Selector struct {
		MatchLabels struct {
			OS   string `json:"os"`
			Arch string `json:"arch"`
		} `json:"matchLabels"`
	} `json:"selector"`
	URI    string `json:"uri"`
	SHA256 string `json:"sha256"`
	Bin    string `json:"bin"`
}

func (p platform) os() string   { return p.Selector.MatchLabels.OS }
func (p platform) arch() string { return p.Selector.MatchLabels.Arch }

// archive is the name of the platform's archive in the folder of the release.
func (p platform) archive() string { return p.URI[strings.LastIndex(p.URI, "/")+1:] }

// The rules by which the index's maintainers review a plugin, https://krew.sigs.k8s.io/docs/developer-guide/release/new-plugin
// and the checks of its bot.
func TestManifestReadsAsTheIndexWants(t *testing.T) {
	spec := need(t).manifest.Spec
	if n := len(spec.ShortDescription); n == 0 || n > 50 {
		t.Errorf("the short description has %d characters; `kubectl krew search` shows 50: %q", n, spec.ShortDescription)
	}
	if regexp.MustCompile(`(?i)\b(kubectl|plugin|krew)\b|\.$`).MatchString(spec.ShortDescription) {
		t.Errorf("the short description says what everything there is: %q", spec.ShortDescription)
	}
	if strings.Contains(spec.Description, "kubectl cosanet") {
		t.Error("the description has examples; the help of the plugin is the place for them")
	}
	for name, text := range map[string]string{"description": spec.Description, "caveats": spec.Caveats} {
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			if len(line) > 80 {
				t.Errorf("%s: over 80 characters: %q", name, line)
			}
		}
	}
	for _, needed := range []string{"Linux nodes", "privileged", "hostPID", "--image", "kubectl cosanet cleanup", "kubectl cosanet completion install"} {
		if !strings.Contains(spec.Caveats, needed) {
			t.Errorf("the caveats do not say %q", needed)
		}
	}
}

// What the manifest names must be the files beside it, at the place to which a release puts them.
func TestManifestIsOfTheFilesBesideIt(t *testing.T) {
	m := need(t)
	var got []string
	for _, p := range m.manifest.Spec.Platforms {
		got = append(got, p.os()+"/"+p.arch())
		if want := releases + m.manifest.Spec.Version + "/" + p.archive(); p.URI != want {
			t.Errorf("%s/%s is at %s, want %s", p.os(), p.arch(), p.URI, want)
		}
		archive, err := os.ReadFile(filepath.Join(m.release, p.archive()))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(archive); p.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the manifest has the sum %s, the file %x", p.archive(), p.SHA256, sum)
		}
	}
	slices.Sort(got)
	want := []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
}

// The validator of the index's own CI, which installs every platform from where the manifest says it is: here from loopback.
func TestValidator(t *testing.T) {
	u := newUser(t)
	url := mirror(t, map[string]string{u.manifest.Spec.Version: u.release})
	// In the index the file has the plugin's name, and the validator wants that.
	file := write(t, filepath.Join(t.TempDir(), "cosanet.yaml"), u.mirrored(t, url))
	_, said := u.must(t, "validate-krew-manifest", "-manifest", file)
	if !strings.Contains(said, "all 6 spec.platforms installed fine") {
		t.Errorf("the validator said:\n%s", said)
	}
}
