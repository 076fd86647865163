//go:build linux

package collector

import (
	"bytes"
	"sync"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// text is that of a generation, for a crowd.
type text struct {
	once  sync.Once
	bytes []byte
	err   error
}

// crowd is from how many scrapes of one walk on those that do not take gzip share its plain text. To unpack the gzip for
// each costs several times the sending; the text is nine times as large, so that few, and a second crowd, do without.
const crowd = 8

// crowded tells whether the share's generation has a crowd, and is the one whose plain text may be kept.
func (s *share) crowded() bool {
	w := s.walks
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.crowded == nil && len(s.shares) >= crowd {
		w.crowded = s.generation
	}
	return w.crowded == s.generation
}

// sharedText is the plain text that a crowd shares.
func (e *exporter) sharedText(s *share, f metrics.Format) ([]byte, error) {
	t := &s.texts[f]
	t.once.Do(func() {
		var buf bytes.Buffer
		t.err = e.text(&buf, new(metrics.Encoder), s.snapshot, f)
		t.bytes = buf.Bytes()
	})
	s.snapshotRead()
	return t.bytes, t.err
}
