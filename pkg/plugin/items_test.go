package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// A list that is written item by item is what kubectl's printer makes of the whole list.
func TestItemsEqualThePrinters(t *testing.T) {
	for _, format := range []string{"json", "yaml"} {
		for name, nodes := range map[string]map[string][]member{"none": {}, "one": {"node-2": nodes["node-2"][:1]}, "all": nodes} {
			for _, sortBy := range []string{"", "RETR%", "NODE"} {
				t.Run(format+" "+name+" by "+sortBy, func(t *testing.T) {
					view := &topView{selection: anything(), columns: builtin(), output: outputFlags{format: format}}
					if sortBy != "" {
						c, err := parseSortBy(sortBy)
						if err != nil {
							t.Fatal(err)
						}
						view.sortBy = c
					}
					want, got := new(bytes.Buffer), new(bytes.Buffer)

					fleet := fleetOf(t, nodes)
					printer, err := view.output.printer()
					if err != nil {
						t.Fatal(err)
					}
					rows := ranked(rowsOf(fleet, &view.selection, fleet.rates(true)), view.sortBy, 0)
					if err := view.output.printList(want, printer, view.object(rows)); err != nil {
						t.Fatal(err)
					}

					fleet, list := fleetOf(t, nodes), &items{view: view, rates: true}
					for i := range fleet.Observations {
						if err := list.take(nil, &fleet.Observations[i]); err != nil {
							t.Fatal(err)
						}
					}
					rows = ranked(rowsOf(fleet, &view.selection, fleet.rates(true)), view.sortBy, 0)
					f := &factory{streams: genericiooptions.IOStreams{Out: got}}
					if err := view.show(f, list, rows, true); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want.String(), got.String()); diff != "" {
						t.Errorf("printer (-), item by item (+):\n%s", diff)
					}
				})
			}
		}
	}
}

func fleetOf(t *testing.T, nodes map[string][]member) *Fleet {
	fleet := &Fleet{}
	for _, node := range []string{"node-1", "node-2"} {
		if members, ok := nodes[node]; ok {
			fleet.Observations = append(fleet.Observations, Observation{Node: node, Snapshots: record(t, node, members, 2)})
		}
	}
	return fleet
}

// What is left of a node whose objects are packed: the times of its samples, and what its collector said of itself.
func TestItemsLetGo(t *testing.T) {
	view := &topView{selection: anything(), columns: builtin()}
	list := &items{view: view, rates: true}
	fleet := fleetOf(t, nodes)
	for i := range fleet.Observations {
		if err := list.take(nil, &fleet.Observations[i]); err != nil {
			t.Fatal(err)
		}
		for _, s := range fleet.Observations[i].Snapshots {
			for _, r := range s.Records {
				if !r.Sandbox.Self() {
					t.Errorf("%s/%s is still held", r.Sandbox.Namespace, r.Sandbox.Pod)
				}
			}
		}
		for _, r := range fleet.Observations[i].rows {
			if r.last != nil || r.first != nil || r.earlier != nil || len(r.packed) == 0 {
				t.Errorf("%s: what was counted is still held, or its object is not", r.title())
			}
		}
	}
	if diff := cmp.Diff([]string(nil), fleet.undiscovered()); diff != "" {
		t.Errorf("what the collectors said of themselves is lost:\n%s", diff)
	}
}

// A list of many rows is held packed from the first answer to the last byte written, never as a document: what is held while
// it is written is a small part of what comes out.
func TestItemsHold(t *testing.T) {
	const many, pods = 40, 50
	view := &topView{selection: anything(), columns: builtin(), output: outputFlags{format: "json"}}
	list, fleet := &items{view: view, rates: true}, &Fleet{}
	out := &weighed{began: heldBytes()}
	var members []member
	for i := range pods {
		name := fmt.Sprintf("web-%02d", i)
		members = append(members, member{box: web("shop", name, "cni-"+name), first: quiet, last: quiet.with(busy)})
	}
	answers := record(t, "node-00", members, 2)
	for n := range many {
		o := Observation{Node: fmt.Sprintf("node-%02d", n), Snapshots: make([]*metrics.Snapshot, 2)}
		for i, answer := range answers {
			s := &metrics.Snapshot{Time: answer.Time, Records: slices.Clone(answer.Records)}
			for j := range s.Records {
				s.Records[j].Sandbox.Node = o.Node
			}
			o.Snapshots[i] = s
		}
		if err := list.take(nil, &o); err != nil {
			t.Fatal(err)
		}
		fleet.Observations = append(fleet.Observations, o)
	}
	out.weigh()
	rows := ranked(rowsOf(fleet, &view.selection, true), nil, 0)
	if err := list.write(out, "json", rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != many*pods || out.bytes < len(rows)*2000 {
		t.Fatalf("%d rows in %d bytes", len(rows), out.bytes)
	}
	if out.weighings < 10 || out.held > int64(out.bytes)/5 {
		t.Errorf("up to %d bytes held for %d written, weighed %d times", out.held, out.bytes, out.weighings)
	}
}

// weighed counts what is written to it, and now and then weighs what is held beyond what was at the beginning.
type weighed struct {
	began, held      int64
	bytes, weighings int
}

func (w *weighed) Write(p []byte) (int, error) {
	if w.bytes/1_000_000 != (w.bytes+len(p))/1_000_000 {
		w.weigh()
	}
	w.bytes += len(p)
	return len(p), nil
}

func (w *weighed) weigh() {
	w.held = max(w.held, heldBytes()-w.began)
	w.weighings++
}

// heldBytes are the bytes that are held.
func heldBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools hold goes in the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Objects that are alike take little: of a hundred thousand, some hundred bytes each.
func TestPacking(t *testing.T) {
	var p packing
	var texts, packed [][]byte
	for i := range 50 {
		series := map[string]Value{}
		for n, m := range metrics.Catalog()[:120] {
			rate := float64((i*31 + n*17) % 1000)
			series[m.Short()] = Value{Value: float64(i*1000 + n), Rate: &rate}
		}
		text, err := json.Marshal(PodNetStats{Kind: "PodNetStats", Metadata: Metadata{Name: fmt.Sprint("pod-", i)}, Metrics: series})
		if err != nil {
			t.Fatal(err)
		}
		short, err := p.pack(text)
		if err != nil {
			t.Fatal(err)
		}
		texts, packed = append(texts, text), append(packed, short)
	}
	for i := range texts {
		got, err := p.unpack(packed[i])
		if err != nil || !bytes.Equal(got, texts[i]) {
			t.Fatalf("text %d came back as %q: %v", i, got, err)
		}
		if len(packed[i])*5 > len(texts[i]) {
			t.Errorf("text %d: %d bytes of %d", i, len(packed[i]), len(texts[i]))
		}
	}
	if _, err := p.unpack(packed[1][:len(packed[1])/2]); err == nil {
		t.Error("half of a packed text was unpacked")
	}
}
