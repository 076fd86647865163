package plugin

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// warnings are what the API server has to say of requests that it granted (RFC 9111, header Warning): that a collector pod violates a
// level of Pod Security which its namespace only warns of. Of a thousand nodes it says so a thousand times. It is safe for
// concurrent use, and a rest.WarningHandler.
type warnings struct {
	mu    sync.Mutex
	texts []string // each once
}

// HandleWarningHeader takes note of a warning; those of code 299 are the API server's.
func (w *warnings) HandleWarningHeader(code int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if code == 299 && text != "" && !slices.Contains(w.texts, text) {
		w.texts = append(w.texts, text)
	}
}

// print writes them as kubectl does, at the end of the run, where they do not get into a line that is being rewritten.
func (w *warnings) print(out io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range w.texts {
		fmt.Fprintf(out, "Warning: %s\n", printableLines(text))
	}
}
