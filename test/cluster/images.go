package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pauseImage is the image of the process that holds a pod's namespaces. The name is reserved (RFC 2606): it can
// only come from an import.
const pauseImage = "cluster.test/pause:1"

// imageArchive packs an image of one static binary, /name, in the archive format of `docker save`.
func imageArchive(ref, name string, binary []byte) ([]byte, error) {
	layer, err := tarball(tarFile{name, 0o755, binary})
	if err != nil {
		return nil, err
	}
	type object = map[string]any
	config, err := json.Marshal(object{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       object{"Entrypoint": []string{"/" + name}, "User": "65535:65535"},
		"rootfs":       object{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding image %s: %w", ref, err)
	}
	configName := fmt.Sprintf("%x.json", sha256.Sum256(config))
	manifest, err := json.Marshal([]object{{"Config": configName, "RepoTags": []string{ref}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return nil, fmt.Errorf("encoding image %s: %w", ref, err)
	}
	return tarball(tarFile{configName, 0o644, config}, tarFile{"layer.tar", 0o644, layer}, tarFile{"manifest.json", 0o644, manifest})
}

type tarFile struct {
	name string
	mode int64
	data []byte
}

func tarball(files ...tarFile) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Format: tar.FormatUSTAR}); err != nil {
			return nil, fmt.Errorf("packing an image: %w", err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("packing an image: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing an image: %w", err)
	}
	return buf.Bytes(), nil
}

// importImages imports archives into every node, the nodes side by side.
func importImages(ctx context.Context, s *State, archives []string, p *progress) error {
	for _, archive := range archives {
		if _, err := os.Stat(archive); err != nil { // before the first import rather than halfway
			return fmt.Errorf("reading the image archive: %w", err)
		}
	}
	for _, archive := range archives {
		var wg sync.WaitGroup
		names := make([][]string, s.Nodes)
		errs := make([]error, s.Nodes)
		for n := range s.Nodes {
			wg.Go(func() { names[n], errs[n] = s.importImage(ctx, n+1, archive) })
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		p.step("imported %s into every node", strings.Join(names[0], ", "))
	}
	return nil
}

// imageStore is where the container runtime of a node keeps its images.
type imageStore interface {
	// ready returns why the store cannot be used yet.
	ready(ctx context.Context) error
	// load imports an archive and waits until the runtime offers the images to the kubelet.
	load(ctx context.Context, archive *os.File) (names []string, err error)
}

func (s *State) imageStore(node int) imageStore {
	if s.runtimeOf(node).Name == "cri-o" {
		return crioImages{s, nodeName(node)}
	}
	return containerdImages{s, nodeName(node)}
}

// importImage imports an archive into one node.
func (s *State) importImage(ctx context.Context, node int, archive string) (names []string, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, fmt.Errorf("reading the image archive: %w", err)
	}
	defer f.Close()
	names, err = s.imageStore(node).load(ctx, f)
	if err == nil && len(names) == 0 {
		err = errors.New("the archive holds no named image")
	}
	if err != nil {
		return nil, fmt.Errorf("importing %s into %s: %w", archive, nodeName(node), err)
	}
	return names, nil
}

// containerdImages is the image store of a node with containerd.
type containerdImages struct {
	*State
	node string
}

func (c containerdImages) ready(ctx context.Context) error {
	_, err := c.ctr(ctx, nil, "version")
	return err
}

func (c containerdImages) load(ctx context.Context, archive *os.File) (names []string, err error) {
	// By stdin: a node sees neither /run nor /var of the machine, where the archive may be.
	out, err := c.ctr(ctx, archive, "images", "import", "-")
	if err != nil {
		return nil, err
	}
	names = importedNames(out)
	for _, name := range names {
		// containerd's CRI service learns of an image by an event and then labels it.
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			out, err := c.ctr(ctx, nil, "images", "ls", "name=="+name)
			if err == nil && strings.Contains(out, "io.cri-containerd.image=managed") {
				break
			}
			if err == nil && time.Now().After(deadline) {
				err = errors.New("its CRI service has not taken notice")
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return names, nil
}

// importedNames reads the output of `ctr images import`, which has a line for each image: up to containerd 1.7
// "unpacking NAME (DIGEST)...done", from 2.0 on "NAME saved".
func importedNames(out string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^(?:unpacking (\S+) \(|(\S+)\s+saved\b)`).FindAllStringSubmatch(out, -1) {
		names = append(names, m[1]+m[2])
	}
	return names
}

// ctr runs containerd's own client, in the namespace where its CRI service keeps images.
func (c containerdImages) ctr(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	return c.run(ctx, c.node, stdin, append([]string{"ctr", "-n", "k8s.io"}, args...)...)
}

// run runs a command in a node.
func (s *State) run(ctx context.Context, node string, stdin io.Reader, argv ...string) (string, error) {
	p, err := s.node(node)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "nsenter", enter(p, argv)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// enter is the arguments of nsenter that run a command in a node.
func enter(node Process, argv []string) []string {
	return append([]string{"--target=" + strconv.Itoa(node.PID), "--pid", "--mount", "--net", "--uts", "--"}, argv...)
}

func (s *State) pauseArchive() string { return filepath.Join(s.dir, "pause.tar") }

func (s *State) makePauseArchive(binary string) error {
	data, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("reading the pause binary: %w", err)
	}
	archive, err := imageArchive(pauseImage, "pause", data)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.pauseArchive(), archive, 0o600); err != nil {
		return fmt.Errorf("writing the pause image: %w", err)
	}
	return nil
}
