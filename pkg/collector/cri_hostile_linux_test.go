package collector

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// flood is gRPC's codec, but for answers of one kind, which are so many bytes of nothing.
type flood struct {
	of   string // "list" or "status"
	size int
}

func (flood) Name() string { return proto.Name }

func (f flood) Marshal(v any) (mem.BufferSlice, error) {
	_, list := v.(*cri.ListPodSandboxResponse)
	_, status := v.(*cri.PodSandboxStatusResponse)
	if list && f.of != "list" || status && f.of != "status" || !list && !status {
		return encoding.GetCodecV2(proto.Name).Marshal(v)
	}
	piece := mem.SliceBuffer(make([]byte, 1<<20))
	var answer mem.BufferSlice
	for range f.size >> 20 {
		answer = append(answer, piece)
	}
	return answer, nil
}

func (flood) Unmarshal(data mem.BufferSlice, v any) error {
	return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
}

// serveWith is serve with options for the server.
func (r *faultyRuntime) serveWith(t *testing.T, options ...grpc.ServerOption) string {
	t.Helper()
	path, l := listenAt(t)
	s := grpc.NewServer(append(options, grpc.MaxSendMsgSize(1<<31-1))...)
	cri.RegisterRuntimeServiceServer(s, r)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return path
}

func listenAt(t *testing.T) (path string, l net.Listener) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "cri.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return path, l
}

// serveRaw answers each connection by a function, until the test ends.
func serveRaw(t *testing.T, serve func(conn net.Conn)) string {
	t.Helper()
	path, l := listenAt(t)
	var over atomic.Bool
	served := make(chan struct{})
	conns := make(chan net.Conn, 100)
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if over.Load() {
				conn.Close()
				return
			}
			conns <- conn
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		over.Store(true)
		l.Close()
		<-served
		close(conns)
		for conn := range conns {
			conn.Close()
		}
	})
	return path
}

// drip passes a runtime's answers on byte by byte.
func drip(t *testing.T, runtime string) string {
	return serveRaw(t, func(conn net.Conn) {
		to, err := net.Dial("unix", runtime)
		if err != nil {
			return
		}
		defer to.Close()
		go io.Copy(to, conn)
		for b := make([]byte, 1); ; time.Sleep(50 * time.Millisecond) {
			if _, err := to.Read(b); err != nil {
				return
			}
			if _, err := conn.Write(b); err != nil {
				return
			}
		}
	})
}

// TestHostileRuntime has the collector's program ask runtimes that answer too much, too slowly, or with lies, within the limits
// of its pod: it ends in time, shows the pods that are there by their cgroups, and no counters of the node or of another pod
// under a name that the runtime made up.
func TestHostileRuntime(t *testing.T) {
	needsRoot(t, "go")
	program := program(t)
	pod := makePlace(t, 1000)
	pod.occupy(t)
	names := func(pid string) *faultyRuntime { // a sandbox that nobody has seen, with a pid by its status
		return &faultyRuntime{list: answer(sandbox(cid, "bank", "victim", uid)), status: func(string) (*cri.PodSandboxStatusResponse, error) {
			return &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{State: cri.PodSandboxState_SANDBOX_READY}, Info: map[string]string{"info": `{"pid":` + pid + `,"processStatus":"running"}`}}, nil
		}}
	}
	full := &faultyRuntime{list: answer(manySandboxes(200, 80<<10)...), status: names("1").status}
	crowd := &faultyRuntime{list: answer(manySandboxes(trial.Rounds(10_000, 50_000), 100)...), status: names("1").status}
	//lint:ignore SA1019 what replaces it asks first whether the client knows the encoding
	inflating := grpc.RPCCompressor(grpc.NewGZIPCompressor())
	again := sandbox(pod.id, "bank", "victim", uid)
	tests := map[string]struct {
		socket func(t *testing.T) string
		failed bool // the list
	}{
		"a list of 1 GiB": {func(t *testing.T) string {
			return names("1").serveWith(t, grpc.ForceServerCodecV2(flood{"list", 1 << 30}))
		}, true},
		"a list that inflates": {func(t *testing.T) string {
			return names("1").serveWith(t, grpc.ForceServerCodecV2(flood{"list", 64 << 20}), inflating)
		}, true},
		"a status of 1 GiB": {func(t *testing.T) string {
			return names("1").serveWith(t, grpc.ForceServerCodecV2(flood{"status", 1 << 30}))
		}, false},
		"as large as an answer may be": {func(t *testing.T) string { return full.serveWith(t) }, false},
		"a crowd of sandboxes":         {func(t *testing.T) string { return crowd.serveWith(t) }, false},
		"a drip":                       {func(t *testing.T) string { return drip(t, full.serveWith(t)) }, true},
		"silence":                      {func(t *testing.T) string { return serveRaw(t, func(conn net.Conn) { io.Copy(io.Discard, conn) }) }, true},
		"noise without an end": {func(t *testing.T) string {
			return serveRaw(t, func(conn net.Conn) {
				for noise := bytes.Repeat([]byte{0, 0, 1, 7}, 1<<12); ; {
					if _, err := conn.Write(noise); err != nil {
						return
					}
				}
			})
		}, true},
		"the node's first process": {func(t *testing.T) string { return names("1").serveWith(t) }, false},
		"a process of the node":    {func(t *testing.T) string { return names(fmt.Sprint(os.Getpid())).serveWith(t) }, false},
		"a process of another pod": {func(t *testing.T) string { return names(fmt.Sprint(pod.pid)).serveWith(t) }, false},
		"no process":               {func(t *testing.T) string { return names("0").serveWith(t) }, false},
		"a negative pid":           {func(t *testing.T) string { return names("-1").serveWith(t) }, false},
		"a pid of 2^31":            {func(t *testing.T) string { return names("2147483648").serveWith(t) }, false},
		"a pid of 2^64":            {func(t *testing.T) string { return names("18446744073709551616").serveWith(t) }, false},
		"JSON that goes deep":      {func(t *testing.T) string { return names(strings.Repeat("[", 1<<20)).serveWith(t) }, false},
		"an id again and again": {func(t *testing.T) string {
			return (&faultyRuntime{list: answer(sandbox(pod.id, "shop", "web-0", pod.uid), again, again, again), status: names("1").status}).serveWith(t)
		}, false},
		"a path for an id": {func(t *testing.T) string {
			return (&faultyRuntime{list: answer(sandbox("../../1", "bank", "victim", "../../1"), sandbox("", "bank", "victim", "")), status: names("1").status}).serveWith(t)
		}, false},
	}
	lost := atomic.Int64{}
	t.Run("all", func(t *testing.T) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				defer func() {
					if t.Failed() {
						lost.Add(1)
					}
				}()
				socket := test.socket(t)
				begin := time.Now()
				out, errOut, err := bounded{64, 256 << 20, 0}.collect(t, program, "--cri-socket", socket, "--deadline", "1m", "--encoding", "gzip")
				if err != nil || len(errOut) > 0 {
					t.Fatalf("after %s: %v: %s", time.Since(begin).Round(time.Second), err, errOut)
				}
				s := decodeFrame(t, out)
				for i := range s.Records {
					r := &s.Records[i]
					if r.Sandbox.Host() {
						wantValue(t, r, 1, "cosanet_read_success", "snmp")
					}
					if reasons := discoveryReasons(r); r.Sandbox.Self() && (reasons["cri"] != "") != test.failed {
						t.Errorf("the list failed: %q", reasons["cri"])
					}
					if r.Sandbox.Pod == "victim" || strings.HasPrefix(r.Sandbox.Pod, "many-") {
						if _, counted := r.Value("cosanet_proc_net_snmp_Ip_InReceives"); counted {
							t.Errorf("%+v has counters of somebody else", r.Sandbox)
						}
					}
					if r.Sandbox.UID == pod.uid && !pod.of(r.Samples) {
						t.Errorf("%+v has not its own counters", r.Sandbox)
					}
				}
				if test.failed {
					recordOf(t, s, pod.uid) // by its cgroup
				}
			})
		}
	})
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "a container runtime that answers without end, too slowly or with lies costs bounded time and memory, and puts no counters under a name that is not theirs",
		Runs: len(tests), Faults: len(tests), Survived: len(tests) - int(lost.Load()), Lost: int(lost.Load())})
}

// manySandboxes have labels of so many bytes each.
func manySandboxes(n, size int) []*cri.PodSandbox {
	boxes := make([]*cri.PodSandbox, n)
	for i := range boxes {
		boxes[i] = sandbox(fmt.Sprintf("%064x", i+1), "bank", fmt.Sprintf("many-%d", i), fmt.Sprint(i))
		boxes[i].Labels = map[string]string{"x": strings.Repeat("x", size)}
	}
	return boxes
}
