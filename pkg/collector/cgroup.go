package collector

import (
	"bytes"
	"strconv"
	"strings"
)

// membership is what the cgroup of a process says of where it belongs.
type membership struct {
	pod       string // UID in the form of the API (dashes), or the 32 hex digits of a static pod; empty: no pod
	container string // id of its container, 64 hex digits; that of the pause process is the sandbox's id
}

// parseCgroup reads /proc/<pid>/cgroup, which has one line for cgroup v2 ("0::/path") and one a hierarchy for v1
// ("4:memory:/path"). The line that says most counts: a hybrid node puts pods into v1 hierarchies only, and leaves 0::/.
func parseCgroup(file []byte) membership {
	var m membership
	for len(file) > 0 {
		var l []byte
		l, file = line(file)
		_, path, ok := bytes.Cut(l, []byte(":"))
		if !ok {
			continue
		}
		if _, path, ok = bytes.Cut(path, []byte(":")); !ok || len(path) < 33 {
			continue // shorter than any UID, such as "/"
		}
		if found := parseCgroupPath(string(path)); found.says(m) {
			m = found
		}
		if m.pod != "" && m.container != "" {
			break // on a v1 node the other hierarchies say the same, ten times over
		}
	}
	return m
}

// says tells whether m says more than other.
func (m membership) says(other membership) bool {
	if (m.container == "") != (other.container == "") {
		return m.container != ""
	}
	return m.pod != "" && other.pod == ""
}

// parseCgroupPath finds the pod and the container in a cgroup path. Known forms:
//
//	/kubepods/burstable/pod<uid>/<id>                                              cgroupfs driver
//	/kubepods.slice/.../kubepods-burstable-pod<uid with _>.slice/cri-containerd-<id>.scope   systemd driver
//	.../crio-<id>.scope, .../docker-<id>.scope, .../crio-<id>/container            other runtimes
//	/kubelet.slice/.../kubelet-kubepods-besteffort-pod<uid>.slice/...              kind, kubelet --cgroup-root=/kubelet
//	/docker/<id>/kubepods/..., /<node>/kubepods/...                                a node in a container or a cgroup
//	/../../kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope             seen from a private cgroup namespace
//	/system.slice/containerd.service/kubepods-burstable-pod<uid>.slice:cri-containerd:<id>   drivers at odds
//
// Where pods are nested the innermost pod counts; its container is the first id below the pod. What watches a container from the
// pod's cgroup (conmon) is none of the pod's processes: it is in the node's namespaces.
func parseCgroupPath(path string) membership {
	var m membership
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == ':' }) {
		if uid := podUID(part); uid != "" {
			m = membership{pod: uid}
		} else if isWatcher(part) && m.container == "" {
			return membership{}
		} else if id := containerID(part); id != "" && (m.container == "" || m.pod == "") {
			m.container = id
		}
	}
	return m
}

// podUID returns the UID in a path element such as pod<uid> or kubelet-kubepods-burstable-pod<uid with _>.slice.
func podUID(part string) string {
	part = strings.TrimSuffix(part, ".slice")
	uid, ok := strings.CutPrefix(part, "pod")
	if !ok {
		i := strings.LastIndex(part, "-pod")
		if i < 0 || !strings.Contains(part[:i], "kubepods") {
			return ""
		}
		uid = part[i+len("-pod"):]
	}
	switch {
	case len(uid) == 32 && isHex(uid): // a static pod: the hash of its manifest
		return uid
	case len(uid) == 36:
		uid = strings.ReplaceAll(uid, "_", "-")
		if uid[8] == '-' && uid[13] == '-' && uid[18] == '-' && uid[23] == '-' && isHex(strings.ReplaceAll(uid, "-", "")) {
			return uid
		}
	}
	return ""
}

// isWatcher tells the cgroup of conmon, which watches a container of CRI-O or podman from outside.
func isWatcher(part string) bool {
	return strings.HasPrefix(part, "crio-conmon-") || strings.HasPrefix(part, "libpod-conmon-")
}

// containerID returns the id in a path element such as <id>, cri-containerd-<id>.scope or crio-<id>.
func containerID(part string) string {
	part = strings.TrimSuffix(part, ".scope")
	if len(part) < 64 || isWatcher(part) {
		return ""
	}
	prefix, id := part[:len(part)-64], part[len(part)-64:]
	if prefix != "" && !strings.HasSuffix(prefix, "-") || !isHex(id) {
		return ""
	}
	return id
}

func isHex(s string) bool {
	for i := range len(s) {
		if hexDigit(s[i]) > 15 {
			return false
		}
	}
	return true
}

// parseStarted parses /proc/<pid>/stat: when the process began, in clock ticks since boot (field 22). The second field is the
// name of the program in parentheses, any bytes; so what is counted begins after the last parenthesis.
func parseStarted(stat []byte) (uint64, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 { // the third field, state, is the first of these
		return 0, errMalformed
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}
