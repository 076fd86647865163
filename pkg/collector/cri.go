//go:build linux

package collector

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	criTimeout  = 5 * time.Second
	maxCRIBytes = 16 << 20 // of one answer; 500 sandboxes are 1 MB
)

// criSockets are where runtimes listen for the kubelet. Not among them, since they list other containers than the
// kubelet's: Bottlerocket's /run/host-containerd/containerd.sock and Talos' /system/run/containerd/containerd.sock.
var criSockets = []string{
	"/run/containerd/containerd.sock",                       // kubeadm, GKE, AKS, EKS, Bottlerocket, Talos, kind
	"/run/k3s/containerd/containerd.sock",                   // k3s, rke2, k3d
	"/run/crio/crio.sock",                                   // OpenShift, MicroShift
	"/run/k0s/containerd.sock",                              // k0s
	"/var/snap/microk8s/common/run/containerd.sock",         // MicroK8s
	"/run/cri-dockerd.sock",                                 // minikube with docker, RKE1
	"/run/dockershim.sock",                                  // old EKS and Bottlerocket: containerd under dockershim's name
	"/var/vcap/sys/run/containerd/containerd.sock",          // TKGI
	"/var/lib/rancher/k3s/agent/containerd/containerd.sock", // k3s with a data dir of its own
}

// socketPaths returns where a socket of the node may be found from here: through the root of pid 1, which is the node's
// in a pod with hostPID, then directly, for a collector outside of any pod or with the socket's directory mounted.
// /var/run is /run on every distribution, but its absolute link is of no use below another root.
func socketPaths(override string) []string {
	if rest, ok := strings.CutPrefix(override, "/var/run/"); ok {
		return []string{"/proc/1/root/run/" + rest, override}
	}
	if override != "" {
		return []string{"/proc/1/root" + override, override}
	}
	var paths []string
	for _, s := range criSockets {
		paths = append(paths, "/proc/1/root"+s, s)
	}
	return paths
}

// runtimeClient asks the node's container runtime. The connection is kept from one question to the next; where the runtime
// was restarted or its socket replaced, the next question opens another.
type runtimeClient struct {
	override string
	path     string // of the socket that is connected
	socket   fileID // what was at path when it was connected
	conn     *grpc.ClientConn
	answer   rawAnswer // the last list, as it came
}

// list asks for the sandboxes that are ready; the answer is valid until the next question. Where several sockets answer
// (docker brings a containerd of its own), the first with any sandbox is the kubelet's. Where none does, the error has a line
// for each that should have. ctx bounds all of it, criTimeout each socket.
func (c *runtimeClient) list(ctx context.Context) error {
	paths := socketPaths(c.override)
	if c.conn != nil {
		paths = slices.Insert(paths, 0, c.path)
	}
	answered := false // without any sandbox
	var failures []error
	var denied error // the first of those paths that may not be looked at, which is mostly so for all of them
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			continue
		}
		switch err := c.ask(ctx, path); {
		case err == nil && len(c.answer.bytes) > 0:
			return nil
		case err == nil:
			answered = true
		case errors.Is(err, fs.ErrPermission):
			denied = cmp.Or(denied, err)
		case !errors.Is(err, errNoSocket):
			failures = append(failures, err)
		}
	}
	c.answer.bytes = c.answer.bytes[:0]
	switch {
	case answered:
		return nil
	case len(failures) == 0:
		return cmp.Or(denied, errNoSocket)
	}
	return errors.Join(failures...)
}

// fileID tells a file from the one that takes its name later.
type fileID struct{ dev, ino uint64 }

// errNoSocket says that no runtime is to be expected where it was looked for.
var errNoSocket = errors.New("no container runtime socket found")

// ask lists the sandboxes of the runtime at a path. A connection that breaks may have been idle since its runtime ended:
// its successor is asked at once.
func (c *runtimeClient) ask(ctx context.Context, path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: %w", path, err)
	} else if err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errNoSocket
	}
	ctx, cancel := context.WithTimeout(ctx, criTimeout)
	defer cancel()
	socket := fileID{st.Dev, st.Ino}
	kept := c.conn != nil && c.path == path && c.socket == socket
	err := c.listAt(ctx, path, socket)
	if kept && status.Code(err) == codes.Unavailable {
		err = c.listAt(ctx, path, socket)
	}
	if err != nil {
		return fmt.Errorf("listing sandboxes of %s: %w", path, err)
	}
	return nil
}

// listAt asks over the connection that there is, if it is to this socket. One that fails is given up.
func (c *runtimeClient) listAt(ctx context.Context, path string, socket fileID) (err error) {
	if c.conn == nil || c.path != path || c.socket != socket {
		c.close()
		if c.conn, err = dialCRI(path); err != nil {
			return err
		}
		c.path, c.socket = path, socket
	}
	ready := &cri.PodSandboxFilter{State: &cri.PodSandboxStateValue{State: cri.PodSandboxState_SANDBOX_READY}}
	err = c.conn.Invoke(ctx, cri.RuntimeService_ListPodSandbox_FullMethodName, &cri.ListPodSandboxRequest{Filter: ready}, &c.answer, grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		c.close()
	}
	return err
}

func (c *runtimeClient) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	c.conn = nil
}

func dialCRI(path string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///localhost",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxCRIBytes)))
}

// pids asks for the processes of sandboxes by id, where the cgroups tell nothing. A runtime that does not answer, or that
// knows no pid, leaves the sandbox out.
func (c *runtimeClient) pids(ctx context.Context, ids []string) map[string]int {
	ctx, cancel := context.WithTimeout(ctx, criTimeout)
	defer cancel()
	pids := map[string]int{}
	if c.conn == nil {
		return pids
	}
	client := cri.NewRuntimeServiceClient(c.conn)
	for _, id := range ids {
		status, err := client.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true})
		if err != nil {
			continue
		}
		// containerd answers for a sandbox whose shim has died with the pid that it once had, and NOTREADY.
		if status.GetStatus().GetState() != cri.PodSandboxState_SANDBOX_READY {
			continue
		}
		if pid, ok := infoPID(status.GetInfo()["info"]); ok {
			pids[id] = pid
		}
	}
	return pids
}

// infoPID reads the pid from the verbose information on a sandbox. containerd says the state of the process as well.
func infoPID(info string) (int, bool) {
	var v struct {
		PID           int    `json:"pid"`
		ProcessStatus string `json:"processStatus"`
	}
	if json.Unmarshal([]byte(info), &v) != nil || v.ProcessStatus != "" && v.ProcessStatus != "running" {
		return 0, false
	}
	return v.PID, v.PID > 1 && v.PID <= 1<<22 // PID_MAX_LIMIT
}
