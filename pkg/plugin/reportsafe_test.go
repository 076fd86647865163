package plugin

import (
	"bytes"
	stdcmp "cmp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	renderer "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// markupTexts are names that would be markup, were they not made harmless: of a page, of Markdown, of a ticket.
var markupTexts = []string{
	`<script>window.pwned = 1</script>`, `"><img src=x onerror=window.pwned=1>`, `' onmouseover='window.pwned=1`, `</title><svg/onload=window.pwned=1>`, `javascript:window.pwned=1`,
	`</style><style>*{display:none}`, `&lt;b&gt;&#60;`, `{{.}}`, `-->`, `]]>`,
	"`", "``", "a`b|c", "x|y", `x\|y`, `\`, "```", "~~~", "![i](https://x.example/i.png)", "[l](https://x.example)", "https://x.example", "www.x.example", "<https://x.example>",
	"a@x.example", "@everyone", "#1", "**b**", "__b__", "~~s~~", "- [ ] t", "1. x", "> q", "# h", "a  ", " a", "<!--", "<details>", "</details>", "$x$", ":smile:", "|---|",
}

// reported is a report of pods of which one has a name like this, in both formats, as is made of what a node says.
func reported(t testing.TB, name string) (page, ticket []byte) {
	t.Helper()
	fleet := &Fleet{}
	for i := range 4 {
		s := record(t, "node-1", []member{{box: host(), first: quiet, last: quiet}, {box: metrics.Sandbox{Namespace: name, Pod: name, NetNS: name, UID: name, Handler: name},
			first: quiet, last: quiet.with(counted{"TcpExt_ListenDrops": 900, "TcpExt_ListenOverflows": 800})}}, 2)[min(i, 1)]
		s.Time = began.Add(secondsOf(i))
		r := &s.Records[2]
		r.Samples = append(r.Samples, metrics.Sample{Metric: known(t, "cosanet_netdev_receive_drop_total"), Labels: []metrics.Label{{Name: "cosanet_device", Value: name}}, Value: float64(100 * i)},
			metrics.Sample{Metric: known(t, readSuccess), Labels: []metrics.Label{{Name: "source", Value: name}}})
		vm := metrics.Sandbox{Node: "node-1", Namespace: "lab", Pod: "vm", NetNS: "vm", Handler: name, Unsupported: true}
		s.Records = append(s.Records, metrics.Record{Sandbox: vm})
		for j := range s.Records {
			sanitizeRecord(&s.Records[j])
		}
		addSample(fleet, s)
	}
	fleet.Observations = append(fleet.Observations, Observation{Node: sanitize(name), Err: &ExitError{Err: errText(name)}})
	view, err := (&reportFlags{source: source{from: "x", moments: new(momentFlags), collection: &Collection{}}, ask: askFlags{metrics: "all", interval: 1e9, given: func() bool { return true }}}).parse("", nil)
	if err != nil {
		t.Fatal(err)
	}
	view.asked = "kubectl cosanet report " + name
	selection := view.selection
	selection.Hosts = true
	f := &factory{flags: genericclioptions.NewConfigFlags(true), build: Build{Version: "v1.2.3"}}
	d := view.document(f, fleet, withTheirNodes(rowsOf(fleet, &selection, true), &view.selection), true)
	if len(d.Findings) == 0 || len(d.Strips) == 0 || len(d.Numbers) == 0 || len(d.Failed) == 0 || len(d.Remarks) == 0 {
		t.Fatalf("%q: the report has no findings, time lines, numbers, failed nodes or remarks: %+v", name, d)
	}
	if page, err = d.html(); err != nil {
		t.Fatal(err)
	}
	if ticket, err = d.markdown(); err != nil {
		t.Fatal(err)
	}
	return page, ticket
}

type errText string

func (e errText) Error() string { return string(e) }

// rendered is Markdown as GitHub shows it: tables, strikethrough, task lists, bare links, and HTML as it is.
func rendered(t testing.TB, ticket []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(renderer.WithUnsafe())).Convert(ticket, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// skeleton is a page without what it says: its elements and their attributes, and all text that is neither of a name's nor set
// as code, where nothing is a mention or a link. Rows of tables that are sorted by name are told by their number.
func skeleton(t testing.TB, page []byte, texts bool) []string {
	t.Helper()
	var all []string
	in := 0 // code elements
	tokens := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch kind := tokens.Next(); kind {
		case html.ErrorToken:
			return all
		case html.TextToken:
			if text := strings.TrimSpace(string(tokens.Text())); texts && in == 0 && text != "" {
				all = append(all, text)
			}
		default:
			token := tokens.Token()
			if token.Data == "code" || token.Data == "pre" {
				in += map[html.TokenType]int{html.StartTagToken: 1, html.EndTagToken: -1}[kind]
			}
			line := kind.String() + " " + token.Data
			slices.SortFunc(token.Attr, func(a, b html.Attribute) int { return stdcmp.Compare(a.Key, b.Key) })
			for _, a := range token.Attr {
				line += " " + a.Key
				if slices.Contains([]string{"href", "src", "class", "http-equiv", "content"}, a.Key) {
					line += "=" + a.Val
				}
			}
			all = append(all, line)
		}
	}
}

// testHarmless wants reports of a name to differ from those of a plain one in what they say alone.
func testHarmless(t testing.TB, plain [][]string, name string) {
	t.Helper()
	if sanitize(name) == "" || sanitize(name) == metrics.HostNamespace || sanitize(name) == "node-1" || sanitize(name) == "lab" {
		return // other pods and nodes than those that are meant
	}
	page, ticket := reported(t, name)
	wantPrintable(t, "page", string(page))
	wantPrintable(t, "ticket", string(ticket))
	if diff := cmp.Diff(plain[0], skeleton(t, page, false)); diff != "" {
		t.Errorf("%q changes the page (-without +with):\n%s", name, diff)
	}
	if diff := cmp.Diff(plain[1], skeleton(t, rendered(t, ticket), true)); diff != "" {
		t.Errorf("%q changes the ticket (-without +with):\n%s", name, diff)
	}
}

// plainReports are the skeletons of the reports of a name in which there is nothing to fear.
func plainReports(t testing.TB) [][]string {
	page, ticket := reported(t, "plain")
	return [][]string{skeleton(t, page, false), skeleton(t, rendered(t, ticket), true)}
}

func TestReportsOfHostileNames(t *testing.T) {
	plain := plainReports(t)
	for _, name := range slices.Concat(markupTexts, hostileTexts) {
		testHarmless(t, plain, name)
	}
}

func FuzzReport(f *testing.F) {
	for _, name := range slices.Concat(markupTexts, hostileTexts) {
		f.Add(name)
	}
	plain := plainReports(f)
	f.Fuzz(func(t *testing.T, name string) { testHarmless(t, plain, name) })
}
