package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"
)

// trouble is what is wrong with a node.
type trouble string

const (
	none             trouble = ""
	imagePullBackOff trouble = "ImagePullBackOff" // it cannot pull any image
	notReady         trouble = "NotReady"         // and says so
	logCut           trouble = "LogCut"           // its logs end in the middle, each time they are read
	unreachable      trouble = "Unreachable"      // its kubelet reports, but nobody reaches it
)

// troubles are all there are, in the order in which a common share is given to them.
var troubles = []trouble{imagePullBackOff, notReady, logCut, unreachable}

func words() string {
	var list []string
	for _, t := range troubles {
		list = append(list, string(t))
	}
	return strings.Join(list, ", ")
}

func parseTrouble(s string) (trouble, error) {
	for _, t := range troubles {
		if strings.EqualFold(s, string(t)) {
			return t, nil
		}
	}
	return none, fmt.Errorf("unknown trouble %q: want %s", s, words())
}

// fate is what is drawn by lot for a node, once.
type fate struct {
	trouble trouble
	delay   time.Duration // until a container runs
	pull    time.Duration // longer, the first time that an image is needed
	rate    int           // bytes of log a second; 0: as fast as it goes
}

// draw gives each of the nodes its fate: the same ones for the same options. The shares are met to the node, so that a
// run over few nodes has as many in trouble as it asked for.
func draw(o *options) []fate {
	fates := make([]fate, o.nodes)
	for i := range fates {
		fates[i].delay = o.delay.at(lot(o.seed, "delay", i))
		fates[i].pull = o.pull.at(lot(o.seed, "pull", i))
	}
	order := shuffled(o.seed, "trouble", o.nodes)
	for _, t := range o.troubles {
		n := min(portion(t.share, o.nodes), len(order))
		for _, i := range order[:n] {
			fates[i].trouble = t.trouble
		}
		order = order[n:]
	}
	order = shuffled(o.seed, "slow", o.nodes)
	for _, i := range order[:portion(o.slow.share, o.nodes)] {
		fates[i].rate = o.slow.rate
	}
	return fates
}

// portion is a share of n, rounded; a share that is not nothing is of one node at least.
func portion(share float64, n int) int {
	if share == 0 {
		return 0
	}
	return max(1, int(math.Round(share*float64(n))))
}

// at is the duration at a point from 0 to 1 of the span.
func (s span) at(point float64) time.Duration {
	return s.min + time.Duration(point*float64(s.max-s.min))
}

// lot is a number from 0 to 1 that seems to be drawn by lot.
func lot(seed uint64, what string, i int) float64 {
	return float64(hash(what, seed, uint64(i))>>11) / (1 << 53)
}

// shuffled are the numbers below n in an order that seems to be drawn by lot.
func shuffled(seed uint64, what string, n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(lot(seed, what, a), lot(seed, what, b)) })
	return order
}

// hash mixes a text and numbers. FNV alone leaves the high bits of similar texts alike, so its sum is mixed once more
// (the finalizer of MurmurHash3).
func hash(text string, numbers ...uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	var b [8]byte
	for _, n := range numbers {
		binary.LittleEndian.PutUint64(b[:], n)
		h.Write(b[:])
	}
	x := h.Sum64()
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
