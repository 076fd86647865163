package plugin

import (
	"slices"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// livekey is a key of the live view, as it is pressed and as help tells it.
type livekey struct {
	keys    []string
	title   string
	meaning string
	press   func(p *page) tea.Cmd
}

// livekeys are the keys of the live view: what they do and what ? says of them come from here alone.
func livekeys() []livekey {
	do := func(f func(p *page)) func(p *page) tea.Cmd {
		return func(p *page) tea.Cmd {
			f(p)
			return nil
		}
	}
	move := func(by func(p *page) int) func(p *page) tea.Cmd { return do(func(p *page) { p.move(by(p)) }) }
	return []livekey{
		{[]string{"left", "h"}, "left, right", "sort by the next column to that side; names are the first", do(func(p *page) { p.sortNext(-1) })},
		{[]string{"right", "l"}, "", "", do(func(p *page) { p.sortNext(1) })},
		{[]string{"r"}, "r", "reverse the order", do(func(p *page) { p.reverse = !p.reverse })},
		{[]string{"/"}, "/", "show only pods, namespaces, nodes or controllers with a text; Esc ends it", do(func(p *page) { p.typing = true })},
		{[]string{"space", " "}, "space", "pause, and go on with what is then counted", do((*page).pause)},
		{[]string{"w"}, "w", "all columns, or those of before", do((*page).widen)},
		{[]string{"-"}, "-", "hide the sorted column", do((*page).hide)},
		{[]string{"+", "="}, "+", "show the hidden columns", do((*page).unhide)},
		{[]string{"up", "k"}, "up, down", "choose a pod; PgUp, PgDn, Home and End go further", move(func(*page) int { return -1 })},
		{[]string{"down", "j"}, "", "", move(func(*page) int { return 1 })},
		{[]string{"pgup", "ctrl+b"}, "", "", move(func(p *page) int { return -p.room() })},
		{[]string{"pgdown", "ctrl+f"}, "", "", move(func(p *page) int { return p.room() })},
		{[]string{"home", "g"}, "", "", move(func(p *page) int { return -len(p.rows) - p.scroll })},
		{[]string{"end", "G"}, "", "", move(func(p *page) int { return len(p.rows) + 1000 })},
		{[]string{"enter"}, "Enter", "the pod's findings and the counters that move", do((*page).open)},
		{[]string{"esc", "backspace"}, "Esc", "back to the table; there, the filter is taken away", do((*page).back)},
		{[]string{"?"}, "?", "this help", do((*page).help)},
		{[]string{"ctrl+z"}, "Ctrl-Z", "suspend, as any program of a shell", func(*page) tea.Cmd { return tea.Suspend }},
		{[]string{"q"}, "q", "quit; Ctrl-C too. The collector pods are deleted", func(p *page) tea.Cmd { return p.quit(false) }},
		{[]string{"ctrl+c"}, "", "", func(p *page) tea.Cmd { return p.quit(true) }},
	}
}

// press does what a key is for.
func (p *page) press(key string) tea.Cmd {
	if p.typing && key != "ctrl+c" {
		p.typeFilter(key)
		return nil
	}
	for _, k := range livekeys() {
		if slices.Contains(k.keys, key) {
			return k.press(p)
		}
	}
	return nil
}

// typeFilter takes a key while the filter is typed.
func (p *page) typeFilter(key string) {
	switch key {
	case "enter":
		p.typing = false
	case "esc":
		p.typing, p.filter = false, ""
	case "backspace":
		if runes := []rune(p.filter); len(runes) > 0 {
			p.filter = string(runes[:len(runes)-1])
		}
	case "space":
		p.filter += " "
	default:
		if runes := []rune(key); len(runes) == 1 && unicode.IsPrint(runes[0]) {
			p.filter += key
		}
	}
	p.firstRow = 0
}

// matches tells whether the filter finds a row by one of its names.
func (p *page) matches(r *row) bool {
	text := strings.ToLower(p.filter)
	return slices.ContainsFunc([]string{r.title(), r.Node, r.controller(), r.word}, func(name string) bool {
		return strings.Contains(strings.ToLower(name), text)
	})
}

// sortNext sorts by the next column that is shown, to the right or to the left.
func (p *page) sortNext(step int) {
	if p.sheet != tableSheet {
		return
	}
	for at := p.sorted + step; at >= -1 && at < len(p.columns); at += step {
		if at < 0 || !p.hidden[at] {
			p.sorted, p.reverse, p.firstRow = at, false, 0
			return
		}
	}
}

func (p *page) pause() {
	if p.paused = !p.paused; !p.paused {
		p.refresh()
	}
}

func (p *page) widen() {
	p.wide = !p.wide
	for i := range p.columns {
		p.hidden[i] = !p.wide && i >= len(p.view.columns) && i != p.sorted
	}
}

// hide hides the sorted column; the next one to the left is then sorted by.
func (p *page) hide() {
	if p.sorted >= 0 && p.sheet == tableSheet {
		p.hidden[p.sorted] = true
		p.sortNext(-1)
	}
}

func (p *page) unhide() {
	for i := range p.hidden {
		p.hidden[i] = !p.wide && i >= len(p.view.columns)
	}
}

// move moves the cursor, or what is shown of a page of text.
func (p *page) move(by int) {
	if p.sheet != tableSheet {
		p.scroll = max(0, p.scroll+by)
		return
	}
	rows := p.shown()
	if len(rows) == 0 {
		return
	}
	at := p.at(rows) + by
	p.cursor = rows[max(0, min(at, len(rows)-1))].title()
}

// at is the place of the chosen row; of one that is gone, the first.
func (p *page) at(rows []*row) int {
	return max(0, slices.IndexFunc(rows, func(r *row) bool { return r.title() == p.cursor }))
}

func (p *page) open() {
	if rows := p.shown(); p.sheet == tableSheet && len(rows) > 0 {
		p.cursor = rows[p.at(rows)].title()
		p.sheet, p.scroll = podSheet, 0
	}
}

func (p *page) back() {
	if p.sheet == tableSheet {
		p.filter = ""
	}
	p.sheet, p.scroll = tableSheet, 0
}

func (p *page) help() {
	if p.sheet == helpSheet {
		p.back()
		return
	}
	p.sheet, p.scroll = helpSheet, 0
}

func (p *page) quit(interrupted bool) tea.Cmd {
	p.interrupted, p.quitting = interrupted, true
	return tea.Quit
}
