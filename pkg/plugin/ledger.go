package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Ledger keeps account of the collector pods that exist because of this process. It is safe for concurrent use, so that
// whoever ends the process in a hurry can say what stays behind. Its zero value is ready.
type Ledger struct {
	mu       sync.Mutex
	open     map[PodRef]bool
	failures []error
	deleting sync.WaitGroup
}

// enter notes a pod that is about to be created: from here on it may exist.
func (l *Ledger) enter(pod PodRef) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[PodRef]bool{}
	}
	l.open[pod] = true
}

// strike notes that a pod does not exist, or not any more.
func (l *Ledger) strike(pod PodRef) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, pod)
}

func (l *Ledger) has(pod PodRef) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open[pod]
}

// remove runs the deletion of a pod in the background; settle waits for it.
func (l *Ledger) remove(pod PodRef, deletion func() error) {
	l.deleting.Go(func() {
		if err := deletion(); err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.failures = append(l.failures, err)
			return
		}
		l.strike(pod)
	})
}

// settle waits for the deletions under way and returns those that failed, once.
func (l *Ledger) settle() error {
	l.deleting.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	err := errors.Join(l.failures...)
	l.failures = nil
	return err
}

// Open returns the pods that may exist and are not known to be deleted, sorted.
func (l *Ledger) Open() []PodRef {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Keys(l.open), func(a, b PodRef) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

// Farewell is what to say when the process ends at once: the pods that stay behind and the commands that delete them.
// It is empty when there are none.
func (l *Ledger) Farewell() string {
	var text strings.Builder
	open := l.Open()
	for len(open) > 0 {
		namespace, names := open[0].Namespace, []string(nil)
		for len(open) > 0 && open[0].Namespace == namespace {
			names, open = append(names, open[0].Name), open[1:]
		}
		fmt.Fprintf(&text, "collector pods may be left behind; delete them with:\n  kubectl delete pod -n %s %s\n", namespace, strings.Join(names, " "))
	}
	return text.String()
}
