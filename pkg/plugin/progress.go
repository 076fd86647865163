package plugin

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"golang.org/x/term"
)

// progress is one line on a terminal that says what is being waited for. Where there is no terminal nothing is written,
// so that what a script sees does not depend on the speed of a cluster. A nil progress is silent too.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	width int
	shown string            // what the line says; empty when there is none
	nodes map[string]string // what each node under way is doing
	total int
	done  int
}

// newProgress returns nil when out is not a terminal that can rewrite a line.
func newProgress(out io.Writer) *progress {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	return &progress{out: out, width: width}
}

// begin starts a line about so many nodes.
func (p *progress) begin(total int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total, p.done, p.nodes = total, 0, map[string]string{}
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

// finish counts a node as done.
func (p *progress) finish(node string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.nodes, node)
	p.done++
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
	text := fmt.Sprintf("%d of %d nodes answered", p.done, p.total)
	names := make([]string, 0, len(p.nodes))
	for name := range p.nodes {
		names = append(names, name)
	}
	if len(names) > 0 {
		first := slices.Min(names)
		text += "; " + first + ": " + p.nodes[first]
	}
	return p.fit(text)
}

// fit makes a text safe and short enough for the line.
func (p *progress) fit(text string) string {
	runes := []rune(sanitize(text))
	return string(runes[:min(len(runes), p.width-1)])
}
