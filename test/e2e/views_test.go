package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// rows are the lines of a table by the value of their POD column; the header is not among them.
func rows(t *testing.T, table string) map[string]map[string]string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(table), "\n")
	header := strings.Fields(lines[0])
	found := map[string]map[string]string{}
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		if len(cells) != len(header) {
			t.Fatalf("%d cells under %d headings: %q", len(cells), len(header), line)
		}
		row := map[string]string{}
		for i, cell := range cells {
			row[header[i]] = cell
		}
		found[row["POD"]] = row
	}
	return found
}

// The listen drops of the pod that does not accept are in its row and in no other.
func TestTopShowsTheTroubleWhereItIs(t *testing.T) {
	c := need(t)
	table := rows(t, c.Cosanet(t, 0, "top", "-A").Stdout)
	for _, pod := range []string{"quiet-1", "quiet-2", "full-queue", "host", "store-0", "node/node-1", "node/node-2"} {
		if table[pod] == nil {
			t.Errorf("no row of %s", pod)
		}
	}
	for pod, row := range table {
		drops := row["LISTENDROP/s"]
		switch {
		case pod == "cart-2": // of the demo's pods, which may be there: it hangs as well
		case pod == "full-queue" && !strings.HasSuffix(drops, "!"):
			t.Errorf("full-queue drops %s connections a second, unmarked", drops)
		case pod == "host" && drops != "-":
			t.Errorf("%s in the row of a pod without counters of its own", drops)
		case pod != "full-queue" && pod != "host" && drops != "0":
			t.Errorf("%s drops %s connections a second", pod, drops)
		}
	}
	c.WantNothingLeft(t)
}

func TestTopTotalsAndSelections(t *testing.T) {
	c := need(t)
	tests := []struct {
		name string
		args []string
		want []string // pods
	}{
		{"the namespace", []string{"-n", namespace, "--interval", "0"}, nil},
		{"by label", []string{"-n", namespace, "-l", "app=quiet", "--interval", "0"}, []string{"quiet-1", "quiet-2"}},
		{"by field", []string{"-A", "--field-selector", "metadata.name=quiet-2", "--interval", "0", "--columns", "EST"}, []string{"quiet-2"}},
		{"by name over two nodes", []string{"-n", namespace, "quiet-1", "quiet-2", "--interval", "0"}, []string{"quiet-1", "quiet-2"}},
		{"by namespace and name", []string{"e2e/quiet-1", "--interval", "0"}, []string{"quiet-1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := slices.Sorted(maps.Keys(rows(t, c.Cosanet(t, 0, append([]string{"top"}, test.args...)...).Stdout)))
			if test.want != nil && !slices.Equal(got, test.want) {
				t.Errorf("rows of %v, want %v", got, test.want)
			}
			if len(got) == 0 {
				t.Error("no rows")
			}
		})
	}
	r := c.Cosanet(t, 0, "top", "-n", "kube-public")
	if r.Stdout != "" || !strings.Contains(r.Stderr, "No resources found in kube-public namespace.") {
		t.Errorf("an empty namespace: stdout %q, stderr %q", r.Stdout, r.Stderr)
	}
	for pod, row := range rows(t, c.Cosanet(t, 0, "top", "-n", namespace, "-o", "wide", "--interval", "0").Stdout) {
		if want := c.Pod(t, namespace, pod); row["NODE"] != want.Spec.NodeName || row["IP"] != want.Status.PodIP {
			t.Errorf("%s on %s with %s, the API server says %s and %s", pod, row["NODE"], row["IP"], want.Spec.NodeName, want.Status.PodIP)
		}
	}
}

func TestTopAsJSON(t *testing.T) {
	c := need(t)
	var list struct {
		Kind  string
		Items []struct {
			Metadata struct{ Namespace, Name string }
			Node     string
			Metrics  map[string]struct{ Value, Rate *float64 }
		}
	}
	out := c.Cosanet(t, 0, "top", "-n", namespace, "full-queue", "quiet-2", "-o", "json").Stdout
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	if list.Kind != "PodNetStatsList" || len(list.Items) != 2 {
		t.Fatalf("%d items of kind %s", len(list.Items), list.Kind)
	}
	for _, item := range list.Items {
		drops := item.Metrics["TcpExt_ListenDrops"]
		if drops.Rate == nil || drops.Value == nil || (*drops.Rate > 0) != (item.Metadata.Name == "full-queue") {
			t.Errorf("%s: listen drops %+v", item.Metadata.Name, drops)
		}
	}
	if got := c.Cosanet(t, 0, "top", "-n", namespace, "quiet-1", "-o", "jsonpath={.items[*].node}").Stdout; got != "node-1" {
		t.Errorf("jsonpath gave %q, want node-1", got)
	}
	if got := strings.TrimSpace(c.Cosanet(t, 0, "top", "-n", namespace, "quiet-1", "-o", "name").Stdout); !strings.HasSuffix(got, "/quiet-1") {
		t.Errorf("-o name gave %q", got)
	}
}

func TestDiffExitCodes(t *testing.T) {
	c := need(t)
	r := c.Cosanet(t, 1, "diff", "-n", namespace, "quiet-1", "full-queue")
	if !strings.Contains(r.Stdout, "TcpExt_ListenDrops/s") || strings.Index(r.Stdout, "ListenDrops") > strings.Index(r.Stdout, "InOctets") {
		t.Errorf("the listen drops are not there, or not before the traffic:\n%s", r.Stdout)
	}
	c.Cosanet(t, 0, "diff", "e2e/store-0", "e2e/store-0")
	if r := c.Cosanet(t, 1, "diff", "e2e/quiet-2", "e2e/full-queue"); !strings.Contains(r.Stdout, "node-1") || !strings.Contains(r.Stdout, "node-2") {
		t.Errorf("pods of two nodes:\n%s", r.Stdout)
	}
	if r := c.Cosanet(t, 2, "diff", "e2e/quiet-1", "e2e/nosuch"); !strings.Contains(r.Stderr, "nosuch") {
		t.Errorf("a pod that is not there: %s", r.Stderr)
	}
	c.Cosanet(t, 1, "diff", "node/node-1", "node/node-2")
	c.WantNothingLeft(t)
}

// Without the runtime, pods are found by the cgroups of their processes and named by what the API server says.
func TestWithoutTheRuntime(t *testing.T) {
	c := need(t)
	r := c.Cosanet(t, 0, "top", "-n", namespace, "--cri-socket", "/nosuch.sock")
	with := slices.Sorted(maps.Keys(rows(t, c.Cosanet(t, 0, "top", "-n", namespace).Stdout)))
	table := rows(t, r.Stdout)
	if got := slices.Sorted(maps.Keys(table)); !slices.Equal(got, with) {
		t.Errorf("rows of %v, with the runtime of %v", got, with)
	}
	if !strings.HasSuffix(table["full-queue"]["LISTENDROP/s"], "!") || table["host"]["IN/s"] != "host" {
		t.Errorf("full-queue %v, host %v", table["full-queue"], table["host"])
	}
}

// What was saved shows the same as what is live: every view reads it, without a cluster.
func TestSnapshotAndFrom(t *testing.T) {
	c := need(t)
	file := filepath.Join(t.TempDir(), "saved.prom")
	c.Cosanet(t, 0, "snapshot", "-n", namespace, "-o", file)
	offline := &cluster{embedded.Cluster{Kubectl: c.Kubectl, Env: append(slices.Clone(c.Env), "KUBECONFIG=/nosuch")}}
	table := rows(t, offline.Cosanet(t, 0, "top", "-n", namespace, "--from", file).Stdout)
	if !strings.HasSuffix(table["full-queue"]["LISTENDROP/s"], "!") || table["quiet-2"]["LISTENDROP/s"] != "0" {
		t.Errorf("from the file: full-queue %v, quiet-2 %v", table["full-queue"], table["quiet-2"])
	}
	offline.Cosanet(t, 1, "diff", "--from", file, "e2e/quiet-1", "e2e/full-queue")
	if got := record(t, offline.raw(t, "--from", file, "e2e/quiet-1"), "quiet-1"); len(got.Samples) < 300 {
		t.Errorf("%d samples of quiet-1 in the file", len(got.Samples))
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, whole[:len(whole)-100], 0o644); err != nil {
		t.Fatal(err)
	}
	if r := offline.Cosanet(t, 1, "top", "-n", namespace, "--from", file); r.Stdout != "" || !strings.Contains(r.Stderr, file) {
		t.Errorf("a file that was cut: stdout %q, stderr %q", r.Stdout, r.Stderr)
	}
}

// Every profile shows the same counters; what the lesser ones cannot give is said, not shown as zero.
func TestProfiles(t *testing.T) {
	c := need(t)
	const pod = "quiet-1"
	want := procCounters(record(t, c.raw(t, "-n", namespace, pod), pod))
	for _, profile := range []string{"netadmin", "restricted"} {
		t.Run(profile, func(t *testing.T) {
			r := record(t, c.raw(t, "-n", namespace, pod, "--profile", profile), pod)
			got := procCounters(r)
			for name, v := range want {
				if after, ok := got[name]; !ok || after < v && name != "TcpCurrEstab" {
					t.Errorf("%s = %v, %v, was %v under privileged", name, after, ok, v)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d counters, %d under privileged", len(got), len(want))
			}
			for _, s := range r.Samples {
				if s.Metric.Name == "cosanet_proc_net_tcp" && profile == "restricted" {
					t.Error("socket states of a namespace that may not be entered")
				}
			}
			table := rows(t, c.Cosanet(t, 0, "top", "-n", namespace, "--profile", profile).Stdout)
			if table["full-queue"] == nil || !strings.HasSuffix(table["full-queue"]["LISTENDROP/s"], "!") {
				t.Errorf("full-queue: %v", table["full-queue"])
			}
			if table["host"]["IN/s"] != "host" {
				t.Errorf("the pod of the host's network: %v", table["host"])
			}
		})
	}
	c.WantNothingLeft(t)
}

// promtool has nothing against the text but the names that are kept from the original exporter.
func TestRawIsCleanForPromtool(t *testing.T) {
	c := need(t)
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("promtool is in Debian's package prometheus")
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(c.Cosanet(t, 0, "raw", "--all-nodes").Stdout)
	r := embedded.Finish(cmd)
	if r.Code != 0 && r.Code != 3 { // 3: there are lint findings
		t.Fatalf("promtool ended with %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	findings := 0
	for line := range strings.Lines(r.Stdout + r.Stderr) {
		findings++
		kept := strings.HasPrefix(line, "cosanet_proc_net_") || strings.HasPrefix(line, "cosanet_conntrack_m")
		if !kept {
			t.Errorf("promtool: %s", line)
		}
	}
	if findings == 0 {
		t.Error("promtool found nothing at all: it did not read the text, since the original's camelCase names are in it")
	}
}
