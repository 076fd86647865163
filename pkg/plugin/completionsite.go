package plugin

import (
	"cmp"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// site is where programs are on this machine, as far as the completer is concerned.
type site struct {
	folders []string // of PATH, in its order, those with a full name
	home    string   // folders below it may be written into without being named
	program string   // this program's file, which the completer is when there is none on PATH
	exe     string   // ".exe" on Windows
}

func thisSite() (site, error) {
	program, err := os.Executable()
	if err != nil {
		return site{}, fmt.Errorf("finding the plugin's own file: %w", err)
	}
	s := site{program: program}
	s.home, _ = os.UserHomeDir() // without one, only the plugin's own folder is tried
	if runtime.GOOS == "windows" {
		s.exe = ".exe"
	}
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(folder) {
			s.folders = append(s.folders, filepath.Clean(folder))
		}
	}
	return s, nil
}

// copies tells whether the completer is a copy: on Windows a link takes a right that few have.
func (s site) copies() bool { return s.exe != "" }

// find is the file that kubectl runs by this name, the first on PATH; empty when there is none. Links are not followed: what
// they lead to changes with each upgrade, since krew has a folder a version.
func (s site) find(name string) string {
	for _, folder := range s.folders {
		path := filepath.Join(folder, name+s.exe)
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && (s.copies() || info.Mode()&0o111 != 0) {
			return path
		}
	}
	return ""
}

// install puts the completer into dir or, when that is empty, into the first folder that lets it. It returns its file.
func (s site) install(dir string) (string, error) {
	plugin := cmp.Or(s.find(pluginName), s.program)
	if dir != "" {
		folder, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("installing into %s: %w", dir, err)
		}
		return s.put(plugin, folder)
	}
	var refused []string
	for _, folder := range s.candidates(plugin) {
		path, err := s.put(plugin, folder)
		var foreign *foreignError
		if err == nil || errors.As(err, &foreign) { // in a later folder kubectl would not find it
			return path, err
		}
		refused = append(refused, err.Error())
	}
	where := "no folder of PATH is the plugin's, nor in your home"
	if len(refused) > 0 {
		where = "no folder of PATH takes it:\n  " + strings.Join(refused, "\n  ")
	}
	return "", advise(fmt.Errorf("the completion is not installed: %s", where),
		"name a folder of PATH that you may write into: kubectl cosanet completion install --dir FOLDER")
}

// candidates are the folders that the completer may go into without being told: the plugin's if it is on PATH, and those of
// PATH in the user's home.
func (s site) candidates(plugin string) []string {
	var folders []string
	if own := filepath.Dir(plugin); slices.Contains(s.folders, own) {
		folders = append(folders, own)
	}
	for _, folder := range s.folders {
		inHome := s.home != "" && strings.HasPrefix(folder, filepath.Clean(s.home)+string(filepath.Separator))
		if inHome && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	return folders
}

// put makes the completer in a folder, in place of an earlier one.
func (s site) put(plugin, folder string) (string, error) {
	path := filepath.Join(folder, completerName+s.exe)
	if err := s.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if s.copies() {
		return path, copyProgram(path, plugin)
	}
	target := plugin
	if filepath.Dir(plugin) == folder {
		target = filepath.Base(plugin) // holds also where the folder is moved, or is another user's home
	}
	if err := os.Symlink(target, path); err != nil {
		return "", fmt.Errorf("installing %s: %w", path, errors.Unwrap(err))
	}
	return path, nil
}

// uninstall removes the completer from dir or, when that is empty, from all folders of PATH, and returns the files that it
// removed, also when it could not remove others.
func (s site) uninstall(dir string) (removed []string, err error) {
	folders := s.folders
	if dir != "" {
		folder, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("removing from %s: %w", dir, err)
		}
		folders = []string{folder}
	}
	var failed []error
	for _, folder := range folders {
		path := filepath.Join(folder, completerName+s.exe)
		switch err := s.remove(path); {
		case err == nil:
			removed = append(removed, path)
		case !errors.Is(err, fs.ErrNotExist):
			failed = append(failed, err)
		}
	}
	return removed, errors.Join(failed...)
}

// foreignError is a program by the completer's name that is not this plugin, and so is left alone.
type foreignError struct{ path string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s is not of this plugin and stays as it is; remove it to have kubectl cosanet completed by the plugin itself", e.path)
}

// remove removes a completer that an installation made. One that is not there is fs.ErrNotExist.
func (s site) remove(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", path, err)
	}
	if !s.made(path, info) {
		return &foreignError{path}
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing %s: %w", path, errors.Unwrap(err))
	}
	return nil
}

// made tells whether a completer is a link to a plugin, be it gone, or a plugin of whatever version.
func (s site) made(path string, info fs.FileInfo) bool {
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		if err == nil && filepath.Base(target) == pluginName+s.exe {
			return true
		}
	}
	self, ok := debug.ReadBuildInfo()
	other, err := buildinfo.ReadFile(path)
	return ok && err == nil && self.Path == other.Path
}

func copyProgram(path, program string) (err error) {
	from, err := os.Open(program)
	if err != nil {
		return fmt.Errorf("installing %s: %w", path, err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("installing %s: %w", path, errors.Unwrap(err))
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		return errors.Join(fmt.Errorf("installing %s: %w", path, err), os.Remove(path)) // half a program completes nothing
	}
	return nil
}
