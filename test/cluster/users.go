package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// adminUser may do everything; testUsers may do nothing until a test binds a role to them.
const adminUser = "admin"

var testUsers = []string{"viewer", "operator", "nobody"}

// Kubernetes' own names of its components (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#core-component-roles):
// RBAC and the Node authorizer know what they need.
const (
	controllerManagerUser = "system:kube-controller-manager"
	schedulerUser         = "system:kube-scheduler"
)

func nodeUser(node int) string { return "system:node:" + nodeName(node) }

// makeTokens gives everybody of the cluster a token.
func (s *State) makeTokens() {
	s.Tokens = map[string]string{}
	users := append([]string{adminUser, controllerManagerUser, schedulerUser}, testUsers...)
	for n := 1; n <= s.Nodes; n++ {
		users = append(users, nodeUser(n))
	}
	for _, user := range users {
		s.Tokens[user] = rand.Text()
	}
}

// tokenFile renders the apiserver's --token-auth-file: token, user, uid, groups.
func (s *State) tokenFile() string {
	var lines []string
	for user, token := range s.Tokens {
		groups := ""
		switch {
		case user == adminUser:
			groups = ",system:masters"
		case strings.HasPrefix(user, "system:node:"):
			groups = ",system:nodes"
		}
		lines = append(lines, fmt.Sprintf("%s,%s,%s%s\n", token, user, user, groups))
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}

// kubeconfig renders a kubeconfig with a context for each user, the first being the current one.
func (s *State) kubeconfig(ca []byte, users ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: v1
kind: Config
current-context: %s
clusters:
- name: %s
  cluster:
    server: %s
    certificate-authority-data: %s
users:
`, users[0], s.Name, s.serverURL(), base64.StdEncoding.EncodeToString(ca))
	for _, user := range users {
		fmt.Fprintf(&b, "- name: %s\n  user:\n    token: %s\n", user, s.Tokens[user])
	}
	b.WriteString("contexts:\n")
	for _, user := range users {
		fmt.Fprintf(&b, "- name: %s\n  context: {cluster: %s, user: %s}\n", user, s.Name, user)
	}
	return b.String()
}

// writeAccess writes the token file, the users' kubeconfig and those of the control plane. The nodes' are in node.go.
func (s *State) writeAccess() error {
	ca, err := os.ReadFile(s.pki("ca.crt"))
	if err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	files := map[string]string{
		s.pki("tokens.csv"): s.tokenFile(),
		s.kubeconfigPath():  s.kubeconfig(ca, append([]string{adminUser}, testUsers...)...),
		filepath.Join(s.controlPlaneDir(), "controller-manager.kubeconfig"): s.kubeconfig(ca, controllerManagerUser),
		filepath.Join(s.controlPlaneDir(), "scheduler.kubeconfig"):          s.kubeconfig(ca, schedulerUser),
	}
	for n := 1; n <= s.Nodes; n++ {
		files[filepath.Join(s.nodeDir(n), "var/lib/kubelet/kubeconfig")] = s.kubeconfig(ca, nodeUser(n))
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}

// shellExports are the lines that a shell evaluates to use the cluster. A proxy must not come between.
func (s *State) shellExports() string {
	return fmt.Sprintf("export KUBECONFIG=%s\nexport PATH=%s:\"$PATH\"\nexport NO_PROXY=\"%s${NO_PROXY:+,$NO_PROXY}\"\n",
		quote(s.kubeconfigPath()), quote(s.binDir()), s.Subnet)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
