package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDraw(t *testing.T) {
	o := &options{nodes: 200, seed: 1, delay: span{time.Second, 3 * time.Second}, slow: slowness{.1, 5000},
		troubles: []troubleShare{{imagePullBackOff, .05}, {notReady, .02}, {logCut, .001}}}
	fates := draw(o)
	got, slow := map[trouble]int{}, 0
	for i, f := range fates {
		got[f.trouble]++
		if f.rate == 5000 {
			slow++
		}
		if f.delay < time.Second || f.delay > 3*time.Second {
			t.Errorf("node %d: delay %s, want 1s to 3s", i, f.delay)
		}
	}
	want := map[trouble]int{imagePullBackOff: 10, notReady: 4, logCut: 1, none: 185}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes by trouble (-want +got):\n%s", diff)
	}
	if slow != 20 {
		t.Errorf("%d nodes are slow, want 20", slow)
	}
	if diff := cmp.Diff(fates, draw(o), cmp.AllowUnexported(fate{})); diff != "" {
		t.Errorf("the same options drew something else:\n%s", diff)
	}
	other := *o
	other.seed = 2
	if cmp.Equal(fates, draw(&other), cmp.AllowUnexported(fate{})) {
		t.Error("another seed drew the same")
	}
}

func TestDelaysAreSpread(t *testing.T) {
	fates := draw(&options{nodes: 1000, seed: 1, delay: span{0, 10 * time.Second}})
	var quarters [4]int
	for _, f := range fates {
		quarters[min(3, int(f.delay/(2500*time.Millisecond)))]++
	}
	for i, n := range quarters {
		if n < 200 || n > 300 {
			t.Errorf("%d of 1000 delays are in quarter %d, want about 250", n, i+1)
		}
	}
}

func TestPortion(t *testing.T) {
	for _, tt := range []struct {
		share float64
		n     int
		want  int
	}{{0, 1000, 0}, {.05, 1000, 50}, {.05, 10, 1}, {.01, 10, 1}, {.5, 3, 2}, {1, 7, 7}} {
		if got := portion(tt.share, tt.n); got != tt.want {
			t.Errorf("%g of %d: got %d, want %d", tt.share, tt.n, got, tt.want)
		}
	}
}
