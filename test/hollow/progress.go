package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// progress says how far the fleet is: in words on a stream, and as JSON in a file for who started it.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	file  string
	begin time.Time
	last  time.Time
	state progressState
}

// progressState is the file's content.
type progressState struct {
	Nodes  int    `json:"nodes"`  // registered
	Pods   int    `json:"pods"`   // made and Running
	Warm   int    `json:"warm"`   // nodes whose answers are ready to be read
	Ready  bool   `json:"ready"`  // all that was asked for is there
	Failed string `json:"failed"` // why it never will be
}

func newProgress(w io.Writer, file string) *progress {
	return &progress{w: w, file: file, begin: time.Now()}
}

// step says what comes next, or what has come.
func (p *progress) step(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%8s  %s\n", time.Since(p.begin).Round(100*time.Millisecond), fmt.Sprintf(format, args...))
}

// count changes the state, and writes the file when a second has passed or it is final.
func (p *progress) count(change func(*progressState)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.state)
	if p.file == "" || time.Since(p.last) < time.Second && !p.state.Ready && p.state.Failed == "" {
		return
	}
	p.last = time.Now()
	if err := p.save(); err != nil {
		fmt.Fprintf(p.w, "writing the progress: %v\n", err)
	}
}

// save replaces the file as a whole.
func (p *progress) save() error {
	text, err := json.Marshal(p.state)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.file+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(p.file+".new", p.file)
}
