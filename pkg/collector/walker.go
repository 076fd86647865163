//go:build linux

package collector

import (
	"context"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Walker walks a node again and again, and keeps between the walks what may be kept. It is not safe for concurrent use.
type Walker struct {
	config *Config
}

// NewWalker returns a Walker that has not asked anything yet.
func NewWalker(c *Config) *Walker { return &Walker{config: c} }

// Walk reads every network namespace of the node once. What fails is in the Snapshot, as in Walk.
func (w *Walker) Walk(ctx context.Context) *metrics.Snapshot { return Walk(ctx, w.config) }

// Recycle gives a Snapshot of this Walker back, so that the next walk may write over it. It may be called from any goroutine.
func (w *Walker) Recycle(*metrics.Snapshot) {}

// Close gives up what is kept. No Walk may follow.
func (w *Walker) Close() error { return nil }
