package plugin

import "strings"

// findingsPage is where the sections of rules are.
const findingsPage = "https://github.com/cosanet/kubectl-cosanet/blob/main/docs/findings.md"

// piece is a part of a rule's text, which has the markup of docs/findings.md: `code` and [Name](#section).
type piece struct {
	Text string
	Code bool
	Link string // whole
}

// pieces takes a rule's text apart.
func pieces(text string) (all []piece) {
	add := func(p piece) {
		if p.Text != "" {
			all = append(all, p)
		}
	}
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			add(piece{Text: part, Code: true})
			continue
		}
		for {
			before, rest, ok := strings.Cut(part, "](")
			open := strings.LastIndexByte(before, '[')
			to, after, closed := strings.Cut(rest, ")")
			if !ok || open < 0 || !closed {
				break
			}
			add(piece{Text: before[:open]})
			add(piece{Text: before[open+1:], Link: findingsPage + to})
			part = after
		}
		add(piece{Text: part})
	}
	return all
}

// unquoted is a rule's text without its markup.
func unquoted(text string) string {
	var b strings.Builder
	for _, p := range pieces(text) {
		b.WriteString(p.Text)
	}
	return b.String()
}
