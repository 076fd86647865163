package plugin

import (
	"fmt"
	"regexp"
	"strings"
)

// mostMarkdown is what a ticket takes: GitHub refuses more than 65,536 characters in a comment. What does not fit is left out
// piece by piece, and said.
const mostMarkdown = 60_000

// fewRows are as many as are in a table of a ticket.
const fewRows = 50

// pamphlet is a document in GitHub's Markdown that is being written.
type pamphlet struct {
	strings.Builder
	left int // pieces that did not fit
}

// add adds a piece, if it fits.
func (p *pamphlet) add(piece string) {
	if p.Len()+len(piece) > mostMarkdown {
		p.left++
		return
	}
	p.WriteString(piece)
}

// markdown writes the document for a ticket. All that a node or a server says is in code spans and code blocks, or has its
// punctuation as entities: no mark of Markdown, link or mention can come of it.
func (d *document) markdown() ([]byte, error) {
	var p pamphlet
	fmt.Fprintf(&p, "# %s%s\n\n", reportOf, codeSpan(d.Of))
	var counts []string
	for _, c := range d.Counts {
		counts = append(counts, "**"+c.Text+"**")
	}
	if len(counts) == 0 {
		counts = []string{"**nothing found**"}
	}
	if len(d.Failed) > 0 {
		counts = append(counts, "**not all nodes answered**")
	}
	fmt.Fprintf(&p, "%s\n\n| | |\n|---|---|\n", strings.Join(counts, ", "))
	for _, f := range d.Facts {
		fmt.Fprintf(&p, "| %s | %s |\n", f.Name, codeSpan(f.Text))
	}
	if len(d.Failed) > 0 {
		p.add("\n## Nodes that did not answer\n\n" + codeBlock("", d.Failed))
	}
	p.WriteString("\n## Findings\n")
	for _, v := range d.Findings {
		p.add(v.markdown())
	}
	p.add("\n" + strings.TrimSpace(d.Summary) + "\n")
	if len(d.Passing) > 0 {
		p.WriteString("\n## For a while\n\nNot over the whole of the recording, but between some of its samples. The value is that of the worst step.\n")
		for _, v := range d.Passing {
			p.add(v.markdown())
		}
	}
	for _, s := range d.Sheets {
		p.add(s.markdown())
	}
	p.add(timeLines(d.Strips))
	if len(d.Remarks) > 0 {
		p.add("\n## Not read, or otherwise than usual\n\n" + codeBlock("", d.Remarks))
	}
	if len(d.Numbers) > 0 {
		p.add("\n## Numbers\n")
	}
	for _, n := range d.Numbers {
		p.add(n.markdown())
	}
	if p.left > 0 {
		fmt.Fprintf(&p, "\n%s left out, for a ticket takes no more: `kubectl cosanet report -o html` has all.\n", plural(p.left, "part"))
	}
	return []byte(p.String()), nil
}

func (v *verdict) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s: %s ([%s](%s))\n\n", strings.ToUpper(v.Severity.String()), v.Title, v.ID, v.Link)
	for _, s := range v.Subjects {
		fmt.Fprintf(&b, "- %s: %s\n", codeSpan(s.Name), s.Value)
		for _, line := range s.Evidence {
			fmt.Fprintf(&b, "  - %s\n", codeSpan(line))
		}
		if s.When != "" {
			fmt.Fprintf(&b, "  - %s", s.When)
			if s.Chart != nil {
				fmt.Fprintf(&b, " `%s`", s.Chart.Spark)
			}
			b.WriteByte('\n')
		}
	}
	if v.More > 0 {
		fmt.Fprintf(&b, "- and %d more; `kubectl cosanet explain -o json` has all\n", v.More)
	}
	fmt.Fprintf(&b, "\n%s\n\n**Look at:** %s\n\nThreshold: %s.\n\n%s", prose(v.Means), prose(v.Look), v.Threshold, codeBlock("sh", v.Next))
	return b.String()
}

// prose is a rule's text: the same markup, with whole links.
func prose(text string) string {
	var b strings.Builder
	for _, p := range pieces(text) {
		switch {
		case p.Code:
			b.WriteString("`" + p.Text + "`")
		case p.Link != "":
			b.WriteString("[" + p.Text + "](" + p.Link + ")")
		default:
			b.WriteString(strings.NewReplacer("_", `\_`, "*", `\*`, "<", "&lt;").Replace(p.Text))
		}
	}
	return b.String()
}

// markdown is the table in the columns of top's default one.
func (s *listing) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n|", s.Title)
	rule := "|"
	for _, h := range s.Headings {
		if h.Wide {
			continue
		}
		fmt.Fprintf(&b, " %s |", h.Name)
		if rule += "---|"; h.Number {
			rule = strings.TrimSuffix(rule, "|") + ":|"
		}
	}
	b.WriteString("\n" + rule + "\n")
	for _, fields := range s.Rows[:min(len(s.Rows), fewRows)] {
		b.WriteByte('|')
		for i, f := range fields {
			if !f.Wide {
				fmt.Fprintf(&b, " %s |", f.markdown(i == 0))
			}
		}
		b.WriteByte('\n')
	}
	if left := s.Left + max(0, len(s.Rows)-fewRows); left > 0 {
		fmt.Fprintf(&b, "\nand %d more; `kubectl cosanet top` has all\n", left)
	}
	return b.String()
}

// ownWords is what a cell of a number may hold that is not a node's.
var ownWords = regexp.MustCompile(`^(-|err|reset|host|shared|pending|gone|-?<?[0-9.]+([KMGTPE]i)?%?(\([0-9.]+%\))?!{0,2})$`)

func (f *field) markdown(names bool) string {
	text := f.Text
	switch {
	case names || !f.Number && text != absentText || f.Number && !ownWords.MatchString(text):
		text = codeSpan(text)
	default:
		text = strings.ReplaceAll(text, "<", "&lt;")
	}
	if f.Alarm != "" {
		return "**" + text + "**"
	}
	return text
}

// timeLines are the charts of all strips as lines of text.
func timeLines(strips []*strip) string {
	if len(strips) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n## Time lines\n\n`_` is 0, `-` not counted, `x` could not be read, `r` a counter that began again.\n\n| | | MOST | LAST | |\n|---|---|--:|--:|---|\n")
	for _, s := range strips {
		for _, c := range s.Charts {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | `%s` |\n", codeSpan(s.Title), c.Name, strings.ReplaceAll(c.Most, "<", "&lt;"), strings.ReplaceAll(c.Last, "<", "&lt;"), c.Spark)
		}
	}
	return b.String()
}

// markdown folds the numbers.
func (n *numbers) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n<details><summary>%s</summary>\n\n", codeElement(n.Title))
	if n.Rates {
		b.WriteString("| COUNTER | NOW | A SECOND |\n|---|--:|--:|\n")
	} else {
		b.WriteString("| COUNTER | NOW |\n|---|--:|\n")
	}
	for _, s := range n.Series {
		fmt.Fprintf(&b, "| %s | %s |", codeSpan(s.Name), s.Value)
		if n.Rates {
			fmt.Fprintf(&b, " %s |", strings.ReplaceAll(s.Rate, "<", "&lt;"))
		}
		b.WriteByte('\n')
	}
	if len(n.Zero) > 0 {
		b.WriteString("\n0: " + codeSpan(strings.Join(n.Zero, ", ")) + "\n")
	}
	b.WriteString("\n</details>\n")
	return b.String()
}

// codeSpan sets a text of a node or a server as code: nothing in it is markup, a link or a mention. What could end the code,
// or the cell of a table that it is in, is spelt otherwise.
func codeSpan(text string) string {
	text = printableLine(text)
	if text == "" || strings.ContainsAny(text, "`|\\") || strings.HasPrefix(text, " ") || strings.HasSuffix(text, " ") {
		return codeElement(text)
	}
	return "`" + text + "`"
}

// codeElement is a text as code where Markdown's own marks for it do not reach: all punctuation is entities, which are never
// marks (CommonMark 0.31, 2.5).
func codeElement(text string) string {
	var b strings.Builder
	b.WriteString("<code>")
	for _, r := range printableLine(text) {
		if r < 128 && r != ' ' && r != '-' && r != '/' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	b.WriteString("</code>")
	return b.String()
}

// codeBlock is a fenced block of lines, with a fence that none of them can end.
func codeBlock(language string, lines []string) string {
	text := printableLines(strings.Join(lines, "\n"))
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + language + "\n" + text + "\n" + fence + "\n"
}
