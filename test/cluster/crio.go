package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const crioSocket = "/run/crio/crio.sock"

// crio is CRI-O with pinns, its program in C that keeps the namespaces of a pod. conmon is the distribution's; crun, which CRI-O would
// rather have than runc, would not do from Debian 12: version 1.8.1 refuses a container of this CRI-O ("unknown version specified").
func crio() product {
	const version = "v1.34.0"
	return product{
		name: "CRI-O " + version, patience: "some 4 minutes", folder: versioned("cri-o", version), programs: []string{"crio", "pinns"},
		source: module("github.com/cri-o/cri-o", version),
		args: []string{"-ldflags", "-s -w",
			"-tags", "containers_image_openpgp containers_image_ostree_stub exclude_graphdriver_btrfs", "./cmd/crio"},
		rest: func(ctx context.Context, src, out string) error {
			sources, err := filepath.Glob(filepath.Join(src, "pinns", "src", "*.c"))
			if err != nil {
				return err
			}
			cmd := exec.CommandContext(ctx, "gcc", append([]string{"-std=c99", "-Os", "-s", "-o", filepath.Join(out, "pinns")}, sources...)...)
			if text, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("compiling pinns: gcc: %w: %s", err, text)
			}
			return nil
		},
	}
}

// crioConfig renders /var/lib/crio/crio.conf: cgroups without systemd, and nothing outside of what is the node's own. That a pod has no
// pause process (drop_infra_ctr) is its default; that conmon is in the cgroup of the pod, that of OpenShift.
func crioConfig(cniDir string) string {
	return fmt.Sprintf(`[crio]
root = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
storage_driver = "overlay"
clean_shutdown_file = "/var/lib/crio/clean.shutdown"

[crio.api]
listen = %q

[crio.runtime]
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
default_runtime = "runc"
hooks_dir = ["/var/lib/crio/hooks.d"]
cdi_spec_dirs = ["/var/lib/crio/cdi"]
irqbalance_config_restore_file = "disable"
disable_hostport_mapping = true

[crio.runtime.runtimes.runc]

[crio.image]
pause_image = %q
signature_policy = "/var/lib/crio/policy.json"
signature_policy_dir = "/var/lib/crio/policies"

[crio.network]
network_dir = "/var/lib/cni/net.d"
plugin_dirs = [%q]
`, crioSocket, pauseImage, cniDir)
}

// hideControllers takes the cgroup controllers that the kernel has and nobody has mounted out of the node's /proc/cgroups: CRI-O takes
// hugetlb from there, sets limits of it, and runc finds no cgroup for them.
func hideControllers() error {
	const path, shown = "/proc/cgroups", "/run/cgroups"
	list, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("listing cgroup controllers: %w", err)
	}
	if err := os.WriteFile(shown, []byte(mountedControllers(string(list))), 0o444); err != nil {
		return fmt.Errorf("hiding cgroup controllers: %w", err)
	}
	if err := unix.Mount(shown, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("hiding cgroup controllers: %w", err)
	}
	return nil
}

// mountedControllers leaves out of /proc/cgroups the controllers without a hierarchy, unless none has one: on a machine with cgroup v2
// alone that is the hierarchy of all.
func mountedControllers(list string) string {
	var kept strings.Builder
	mounted := 0
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		heading := strings.HasPrefix(line, "#")
		if !heading && (len(fields) < 2 || fields[1] == "0") {
			continue
		}
		if !heading {
			mounted++
		}
		kept.WriteString(line)
	}
	if mounted == 0 {
		return list
	}
	return kept.String()
}

// crioPolicy: images are there by import alone, and nobody signs them.
const crioPolicy = `{"default": [{"type": "insecureAcceptAnything"}]}` + "\n"

// crioImages is the image store of a node with CRI-O, to which skopeo imports as docs/airgap.md has it.
type crioImages struct {
	*State
	node string
}

// ready looks for the socket behind the node's own mounts: the folder with its programs is there only once those are made.
func (c crioImages) ready(context.Context) error {
	p, err := c.State.node(c.node)
	if err != nil {
		return err
	}
	root := fmt.Sprintf("/proc/%d/root", p.PID)
	if _, err := os.Stat(root + runtimeFolder); err != nil {
		return fmt.Errorf("looking for CRI-O: %w", err)
	}
	if !served(root + crioSocket) {
		return fmt.Errorf("nothing serves %s", crioSocket)
	}
	return nil
}

func (c crioImages) load(ctx context.Context, archive *os.File) (names []string, err error) {
	images, err := archivedImages(archive)
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		if _, err := archive.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		// The archive is opened by its descriptor, since a node sees neither /run nor /var of the machine, where it may be.
		_, err := c.run(ctx, c.node, archive, "skopeo", "--insecure-policy", "copy", "--quiet",
			image.format+":/dev/stdin:"+image.reference, "containers-storage:"+image.name)
		if err != nil {
			return nil, err
		}
		names = append(names, image.name)
	}
	return names, nil
}

// archivedImage is an image in an archive, as skopeo speaks of it.
type archivedImage struct {
	format    string // docker-archive or oci-archive
	reference string // within the archive
	name      string // in full, with the tag
}

// archivedImages reads what images an archive has that are named by a tag: by the index of an OCI layout, where tools/pack writes
// both the tag and the name, or by the manifest of `docker save`.
func archivedImages(archive io.Reader) ([]archivedImage, error) {
	var images []archivedImage
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return images, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the image archive: %w", err)
		}
		switch header.Name {
		case "index.json":
			var index struct {
				Manifests []struct{ Annotations map[string]string }
			}
			if err := json.NewDecoder(files).Decode(&index); err != nil {
				return nil, fmt.Errorf("reading %s of the image archive: %w", header.Name, err)
			}
			for _, m := range index.Manifests {
				if tag := m.Annotations["org.opencontainers.image.ref.name"]; tag != "" {
					images = append(images, archivedImage{"oci-archive", tag, m.Annotations["io.containerd.image.name"]})
				}
			}
		case "manifest.json":
			var manifest []struct{ RepoTags []string }
			if err := json.NewDecoder(files).Decode(&manifest); err != nil {
				return nil, fmt.Errorf("reading %s of the image archive: %w", header.Name, err)
			}
			for _, m := range manifest {
				for _, name := range m.RepoTags {
					images = append(images, archivedImage{"docker-archive", name, name})
				}
			}
		}
	}
}
