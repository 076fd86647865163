package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Setenv("COSANET_CLUSTER_DIR", "")
	const minutes = 3 * time.Minute
	tests := []struct {
		args string
		want options
	}{
		{"up", options{name: "cosanet", dir: "/run/kubectl-cosanet-cluster", timeout: minutes}},
		{"up --nodes 3 --image a.tar --image b.tar --timeout 1m",
			options{name: "cosanet", dir: "/run/kubectl-cosanet-cluster", nodes: 3, images: []string{"a.tar", "b.tar"}, timeout: time.Minute}},
		{"up --runtime containerd-2 --runtime cri-o", options{name: "cosanet", dir: "/run/kubectl-cosanet-cluster", runtimes: []string{"containerd-2", "cri-o"}, timeout: minutes}},
		{"down --name other", options{name: "other", dir: "/run/kubectl-cosanet-cluster-other"}},
		{"status --dir /x/../y", options{name: "cosanet", dir: "/y"}},
		{"exec --dir /y node-1 -- ip -br a", options{name: "cosanet", dir: "/y", args: []string{"node-1", "ip", "-br", "a"}}},
		{"exec --dir /y node-1 true", options{name: "cosanet", dir: "/y", args: []string{"node-1", "true"}}},
		{"import --dir /y a.tar b.tar", options{name: "cosanet", dir: "/y", args: []string{"a.tar", "b.tar"}}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			args := strings.Fields(tt.args)
			got, err := parse(args[0], args[1:])
			if err != nil {
				t.Fatal(err)
			}
			if len(got.args) == 0 {
				got.args = nil
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(options{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDirFromEnvironment(t *testing.T) {
	t.Setenv("COSANET_CLUSTER_DIR", "/elsewhere")
	o, err := parse("status", nil)
	if err != nil || o.dir != "/elsewhere" {
		t.Errorf("got %q, %v, want /elsewhere", o.dir, err)
	}
}

func TestUsageErrors(t *testing.T) {
	for args, want := range map[string]string{
		"":                    "verb is missing",
		"upp":                 `unknown verb "upp"`,
		"up --node 2":         "not defined: -node",
		"up --nodes -1":       "--nodes -1: want 1 to 100",
		"up --nodes 101":      "--nodes 101: want 1 to 100",
		"up --runtime docker": `--runtime "docker": want containerd-2 or cri-o`,
		"up --nodes 1 --runtime cri-o --runtime containerd-2": "--nodes 1 are too few for 2 of --runtime",
		"up now":               `up takes no argument, got "now"`,
		"up --name node_1":     `--name "node_1"`,
		"down --nodes 2":       "not defined: -nodes",
		"import":               "name an image archive",
		"hollow":               "say how many nodes",
		"exec node-1":          "want NODE -- CMD",
		"exec node-1 --":       "want NODE -- CMD",
		"kubeconfig --force":   "not defined: -force",
		"up --timeout soon":    "invalid value",
		"status --dir":         "needs an argument",
		"down --name toolong9": "", // 8 bytes: fine
	} {
		t.Run(args, func(t *testing.T) {
			var err error
			if fields := strings.Fields(args); want == "" {
				_, err = parse(fields[0], fields[1:])
			} else {
				err = run(context.Background(), fields, io.Discard, io.Discard)
			}
			var usage usageError
			if want == "" && err != nil || want != "" && (!errors.As(err, &usage) || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want a usage error with %q", err, want)
			}
		})
	}
}

func TestWithoutCluster(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	for _, args := range []string{"status", "env", "kubeconfig", "exec node-1 -- true", "import x.tar"} {
		verb, rest, _ := strings.Cut(args, " ")
		err := run(context.Background(), append([]string{verb, "--dir", dir}, strings.Fields(rest)...), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "run `cluster up` first") {
			t.Errorf("%s: got %v, want the next step", args, err)
		}
	}
	var stderr bytes.Buffer
	if err := run(context.Background(), []string{"down", "--dir", dir}, io.Discard, &stderr); err != nil {
		t.Errorf("down without a cluster: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a verb made the folder: %v", err)
	}
}

func TestForeignFolderIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"up", "down"} {
		err := run(context.Background(), []string{verb, "--dir", dir}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "holds no cluster") {
			t.Errorf("%s: got %v, want a refusal", verb, err)
		}
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}
