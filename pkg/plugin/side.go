package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"
)

// side is one side of a diff as an argument names it: a pod or a node, of the cluster or of a saved file.
type side struct {
	text string // as it was given
	file string // empty for the cluster
	node string // empty for a pod
	pod  PodRef // empty for a node, and for a file of which the whole is meant
}

// parseSide reads POD, NAMESPACE/POD, node/NAME, FILE, FILE#POD, FILE#NAMESPACE/POD or FILE#node/NAME.
func parseSide(arg, namespace string) (side, error) {
	s := side{text: arg}
	rest := arg
	if file, fragment, ok := strings.Cut(arg, "#"); ok || looksLikeFile(arg) {
		s.file, rest = file, fragment
		namespace = "" // the file knows it
		if s.file == "" {
			return s, fmt.Errorf("%q names no file before the #", arg)
		}
		if rest == "" {
			return s, nil
		}
	}
	if node, ok := strings.CutPrefix(rest, "node/"); ok {
		if node == "" || strings.Contains(node, "/") {
			return s, fmt.Errorf("%q names no node: write node/NAME", arg)
		}
		s.node = node
		return s, nil
	}
	var err error
	s.pod, err = parsePod(rest, namespace)
	return s, err
}

// looksLikeFile tells a file from a pod by its name alone, so that a file in the working directory never changes what a
// command means.
func looksLikeFile(arg string) bool {
	for _, suffix := range []string{".prom", ".prom.gz", ".gz", ".txt", ".log"} {
		if strings.HasSuffix(arg, suffix) {
			return true
		}
	}
	for _, prefix := range []string{"./", "../", "/", `.\`, `..\`, "~/"} {
		if strings.HasPrefix(arg, prefix) {
			return true
		}
	}
	return arg == "-" || strings.ContainsRune(arg, os.PathSeparator) && os.PathSeparator != '/'
}

// anything is the selection of a whole file.
func anything() Selection { return Selection{Labels: labels.Everything(), Fields: fields.Everything()} }

// together is the selection of all sides that are on the cluster; ok is false when none is.
func together(sides ...side) (sel Selection, ok bool) {
	sel = anything()
	for _, s := range sides {
		switch {
		case s.file != "":
			continue
		case s.node != "":
			sel.Nodes = append(sel.Nodes, s.node)
		default:
			sel.Pods = append(sel.Pods, s.pod)
		}
		ok = true
	}
	sel.HostsOnly = len(sel.Nodes) > 0 && len(sel.Pods) == 0 // to list their pods would take rights that a diff needs not
	return sel, ok
}

// find returns the row that the side names.
func (s *side) find(fleet *Fleet, rates bool) (*row, error) {
	all := anything()
	var found []*row
	for _, r := range rowsOf(fleet, &all, rates) {
		if s.means(r) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return nil, s.ambiguous(fleet, found)
	}
	r := found[0]
	switch {
	case r.word == "host":
		return nil, fmt.Errorf("%s uses the network of its node: compare node/%s", r.title(), r.Node)
	case r.last == nil || r.word != "":
		return nil, errors.New(strings.TrimSuffix(fmt.Sprintf("%s has no counters: %s: %s", r.title(), r.word, r.why), ": "))
	}
	return r, nil
}

func (s *side) means(r *row) bool {
	switch {
	case s.node != "":
		return r.host() && r.Node == s.node
	case s.pod != PodRef{}:
		return !r.host() && r.Name == s.pod.Name && (s.pod.Namespace == "" || s.pod.Namespace == r.Namespace)
	}
	return !r.host() && r.word == ""
}

// ambiguous says why the side does not name one row.
func (s *side) ambiguous(fleet *Fleet, found []*row) error {
	if err := fleet.failure(); len(found) == 0 && err != nil {
		return err
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("%s: not found", s.text)
	case s.pod == PodRef{}:
		return fmt.Errorf("%s has %d pods: say which, such as '%s#%s'", s.file, len(found), s.file, found[0].title())
	}
	var titles []string
	for _, r := range found {
		titles = append(titles, r.title())
	}
	return fmt.Errorf("%s could be %s: write NAMESPACE/POD", s.text, enumerate(titles))
}

// describe says what the side turned out to be.
func (s *side) describe(r *row) string {
	text := r.title()
	if !r.host() {
		text += " on " + r.Node
	}
	if s.file != "" {
		text += " from " + s.file
	}
	if !r.Created.IsZero() && !r.at.IsZero() {
		text += ", " + duration.HumanDuration(r.at.Sub(r.Created)) + " old"
	}
	if s.file != "" && !r.at.IsZero() {
		text += ", at " + r.at.UTC().Format(time.RFC3339)
	}
	if r.window > 0 {
		return text + ", rates over " + r.window.Round(time.Millisecond).String()
	}
	return text + ", totals"
}

// read reads the side's file. A whole file stands for what the other side names, if that is one thing.
func (s *side) read(ctx context.Context, stdin io.Reader, m moment, other *side) (*Fleet, error) {
	if s.node == "" && s.pod == (PodRef{}) {
		s.node, s.pod = other.node, other.pod
	}
	return readFleet(ctx, s.file, stdin, m)
}
