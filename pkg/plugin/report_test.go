package plugin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func secondsOf(n int) time.Duration { return time.Duration(n) * time.Second }

// A large node over a long recording is still a page that a browser opens and a ticket takes.
func TestReportSize(t *testing.T) {
	const pods, samples, mostPage = 250, 60, 2 << 20
	fleet := &Fleet{}
	for i := range samples {
		s := &metrics.Snapshot{Time: began.Add(secondsOf(i)), Records: []metrics.Record{{Sandbox: metrics.Sandbox{Node: "node-1"}}}}
		for n := range pods {
			m := member{box: web("shop", fmt.Sprintf("a-rather-long-name-of-a-pod-%d", n), fmt.Sprintf("cni-%d", n))}
			m.box.Node = "node-1"
			work := busy
			if n%5 == 0 { // every fifth in trouble
				work = busy.with(counted{"TcpExt_ListenDrops": 42, "TcpExt_ListenOverflows": 40, "Tcp_RetransSegs": 90, "TcpExt_TCPTimeouts": 6, "Tcp_OutRsts": 70, "Udp_RcvbufErrors": 20})
			}
			counts := counted{}
			for name, v := range quiet.with(work) {
				counts[name] = quiet[name] + (v-quiet[name])*float64(i+(i*n)%7)
			}
			s.Records = append(s.Records, m.record(t, counts))
		}
		fleet.Observations = append(fleet.Observations[:0], Observation{Node: "node-1", Snapshots: append(fleet.snapshotsOf("node-1"), s)})
	}
	view, err := (&reportFlags{source: source{from: "x", moments: new(momentFlags), collection: &Collection{}}, ask: askFlags{metrics: "all", interval: time.Second, given: func() bool { return true }}}).parse("", nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &factory{flags: genericclioptions.NewConfigFlags(true), build: Build{Version: "v1.2.3"}}
	d := view.document(f, fleet, rowsOf(fleet, &view.selection, true), true)
	page, err := d.html()
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := d.markdown()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes of HTML, %d of Markdown, %d findings", len(page), len(ticket), len(d.Findings))
	if len(page) > mostPage || len(page) < pods*100 {
		t.Errorf("a page of %d bytes, want at most %d", len(page), mostPage)
	}
	if len(ticket) > 65_536 || !strings.Contains(string(ticket), "left out, for a ticket takes no more") && len(ticket) > mostMarkdown {
		t.Errorf("%d bytes of Markdown", len(ticket))
	}
	if shown := "and 40 more"; !strings.Contains(string(page), shown) {
		t.Errorf("the page does not say %q of what it leaves out", shown)
	}
	if len(d.Strips) != mostStrips || d.Still != pods-mostStrips || len(d.Numbers) != mostNumbers {
		t.Errorf("%d time lines, %d pods without, numbers of %d", len(d.Strips), d.Still, len(d.Numbers))
	}
}

func TestCharts(t *testing.T) {
	at := func(n int) []time.Time {
		times := make([]time.Time, n)
		for i := range times {
			times[i] = began.Add(secondsOf(i))
		}
		return times
	}
	value := func(v float64) reading { return reading{present, v} }
	none, failed, fell := reading{}, reading{state: unreadable}, reading{state: reset}
	word := (&column{}).word
	tests := []struct {
		name     string
		readings []reading
		levels   []float64
		want     *chart
	}{
		{"nothing known", []reading{none, failed}, nil, nil},
		{"a line and a level near it", []reading{value(0), value(10)}, []float64{5, 100}, &chart{
			Lines: []string{"3,53 237,3"}, Areas: []string{"3,53 3,53 237,3 237,53"}, Levels: []string{"28"}, Most: "10", Last: "10", Spark: "_█"}},
		{"zero, absent and failed are three", []reading{value(0), none, value(0), failed, value(4), value(4), fell}, nil, &chart{
			Lines: []string{"159,3 198,3"}, Areas: []string{"159,53 159,3 198,3 198,53"}, Dots: []spot{{"3", "53"}, {"81", "53"}},
			Unknown: []gap{{"120", "err"}, {"237", "reset"}}, Most: "4", Last: "reset", Spark: "_-_x██r"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := newChart("X", "shop/web-0", at(len(test.readings)), test.readings, word, test.levels)
			if test.want != nil {
				test.want.Name, test.want.From, test.want.To = "X", timeOfDay(began), timeOfDay(began.Add(secondsOf(len(test.readings)-1)))
				test.want.Says = got.Says
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("chart (-want +got):\n%s", diff)
			}
			if got != nil && test.readings[1].state == absent {
				for _, words := range []string{"X of shop/web-0", "least 0 at", "most 4 at", "last reset", "1 of 7 steps without a value", "1 of 7 steps not read", "1 of 7 steps with counters that began again"} {
					if !strings.Contains(got.Says, words) {
						t.Errorf("the chart's text %q does not say %q", got.Says, words)
					}
				}
			}
		})
	}
}

// A long recording is drawn by the least and the most of each part: no peak is lost.
func TestThinned(t *testing.T) {
	readings := make([]reading, 10_000)
	for i := range readings {
		readings[i] = reading{present, 1}
	}
	readings[7777] = reading{present, 900}
	readings[3333] = reading{state: unreadable}
	steps := thinned(readings)
	if len(steps) > mostPoints+10 || !slices.Contains(steps, 7777) || !slices.Contains(steps, 3333) || !slices.IsSorted(steps) {
		t.Errorf("%d steps, the peak %v, the gap %v", len(steps), slices.Contains(steps, 7777), slices.Contains(steps, 3333))
	}
	if line := spark(readings); len([]rune(line)) > 60 || !strings.Contains(line, "█") {
		t.Errorf("a line of text %q", line)
	}
}

// What held for a while only is told apart from what holds over the whole.
func TestPassingFindings(t *testing.T) {
	fleet := &Fleet{}
	counts := quiet
	for i := range 40 {
		if i == 20 {
			counts = counts.with(counted{"Udp_RcvbufErrors": 30})
		}
		m := member{box: web("shop", "web-0", "cni-web0")}
		m.box.Node = "node-1"
		addSample(fleet, &metrics.Snapshot{Time: began.Add(secondsOf(i)), Records: []metrics.Record{{Sandbox: metrics.Sandbox{Node: "node-1"}}, m.record(t, counts)}})
	}
	rows := rowsOf(fleet, &Selection{Labels: nil, Namespace: "shop", Pods: []PodRef{{"shop", "web-0"}}}, true)
	courses := coursesOf(fleet, rows, reportColumns(), rules())
	j := examine(rules(), rows)
	if len(j.findings) > 0 {
		t.Fatalf("over the whole %+v was found", j.findings)
	}
	all := verdicts(passingOf(j, courses), courses)
	if len(all) != 1 || all[0].ID != "udp-receive-buffer-errors" || all[0].Severity != Critical {
		t.Fatalf("found in steps: %+v", all)
	}
	got := all[0].Subjects[0]
	want := affected{Name: "shop/web-0", Value: "30 datagrams a second are thrown away at full receive buffers", When: "in one of 39 steps: 30 at " + timeOfDay(began.Add(secondsOf(20)))}
	chart := got.Chart
	if got.Chart = nil; chart == nil || chart.Most != "30" {
		t.Errorf("chart %+v", chart)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
}

func TestReportFormats(t *testing.T) {
	tests := []struct{ format, file, want string }{
		{"", "", htmlFormat}, {"", "x.html", htmlFormat}, {"", "x.MD", markdownFormat}, {"html", "x.md", htmlFormat}, {"markdown", "", markdownFormat}, {"md", "", markdownFormat}, {"", "x.txt", htmlFormat},
	}
	for _, test := range tests {
		if got, err := formatOfReport(test.format, test.file); err != nil || got != test.want {
			t.Errorf("-o %q --output-file %q: %q, %v, want %s", test.format, test.file, got, err, test.want)
		}
	}
	if _, err := formatOfReport("json", ""); err == nil {
		t.Error("json is taken")
	}
}

// A report says what was asked, and no secret of how.
func TestAskedHasNoSecrets(t *testing.T) {
	f := &factory{flags: genericclioptions.NewConfigFlags(true)}
	cmd, _, err := newRoot(f).Find([]string{"report"})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"web-0", "-n", "shop", "--token", "s3cret", "--as", "alice", "--server=https://api.example", "--severity", "warning", "--node", "node-1", "-l", "app in (a,b)", "-o", "markdown"}
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	got := asked(f, cmd, cmd.Flags().Args())
	want := "kubectl cosanet report -n shop web-0 --selector 'app in (a,b)' --node node-1 --severity warning"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
