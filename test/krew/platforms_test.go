package krew

import (
	"debug/buildinfo"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each platform's archive, installed by krew as on that platform, from a file: the road of those without a network. The
// manifest is the release's, untouched; krew checks the archive against its sum.
func TestInstallOfEveryPlatform(t *testing.T) {
	for _, p := range need(t).manifest.Spec.Platforms {
		t.Run(p.os()+"/"+p.arch(), func(t *testing.T) {
			u := newUser(t, "KREW_OS="+p.os(), "KREW_ARCH="+p.arch())
			file := filepath.Join(u.release, "krew-manifest.yaml")
			_, said := u.must(t, "kubectl", "krew", "install", "--manifest="+file, "--archive="+filepath.Join(u.release, p.archive()))
			if !strings.Contains(said, "Installed plugin: cosanet") || !strings.Contains(said, "Caveats:") {
				t.Errorf("krew said:\n%s", said)
			}
			program := "kubectl-cosanet"
			if p.os() == "windows" {
				program += ".exe"
			}
			linked, err := filepath.EvalSymlinks(filepath.Join(u.krewRoot, "bin", program))
			if err != nil {
				t.Fatal(err)
			}
			built, err := buildinfo.ReadFile(linked)
			if err != nil {
				t.Fatal(err)
			}
			settings := map[string]string{}
			for _, s := range built.Settings {
				settings[s.Key] = s.Value
			}
			if settings["GOOS"] != p.os() || settings["GOARCH"] != p.arch() {
				t.Errorf("the program is for %s/%s", settings["GOOS"], settings["GOARCH"])
			}
			if info, err := os.Stat(linked); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("%v, %v: not a program for all users", info, err)
			}
			want, err := os.ReadFile(filepath.Join(u.root, "LICENSE"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(filepath.Dir(linked), "LICENSE")); err != nil || string(got) != string(want) {
				t.Errorf("the licence is not beside the program: %v", err)
			}
		})
	}
}
