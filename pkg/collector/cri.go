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
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	criTimeout  = 5 * time.Second
	maxCRIBytes = 16 << 20 // of one answer; 500 sandboxes are 1 MB
	maxStatuses = 64       // of sandboxes that no process names: each costs a call
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

// listSandboxes asks the runtime for the sandboxes that are ready. Where several sockets answer (docker brings a
// containerd of its own), the first with any sandbox is the kubelet's.
func listSandboxes(ctx context.Context, override string) (items []*cri.PodSandbox, socket string, err error) {
	err = errors.New("no container runtime socket found")
	for _, path := range socketPaths(override) {
		info, statErr := os.Stat(path)
		if errors.Is(statErr, fs.ErrPermission) && socket == "" {
			err = statErr
		}
		if statErr != nil || info.Mode()&os.ModeSocket == 0 {
			continue
		}
		found, listErr := listSocket(ctx, path)
		switch {
		case listErr != nil && socket == "":
			err = listErr
		case listErr == nil && (socket == "" || len(found) > 0):
			items, socket, err = found, path, nil
		}
		if len(items) > 0 {
			return items, socket, nil
		}
	}
	return items, socket, err
}

func listSocket(ctx context.Context, path string) ([]*cri.PodSandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, criTimeout)
	defer cancel()
	conn, err := dialCRI(path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ready := &cri.PodSandboxFilter{State: &cri.PodSandboxStateValue{State: cri.PodSandboxState_SANDBOX_READY}}
	list, err := cri.NewRuntimeServiceClient(conn).ListPodSandbox(ctx, &cri.ListPodSandboxRequest{Filter: ready})
	if err != nil {
		return nil, fmt.Errorf("listing sandboxes of %s: %w", path, err)
	}
	return newest(list.Items), nil
}

func dialCRI(path string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///localhost",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxCRIBytes)))
}

// newest keeps what can be told apart: sandboxes that are ready and have an id and a name, one for each pod. Of two
// attempts at a pod the older is about to be stopped.
func newest(items []*cri.PodSandbox) []*cri.PodSandbox {
	items = slices.DeleteFunc(slices.Clone(items), func(s *cri.PodSandbox) bool {
		return s.GetId() == "" || s.GetMetadata() == nil || s.State != cri.PodSandboxState_SANDBOX_READY
	})
	slices.SortFunc(items, func(a, b *cri.PodSandbox) int {
		return cmp.Or(
			cmp.Compare(a.Metadata.Namespace, b.Metadata.Namespace), cmp.Compare(a.Metadata.Name, b.Metadata.Name), cmp.Compare(a.Metadata.Uid, b.Metadata.Uid),
			-cmp.Compare(a.Metadata.Attempt, b.Metadata.Attempt), -cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.Id, b.Id))
	})
	return slices.CompactFunc(items, func(a, b *cri.PodSandbox) bool {
		return a.Metadata.Namespace == b.Metadata.Namespace && a.Metadata.Name == b.Metadata.Name && a.Metadata.Uid == b.Metadata.Uid
	})
}

// sandboxPIDs asks the runtime for the processes of sandboxes by id, where the cgroups tell nothing. A runtime that does
// not answer, or that knows no pid, leaves the sandbox out.
func sandboxPIDs(ctx context.Context, socket string, ids []string) map[string]int {
	ctx, cancel := context.WithTimeout(ctx, criTimeout)
	defer cancel()
	conn, err := dialCRI(socket)
	if err != nil {
		return nil
	}
	defer conn.Close()
	client := cri.NewRuntimeServiceClient(conn)
	pids := map[string]int{}
	for _, id := range ids[:min(len(ids), maxStatuses)] {
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
