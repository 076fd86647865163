package plugin

import (
	"cmp"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// sparkWidth is how wide the drawing of the last minute is.
const sparkWidth = 20

// grid is the part of the table that fits the screen: the names, of the columns those around the sorted one, and its past.
type grid struct {
	page    *page
	rows    []*row
	names   [][]cell // of each row: its namespace, if there are several, and its name
	columns []int    // that are shown
	cells   [][]cell
	widths  []int
}

func newGrid(p *page, rows []*row) *grid {
	g := &grid{page: p, rows: rows}
	several := p.view.selection.Namespace == "" && len(p.view.selection.Pods) == 0
	for _, r := range p.rows {
		several = several || r.Namespace != p.rows[0].Namespace
	}
	for i := range p.columns {
		if !p.hidden[i] {
			g.columns = append(g.columns, i)
		}
	}
	shown := make([]column, len(g.columns))
	for i, c := range g.columns {
		shown[i] = p.columns[c]
	}
	for _, r := range rows {
		var names []cell
		if several {
			names = append(names, cell{text: cmp.Or(r.Namespace, absentText)})
		}
		g.names = append(g.names, append(names, cell{text: r.Name}))
		g.cells = append(g.cells, r.cells(shown))
	}
	for i := range g.columns {
		width := len(g.header(i))
		for _, cells := range g.cells {
			width = max(width, ansi.StringWidth(cells[i].text))
		}
		g.widths = append(g.widths, width)
	}
	return g
}

// header is the head of the ith shown column; the sorted one has an arrow, which points down where the largest is first.
func (g *grid) header(i int) string {
	c := g.columns[i]
	head := g.page.columns[c].header(true)
	switch {
	case c != g.page.sorted:
		return head
	case g.page.reverse:
		return head + " ^"
	}
	return head + " v"
}

// fit is which of the columns there is room for, so that the sorted one is among them.
func (g *grid) fit(room int) (from, to int) {
	sorted := 0
	for i, c := range g.columns {
		if c == g.page.sorted {
			sorted = i
		}
	}
	for from = 0; from <= sorted; from++ {
		used := 0
		for to = from; to < len(g.columns) && used+g.widths[to]+2 <= room; to++ {
			used += g.widths[to] + 2
		}
		if to > sorted {
			break
		}
	}
	return from, to
}

// lines draws the head and the rows, the chosen one reversed.
func (g *grid) lines(chosen int) []line {
	heads := []string{"POD"}
	if len(g.names[0]) > 1 {
		heads = []string{"NAMESPACE", "POD"}
	}
	widths := make([]int, len(heads))
	for i := range heads {
		widths[i] = len(heads[i])
		for _, names := range g.names {
			widths[i] = max(widths[i], min(ansi.StringWidth(names[i].text), g.page.width/3))
		}
	}
	room := g.page.width - 2
	for _, w := range widths {
		room -= w + 2
	}
	spark := g.page.sorted >= 0 && g.page.columns[g.page.sorted].text == nil && room > sparkWidth+12
	if spark {
		room -= sparkWidth
	}
	from, to := g.fit(room)
	head := line{{"  ", boldInk}}
	for i := range heads {
		head = append(head, ink{padded(heads[i], widths[i]), boldInk})
	}
	for i := from; i < to; i++ {
		head = append(head, ink{padded(g.header(i), g.widths[i]), boldInk})
	}
	if spark {
		head = append(head, ink{"LAST MINUTE", boldInk})
	}
	lines := []line{head}
	for n := range g.rows {
		lines = append(lines, g.line(n, n == chosen, widths, from, to, spark))
	}
	return lines
}

func (g *grid) line(n int, chosen bool, widths []int, from, to int, spark bool) line {
	mark, look := "  ", plainInk
	if chosen {
		mark, look = "> ", chosenInk
	}
	l := line{{mark, look}}
	for i, name := range g.names[n] {
		l = append(l, ink{padded(name.text, widths[i]), look})
	}
	for i := from; i < to; i++ {
		c, of := g.cells[n][i], look
		if !chosen {
			of = [...]style{calm: plainInk, warn: warnInk, bad: badInk}[c.alarm]
		}
		l = append(l, ink{padded(c.text, g.widths[i]), of})
	}
	if spark {
		l = append(l, ink{sparkline(g.page.past.values(g.rows[n].title(), g.page.sorted), sparkWidth), look})
	}
	return l
}

// padded makes a text as wide as its column, and two more.
func padded(text string, width int) string {
	text = printableLine(text)
	if ansi.StringWidth(text) > width {
		text = ansi.Truncate(text, width, "~")
	}
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text))+2)
}
