package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kubectl's own flags say who asks which cluster, and for how long, behind the name of any command.
func TestConnectionFlags(t *testing.T) {
	c := withShop(t)
	const namespace = "shop"
	viewer := c.in(t, t.TempDir(), namespace)
	viewer.Must(t, "config", "use-context", "viewer")
	elsewhere := *c
	elsewhere.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(t.TempDir(), "nosuch"), "PATH="+filepath.Dir(c.Program)+":"+os.Getenv("PATH"))
	tests := []struct {
		name string
		from *cluster
		args []string
		code int
		says string // on standard error
	}{
		{"the context's namespace", c.in(t, t.TempDir(), namespace), nil, 0, ""},
		{"a user without rights", viewer, nil, 1, `User "viewer" cannot list resource "pods"`},
		{"--context", viewer, []string{"-n", namespace, "--context", "admin"}, 0, ""},
		{"--context that is not there", viewer, []string{"--context", "nosuch"}, 1, "context was not found for specified context: nosuch"},
		{"--user", viewer, []string{"-n", namespace, "--user", "admin"}, 0, ""},
		{"--as", c, []string{"-n", namespace, "--as", "operator"}, 1, `User "operator" cannot list resource "pods"`},
		{"--as-group", c, []string{"-n", namespace, "--as", "operator", "--as-group", "system:masters"}, 0, ""},
		{"no kubeconfig", &elsewhere, []string{"-n", namespace}, 1, "error: "},
		{"--kubeconfig", &elsewhere, []string{"-n", namespace, "--kubeconfig", c.Kubeconfig}, 0, ""},
		{"--kubeconfig that is not there", c, []string{"--kubeconfig", "/nosuch"}, 1, "stat /nosuch: no such file or directory"},
		{"--request-timeout that is enough", c, []string{"-n", namespace, "--request-timeout", "30s"}, 0, ""},
		{"--request-timeout in seconds", c, []string{"-n", namespace, "--request-timeout", "30"}, 0, ""},
		{"--request-timeout that is not", c, []string{"-n", namespace, "--request-timeout", "1us"}, 1, "--request-timeout"},
		{"--request-timeout shorter than the samples", c, []string{"-n", namespace, "--request-timeout", "2s", "--interval", "3s"}, 0, ""},
		{"--request-timeout that is no time", c, []string{"-n", namespace, "--request-timeout", "soon"}, 1, "Invalid timeout value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.from.Cosanet(t, tt.code, append([]string{"top"}, tt.args...)...)
			if table := rows(t, r.Stdout); tt.code == 0 && table["web-0"] == nil {
				t.Errorf("web-0 is not among the pods:\n%s", r.Stdout)
			}
			if !strings.Contains(r.Stderr, tt.says) {
				t.Errorf("standard error does not say %q:\n%s", tt.says, r.Stderr)
			}
		})
	}
	c.WantNothingLeft(t)
}
