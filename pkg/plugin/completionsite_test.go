package plugin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArguments(t *testing.T) {
	tests := map[string]struct{ argv, want []string }{
		"plugin":               {[]string{"/bin/kubectl-cosanet", "top", "-A"}, []string{"top", "-A"}},
		"completer":            {[]string{"/bin/kubectl_complete-cosanet", "top", ""}, []string{"__complete", "top", ""}},
		"completer on Windows": {[]string{"kubectl_complete-cosanet.EXE", ""}, []string{"__complete", ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Arguments(tt.argv)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// newSite makes folders in a directory of the test's own: bin and more of PATH, home/bin of PATH in a home, and elsewhere,
// which is on no PATH. A plugin is in those that are named; it is this test's program.
func newSite(t *testing.T, exe string, pluginIn ...string) (site, string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	s := site{home: filepath.Join(root, "home"), program: program, exe: exe}
	for _, folder := range []string{"bin", "more", "home/bin", "elsewhere"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if folder != "elsewhere" {
			s.folders = append(s.folders, filepath.Join(root, folder))
		}
	}
	for _, folder := range pluginIn {
		if err := copyProgram(filepath.Join(root, folder, pluginName+exe), program); err != nil {
			t.Fatal(err)
		}
	}
	return s, root
}

func TestCompleterIsPutWhereKubectlFindsIt(t *testing.T) {
	tests := map[string]struct {
		pluginIn []string
		dir      string
		want     string // the folder
		target   string // of the link
	}{
		"beside the plugin":     {[]string{"more"}, "", "more", "kubectl-cosanet"},
		"the first of two":      {[]string{"more", "home/bin"}, "", "more", "kubectl-cosanet"},
		"at home without one":   {nil, "", "home/bin", "PROGRAM"},
		"of a plugin elsewhere": {[]string{"elsewhere"}, "", "home/bin", "PROGRAM"},
		"where it is told to":   {[]string{"more"}, "elsewhere", "elsewhere", "ROOT/more/kubectl-cosanet"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, root := newSite(t, "", tt.pluginIn...)
			if tt.dir != "" {
				tt.dir = filepath.Join(root, tt.dir)
			}
			for range 2 { // the second takes the place of the first
				path, err := s.install(tt.dir)
				if err != nil {
					t.Fatal(err)
				}
				if want := filepath.Join(root, tt.want, completerName); path != want {
					t.Fatalf("installed %s, want %s", path, want)
				}
				target, err := os.Readlink(path)
				if err != nil {
					t.Fatal(err)
				}
				if want := strings.NewReplacer("ROOT", root, "PROGRAM", s.program).Replace(tt.target); target != want {
					t.Errorf("it leads to %s, want %s", target, want)
				}
				if _, err := os.Stat(path); err != nil {
					t.Errorf("it leads nowhere: %v", err)
				}
			}
			removed, err := s.uninstall(tt.dir)
			if diff := cmp.Diff([]string{filepath.Join(root, tt.want, completerName)}, removed); diff != "" || err != nil {
				t.Errorf("uninstall: %v (-want +got):\n%s", err, diff)
			}
			if removed, err := s.uninstall(tt.dir); len(removed) > 0 || err != nil {
				t.Errorf("a second uninstall removed %v, %v", removed, err)
			}
		})
	}
}

func TestCompleterOnWindowsIsACopy(t *testing.T) {
	s, root := newSite(t, ".exe", "more")
	path := filepath.Join(root, "more", "kubectl_complete-cosanet.exe")
	for range 2 {
		got, err := s.install("")
		if got != path || err != nil {
			t.Fatalf("installed %s, %v, want %s", got, err, path)
		}
	}
	copied, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	original, err := os.ReadFile(s.program)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); string(copied) != string(original) || err != nil || !info.Mode().IsRegular() {
		t.Errorf("not a copy: %d bytes of %d, %v, %v", len(copied), len(original), info, err)
	}
	if removed, err := s.uninstall(""); len(removed) != 1 || err != nil {
		t.Errorf("uninstall removed %v, %v", removed, err)
	}
}

func TestOtherCompletersAreLeftAlone(t *testing.T) {
	const script = "#!/bin/sh\nexec kubectl cosanet __complete \"$@\"\n"
	tests := map[string]func(path string) error{
		"a script":              func(path string) error { return os.WriteFile(path, []byte(script), 0o755) },
		"a link to another":     func(path string) error { return os.Symlink("/bin/sh", path) },
		"a link to nothing":     func(path string) error { return os.Symlink("kubectl-cosmos", path) },
		"a folder of that name": func(path string) error { return os.Mkdir(path, 0o755) },
	}
	for name, put := range tests {
		t.Run(name, func(t *testing.T) {
			s, root := newSite(t, "", "more")
			path := filepath.Join(root, "more", completerName)
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			var foreign *foreignError
			if got, err := s.install(""); !errors.As(err, &foreign) {
				t.Errorf("install: %s, %v", got, err)
			}
			if removed, err := s.uninstall(""); len(removed) > 0 || !errors.As(err, &foreign) {
				t.Errorf("uninstall removed %v, %v", removed, err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Error(err)
			}
		})
	}
}

// After krew upgraded or uninstalled the plugin, its link leads nowhere for a moment or for good, and is still a plugin's.
func TestCompleterOfAPluginThatIsGone(t *testing.T) {
	s, root := newSite(t, "", "more")
	path, err := s.install("")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "more", pluginName)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the link still leads somewhere: %v", err)
	}
	if removed, err := s.uninstall(""); len(removed) != 1 || err != nil {
		t.Errorf("uninstall removed %v, %v", removed, err)
	}
}

func TestNoFolderForTheCompleter(t *testing.T) {
	s, root := newSite(t, "", "more")
	if err := os.RemoveAll(filepath.Join(root, "home/bin")); err != nil {
		t.Fatal(err)
	}
	s.folders = s.folders[2:] // the one that is gone
	_, err := s.install("")
	if err == nil || !strings.Contains(err.Error(), "home/bin") || !strings.Contains(err.Error(), "--dir FOLDER") {
		t.Errorf("the error names neither what was tried nor the way out: %v", err)
	}
	s.folders = nil
	if _, err := s.install(""); err == nil || !strings.Contains(err.Error(), "--dir FOLDER") {
		t.Errorf("without a PATH: %v", err)
	}
}
