package collector

import (
	"strings"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// TestRuntimes has pods as each container runtime makes and tells of them: cgroups and answers are in their form, processes,
// cgroups and namespaces are real. (That of containerd is shown with containerd itself.)
func TestRuntimes(t *testing.T) {
	needsRoot(t)
	const container = cid2 // not the sandbox's
	slice := func(uid string) string {
		return "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice/"
	}
	tests := []struct {
		name    string
		cgroup  func(p *place) string
		handler string
		info    map[string]string // of the verbose status, asked for where no cgroup tells of the sandbox; nil: not asked
		dead    bool              // its process has ended, and the runtime has not noticed
		users   bool              // in a user namespace of its own
		watched bool              // by a conmon in the pod's cgroup and the node's namespaces, which is older
		want    string            // result
		guest   bool              // a kernel of its own
	}{
		{name: "CRI-O without a pause process (drop_infra_ctr)", cgroup: func(p *place) string { return slice(p.uid) + "crio-" + container + ".scope" }, want: "read"},
		{name: "CRI-O with conmon in the pod's cgroup (conmon_cgroup)", watched: true, cgroup: func(p *place) string { return slice(p.uid) + "crio-" + container + ".scope" }, want: "read"},
		{name: "CRI-O with crun's inner cgroup", cgroup: func(p *place) string { return slice(p.uid) + "crio-" + container + ".scope/container" }, want: "read"},
		{name: "CRI-O with a pause process", cgroup: func(p *place) string { return slice(p.uid) + "crio-" + p.id + ".scope" }, want: "read"},
		{name: "cri-dockerd, whose status has no information", cgroup: func(p *place) string { return "kubepods/burstable/pod" + p.uid + "/" + p.id }, want: "read"},
		{name: "cri-dockerd with systemd", cgroup: func(p *place) string { return slice(p.uid) + "docker-" + p.id + ".scope" }, want: "read"},
		{name: "containerd, drivers at odds", cgroup: func(p *place) string {
			return "system.slice/containerd.service/kubepods-burstable-pod" + strings.ReplaceAll(p.uid, "-", "_") + ".slice:cri-containerd:" + p.id
		}, want: "read"},
		{name: "containerd, a dead shim with a stale pid", dead: true, info: map[string]string{"info": `{"pid":1234,"processStatus":"deleted"}`}, want: "failed"},
		{name: "cri-dockerd, nothing to go by", dead: true, info: map[string]string{}, want: "failed"},
		{name: "CRI-O, none of whose containers runs", dead: true, info: map[string]string{"info": `{"runtimeSpec":{"ociVersion":"1.2.1","process":{"args":["/pause"]},"linux":{"namespaces":[{"type":"network","path":"/var/run/netns/1da9f8e4-b7c9-452e-8286-dfe5bbef48b5"}]}}}`}, want: "failed"},
		{name: "CRI-O, a pid of nobody", dead: true, info: map[string]string{"info": `{"pid":0}`}, want: "failed"},
		{name: "Kata", handler: "kata-qemu", cgroup: func(p *place) string { return slice(p.uid) + "cri-containerd-" + p.id + ".scope" }, want: "unsupported", guest: true},
		{name: "Kata's own cgroup", handler: "kata", cgroup: func(p *place) string { return "kubepods/burstable/pod" + p.uid + "/kata_" + p.id }, want: "unsupported", guest: true},
		{name: "gVisor", handler: "runsc", cgroup: func(p *place) string { return "kubepods/burstable/pod" + p.uid + "/" + p.id }, want: "unsupported", guest: true},
		{name: "GKE Sandbox", handler: "gvisor", cgroup: func(p *place) string { return slice(p.uid) + "cri-containerd-" + p.id + ".scope" }, want: "unsupported", guest: true},
		{name: "hostUsers: false", users: true, cgroup: func(p *place) string { return slice(p.uid) + "cri-containerd-" + p.id + ".scope" }, want: "read"},
		{name: "hostUsers: false, without a pause process", users: true, cgroup: func(p *place) string { return slice(p.uid) + "crio-" + container + ".scope" }, want: "read"},
	}
	lost := 0
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					lost++
				}
			}()
			p := makePlace(t, 1000+i)
			if test.cgroup != nil {
				p.cgroup = test.cgroup(p)
			}
			if test.watched {
				watch(t, slice(p.uid)+"crio-conmon-"+container+".scope")
			}
			switch {
			case test.users:
				p.occupyAsUser(t)
			case !test.dead:
				p.occupy(t)
			}
			box := sandbox(p.id, "shop", "web-0", p.uid)
			box.RuntimeHandler = test.handler
			runtime := &faultyRuntime{list: answer(box), status: func(string) (*cri.PodSandboxStatusResponse, error) {
				return &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{State: cri.PodSandboxState_SANDBOX_READY}, Info: test.info}, nil
			}}
			c := noRuntime(t)
			c.CRISocket = runtime.serve(t)
			s := Walk(t.Context(), c)
			r, self := recordOf(t, s, p.uid), &s.Records[len(s.Records)-1]
			wantValue(t, self, 1, "cosanet_walk_sandboxes", test.want)
			if asked := len(runtime.asked) > 0; asked != (test.info != nil) {
				t.Errorf("status asked for: %v", runtime.asked)
			}
			if r.Sandbox.Pod != "web-0" || r.Sandbox.Unsupported != test.guest {
				t.Errorf("%+v", r.Sandbox)
			}
			_, counted := r.Value("cosanet_proc_net_snmp_Ip_InReceives")
			switch test.want {
			case "read":
				if failed := r.FailedSources(); !p.of(r.Samples) || len(failed) > 0 {
					t.Errorf("not its own counters; %v failed", failed)
				}
				wantValue(t, r, 1, "cosanet_read_success", "sockets")
			case "unsupported":
				if _, devices := r.Value("cosanet_netdev_receive_bytes_total", "lo"); counted || !devices {
					t.Errorf("counters %v, devices %v; want what is true from outside alone", counted, devices)
				}
			case "failed":
				if counted {
					t.Error("counters of somebody else")
				}
				wantValue(t, r, 0, "cosanet_read_success", "process")
			}
		})
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "pods as CRI-O, cri-dockerd, containerd, Kata and gVisor make them, in user namespaces and with dead shims too, have their own counters or none",
		Runs: len(tests), Faults: len(tests), Survived: len(tests) - lost, Lost: lost})
}

// watch starts a process in the namespaces of the test and a cgroup of its own.
func watch(t *testing.T, cgroup string) {
	w := makePlace(t, 0)
	w.cgroup = cgroup
	var err error
	if w.pid, err = startIdler(0, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.join(w.pid); err != nil {
		t.Fatal(err)
	}
}
