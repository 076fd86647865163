package plugin

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// The tests of this file give every output the same hostile texts, where the API server's validation and the kernel would
// leave some of them out: a node says of itself what it likes, and so may whoever stands in for the API server.

// hostileTexts are what names, versions and messages may be: escape sequences, C1, DEL, text that runs backwards, zero width,
// lines and quotes that would end a label, and bytes that are no UTF-8.
var hostileTexts = []string{
	"\x1b[2J\x1b]0;owned\a", "a\u009b31mb", "a\x7f\b\b", "\u202egpj.exe\u2066", "a\u200bb\u2028c\ufeff", "x\"} 1\ncosanet_fake{a=\"b\"} 9\n# TYPE", "\r\x1b[Aok\r\n\t", `a"b\c`,
}

const notUTF8 = "a\xff\xc3\x28\x9b"

// wantPrintable wants a text of nothing but printable characters and lines; tabs too, in formats that have them.
func wantPrintable(t testing.TB, what, text string) bool {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s: invalid UTF-8 in %q", what, text)
		return false
	}
	for i, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%s: %U in %q", what, r, text[max(0, i-60):min(len(text), i+60)])
			return false
		}
	}
	return true
}

// invoke runs a command line and returns what it printed.
func invoke(t *testing.T, stdin []byte, args ...string) (out, errOut string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	streams := genericiooptions.IOStreams{In: bytes.NewReader(stdin), Out: &stdout, ErrOut: &stderr}
	code = Main(t.Context(), Build{Version: "v1.2.3", Image: "registry.example/cosanet:v1.2.3"}, streams, &Ledger{}, args)
	return stdout.String(), stderr.String(), code
}

// hostileFrames is a saved file of a node that names everything like this.
func hostileFrames(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	for i := range 2 {
		box := metrics.Sandbox{Node: text, Namespace: text, Pod: text, NetNS: text, ControllerKind: text, ControllerName: text, UID: text, Handler: text, Unsupported: true}
		shared := metrics.Sandbox{Node: text, Namespace: text, Pod: text + "2", NetNS: text + "2", SharedWith: text, UID: text}
		stranger := &metrics.Metric{Name: "cosanet_proc_net_snmp_New_Counter", Help: text}
		device := []metrics.Label{{Name: "cosanet_device", Value: text}}
		s := &metrics.Snapshot{Records: []metrics.Record{
			{Sandbox: metrics.Sandbox{Node: text}, Samples: []metrics.Sample{
				{Metric: known(t, "cosanet_build_info"), Labels: []metrics.Label{{Name: "version", Value: text}, {Name: "revision", Value: text}, {Name: "goversion", Value: text}}, Value: 1},
				{Metric: known(t, "cosanet_walk_timestamp_seconds"), Value: float64(began.Unix() + int64(i))},
				{Metric: known(t, "cosanet_discovery_success"), Labels: []metrics.Label{{Name: "source", Value: text}, {Name: "reason", Value: text}}},
			}},
			{Sandbox: metrics.Sandbox{Node: text, Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace}, Samples: []metrics.Sample{{Metric: known(t, "cosanet_conntrack_curr"), Value: 1}}},
			{Sandbox: box, Samples: []metrics.Sample{
				{Metric: known(t, "cosanet_sandbox_info"), Labels: box.InfoLabels(), Value: 1},
				{Metric: known(t, "cosanet_read_success"), Labels: []metrics.Label{{Name: "source", Value: text}}},
				{Metric: known(t, "cosanet_netdev_receive_bytes_total"), Labels: device, Value: float64(i)},
				{Metric: known(t, "cosanet_proc_net_netstat_TcpExt_ListenDrops"), Value: float64(100 * i)},
				{Metric: stranger, Value: float64(i)},
			}},
			{Sandbox: shared, Samples: []metrics.Sample{{Metric: known(t, "cosanet_sandbox_info"), Labels: shared.InfoLabels(), Value: 1}}},
		}}
		if err := metrics.WriteFrame(&out, metrics.Text, savedRun, s); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// outputsOfFile are the command lines that show a saved file, in every format.
var outputsOfFile = []string{
	"top -A", "top -A -o wide", "top -A -o json", "top -A -o yaml", "top -A -o name", "top -A --interval 0", "top --all-nodes",
	"top -A -o custom-columns=NS:.metadata.namespace,NAME:.metadata.name,NODE:.node,ALL:.", "top -A -o jsonpath={.items[*]}", "top -A -o go-template={{range.items}}{{.}}{{end}}",
	"top -A --columns NETDEV_RECEIVE_BYTES", "top -A --no-headers", "diff node/a node/b", "raw -A", "raw --all-nodes", "snapshot -A -o -",
	"explain -A", "explain -A -o json", "explain -A -o yaml", "top nobody", "report -A", "report -A -o markdown", "report nobody",
}

func TestHostileNodes(t *testing.T) {
	shown, lost := 0, 0
	for _, text := range append([]string{notUTF8}, hostileTexts...) {
		frames := hostileFrames(t, text)
		file := filepath.Join(t.TempDir(), "saved")
		if err := os.WriteFile(file, frames, 0o644); err != nil {
			t.Fatal(err)
		}
		clean := 0
		for _, line := range outputsOfFile {
			var args []string
			for word := range strings.FieldsSeq(line) {
				args = append(args, word)
			}
			args = append(args, "--from", file)
			out, errOut, code := invoke(t, nil, args...)
			shown++
			what := fmt.Sprintf("%q, %s (exit code %d)", text, line, code)
			if !wantPrintable(t, what, out) || !wantPrintable(t, what+", standard error", errOut) {
				lost++
			}
			if code == 0 && strings.Contains(out+errOut, `\x`) {
				clean++
			}
			if strings.HasPrefix(line, "raw") && code == 0 {
				if _, err := metrics.Parse(strings.NewReader(out)); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if strings.Contains(out, "\ncosanet_fake") {
					t.Errorf("%s: a label has become a series", what)
				}
			}
		}
		if text != notUTF8 && text != `a"b\c` && clean < 5 {
			t.Errorf("%q: %d outputs show it at all: what is tested?", text, clean)
		}
		for _, line := range []string{"__complete top --from " + file + " -n %", "__complete top --from " + file + " ", "__complete top --from " + file + " --node %"} {
			args := strings.Split(strings.TrimSuffix(line, "%"), " ")
			out, errOut, _ := invoke(t, nil, args...)
			shown++
			if !wantPrintable(t, line, out) || !wantPrintable(t, line, errOut) {
				lost++
			}
		}
	}
	trial.Record(t, trial.Result{Group: trial.Neighbours, Claim: "no escape sequence, control character, reversed text or invalid UTF-8 of a node reaches any output of the plugin",
		Runs: shown, Faults: shown, Survived: shown - lost, Lost: lost})
}

// TestHostileServer has an API server say it: names of pods, messages of a kubelet, a webhook and a container, a log.
func TestHostileServer(t *testing.T) {
	shown, lost := 0, 0
	check := func(what, out, errOut string) {
		shown++
		if !wantPrintable(t, what, out) || !wantPrintable(t, what+", standard error", errOut) {
			lost++
		}
	}
	for _, text := range hostileTexts {
		tests := map[string]struct {
			interfere func(s *apiServer)
			args      string
		}{
			"a webhook refuses": {func(s *apiServer) {
				s.admit = func(*corev1.Pod) *metav1.Status {
					return failure(http.StatusForbidden, metav1.StatusReasonForbidden, `admission webhook "`+text+`" denied the request: `+text)
				}
			}, "top -A --interval 0"},
			"a container waits": {func(s *apiServer) {
				s.life = []corev1.PodStatus{{Phase: corev1.PodPending, Message: text, ContainerStatuses: []corev1.ContainerStatus{{
					Name: collectorName, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "InvalidImageName", Message: text}}}}}}
			}, "top -A --interval 0"},
			"a container ends": {func(s *apiServer) {
				s.life = []corev1.PodStatus{exited(1, text)}
				s.log = func(w http.ResponseWriter, _ *corev1.Pod, _ int) { fmt.Fprintln(w, text) }
				s.events = []corev1.Event{{Type: "Warning", Reason: text, Message: text, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "x"}}}
			}, "raw -A"},
			"a pod has that name": {func(s *apiServer) {
				pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: text, Namespace: text, UID: "u"}, Spec: corev1.PodSpec{NodeName: "node-1"},
					Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: text}}
				pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
				s.pods[text+"/"+text] = &pod
			}, "top -A -o wide --interval 0"},
			"a leftover has that name": {func(s *apiServer) {
				pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: text, Namespace: text, UID: "u", Labels: map[string]string{managedByLabel: managedBy}, Annotations: map[string]string{runIDAnnotation: "r"}}}
				pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
				s.pods[text+"/"+text] = &pod
			}, "cleanup --dry-run"},
			"the tab key": {func(s *apiServer) {
				pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: text, Namespace: "default", UID: "u"}}
				pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
				s.pods["default/"+text] = &pod
			}, "__complete top "},
			"an API server that is none": {func(s *apiServer) {
				s.throttle = func(w http.ResponseWriter, _ *http.Request) bool {
					http.Error(w, text, http.StatusInternalServerError)
					return true
				}
			}, "top -A --interval 0"},
		}
		for name, test := range tests {
			s := newAPIServer(t, "node-1")
			test.interfere(s)
			config := s.kubeconfig(t)
			args := append(strings.Split(test.args, " "), "--kubeconfig", config)
			if strings.HasPrefix(test.args, "__complete") {
				t.Setenv("KUBECONFIG", config)
				args = strings.Split(test.args, " ")
			}
			out, errOut, code := invoke(t, nil, args...)
			check(fmt.Sprintf("%s: %q (exit code %d)", name, text, code), out, errOut)
			if name != "the tab key" && out == "" && errOut == "" {
				t.Errorf("%s: nothing was printed", name)
			}
		}
	}
	trial.Record(t, trial.Result{Group: trial.Neighbours, Claim: "nor one of an API server, a webhook, a kubelet, a container or its log",
		Runs: shown, Faults: shown, Survived: shown - lost, Lost: lost})
}

// FuzzTable prints a table of any names, in colour and without.
func FuzzTable(f *testing.F) {
	for _, text := range append([]string{notUTF8, "web-0"}, hostileTexts...) {
		f.Add(text, "12")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var out bytes.Buffer
		table := &table{headers: []string{"NAME", "RX"}, rows: [][]cell{{{text: a}, {text: b}}, {{text: b}, {text: a, alarm: bad}}}}
		if err := table.write(&out); err != nil {
			t.Fatal(err)
		}
		wantPrintable(t, "table", out.String())
		if lines := strings.Count(out.String(), "\n"); lines != 3 {
			t.Errorf("%d lines of %q and %q, want a header and two: %q", lines, a, b, &out)
		}
	})
}
