package main

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// release is one that make dist built, of the sources as they are, and how.
type release struct {
	dir, version, revision, repository string
}

// openRelease opens what make test-root has built before it runs the tests.
func openRelease(t *testing.T) release {
	t.Helper()
	r := release{dir: os.Getenv("RELEASE"), version: os.Getenv("VERSION"), revision: os.Getenv("REVISION"), repository: os.Getenv("REPOSITORY")}
	if r.dir == "" && os.Getenv("CI") == "true" {
		t.Fatal("needs a release: make test-root builds one")
	} else if r.dir == "" {
		t.Skip("needs a release: make test-root builds one")
	}
	return r
}

// archives are the names of the plugin's archives by platform.
func (r release) archives() map[string]string {
	archives := map[string]string{}
	for _, os := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			archives[os+"/"+arch] = Plugin{OS: os, Arch: arch}.Archive(r.version)
		}
	}
	return archives
}

func TestReleaseFiles(t *testing.T) {
	r := openRelease(t)
	want := []string{
		"SHA256SUMS", "krew-manifest.yaml",
		"kubectl-cosanet_" + r.version + ".cdx.json",
		"collector-image_" + r.version + ".cdx.json",
		"collector-image_" + r.version + ".tar",
	}
	for _, archive := range r.archives() {
		want = append(want, archive)
	}
	slices.Sort(want)
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files of the release (-want +got):\n%s", diff)
	}

	cmd := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS") // a second opinion on its format
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Count(out, []byte(": OK\n")) != len(want)-1 {
		t.Errorf("sha256sum --check: %v, want %d files:\n%s", err, len(want)-1, out)
	}

	// What the workflow uploads and attests to by name is there.
	workflow := readFile(t, "../../.github/workflows/release.yml")
	names := regexp.MustCompile(`dist/release/(?:\$\{\{[^}]*}}|[^\s)])+`).FindAllString(string(workflow), -1)
	if len(names) < 5 {
		t.Errorf("only %v of the release in the workflow: the pattern of this test is stale", names)
	}
	for _, name := range names {
		name = strings.ReplaceAll(filepath.Base(name), "${{ github.ref_name }}", r.version)
		if files, err := filepath.Glob(filepath.Join(r.dir, name)); (err != nil || len(files) == 0) && name != "SHA256SUMS.sigstore.json" {
			t.Errorf("the workflow names dist/release/%s, which make dist does not make", name)
		}
	}
}

// TestReleaseArchives looks into every archive: it holds the program for its platform, whose image is the one beside it.
func TestReleaseArchives(t *testing.T) {
	r := openRelease(t)
	reference := r.repository + ":" + r.version + "@" + imageDigest(t, filepath.Join(r.dir, "collector-image_"+r.version+".tar"))
	license, err := os.Stat("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for platform, archive := range r.archives() {
		files, program := readArchive(t, filepath.Join(r.dir, archive))
		os, arch, _ := strings.Cut(platform, "/")
		p := Plugin{OS: os, Arch: arch}
		want := []content{{p.Bin(), 0o755, int64(len(program))}, {"LICENSE", 0o644, license.Size()}}
		if diff := cmp.Diff(want, files); diff != "" {
			t.Errorf("%s (-want +got):\n%s", archive, diff)
		}
		info, err := buildinfo.Read(bytes.NewReader(program))
		if err != nil {
			t.Errorf("%s: %v", archive, err)
			continue
		}
		built := map[string]string{}
		for _, s := range info.Settings {
			built[s.Key] = s.Value
		}
		if built["GOOS"] != os || built["GOARCH"] != arch || built["CGO_ENABLED"] != "0" || built["-trimpath"] != "true" {
			t.Errorf("%s: built with %v", archive, built)
		}
		if !bytes.Contains(program, []byte(reference)) {
			t.Errorf("%s: the program does not know its image %s", archive, reference)
		}
		if platform == runtime.GOOS+"/"+runtime.GOARCH {
			checkVersionOf(t, program, r.version, reference)
		}
	}
}

// checkVersionOf runs the program of an archive.
func checkVersionOf(t *testing.T, program []byte, version, image string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubectl-cosanet")
	if err := os.WriteFile(file, program, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(file, "version", "-o", "json").Output()
	if err != nil {
		t.Fatalf("running the plugin: %v", err)
	}
	var got struct{ Version, Image string }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != version || got.Image != image {
		t.Errorf("the plugin says %+v, want version %s and image %s", got, version, image)
	}
}

func TestReleaseManifest(t *testing.T) {
	r := openRelease(t)
	var manifest struct {
		Spec struct {
			Version   string
			Platforms []struct {
				Selector         struct{ MatchLabels map[string]string }
				URI, SHA256, Bin string
			}
		}
	}
	if err := yaml.Unmarshal(readFile(t, filepath.Join(r.dir, "krew-manifest.yaml")), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Spec.Version != r.version {
		t.Errorf("version %s, want %s", manifest.Spec.Version, r.version)
	}
	left := r.archives()
	for _, p := range manifest.Spec.Platforms {
		platform := p.Selector.MatchLabels["os"] + "/" + p.Selector.MatchLabels["arch"]
		archive := left[platform]
		delete(left, platform)
		if want := "https://github.com/cosanet/kubectl-cosanet/releases/download/" + r.version + "/" + archive; p.URI != want {
			t.Errorf("%s: uri %s, want %s", platform, p.URI, want)
		}
		sum, err := sumOf(filepath.Join(r.dir, archive))
		if err != nil || p.SHA256 != sum {
			t.Errorf("%s: sha256 %s, want %s (%v)", platform, p.SHA256, sum, err)
		}
		if want := (Plugin{OS: p.Selector.MatchLabels["os"]}).Bin(); p.Bin != want {
			t.Errorf("%s: bin %s, want %s", platform, p.Bin, want)
		}
	}
	if len(left) > 0 {
		t.Errorf("not in the manifest: %v", left)
	}
}

// TestReleaseTwice runs make dist again, in a copy of the sources in another folder and under other circumstances, and
// wants every byte again.
func TestReleaseTwice(t *testing.T) {
	r := openRelease(t)
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("listing the sources: %v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "some", "where", "else")
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		copyFile(t, filepath.Join("../..", name), filepath.Join(elsewhere, name))
	}
	cmd := exec.Command("bash", "-c", "umask 077; exec make --silent dist")
	cmd.Dir = elsewhere
	cmd.Env = append(os.Environ(), "VERSION="+r.version, "REVISION="+r.revision, "REPOSITORY="+r.repository,
		"TZ=Pacific/Kiritimati", "LC_ALL=C", "USER=somebody", "HOSTNAME=elsewhere", "GOAMD64=v3", "GOFLAGS=-tags=other")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make dist in %s: %v\n%s", elsewhere, err, out)
	}
	first, second := readFile(t, filepath.Join(r.dir, sumsFile)), readFile(t, filepath.Join(elsewhere, "dist/release", sumsFile))
	if diff := cmp.Diff(strings.Split(string(first), "\n"), strings.Split(string(second), "\n")); diff != "" {
		t.Errorf("checksums of two builds (-here +elsewhere):\n%s", diff)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if os.IsNotExist(err) {
		return // in git, but deleted
	} else if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, readFile(t, from), info.Mode()); err != nil {
		t.Fatal(err)
	}
}

// imageDigest reads the digest of the image in an archive.
func imageDigest(t *testing.T, archive string) string {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(readFile(t, archive))); ; {
		header, err := r.Next()
		if err != nil {
			t.Fatalf("no index.json in %s: %v", archive, err)
		}
		if header.Name != "index.json" {
			continue
		}
		var index struct{ Manifests []struct{ Digest string } }
		if err := json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&index); err != nil || len(index.Manifests) == 0 {
			t.Fatalf("index.json of %s: %v, %+v", archive, err, index)
		}
		return index.Manifests[0].Digest
	}
}
