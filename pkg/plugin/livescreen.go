package plugin

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// ink is a piece of a line of the screen: a text that came from anywhere, and how it looks.
type ink struct {
	text  string
	style style
}

type style uint8

const (
	plainInk style = iota
	boldInk
	chosenInk // the row of the cursor
	warnInk
	badInk
	faintInk
)

// line is a line of the screen.
type line []ink

// sgr are the styles as a terminal takes them (ECMA-48, 8.3.117). Where colours are not wanted bubbletea leaves them out.
var sgr = [...]string{boldInk: "\x1b[1m", chosenInk: "\x1b[7m", warnInk: "\x1b[33m", badInk: "\x1b[31m", faintInk: "\x1b[2m"}

// render makes a line safe, as short as the screen is wide, and styles it. Every character of the live view comes by here.
func (l line) render(width int) string {
	var b strings.Builder
	for _, piece := range l {
		text := printableLine(piece.text)
		if ansi.StringWidth(text) > width {
			text = ansi.Truncate(text, width, "")
		}
		if width -= ansi.StringWidth(text); text == "" {
			continue
		}
		if piece.style == plainInk {
			b.WriteString(text)
		} else {
			b.WriteString(sgr[piece.style] + text + "\x1b[0m")
		}
	}
	return b.String()
}

// View implements tea.Model.
func (p *page) View() tea.View {
	view := tea.NewView(p.draw())
	view.AltScreen = !p.quitting
	return view
}

// draw is the whole screen as text.
func (p *page) draw() string {
	if p.quitting {
		return ""
	}
	lines := p.head()
	room := p.height - len(lines) - 1
	var body []line
	switch p.sheet {
	case podSheet:
		body = p.scrolled(p.pod(), room)
	case helpSheet:
		body = p.scrolled(helpLines(), room)
	default:
		body = p.table(room)
	}
	lines = append(lines, body...)
	for len(lines) < p.height-1 {
		lines = append(lines, nil)
	}
	lines = append(lines[:max(0, p.height-1)], p.foot())
	rendered := make([]string, len(lines))
	for i, l := range lines {
		rendered[i] = l.render(p.width)
	}
	return strings.Join(rendered, "\n")
}

// room is how many rows of the table there is place for.
func (p *page) room() int { return max(1, p.height-len(p.head())-2) }

// scrolled are the lines of a page of text that there is room for.
func (p *page) scrolled(lines []line, room int) []line {
	room = max(1, room)
	p.scroll = max(0, min(p.scroll, len(lines)-room))
	return lines[p.scroll:min(len(lines), p.scroll+room)]
}

// head says of when the numbers are and of whom, and below what is wrong with the nodes.
func (p *page) head() []line {
	at := "no sample yet"
	if latest := p.now.latest(); !latest.IsZero() {
		at = latest.Local().Format(time.TimeOnly)
	}
	rows := p.shown()
	text := fmt.Sprintf("%s  every %s  %s", at, p.view.ask.Interval, plural(len(rows), "row"))
	if len(rows) < len(p.rows) {
		text = fmt.Sprintf("%s  every %s  %d of %s", at, p.view.ask.Interval, len(rows), plural(len(p.rows), "row"))
	}
	nodes := plural(len(p.now.nodes), "node")
	if answering := p.now.answering(); answering < len(p.now.nodes) {
		nodes = fmt.Sprintf("%d of %s", answering, nodes)
	}
	first := line{{"kubectl cosanet top  ", boldInk}, {text + " on " + nodes, plainInk}}
	if p.paused {
		first = append(first, ink{"  PAUSED", boldInk})
	}
	if p.filter != "" || p.typing {
		first = append(first, ink{"  filter: " + p.filter, boldInk})
	}
	return append([]line{first}, p.state()...)
}

// state is a line or two of what is wrong, else of what is being waited for, else of what was remarked.
func (p *page) state() []line {
	var lines []line
	for _, trouble := range p.now.troubles() {
		lines = append(lines, line{{"not answering: ", badInk}, {trouble, plainInk}})
	}
	for _, wait := range p.now.waits() {
		lines = append(lines, line{{wait, faintInk}})
	}
	for _, remark := range p.now.said {
		lines = append(lines, line{{remark, faintInk}})
	}
	if len(lines) == 0 {
		return []line{nil}
	}
	if len(lines) > 2 {
		more := fmt.Sprintf("  (and %d more)", len(lines)-2)
		lines = lines[:2]
		lines[1] = append(line{{more + "  ", faintInk}}, lines[1]...)
	}
	return lines
}

// foot says which keys there are.
func (p *page) foot() line {
	keys := "q quit  ? help  Enter pod  left/right sort  r reverse  / filter  space pause  w columns"
	switch {
	case p.typing:
		keys = "type a part of a name; Enter keeps the filter, Esc takes it away"
	case p.sheet == helpSheet:
		keys = "Esc back  up/down scroll  q quit"
	case p.sheet == podSheet:
		keys = "Esc back  up/down scroll  space pause  q quit"
	}
	return line{{keys, faintInk}}
}

// table is the table's head and as many rows as there is room for, the chosen one among them.
func (p *page) table(room int) []line {
	rows := p.shown()
	if len(rows) == 0 {
		return []line{{{p.empty(), plainInk}}}
	}
	room = max(1, room-1)
	at := p.at(rows)
	p.firstRow = max(0, min(p.firstRow, len(rows)-room))
	p.firstRow = max(min(p.firstRow, at), at-room+1)
	rows = rows[p.firstRow:min(len(rows), p.firstRow+room)]
	return newGrid(p, rows).lines(at - p.firstRow)
}

// empty says why there is no row.
func (p *page) empty() string {
	switch {
	case len(p.rows) > 0:
		return fmt.Sprintf("no row has %q in its names: Esc takes the filter away", p.filter)
	case p.now.answering() > 0:
		return "No resources found."
	}
	return cmp.Or(strings.Join(p.now.waits(), "; "), "waiting for the nodes") + " ..."
}
