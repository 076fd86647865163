package plugin

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// watchInterval is the time between two samples of a watch, unless another is given.
const watchInterval = 2 * time.Second

// redraw is how soon what came is shown: nodes do not answer at the same moment, and nobody reads faster.
const redraw = 150 * time.Millisecond

// manyPods are as many as are worth to hold no more of than what makes the columns and the findings.
const manyPods = 5000

// watching shows the view again and again: on a terminal as one page that is kept up to date, else as one table after the other.
func (v *topView) watching(ctx context.Context, f *factory) error {
	in, out := terminal(f.streams.In), terminal(f.streams.Out)
	if in == nil || out == nil || os.Getenv("TERM") == "dumb" {
		return v.append(ctx, f)
	}
	return v.live(ctx, f, in, out)
}

// terminal is the file that a stream is, if it is a terminal; else nil.
func terminal(stream any) *os.File {
	file, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return file
}

// follow follows the view's nodes.
func (v *topView) follow(ctx context.Context, f *factory, hear func(word)) error {
	client, err := f.clientFor(v.source.collection.Concurrency)
	if err != nil {
		return err
	}
	if err := v.source.collection.Follow(ctx, client, v.selection, v.ask, 0, hear); err != nil {
		return unreachable(err)
	}
	return ctx.Err()
}

// live shows a page on the terminal, until a key, a signal or an error ends it.
func (v *topView) live(ctx context.Context, f *factory, in, out *os.File) error {
	model := newPage(v)
	v.ask.Metrics = set(model.columns, v.ask.Metrics)
	v.ask.Only = nil                   // a pod's page has every counter
	v.source.collection.progress = nil // the page says it
	program := tea.NewProgram(model, tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler())
	follow, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ctx, program.Quit)() // a signal
	over := make(chan error, 1)
	go func() {
		err := v.follow(follow, f, func(w word) { program.Send(w) })
		over <- err
		program.Quit()
	}()
	last, err := program.Run()
	stop()
	failed := <-over // its pods are then being deleted
	switch p, _ := last.(*page); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case p != nil && p.interrupted:
		return context.Canceled
	case failed != nil && !errors.Is(failed, context.Canceled):
		return failed
	}
	return nil
}

// page is the model of the live view: what is known of the nodes, and what of it is on the screen.
type page struct {
	view    *topView
	now     *current
	rules   []rule
	columns []column // all that can be shown
	past    history

	// What is chosen.
	hidden   []bool // by column
	wide     bool
	sorted   int // column, -1 for names
	reverse  bool
	filter   string
	typing   bool // the filter is being typed
	paused   bool
	sheet    sheet
	cursor   string // title of the row that is chosen
	scroll   int    // first line of a sheet that is not the table
	firstRow int    // that is shown, of the table
	quitting bool

	interrupted   bool // by Ctrl-C
	rows          []*row
	width, height int
	dirty         bool // something came that is not shown yet
}

// sheet is what the screen shows.
type sheet uint8

const (
	tableSheet sheet = iota
	podSheet
	helpSheet
)

// refreshed is the message to show what has come.
type refreshed struct{}

func newPage(v *topView) *page {
	p := &page{view: v, now: newCurrent(), rules: rules(), past: history{}, sorted: -1, width: 80, height: 24}
	p.columns = slices.Clone(v.columns)
	for _, c := range columnsOf(true, v.ask.Sockets, v.ask.brings("tcp", "ports"), v.ask.brings(ownersSource)) {
		if !slices.ContainsFunc(p.columns, func(have column) bool { return have.name == c.name }) {
			p.columns = append(p.columns, c)
		}
	}
	if by := v.sortBy; by != nil {
		p.sorted = slices.IndexFunc(p.columns, func(c column) bool { return c.name == by.name })
		if p.sorted < 0 && by.name != "POD" && by.name != "NAMESPACE" {
			p.columns = append(p.columns, *by)
			p.sorted = len(p.columns) - 1
		}
	}
	p.hidden = make([]bool, len(p.columns))
	for i := range p.columns {
		p.hidden[i] = i >= len(v.columns) && i != p.sorted
	}
	return p
}

// Init implements tea.Model.
func (p *page) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (p *page) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch m := message.(type) {
	case word:
		p.hear(m)
		if !p.dirty {
			p.dirty = true
			return p, tea.Tick(redraw, func(time.Time) tea.Msg { return refreshed{} })
		}
	case refreshed:
		p.dirty = false
		p.refresh()
	case tea.WindowSizeMsg:
		p.width, p.height = m.Width, m.Height
	case tea.KeyPressMsg:
		return p, p.press(m.String())
	}
	return p, nil
}

func (p *page) hear(w word) {
	if w.snapshot != nil && len(p.now.pods) > manyPods {
		ask := Ask{Only: append(readBy(p.columns), readByRules(p.rules)...)}
		ask.reduce([]*metrics.Snapshot{w.snapshot})
	}
	p.now.hear(w)
}

// refresh makes the rows of what has come, unless the page is paused: the past is kept either way.
func (p *page) refresh() {
	fleet := p.now.fleet()
	rows := rowsOf(fleet, &p.view.selection, fleet.rates(true))
	for _, r := range rows {
		p.past.note(r, p.columns)
	}
	p.past.keep(rows)
	if !p.paused {
		p.rows = rows
	}
}

// shown are the rows that the filter lets through, sorted.
func (p *page) shown() []*row {
	var rows []*row
	for _, r := range p.rows {
		if p.filter == "" || p.matches(r) {
			rows = append(rows, r)
		}
	}
	var by *column
	if p.sorted >= 0 {
		by = &p.columns[p.sorted]
	}
	rows = ranked(rows, by, 0)
	if p.reverse {
		slices.Reverse(rows)
	}
	return rows
}
