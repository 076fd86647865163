package plugin

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	p := &progress{out: &out, width: 60, now: func() time.Time { return clock }}
	p.begin("", 2)
	p.say("node-b", "creating the collector pod")
	p.say("node-a", "pulling image registry.example/a/very/long/name/of/an/image:v0.1.0")
	p.say("node-a", "reading")
	p.say("node-a", "reading")
	p.finish("node-a", nil)
	clock = clock.Add(1100 * time.Millisecond)
	p.say("node-b", "a\x1b[2Jb")
	p.finish("node-b", errors.New("no"))
	p.clear()
	p.clear()
	want := []string{
		"",
		"0/2 nodes; node-b: creating the collector pod",
		"0/2 nodes; node-a: pulling image registry.example/a/very/lo",
		"0/2 nodes; node-a: reading",
		"1/2 nodes; node-b: creating the collector pod",
		`1/2 nodes, about 1s left; node-b: a\x1b[2Jb`,
		"2/2 nodes, 1 failed",
		"",
	}
	if diff := cmp.Diff(want, strings.Split(out.String(), "\r\x1b[K")); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// The time left is said once the first nodes that were asked are through, and roughly.
func TestProgressLeft(t *testing.T) {
	clock := time.Unix(0, 0)
	p := &progress{out: new(bytes.Buffer), width: 80, now: func() time.Time { return clock }}
	p.begin("", 1000)
	for _, node := range []string{"a", "b", "c"} {
		p.say(node, "counting")
	}
	clock = clock.Add(2 * time.Second)
	p.finish("a", nil)
	if got, want := p.line(), "1/1000 nodes; b: counting"; got != want {
		t.Errorf("after the first: %q, want %q", got, want)
	}
	for i := range 311 {
		p.finish("b", map[bool]error{true: errors.New("no")}[i < 4])
	}
	clock = clock.Add(16 * time.Second)
	if got, want := p.line(), "312/1000 nodes, 4 failed, about 40s left; c: counting"; got != want {
		t.Errorf("later: %q, want %q", got, want)
	}
}

// Where nobody watches, nothing is written: neither to a pipe nor by a Collection without a terminal.
func TestProgressWithoutTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if p := newProgress(w); p != nil {
		t.Error("progress on a pipe")
	}
	var p *progress
	p.begin("", 1)
	p.say("a", "b")
	p.finish("a", nil)
	p.clear()
}
