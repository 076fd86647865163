package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// TestNumberedFrames reads files whose frames say which of how many they are: all of them, in order, or nothing.
func TestNumberedFrames(t *testing.T) {
	file := func(places ...string) []byte { // such as 1/2; empty: a log's, which has none
		var out bytes.Buffer
		for i, place := range places {
			f := metrics.NewFrame(savedRun, &metrics.Snapshot{Records: []metrics.Record{{Sandbox: metrics.Sandbox{Node: fmt.Sprint("node-", i)}, Samples: []metrics.Sample{sample(t, "walk_duration_seconds", 1)}}}})
			var text bytes.Buffer
			if err := f.Write(&text, metrics.Text); err != nil {
				t.Fatal(err)
			}
			if place != "" {
				place = " number=" + strings.Replace(place, "/", " of=", 1)
			}
			out.Write(bytes.Replace(text.Bytes(), []byte("\n# EOF\n"), []byte(place+"\n# EOF\n"), 1))
		}
		return out.Bytes()
	}
	for name, test := range map[string]struct {
		places []string
		want   string // in the error; empty: none
	}{
		"whole":                        {[]string{"1/2", "2/2"}, ""},
		"two files in one":             {[]string{"1/2", "2/2", "1/1"}, ""},
		"logs, and a file after them":  {[]string{"", "", "1/1"}, ""},
		"cut between frames":           {[]string{"1/3", "2/3"}, "it ends after frame 2 of 3"},
		"its beginning lost":           {[]string{"2/3", "3/3"}, "frame 2 of 3 is where frame 1 should be"},
		"one lost":                     {[]string{"1/3", "3/3"}, "frame 3 of 3 is where frame 2 should be"},
		"one twice":                    {[]string{"1/2", "1/2", "2/2"}, "frame 1 of 2 is where frame 2 should be"},
		"a file in another":            {[]string{"1/2", "2/3"}, "frame 2 of 3 is where frame 2 should be"},
		"a log in a file":              {[]string{"1/2", "", "2/2"}, "is where frame 2 should be"},
		"cut, and a file after it":     {[]string{"1/2", "1/1"}, "is where frame 2 should be"},
		"more than there are":          {[]string{"3/2"}, `trailer with number 3 of "2"`},
		"no number":                    {[]string{"one"}, `trailer with number "one"`},
		"a negative number of none":    {[]string{"-1/-1"}, "trailer with number"},
		"a number beyond all of them":  {[]string{"1/99999999999999999999"}, "trailer with number"},
		"half a number of what was so": {[]string{"1/"}, "trailer with number"},
	} {
		frames := 0
		_, err := readFrames(bytes.NewReader(file(test.places...)), func(*saved) error {
			frames++
			return nil
		})
		if test.want == "" && (err != nil || frames != len(test.places)) || test.want != "" && (!errors.Is(err, metrics.ErrTruncated) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
}

// TestRawIsExposition shows that what raw prints is what was counted.
func TestRawIsExposition(t *testing.T) {
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	if code := Main(context.Background(), Build{Image: "x"}, streams, new(Ledger), []string{"raw", "--from", "testdata/once.prom"}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	got, err := metrics.Parse(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := readFleet(t.Context(), "testdata/once.prom", nil, moment{})
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, o := range fleet.Observations {
		want += len(o.Snapshots[0].Records)
	}
	if len(got.Records) != want || want < 10 {
		t.Errorf("raw prints %d records, want %d", len(got.Records), want)
	}
	// Through the writer once more: the same lines. Only their order is that of the records.
	lines := func(text string) []string { return slices.Sorted(strings.Lines(text)) }
	if diff := cmp.Diff(lines(out.String()), lines(string(metrics.Append(nil, got)))); diff != "" {
		t.Errorf("what raw prints reads back as something else (-printed +read back):\n%s", diff)
	}
}

func TestFailure(t *testing.T) {
	refused := func(node, pod string) Observation {
		return Observation{Node: node, Err: errors.New("node " + node + ": collector pod default/" + pod + ": no image\n  kubectl describe pod " + pod)}
	}
	fine := Observation{Node: "fine", Snapshots: []*metrics.Snapshot{{}}}
	nodes := func(n int, reason func(node string) string) (failed []Observation) {
		for i := range n {
			node := fmt.Sprintf("node-%d", i+1)
			failed = append(failed, Observation{Node: node, Err: errors.New(reason(node))})
		}
		return failed
	}
	own := func(n int) (lines string) {
		for i := range n {
			lines += fmt.Sprintf("  node node-%d: %s%dy\n", i+1, strings.Repeat("x", len(fmt.Sprintf("node-%d", i+1))), i+1)
		}
		return lines
	}
	tests := map[string]struct {
		observations []Observation
		want         string
	}{
		"none failed": {[]Observation{fine}, ""},
		"one":         {[]Observation{fine, refused("a", "cosanet-aaaaaaaa")}, "node a: collector pod default/cosanet-aaaaaaaa: no image\n  kubectl describe pod cosanet-aaaaaaaa"},
		"for one reason": {[]Observation{fine, refused("a", "cosanet-aaaaaaaa"), refused("b", "cosanet-bbbbbbbb")},
			"2 of 3 nodes failed:\n  node a, b: collector pod default/cosanet-aaaaaaaa: no image\n    kubectl describe pod cosanet-aaaaaaaa"},
		"for two": {[]Observation{refused("a", "cosanet-aaaaaaaa"), {Node: "w", Err: errors.New("it runs windows")}},
			"2 of 2 nodes failed:\n  node a: collector pod default/cosanet-aaaaaaaa: no image\n    kubectl describe pod cosanet-aaaaaaaa\n  node w: it runs windows"},
		"many nodes for one reason, and one for another": {append(nodes(37, func(node string) string {
			return "dial tcp 10.0.0." + node[5:] + ":10250: no route to host\n  kubectl describe node " + node
		}), Observation{Node: "w", Err: errors.New("it runs windows")}, fine),
			"38 of 39 nodes failed:\n  37 nodes (node-1, node-2, node-3, node-4, ...): dial tcp 10.0.0.1:10250: no route to host\n    kubectl describe node node-1\n  node w: it runs windows"},
		"each for a reason of its own": {nodes(22, func(node string) string { return strings.Repeat("x", len(node)) + node[5:] + "y" }), "22 of 22 nodes failed:\n" + own(20) + "  2 more nodes for other reasons; --node NODE tells that of one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := (&Fleet{Observations: tt.observations}).failure()
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzFrom takes anything for the text of a saved file's frames and shows it in every view: nothing may panic, and no
// byte of it may reach the output unsanitized. (That frames are told from anything else is fuzzed in pkg/metrics.)
func FuzzFrom(f *testing.F) {
	for _, text := range []string{
		"",
		"cosanet_conntrack_curr{cosanet_node=\"n\",cosanet_namespace=\"a\",cosanet_pod=\"\x1b[2J\",cosanet_netnsname=\"x\"} NaN\n",
		"cosanet_conntrack_curr{cosanet_namespace=\"HOST\",cosanet_pod=\"\",cosanet_netnsname=\"HOST\"} 1e308\ncosanet_conntrack_max{cosanet_namespace=\"HOST\",cosanet_pod=\"\",cosanet_netnsname=\"HOST\"} -Inf\n",
		"cosanet_walk_timestamp_seconds{cosanet_node=\"\u202e\"} 1e300\n",
		"cosanet_proc_net_snmp_Tcp_OutSegs{cosanet_netnsname=\"x\"} 20\ncosanet_proc_net_snmp_Tcp_RetransSegs{cosanet_netnsname=\"x\"} 1\ncosanet_read_success{cosanet_netnsname=\"x\",source=\"\a\"} 0\n",
		"cosanet_sandbox_info{cosanet_netnsname=\"x\",cosanet_shared_with=\"\r\",cosanet_runtime_handler=\"\b\",supported=\"false\"} 1\nx{cosanet_netnsname=\"y\",a=\"\"} 1\n",
	} {
		f.Add([]byte(text), []byte(text))
	}
	f.Fuzz(func(t *testing.T, first, last []byte) {
		_, _ = readFleet(t.Context(), "-", bytes.NewReader(first), moment{})
		var file bytes.Buffer
		for _, text := range [][]byte{first, last} {
			frame := metrics.Frame{Text: text, Trailer: metrics.Trailer{Run: "x", Bytes: int64(len(text)), SHA256: fmt.Sprintf("%x", sha256.Sum256(text))}}
			if err := frame.Write(&file, metrics.Gzip); err != nil {
				t.Fatal(err)
			}
		}
		fleet, err := readFleet(t.Context(), "-", &file, moment{})
		if err != nil {
			return
		}
		for _, wanted := range []bool{true, false} {
			var out bytes.Buffer
			showAll(t, fleet, wanted, &out)
			unsafe := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
			if i := bytes.IndexFunc(out.Bytes(), unsafe); i >= 0 {
				t.Fatalf("output is not safe to print at byte %d: %q", i, out.Bytes()[max(0, i-20):min(out.Len(), i+20)])
			}
		}
	})
}

// showAll shows a fleet in every view.
func showAll(t *testing.T, fleet *Fleet, wanted bool, out *bytes.Buffer) {
	f := &factory{streams: genericiooptions.IOStreams{Out: out, ErrOut: out}}
	rates := fleet.rates(wanted)
	view := topView{selection: anything(), columns: builtin(), ask: Ask{Samples: 2}}
	rows := rowsOf(fleet, &view.selection, rates)
	for _, c := range builtin() {
		ranked(rows, &c, 0)
	}
	if err := view.show(f, nil, rows, rates); err != nil {
		t.Fatal(err)
	}
	view.annotate(f, rows, rates, true)
	report(out, fleet.failure())
	if _, err := object(view.object(rows)); err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		return
	}
	judged := examine(rules(), rows)
	if err := judged.write(out, rows[0].window); err != nil {
		t.Fatal(err)
	}
	report(out, errors.New(strings.Join(judged.notes(rates), "\n")))
	if _, err := object(judged.object()); err != nil {
		t.Fatal(err)
	}
	diff := &diffView{all: true, output: outputFlags{format: "wide"}}
	a, b := rows[0], rows[len(rows)-1]
	pairs := compare(a, b)
	rank(pairs)
	if err := diff.show(f, a, b, pairs); err != nil {
		t.Fatal(err)
	}
	if _, err := object(diff.object(a, b, pairs)); err != nil {
		t.Fatal(err)
	}
}
