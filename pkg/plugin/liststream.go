package plugin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// listStream writes a list object item by item, byte for byte as kubectl's printers write a whole one: a hundred thousand
// items fit into no memory at once.
type listStream struct {
	w        *bufio.Writer
	yaml     bool
	items    int
	indented bytes.Buffer // the item of the moment
}

// newListStream begins a list of this package's API version.
func newListStream(w io.Writer, format string) *listStream {
	s := &listStream{w: bufio.NewWriter(w), yaml: format == "yaml"}
	if s.yaml {
		fmt.Fprintf(s.w, "apiVersion: %s\nitems:", APIVersion)
	} else {
		fmt.Fprintf(s.w, "{\n    \"apiVersion\": %q,\n    \"items\": [", APIVersion)
	}
	return s
}

// item writes an item, given as JSON with its keys in order.
func (s *listStream) item(text []byte) error {
	s.items++
	if s.yaml {
		return s.yamlItem(text)
	}
	if s.items > 1 {
		s.w.WriteByte(',')
	}
	s.w.WriteString("\n        ")
	s.indented.Reset()
	if err := json.Indent(&s.indented, text, "        ", "    "); err != nil {
		return err
	}
	_, err := s.w.Write(s.indented.Bytes())
	return err
}

func (s *listStream) yamlItem(text []byte) error {
	lines, err := yaml.JSONToYAML(text)
	if err != nil {
		return err
	}
	lead := "\n- "
	for line := range bytes.Lines(lines) {
		s.w.WriteString(lead)
		s.w.Write(bytes.TrimSuffix(line, []byte("\n")))
		lead = "\n  "
	}
	return nil
}

// close writes what comes after the items. Its error is the first of all writes.
func (s *listStream) close(kind string) error {
	switch {
	case s.yaml && s.items == 0:
		fmt.Fprintf(s.w, " []\nkind: %s\nmetadata: {}\n", kind)
	case s.yaml:
		fmt.Fprintf(s.w, "\nkind: %s\nmetadata: {}\n", kind)
	case s.items == 0:
		fmt.Fprintf(s.w, "],\n    \"kind\": %q,\n    \"metadata\": {}\n}\n", kind)
	default:
		fmt.Fprintf(s.w, "\n    ],\n    \"kind\": %q,\n    \"metadata\": {}\n}\n", kind)
	}
	return s.w.Flush()
}
