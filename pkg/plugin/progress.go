package plugin

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress is one line on a terminal that says what is being waited for. Where there is no terminal nothing is written,
// so that what a script sees does not depend on the speed of a cluster. A nil progress is silent too.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	width int
	shown string            // what the line says; empty when there is none
	what  string            // what is done on the nodes; empty when they are asked
	nodes map[string]string // what each node under way is doing
	total int
	done  int
	bad   int // of those done, without an answer
	now   func() time.Time
	began time.Time
}

// newProgress returns nil when out is not a terminal that can rewrite a line.
func newProgress(out io.Writer) *progress {
	if m, ok := out.(messages); ok {
		out = m.w // the line is rewritten by control characters of its own; its text is made safe by fit
	}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	return &progress{out: out, width: width, now: time.Now}
}

// begin starts a line about so many nodes, and what is done on them.
func (p *progress) begin(what string, total int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.total, p.done, p.bad, p.nodes, p.began = what, total, 0, 0, map[string]string{}, p.now()
}

// say shows what a node is doing.
func (p *progress) say(node, doing string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes[node] = doing
	p.draw()
}

// finish counts a node as done, err being why it did not answer.
func (p *progress) finish(node string, err error) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.nodes, node)
	p.done++
	if err != nil {
		p.bad++
	}
	p.draw()
}

// clear takes the line away, before anything else is written.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown != "" {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = ""
	}
}

// show makes the line say this.
func (p *progress) show(text string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.fit(text))
}

func (p *progress) draw() { p.write(p.line()) }

func (p *progress) write(line string) {
	if line != p.shown {
		fmt.Fprint(p.out, "\r\x1b[K"+line)
		p.shown = line
	}
}

// line names the first node that is still under way, so that the line is steady.
func (p *progress) line() string {
	text := fmt.Sprintf("%s%d/%d nodes", p.what, p.done, p.total)
	if p.bad > 0 {
		text += fmt.Sprintf(", %d failed", p.bad)
	}
	if left := p.left(); left > 0 {
		text += fmt.Sprintf(", about %s left", left)
	}
	if len(p.nodes) > 0 {
		first := slices.Min(slices.Collect(maps.Keys(p.nodes)))
		text += "; " + first + ": " + p.nodes[first]
	}
	return p.fit(text)
}

// left is how long the other nodes take at the pace of those that are done, 0 where that cannot be said: before the first
// ones asked are through, the pace is that of the fastest.
func (p *progress) left() time.Duration {
	if p.done == 0 || p.done < len(p.nodes) || p.done >= p.total {
		return 0
	}
	left := p.now().Sub(p.began) / time.Duration(p.done) * time.Duration(p.total-p.done)
	if left > 20*time.Second {
		return left.Round(10 * time.Second)
	}
	return left.Round(time.Second)
}

// fit makes a text safe and short enough for the line.
func (p *progress) fit(text string) string {
	runes := []rune(sanitize(text))
	return string(runes[:min(len(runes), p.width-1)])
}
