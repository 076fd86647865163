package plugin

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
)

// ranked sorts rows by a column: words from a to z, numbers from the largest, rows without a value last. Equal ones, and all
// where there is no column, are by namespace and name. With a limit above 0 only so many first ones are kept.
func ranked(rows []*row, by *column, limit int) []*row {
	var best ranking
	for _, r := range rows {
		p := place{row: r}
		switch {
		case by != nil && by.text != nil:
			p.word = by.text(r)
		case by != nil:
			p.value = by.read(r)
		}
		switch {
		case limit == 0:
			best = append(best, p)
		case len(best) < limit:
			heap.Push(&best, p)
		case p.compare(best[0]) < 0:
			best[0] = p
			heap.Fix(&best, 0)
		}
	}
	slices.SortFunc(best, place.compare)
	sorted := make([]*row, len(best))
	for i := range best {
		sorted[i] = best[i].row
	}
	return sorted
}

// place is a row and what it is ranked by, read once.
type place struct {
	row   *row
	word  string
	value reading
}

func (a place) compare(b place) int {
	return cmp.Or(
		strings.Compare(a.word, b.word),
		-cmp.Compare(a.known(), b.known()),
		-cmp.Compare(a.value.value, b.value.value),
		strings.Compare(a.row.Namespace, b.row.Namespace),
		strings.Compare(a.row.Name, b.row.Name),
		strings.Compare(a.row.Node, b.row.Node),
	)
}

func (a place) known() int {
	if a.value.state == present {
		return 1
	}
	return 0
}

// ranking is a heap with the last of its places on top, where a better one takes its place.
type ranking []place

func (r ranking) Len() int           { return len(r) }
func (r ranking) Less(i, j int) bool { return r[i].compare(r[j]) > 0 }
func (r ranking) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }

// Push is for heap.Push alone.
func (r *ranking) Push(p any) { *r = append(*r, p.(place)) }

// Pop is for container/heap, which wants it.
func (r *ranking) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}
