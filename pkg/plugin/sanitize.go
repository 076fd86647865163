package plugin

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// maxName is the longest name that Kubernetes allows (a DNS subdomain, RFC 1123). What is longer is no name of it.
const maxName = 253

// maxHelp is the longest HELP text of a family that only the node knows.
const maxHelp = 1000

// messages is standard error: whatever is written to it, by whom of the API server, a webhook, a kubelet or a runtime it may
// be, is printable when it comes out. Each Write is of whole characters.
type messages struct{ w io.Writer }

func (m messages) Write(p []byte) (int, error) {
	if _, err := io.WriteString(m.w, printableLines(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// decode reads a frame's text. It is the boundary at which everything a node says of itself becomes safe to print:
// whoever controls a node controls these strings, and they end up on a terminal.
func decode(f *metrics.Frame) (*metrics.Snapshot, error) {
	s, err := f.Snapshot()
	if err != nil {
		return nil, err
	}
	for i := range s.Records {
		sanitizeRecord(&s.Records[i])
	}
	return s, nil
}

func sanitizeRecord(r *metrics.Record) {
	for _, field := range namesOfSandbox(&r.Sandbox) {
		*field = sanitize(*field)
	}
	for i := range r.Samples {
		if m := r.Samples[i].Metric; !plain(m.Help) {
			if _, ours := metrics.Lookup(m.Name); !ours { // its HELP line is the node's own
				m.Help = printable(m.Help, maxHelp)
			}
		}
		for j := range r.Samples[i].Labels {
			label := &r.Samples[i].Labels[j]
			label.Value = sanitize(label.Value)
		}
	}
}

func namesOfSandbox(box *metrics.Sandbox) []*string {
	return []*string{&box.Node, &box.Namespace, &box.Pod, &box.NetNS, &box.ControllerKind, &box.ControllerName, &box.UID, &box.Handler, &box.SharedWith}
}

// sanitize makes a name safe to print (see printable) and cuts it at maxName bytes. A sanitized name stays what it is
// when it is sanitized again.
func sanitize(name string) string {
	if plain(name) && len(name) <= maxName {
		return name
	}
	return printable(name, maxName)
}

// printableLines makes a text of several lines safe to print, such as an error that quotes a container's output.
func printableLines(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\t", "  "), "\n")
	for i, line := range lines {
		lines[i] = printableLine(line)
	}
	return strings.Join(lines, "\n")
}

// printableLine makes a text of one line safe to print, and leaves nothing out.
func printableLine(text string) string {
	if plain(text) {
		return text
	}
	return printable(text, len(text)*len(`\x00`))
}

// printable writes as \xNN every byte of s that is not part of a printable character: control characters (C0, C1, DEL,
// ESC), the invisible ones that turn text around (bidi, CVE-2021-42574) and invalid UTF-8. It stops at most bytes.
func printable(s string, most int) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+size]
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) {
			piece = escape(piece)
		}
		if b.Len()+len(piece) > most {
			break
		}
		b.WriteString(piece)
		i += size
	}
	return b.String()
}

// typeable tells whether a name can be put on a command line as it is, as all names of objects can (RFC 1123).
func typeable(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != ':' && r != '/' && r != '_'
	})
}

// plain tells whether s is printable ASCII, as all honest names are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func escape(bytes string) string {
	var b strings.Builder
	for i := range len(bytes) {
		fmt.Fprintf(&b, `\x%02x`, bytes[i])
	}
	return b.String()
}
