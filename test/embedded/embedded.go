// Package embedded reaches the embedded Kubernetes of test/cluster, for tests that drive kubectl-cosanet as its users do.
package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Ours selects what kubectl-cosanet creates, in whatever namespace.
const Ours = "app.kubernetes.io/managed-by=kubectl-cosanet"

// Cluster is an embedded Kubernetes as a shell on this machine sees it.
type Cluster struct {
	Program    string   // bin/cluster
	Kubectl    string   // the real one
	Kubeconfig string   // of an administrator
	Env        []string // the process's, with KUBECONFIG, and a PATH on which kubectl finds the plugin
}

// Connect finds the running cluster of a name, empty for the one that `bin/cluster up` makes. COSANET_CLUSTER_DIR chooses
// another. The tests' packages lie two folders below the root, where bin is.
func Connect(name string) (*Cluster, error) {
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Program: filepath.Join(bin, "cluster")}
	args := []string{"kubeconfig"}
	if name != "" && os.Getenv("COSANET_CLUSTER_DIR") == "" {
		args = append(args, "--name", name)
	}
	kubeconfig, err := exec.Command(c.Program, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("no embedded cluster: %w", err)
	}
	c.Kubeconfig = strings.TrimSpace(string(kubeconfig))
	c.Kubectl = filepath.Join(filepath.Dir(c.Kubeconfig), "bin", "kubectl")
	c.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "COSANET_CLUSTER_DIR="+filepath.Dir(c.Kubeconfig), "PATH="+bin+":"+os.Getenv("PATH"))
	return c, nil
}

// Result is what a command left behind.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Command is kubectl with arguments, not yet started.
func (c *Cluster) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.Kubectl, args...)
	cmd.Env = c.Env
	return cmd
}

// Run runs kubectl. A run that hangs is ended after two minutes, and shows as a code other than zero.
func (c *Cluster) Run(args ...string) Result { return Finish(c.Command(args...)) }

// Control runs bin/cluster on this cluster.
func (c *Cluster) Control(args ...string) Result {
	cmd := exec.Command(c.Program, args...)
	cmd.Env = c.Env
	return Finish(cmd)
}

// Finish runs a command to its end, or for two minutes. Code is -1 for one that a signal ended or that could not start.
func Finish(cmd *exec.Cmd) Result {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	err := cmd.Start()
	if err == nil {
		stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
		err = cmd.Wait()
		stop()
	}
	r := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.Code = exit.ExitCode()
	} else if err != nil {
		r.Code, r.Stderr = -1, r.Stderr+err.Error()
	}
	return r
}
