package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// faultyRuntime answers as a broken or hostile runtime might. How a sound one answers is shown against containerd.
type faultyRuntime struct {
	cri.UnimplementedRuntimeServiceServer
	list   func(context.Context) (*cri.ListPodSandboxResponse, error)
	status func(id string) (*cri.PodSandboxStatusResponse, error)
	asked  []string // ids
}

func (r *faultyRuntime) ListPodSandbox(ctx context.Context, _ *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	return r.list(ctx)
}

func (r *faultyRuntime) PodSandboxStatus(_ context.Context, q *cri.PodSandboxStatusRequest) (*cri.PodSandboxStatusResponse, error) {
	r.asked = append(r.asked, q.PodSandboxId)
	return r.status(q.PodSandboxId)
}

// serve listens on a socket of its own and returns its path.
func (r *faultyRuntime) serve(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cri.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.MaxSendMsgSize(64<<20), grpc.UnaryInterceptor(asCRIO))
	cri.RegisterRuntimeServiceServer(s, r)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return path
}

// asCRIO takes what CRI-O takes, which tells gRPC from HTTP by the whole of the content type (cmd/crio/main.go).
func asCRIO(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if said, _ := metadata.FromIncomingContext(ctx); !slices.Equal(said["content-type"], []string{"application/grpc"}) {
		return nil, status.Errorf(codes.Unavailable, "content type %q", said["content-type"])
	}
	return handle(ctx, request)
}

func answer(items ...*cri.PodSandbox) func(context.Context) (*cri.ListPodSandboxResponse, error) {
	return func(context.Context) (*cri.ListPodSandboxResponse, error) {
		return &cri.ListPodSandboxResponse{Items: items}, nil
	}
}

// discoveryReasons are why ways of finding sandboxes failed, by the way.
func discoveryReasons(self *metrics.Record) map[string]string {
	reasons := map[string]string{}
	for _, s := range self.Samples {
		if s.Metric.Name == "cosanet_discovery_success" && s.Value == 0 {
			reasons[s.Labels[0].Value] = s.Labels[1].Value
		}
	}
	return reasons
}

// TestFaultyList wants the node and its pods shown, and cosanet_discovery_success 0, whatever the runtime does.
func TestFaultyList(t *testing.T) {
	needsRoot(t)
	pod := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	tests := []struct {
		name   string
		list   func(context.Context) (*cri.ListPodSandboxResponse, error)
		reason string // part of what the walk says
	}{
		{"an error", func(context.Context) (*cri.ListPodSandboxResponse, error) {
			return nil, status.Error(codes.Unimplemented, "CRI plugin disabled")
		}, "CRI plugin disabled"},
		{"no answer", func(ctx context.Context) (*cri.ListPodSandboxResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "DeadlineExceeded"},
		{"a huge answer", func(context.Context) (*cri.ListPodSandboxResponse, error) {
			huge := sandbox(cid, "a", "b", uid)
			huge.Labels = map[string]string{"x": strings.Repeat("x", maxCRIBytes)}
			return &cri.ListPodSandboxResponse{Items: []*cri.PodSandbox{huge}}, nil
		}, "larger than max"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := noRuntime(t)
			c.CRISocket = (&faultyRuntime{list: test.list}).serve(t)
			s := walkWithin(t, c)
			self := &s.Records[len(s.Records)-1]
			wantValue(t, self, 1, "cosanet_discovery_success", "cgroup", "")
			reasons := discoveryReasons(self)
			if strings.Contains(reasons["cri"], "\n") {
				t.Errorf("a label of several lines: %q", reasons["cri"])
			}
			if !strings.Contains(reasons["cri"], test.reason) {
				t.Errorf("the runtime failed because %q, want %q", reasons["cri"], test.reason)
			}
			wantValue(t, &s.Records[0], 1, "cosanet_read_success", "snmp")
			wantValue(t, recordOf(t, s, pod.uid), 1, "cosanet_read_success", "snmp")
		})
	}
	t.Run("a socket of something else", func(t *testing.T) {
		c := noRuntime(t)
		c.CRISocket = filepath.Join(t.TempDir(), "other.sock")
		l, err := net.Listen("unix", c.CRISocket)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(conn, "220 mail.example.org\r\n")
				conn.Close()
			}
		}()
		wantValue(t, recordOf(t, walkWithin(t, c), pod.uid), 1, "cosanet_read_success", "snmp")
	})
}

// walkWithin gives the runtime's part of a walk less than criTimeout, to save time.
func walkWithin(t *testing.T, c *Config) *metrics.Snapshot {
	t.Helper()
	done := make(chan *metrics.Snapshot, 1)
	go func() { done <- Walk(context.Background(), c) }()
	select {
	case s := <-done:
		return s
	case <-time.After(criTimeout + 10*time.Second):
		t.Fatal("the walk does not end")
		return nil
	}
}

// TestStatusIsChecked gives a sandbox that no cgroup names a pid by its status: read only if it is true.
func TestStatusIsChecked(t *testing.T) {
	needsRoot(t)
	pod := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	info := func(pid int) string {
		return fmt.Sprintf(`{"pid":%d,"processStatus":"running","config":{"pid":"x"}}`, pid)
	}
	ready, notReady := cri.PodSandboxState_SANDBOX_READY, cri.PodSandboxState_SANDBOX_NOTREADY
	for _, test := range []struct {
		name   string
		state  cri.PodSandboxState
		info   string
		err    error
		result string
	}{
		{"a process of another pod", ready, info(pod.pid), nil, "gone"},
		{"a process of the host", ready, info(os.Getpid()), nil, "gone"},
		{"the host's first process", ready, info(1), nil, "failed"},
		{"no process", ready, info(0), nil, "failed"},
		{"a negative pid", ready, info(-1), nil, "failed"},
		{"a pid out of range", ready, info(1 << 31), nil, "failed"},
		{"a dead shim's pid", notReady, info(pod.pid), nil, "failed"},
		{"a deleted process", ready, strings.Replace(info(pod.pid), "running", "deleted", 1), nil, "failed"},
		{"no information", ready, "", nil, "failed"},
		{"no JSON", ready, "pid: 1", nil, "failed"},
		{"an error", ready, "", errors.New("boom"), "failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			runtime := &faultyRuntime{
				list: answer(sandbox(cid, "default", "lost", uid)),
				status: func(string) (*cri.PodSandboxStatusResponse, error) {
					return &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{State: test.state}, Info: map[string]string{"info": test.info}}, test.err
				},
			}
			c := noRuntime(t)
			c.CRISocket = runtime.serve(t)
			s := Walk(context.Background(), c)
			self := &s.Records[len(s.Records)-1]
			wantValue(t, self, 1, "cosanet_walk_sandboxes", test.result)
			if diff := cmp.Diff([]string{cid}, runtime.asked); diff != "" {
				t.Errorf("statuses asked for (-want +got):\n%s", diff)
			}
			for _, r := range s.Records {
				if r.Sandbox.Pod == "lost" && len(r.Samples) > 2 {
					t.Errorf("%d samples of somebody else", len(r.Samples))
				}
			}
			if test.result == "failed" {
				wantValue(t, recordOf(t, s, uid), 0, "cosanet_read_success", "process")
			}
		})
	}
}

// TestStatusesAreBounded does not ask for the status of each of a thousand sandboxes that nobody has seen.
func TestStatusesAreBounded(t *testing.T) {
	var items []*cri.PodSandbox
	for i := range 1000 {
		items = append(items, sandbox(fmt.Sprintf("%064x", i+1), "default", fmt.Sprintf("pod-%d", i), fmt.Sprint(i)))
	}
	runtime := &faultyRuntime{list: answer(items...), status: func(string) (*cri.PodSandboxStatusResponse, error) { return nil, errors.New("boom") }}
	c := noRuntime(t)
	c.CRISocket = runtime.serve(t)
	w := NewWalker(c)
	defer w.Close()
	w.Walk(context.Background())
	if len(w.targets) != 1000 || len(runtime.asked) != maxStatuses {
		t.Errorf("%d targets, %d statuses asked for; want 1000 and %d", len(w.targets), len(runtime.asked), maxStatuses)
	}
}

func TestOddSandboxes(t *testing.T) {
	stopped := sandbox("c", "default", "stopped", "3")
	stopped.State = cri.PodSandboxState_SANDBOX_NOTREADY
	second := sandbox("e", "default", "twice", "4")
	second.Metadata.Attempt = 1
	kata := sandbox("f", "default", "vm", "5")
	kata.RuntimeHandler = "kata-qemu"
	runtime := &faultyRuntime{
		list:   answer(sandbox("b", "default", "web", "2"), &cri.PodSandbox{Id: "x"}, nil, sandbox("", "default", "noid", "9"), stopped, sandbox("d", "default", "twice", "4"), second, kata, sandbox("a", "default", "skip", "1")),
		status: func(string) (*cri.PodSandboxStatusResponse, error) { return nil, errors.New("boom") },
	}
	c := noRuntime(t)
	c.CRISocket = runtime.serve(t)
	c.PodFilter = mustCompile(t, "^default/[^s]")
	w := NewWalker(c)
	defer w.Close()
	w.Walk(context.Background())
	var got []string
	for _, target := range w.targets {
		got = append(got, fmt.Sprint(target.id, " ", target.Namespace, "/", target.Pod, " ", target.Unsupported))
	}
	want := []string{"e default/twice false", "f default/vm true", "b default/web false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if w.filtered != 1 || w.criFailed != nil {
		t.Errorf("filtered %d, cri %v; want 1 and no error", w.filtered, w.criFailed)
	}
}

func TestSocketPaths(t *testing.T) {
	want := []string{"/proc/1/root/run/crio/crio.sock", "/var/run/crio/crio.sock"}
	if diff := cmp.Diff(want, socketPaths("/var/run/crio/crio.sock")); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	known := socketPaths("")
	if want := []string{"/proc/1/root/run/containerd/containerd.sock", "/run/containerd/containerd.sock"}; !cmp.Equal(known[:2], want) {
		t.Errorf("known sockets begin with %q, want %q", known[:2], want)
	}
}

func FuzzInfoPID(f *testing.F) {
	f.Add(`{"pid":4711,"processStatus":"running"}`)
	f.Add(`{"pid":-1}`)
	f.Fuzz(func(t *testing.T, info string) {
		if pid, ok := infoPID(info); ok && (pid <= 1 || pid > 1<<22) {
			t.Errorf("pid %d", pid)
		}
	})
}
