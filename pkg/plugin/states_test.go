package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// kinds are pods of whose accept queue different things are known; each is shown in its own way by every output.
var kinds = []struct {
	pod, cell, side string // the word in a table, and in a diff with a pod that has dropped something
	first, last     counted
	failed          []string
	anew            bool // another namespace under the same name
	inJSON          string
}{
	{pod: "zero", cell: "0", side: "0", first: counted{"TcpExt_ListenDrops": 7}, last: counted{"TcpExt_ListenDrops": 7}, inJSON: `"listenDrops":0`},
	{pod: "absent", cell: "-", side: "", first: counted{}, last: counted{}, inJSON: `"columns":{}`},
	{pod: "failed", cell: "err", side: "err", first: counted{}, last: counted{}, failed: []string{"netstat"}, inJSON: `"failed":["netstat"]`},
	{pod: "fell", cell: "reset", side: "reset", first: counted{"TcpExt_ListenDrops": 1 << 40}, last: counted{"TcpExt_ListenDrops": 3}, inJSON: `"reset":["TcpExt_ListenDrops"]`},
	{pod: "anew", cell: "reset", side: "reset", first: counted{"TcpExt_ListenDrops": 3}, last: counted{"TcpExt_ListenDrops": 1 << 40}, anew: true, inJSON: `"reset":["TcpExt_ListenDrops"]`},
	{pod: "begun", cell: "-", side: "", last: counted{"TcpExt_ListenDrops": 1 << 40}, inJSON: `"columns":{}`}, // within the interval
	{pod: "drops", cell: "5!!", side: "5", first: counted{"TcpExt_ListenDrops": 10}, last: counted{"TcpExt_ListenDrops": 15}, inJSON: `"listenDrops":5`},
}

// savedKinds is a file of two samples of them, a second apart.
func savedKinds(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	for i := range 2 {
		at := began.Add(time.Duration(i) * time.Second)
		s := &metrics.Snapshot{Records: []metrics.Record{{Sandbox: metrics.Sandbox{Node: "node-1"}, Samples: []metrics.Sample{
			{Metric: known(t, "cosanet_walk_timestamp_seconds"), Value: float64(at.Unix())},
		}}}}
		for _, kind := range kinds {
			m := member{box: web("shop", kind.pod, "cni-"+kind.pod), failed: kind.failed}
			m.box.Node = "node-1"
			counts := kind.last
			if i == 0 {
				counts = kind.first
			} else if kind.anew {
				m.box.UID, m.box.NetNS = "another", "cni-another"
			}
			if counts != nil {
				s.Records = append(s.Records, m.record(t, counts))
			}
		}
		if err := metrics.WriteFrame(&out, metrics.Text, savedRun, s); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "kinds")
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestStatesStayApart wants zero, absent, unreadable and begun anew told from each other in the table, the diff, the findings
// and the JSON of each, and no rate anywhere that is negative or of a counter's whole life.
func TestStatesStayApart(t *testing.T) {
	file := savedKinds(t)
	shown, lost := 0, 0
	check := func(what, out string, ok bool) {
		shown++
		if !ok || regexp.MustCompile(`(^|[^\w-])-\d|\d{10}|e\+1|Ti\b|Gi\b`).MatchString(strings.ReplaceAll(out, `"time":"20`, "")) {
			lost++
			t.Errorf("%s:\n%s", what, out)
		}
	}
	show := func(want int, args ...string) string {
		t.Helper()
		out, errOut, code := invoke(t, nil, append(args, "--from", file)...)
		if code != want {
			t.Errorf("%s: exit code %d, want %d: %s", args, code, want, errOut)
		}
		return out + errOut
	}
	table := show(0, "top", "-n", "shop", "--columns", "LISTENDROP", "--no-headers")
	for _, kind := range kinds {
		line := regexp.MustCompile(`(?m)^` + kind.pod + `\s.*$`).FindString(table)
		fields := strings.Fields(line)
		check("top of "+kind.pod, line, len(fields) > 1 && fields[len(fields)-1] == kind.cell)

		var list struct{ Items []json.RawMessage }
		text := show(0, "top", "shop/"+kind.pod, "--columns", "LISTENDROP", "-o", "json")
		if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Items) != 1 {
			t.Fatalf("%v in %s", err, text)
		}
		var item bytes.Buffer
		if err := json.Compact(&item, list.Items[0]); err != nil {
			t.Fatal(err)
		}
		has := strings.Contains(item.String(), kind.inJSON) || kind.inJSON == `"columns":{}` && !strings.Contains(item.String(), `"listenDrops"`)
		check("top -o json of "+kind.pod, regexp.MustCompile(`"(value|time)":[^,}]*`).ReplaceAllString(item.String(), ""), has)

		if kind.pod == "drops" {
			continue
		}
		line = regexp.MustCompile(`(?m)^TcpExt_ListenDrops/s.*$`).FindString(show(1, "diff", "shop/"+kind.pod, "shop/drops"))
		want := slices.DeleteFunc([]string{"TcpExt_ListenDrops/s", kind.side, "5"}, func(s string) bool { return s == "" })
		fields = strings.Fields(line)
		check("diff of "+kind.pod, line, len(fields) >= len(want) && slices.Equal(fields[:len(want)], want))
		diff := show(1, "diff", "shop/"+kind.pod, "shop/drops", "-o", "json")
		check("diff -o json of "+kind.pod, regexp.MustCompile(`"time": .*`).ReplaceAllString(diff, ""), strings.Contains(diff, `"a": 0`) == (kind.pod == "zero") &&
			strings.Contains(diff, "a: reset") == (kind.side == "reset") && strings.Contains(diff, "a: failed") == (kind.side == "err"))
	}
	words := show(0, "explain", "-n", "shop")
	found := regexp.MustCompile(`(?m)^  shop/(\w+): `).FindAllStringSubmatch(words, -1)
	check("explain", words, len(found) == 1 && found[0][1] == "drops" &&
		strings.Contains(words, "not checked, since it could not be read, of shop/failed: ") &&
		strings.Contains(words, "counters began again within the interval, so that there are no rates, of shop/anew, shop/fell"))
	text := show(0, "explain", "-n", "shop", "-o", "json")
	var judged struct {
		Items   []struct{ Metadata struct{ Name string } }
		Checked struct {
			Restarted []string
			Unread    map[string]int
		}
	}
	if err := json.Unmarshal([]byte(text), &judged); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	check("explain -o json", fmt.Sprint(judged), len(judged.Items) == 1 && judged.Items[0].Metadata.Name == "drops" &&
		slices.Equal(judged.Checked.Restarted, []string{"shop/anew", "shop/fell"}) && judged.Checked.Unread["listen-drops"]+judged.Checked.Unread["listen-overflows"] > 0)
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "zero, absent, unreadable and a counter that began again are told apart in every output, and none is a negative or a huge rate",
		Runs: shown, Faults: shown, Survived: shown - lost, Lost: lost})
}
