package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/golden"
)

// watched is a page over the recorded nodes, all pods of shop.
func watched(t *testing.T) *page {
	t.Helper()
	selection := anything()
	selection.Namespace = "shop"
	p := newPage(&topView{selection: selection, columns: columnsOf(false, false, false, false), ask: Ask{Interval: watchInterval}})
	send(p, tea.WindowSizeMsg{Width: 110, Height: 14})
	var pods []livePod
	for _, node := range []string{"node-1", "node-2"} {
		for _, m := range nodes[node] {
			if m.box.Namespace == "shop" {
				pod := listed("shop", m.box.Pod, node)
				pods = append(pods, newLivePod(&pod))
			}
		}
	}
	send(p, word{pods: pods, nodes: []string{"node-1", "node-2"}})
	return p
}

// send feeds a message, and what has come by then is shown.
func send(p *page, messages ...tea.Msg) {
	for _, m := range messages {
		p.Update(m)
	}
	p.Update(refreshed{})
}

// press presses keys by their names.
func press(p *page, keys ...string) {
	for _, key := range keys {
		p.press(key)
	}
}

// counts feeds the recorded frames of a node.
func feed(t *testing.T, p *page, node string) {
	t.Helper()
	for _, s := range record(t, node, nodes[node], 2) {
		send(p, word{node: node, snapshot: s})
	}
}

var clock = regexp.MustCompile(`\d\d:\d\d:\d\d`)

// screen is what is on the screen, without colours and without the time of the day.
func screen(p *page) string {
	var b strings.Builder
	for l := range strings.Lines(clock.ReplaceAllString(ansi.Strip(p.draw()), "HH:MM:SS") + "\n") {
		b.WriteString(strings.TrimRight(l, " \n") + "\n")
	}
	return b.String()
}

// TestLive shows the page after keys and frames: testdata/live.txtar has the screens.
func TestLive(t *testing.T) {
	both := func(t *testing.T) *page {
		p := watched(t)
		feed(t, p, "node-1")
		feed(t, p, "node-2")
		return p
	}
	screens := []struct {
		name string
		page func(t *testing.T) *page
		keys []string
	}{
		{"nothing yet", watched, nil},
		{"one sample of one node", func(t *testing.T) *page {
			p := watched(t)
			send(p, word{node: "node-2", doing: "pulling the image and creating the container"})
			send(p, word{node: "node-1", snapshot: record(t, "node-1", nodes["node-1"], 2)[0]})
			return p
		}, nil},
		{"table", both, nil},
		{"sorted by the second column", both, []string{"right", "right", "down"}},
		{"reversed", both, []string{"right", "right", "r"}},
		{"sorted column hidden", both, []string{"right", "right", "-"}},
		{"all columns, scrolled to the sorted one", both, []string{"w", "right", "right", "right", "right", "right", "right", "right", "right", "right", "right", "right", "right", "right"}},
		{"filter being typed", both, []string{"/", "W", "e", "b"}},
		{"filter that finds nothing", both, []string{"/", "x", "y", "z", "backspace", "enter"}},
		{"a node that fails", func(t *testing.T) *page {
			p := both(t)
			send(p, word{node: "node-2", err: errors.New("collector pod in namespace default: it was deleted\n  kubectl get events -n default")})
			return p
		}, nil},
		{"a log that is read again", func(t *testing.T) *page {
			p := both(t)
			send(p, word{node: "node-1", doing: "reading the log again"})
			return p
		}, nil},
		{"a pod", both, []string{"right", "right", "right", "right", "right", "right", "enter"}},
		{"a pod, scrolled", both, []string{"right", "right", "right", "right", "right", "right", "enter", "pgdown"}},
		{"a pod without numbers", both, []string{"down", "down", "enter"}},
		{"help", both, []string{"?"}},
		{"narrow", func(t *testing.T) *page {
			p := both(t)
			send(p, tea.WindowSizeMsg{Width: 40, Height: 8})
			return p
		}, []string{"right", "right", "right", "right"}},
	}
	archive := "Screens of top --watch. Made by go test -run TestLive -update.\n"
	for _, s := range screens {
		p := s.page(t)
		press(p, s.keys...)
		archive += fmt.Sprintf("-- %s %v --\n%s", s.name, s.keys, screen(p))
		for l := range strings.Lines(p.draw()) {
			if w := ansi.StringWidth(l); w > p.width {
				t.Errorf("%s: a line of %d columns on a screen of %d: %q", s.name, w, p.width, l)
			}
		}
		if lines := strings.Count(p.draw(), "\n") + 1; lines != p.height {
			t.Errorf("%s: %d lines on a screen of %d", s.name, lines, p.height)
		}
	}
	golden.File(t, "testdata/live.txtar", archive, *update)
}

// A paused page keeps its numbers, and nothing of what came meanwhile is missing from the drawing afterwards.
func TestLivePause(t *testing.T) {
	p := watched(t)
	feed(t, p, "node-1")
	press(p, "space")
	before := screen(p)
	if !strings.Contains(before, "PAUSED") {
		t.Errorf("a paused page does not say so:\n%s", before)
	}
	three := record(t, "node-1", nodes["node-1"], 3)
	for i, s := range three[2].Records[2].Samples {
		if s.Metric.Short() == "IpExt_InOctets" {
			three[2].Records[2].Samples[i].Value += 5 << 20
		}
	}
	send(p, word{node: "node-1", snapshot: three[2]})
	if after := screen(p); after != before {
		t.Errorf("it goes on (-paused +after a frame):\n%s", cmp.Diff(before, after))
	}
	if got := len(p.past["shop/web-0"]); got != 2 {
		t.Errorf("%d points of the past, want those of both frames", got)
	}
	press(p, "space")
	if after := screen(p); !strings.Contains(after, "5.0Mi") || strings.Contains(after, "PAUSED") {
		t.Errorf("it does not go on:\n%s", after)
	}
}

// Quitting takes the page away; Ctrl-C is an interruption, also while a filter is typed.
func TestLiveQuit(t *testing.T) {
	for _, tt := range []struct {
		keys        []string
		interrupted bool
	}{{[]string{"q"}, false}, {[]string{"ctrl+c"}, true}, {[]string{"/", "q", "ctrl+c"}, true}} {
		p := watched(t)
		press(p, tt.keys[:len(tt.keys)-1]...)
		cmd := p.press(tt.keys[len(tt.keys)-1])
		if cmd == nil {
			t.Fatalf("%v: nothing happens", tt.keys)
		}
		if _, quits := cmd().(tea.QuitMsg); !quits || p.interrupted != tt.interrupted || p.View().AltScreen || p.draw() != "" {
			t.Errorf("%v: interrupted %v, screen %q", tt.keys, p.interrupted, p.draw())
		}
	}
}

// Every key of help does something, and none twice.
func TestLivekeys(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range livekeys() {
		for _, key := range k.keys {
			if seen[key] || k.press == nil || (k.title == "") != (k.meaning == "") {
				t.Errorf("key %q is there twice, or does nothing", key)
			}
			seen[key] = true
		}
	}
}

// Whatever a node says of itself, the screen and the tables are printable.
func TestLiveHostile(t *testing.T) {
	for _, text := range append([]string{notUTF8}, hostileTexts...) {
		frames := hostileFrames(t, text)
		view := &topView{selection: anything(), columns: columnsOf(true, false, false, false), ask: Ask{Interval: time.Second}}
		var out, errOut bytes.Buffer
		p := newPage(view)
		a := &appended{view: view, f: &factory{streams: genericiooptions.IOStreams{Out: &out, ErrOut: messages{&errOut}}}, now: newCurrent(), said: map[string]bool{}}
		hear := func(w word) {
			send(p, w)
			a.hear(w)
		}
		hear(word{node: "n", err: errors.New(text), nodes: []string{"n"}})
		hear(word{node: "n", remark: text})
		hear(word{node: "m", doing: text})
		frame := 0
		_, err := eachSaved(t.Context(), "-", bytes.NewReader(frames), func(s *saved) error {
			snapshot, err := s.decode()
			if err != nil {
				return err
			}
			snapshot.Time = began.Add(time.Duration(frame) * time.Second)
			frame++
			hear(word{node: "n", snapshot: snapshot})
			return nil
		})
		if err != nil && text != notUTF8 {
			t.Fatalf("%q: %v", text, err)
		}
		a.write()
		wantPrintable(t, fmt.Sprintf("%q appended", text), out.String()+errOut.String())
		for _, keys := range [][]string{nil, {"w"}, {"down", "enter"}, {"esc", "/", "x"}} {
			press(p, keys...)
			p.Update(refreshed{})
			wantPrintable(t, fmt.Sprintf("%q %v", text, keys), ansi.Strip(p.draw()))
		}
	}
}

func TestSparkline(t *testing.T) {
	nan := float32(math.NaN())
	for name, tt := range map[string]struct {
		values []float32
		want   string
	}{
		"nothing yet":        {nil, "      "},
		"nothing moves":      {[]float32{0, 0, 0}, "   ▁▁▁"},
		"up":                 {[]float32{0, 5, 10}, "   ▁▅█"},
		"a gap":              {[]float32{8, nan, 0, 0.1}, "  █ ▁▂"},
		"two to a character": {[]float32{0, 0, 0, 4, 8, 8, 0, 0, nan, nan, 1, 2}, "▁▅█▁ ▄"},
	} {
		if got := sparkline(tt.values, 6); got != tt.want || ansi.StringWidth(got) != 6 {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// The past goes back a minute, a point a second at most, and twenty points at least.
func TestHistory(t *testing.T) {
	columns := columnsOf(false, false, false, false)
	for _, tt := range []struct {
		every time.Duration
		want  int
	}{{100 * time.Millisecond, 61}, {time.Second, 61}, {10 * time.Second, fewPoints}} {
		h := history{}
		r := &row{Namespace: "shop", Name: "web-0", last: &metrics.Record{}, window: tt.every}
		for i := range 1000 {
			r.at = began.Add(time.Duration(i) * tt.every)
			h.note(r, columns)
			h.note(r, columns) // once more is nothing new
		}
		if got := len(h["shop/web-0"]); got != tt.want {
			t.Errorf("every %s: %d points, want %d", tt.every, got, tt.want)
		}
		h.keep(nil)
		if len(h) != 0 {
			t.Error("a row that is gone is remembered")
		}
	}
}
