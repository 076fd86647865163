package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// exampleState is a cluster that never was: what up would render for it is in testdata/golden.
func exampleState() *State {
	s := &State{Name: "cosanet", Nodes: 2, Subnet: netip.MustParsePrefix("10.200.0.0/16"), Kube: "/cache/kube", dir: "/run/example"}
	s.makeTokens()
	for user := range s.Tokens {
		s.Tokens[user] = "token-of-" + user
	}
	return s
}

func TestRendered(t *testing.T) {
	s := exampleState()
	var network strings.Builder
	for _, step := range s.networkPlan() {
		where := step.netns
		if where == "" {
			where = "the machine"
		}
		fmt.Fprintf(&network, "# in %s\n%s\n", where, strings.Join(step.commands, "\n"))
	}
	var flags strings.Builder
	for _, c := range append([]component{s.storage(), s.apiserver()}, s.controllers()...) {
		fmt.Fprintf(&flags, "%s\n  %s\n", c.name, strings.Join(c.args, "\n  "))
	}
	files := map[string]string{
		"kubelet.yaml":       s.kubeletConfig(1),
		"containerd.toml":    s.containerdConfig("/usr/lib/cni"),
		"crio.conf":          crioConfig("/usr/lib/cni"),
		"cni.conflist":       s.cniConfig(2),
		"tokens.csv":         s.tokenFile(),
		"kubeconfig.yaml":    s.kubeconfig([]byte("certificate"), append([]string{adminUser}, testUsers...)...),
		"env.sh":             s.shellExports(),
		"network.txt":        network.String(),
		"control-plane.txt":  flags.String(),
		"usage.txt":          usageText,
		"kube-build-ldflags": ldflags("v1.2.3") + "\n",
	}
	for name, got := range files {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", "golden", name)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run the test with -update if this is meant:\n%s", diff)
			}
		})
	}
}

func TestKubeVersion(t *testing.T) {
	got, err := kubeVersion()
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "\n\tk8s.io/kubernetes "+got+"\n") {
		t.Errorf("go.mod does not require k8s.io/kubernetes %s", got)
	}
}

func TestQuote(t *testing.T) {
	if got, want := quote("/a b/it's"), `'/a b/it'\''s'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
