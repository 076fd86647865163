package plugin

import (
	"bytes"
	"io"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
	"k8s.io/cli-runtime/pkg/printers"
)

// table is a view's rows as text, in kubectl's look: no lines, three spaces between columns, everything to the left.
type table struct {
	headers []string // none with --no-headers
	rows    [][]cell
}

// write renders the table. Colour is used on a terminal that allows it (NO_COLOR, TERM=dumb).
func (t *table) write(w io.Writer) error {
	tableWriter := tablewriter.NewTable(&trimmer{w: w},
		tablewriter.WithRenderer(renderer.NewBlueprint()),
		tablewriter.WithRendition(tw.Rendition{
			Borders:  tw.BorderNone,
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
		}),
		tablewriter.WithHeaderAutoFormat(tw.Off), // it would split words at a slash
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithRowAlignment(tw.AlignLeft),
		tablewriter.WithPadding(tw.Padding{Left: "", Right: "   ", Overwrite: true}),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithEastAsian(tw.Off), // the width of a cell must not depend on the locale
	)
	if t.headers != nil {
		tableWriter.Header(t.headers)
	}
	colored := printers.AllowsColorOutput(w)
	for _, cells := range t.rows {
		texts := make([]string, len(cells))
		for i, c := range cells {
			c.text = printableLine(c.text)
			texts[i] = c.paint(colored)
		}
		if err := tableWriter.Append(texts); err != nil {
			return err
		}
	}
	return tableWriter.Render()
}

// paint colours the cell's text by its alarm.
func (c cell) paint(colored bool) string {
	const yellow, red, plain = "\x1b[33m", "\x1b[31m", "\x1b[0m"
	switch {
	case colored && c.alarm == warn:
		return yellow + c.text + plain
	case colored && c.alarm == bad:
		return red + c.text + plain
	}
	return c.text
}

// trimmer removes the spaces that the last column is padded with.
type trimmer struct {
	w       io.Writer
	pending []byte // a line without its end yet
}

func (t *trimmer) Write(p []byte) (int, error) {
	t.pending = append(t.pending, p...)
	end := bytes.LastIndexByte(t.pending, '\n') + 1
	var out []byte
	for line := range bytes.Lines(t.pending[:end]) {
		out = append(out, bytes.TrimRight(line, " \n")...)
		out = append(out, '\n')
	}
	t.pending = append(t.pending[:0], t.pending[end:]...)
	if _, err := t.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
