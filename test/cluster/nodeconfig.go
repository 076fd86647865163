package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// The files of a node, in the folder that is its /var.

// kubeletConfig renders /var/lib/kubelet/config.yaml.
func (s *State) kubeletConfig(node int) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://%s
address: %s
# The port is reachable from the cluster and from this machine alone.
authentication:
  anonymous: {enabled: true}
  webhook: {enabled: false}
authorization: {mode: AlwaysAllow}
# A machine may be on cgroup v1, have swap, and hold back CAP_SYS_RESOURCE.
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
cgroupDriver: cgroupfs
cgroupRoot: %s
maxPods: 250
makeIPTablesUtilChains: false
localStorageCapacityIsolation: false
# Neither evicts pods nor deletes imported images when the machine's disk is full.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "1Mi", nodefs.available: "0%%", nodefs.inodesFree: "0%%", imagefs.available: "0%%"}
# There is no DNS in the cluster: a pod is refused at once by its own loopback rather than kept waiting.
clusterDNS: [127.0.0.1]
clusterDomain: cluster.local
resolvConf: ""
# Sooner than by default: a node says that it is Ready, and sees new configuration, within seconds.
nodeStatusUpdateFrequency: 4s
`, containerRuntimeOf(s.runtimeOf(node).Name).socket, s.nodeAddr(node), s.nodeCgroup(node))
}

// containerdConfig renders /var/lib/containerd.toml. restrict_oom_score_adj: as for the kubelet.
func (s *State) containerdConfig(cniDir string) string {
	return fmt.Sprintf(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = "/var/lib/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`, pauseImage, cniDir)
}

// cniConfig renders /var/lib/cni/net.d/10-cluster.conflist: every pod has an IPv4 and an IPv6 address.
func (s *State) cniConfig(node int) string {
	return fmt.Sprintf(`{
  "cniVersion": "0.4.0",
  "name": "cluster",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": %q}], [{"subnet": %q}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, s.podNet(node), s.podNet6(node))
}

func (s *State) writeNodeConfig(node int, cniDir string) error {
	files := map[string]string{
		"lib/kubelet/config.yaml":           s.kubeletConfig(node),
		"lib/containerd.toml":               s.containerdConfig(cniDir),
		"lib/crio/crio.conf":                crioConfig(cniDir),
		"lib/crio/policy.json":              crioPolicy,
		"lib/cni/net.d/10-cluster.conflist": s.cniConfig(node),
	}
	for name, text := range files {
		path := filepath.Join(s.nodeDir(node), "var", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}

// startNode starts a node's init process, which is pid 1 of the node.
func (s *State) startNode(node int, cgroups []string, cniDir string) (*daemon, error) {
	if err := s.writeNodeConfig(node, cniDir); err != nil {
		return nil, err
	}
	name := nodeName(node)
	const namespaces = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS
	return s.start(name, nodeVerb, s.nodeNetns(node), namespaces, order{
		Cgroups: cgroups,
		Node: &nodeOrder{
			Name:       name,
			Address:    s.nodeAddr(node).String(),
			Var:        filepath.Join(s.nodeDir(node), "var"),
			Kube:       s.Kube,
			Runtime:    s.runtimeOf(node),
			RuntimeLog: s.runtimeLog(node),
			KubeletLog: s.logPath(name + "-kubelet"),
		},
	})
}
