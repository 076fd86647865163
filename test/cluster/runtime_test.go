package main

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRuntimeOfNode(t *testing.T) {
	containerd2, crio := NodeRuntime{Name: "containerd-2"}, NodeRuntime{Name: "cri-o"}
	tests := []struct {
		name     string
		nodes    int
		runtimes []NodeRuntime
		want     []string // of the nodes
	}{
		{"none", 2, nil, []string{"containerd", "containerd"}},
		{"one", 3, []NodeRuntime{crio}, []string{"containerd", "containerd", "cri-o"}},
		{"two", 3, []NodeRuntime{containerd2, crio}, []string{"containerd", "containerd-2", "cri-o"}},
		{"on every node", 2, []NodeRuntime{crio, containerd2}, []string{"cri-o", "containerd-2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &State{Nodes: tt.nodes, Runtimes: tt.runtimes}
			var got []string
			for n := range tt.nodes {
				got = append(got, s.runtimeOf(n+1).Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A name that --runtime takes is a runtime of its own, and none of the machine's.
func TestRuntimesAreBuilt(t *testing.T) {
	for _, name := range runtimeNames {
		r := containerRuntimeOf(name)
		if !slices.ContainsFunc(r.products(), func(p product) bool { return slices.Contains(p.programs, r.program) }) {
			t.Errorf("%s: nothing builds %s", name, r.program)
		}
	}
	if r := containerRuntimeOf(machineRuntime); r.products != nil || r.socket != containerdSocket {
		t.Errorf("the machine's is %+v", r)
	}
}

func TestArchivedImages(t *testing.T) {
	docker, err := imageArchive("cluster.test/x:1", "x", []byte("binary"))
	if err != nil {
		t.Fatal(err)
	}
	oci, err := tarball(tarFile{"index.json", 0o644, []byte(`{"manifests": [
		{"annotations": {"io.containerd.image.name": "docker.io/library/x:1", "org.opencontainers.image.ref.name": "1"}},
		{"annotations": {"io.containerd.image.name": "docker.io/library/x@sha256:0123"}}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	bad, err := tarball(tarFile{"manifest.json", 0o644, []byte("[{")})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		archive []byte
		want    []archivedImage
		fails   bool
	}{
		{"docker save", docker, []archivedImage{{"docker-archive", "cluster.test/x:1", "cluster.test/x:1"}}, false},
		{"OCI layout, named by tag and by digest", oci, []archivedImage{{"oci-archive", "1", "docker.io/library/x:1"}}, false},
		{"a manifest cut short", bad, nil, true},
		{"cut short", docker[:700], nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := archivedImages(bytes.NewReader(tt.archive))
			if (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(archivedImage{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMountedControllers(t *testing.T) {
	const heading = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
	for _, tt := range []struct{ name, list, want string }{
		{"one is not mounted", heading + "cpu\t1\t5\t1\nhugetlb\t0\t5\t1\npids\t8\t5\t1\n", heading + "cpu\t1\t5\t1\npids\t8\t5\t1\n"},
		{"cgroup v2 alone", heading + "cpu\t0\t5\t1\nhugetlb\t0\t5\t1\n", heading + "cpu\t0\t5\t1\nhugetlb\t0\t5\t1\n"},
		{"cut short", heading + "cpu\t1\t5\t1\nhuge", heading + "cpu\t1\t5\t1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mountedControllers(tt.list)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
