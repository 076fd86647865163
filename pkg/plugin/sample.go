package plugin

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Sample is a share of the nodes in place of all of them. The zero Sample takes all.
type Sample struct {
	Percent float64 // above 0, up to 100
	Seed    uint64  // another one takes other nodes
}

// parseSample reads a share such as 5%.
func parseSample(text string, seed uint64) (Sample, error) {
	number, ok := strings.CutSuffix(text, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(percent > 0 && percent <= 100) {
		return Sample{}, fmt.Errorf("--sample %q: give a share of the nodes, such as 5%%", text)
	}
	return Sample{percent, seed}, nil
}

func (s Sample) all() bool { return s.Percent == 0 }

// of takes the share, rounded up, and sorts it. A node keeps its place in the draw whatever other nodes there are: the
// same seed takes the same nodes again, as far as the cluster still has them.
func (s Sample) of(nodes []string) []string {
	type lot struct {
		node  string
		drawn []byte
	}
	lots := make([]lot, len(nodes))
	for i, node := range nodes {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", s.Seed, node))
		lots[i] = lot{node, sum[:]}
	}
	slices.SortFunc(lots, func(a, b lot) int {
		return cmp.Or(bytes.Compare(a.drawn, b.drawn), strings.Compare(a.node, b.node))
	})
	taken := make([]string, int(math.Ceil(float64(len(nodes))*s.Percent/100)))
	for i := range taken {
		taken[i] = lots[i].node
	}
	slices.Sort(taken)
	return taken
}

// remark says which of so many nodes were taken.
func (s Sample) remark(taken []string, of int) string {
	const most = 50
	names := strings.Join(taken[:min(len(taken), most)], ", ")
	if len(taken) > most {
		names += fmt.Sprintf(" and %d more", len(taken)-most)
	}
	return fmt.Sprintf("sample of %d of %s (--sample-seed %d): %s", len(taken), plural(of, "node"), s.Seed, names)
}
