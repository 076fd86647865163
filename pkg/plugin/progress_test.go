package plugin

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &progress{out: &out, width: 60}
	p.begin(2)
	p.say("node-b", "creating the collector pod")
	p.say("node-a", "pulling image registry.example/a/very/long/name/of/an/image:v0.1.0")
	p.say("node-a", "reading")
	p.say("node-a", "reading")
	p.finish("node-a")
	p.say("node-b", "a\x1b[2Jb")
	p.finish("node-b")
	p.clear()
	p.clear()
	want := []string{
		"",
		"0 of 2 nodes answered; node-b: creating the collector pod",
		"0 of 2 nodes answered; node-a: pulling image registry.examp",
		"0 of 2 nodes answered; node-a: reading",
		"1 of 2 nodes answered; node-b: creating the collector pod",
		`1 of 2 nodes answered; node-b: a\x1b[2Jb`,
		"2 of 2 nodes answered",
		"",
	}
	if diff := cmp.Diff(want, strings.Split(out.String(), "\r\x1b[K")); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
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
	p.begin(1)
	p.say("a", "b")
	p.finish("a")
	p.clear()
}
