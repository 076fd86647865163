package plugin

import (
	"bytes"
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var shots = flag.String("shots", "", "a folder to keep the screenshots of pages in")

// pageOfRecording writes the page of a recording to a file, and returns its address.
func pageOfRecording(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	saved, page := filepath.Join(folder, "recording.prom"), filepath.Join(folder, "page.html")
	if err := os.WriteFile(saved, chronicle(t, 13), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, errOut, code := invoke(t, nil, "report", "-A", "--from", saved, "--output-file", page); code != ExitOK {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	return "file://" + page
}

// shoot takes a picture of the whole page, to look at.
func (b *browser) shoot(name string) {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	b.keep(name+".png", shot.Data, "\x89PNG")
}

// keep checks what the browser made, and keeps it where -shots says.
func (b *browser) keep(name, data, magic string) {
	b.t.Helper()
	content, err := base64.StdEncoding.DecodeString(data)
	if err != nil || !bytes.HasPrefix(content, []byte(magic)) || len(content) < 10_000 {
		b.t.Errorf("%s: %d bytes, %v", name, len(content), err)
	}
	if *shots != "" {
		if err := os.WriteFile(filepath.Join(*shots, name), content, 0o644); err != nil {
			b.t.Error(err)
		}
	}
}

// The page in a real browser: light, dark, narrow, on paper. It asks for nothing, no script fails, nothing is wider than the
// screen.
func TestReportPage(t *testing.T) {
	url := pageOfRecording(t)
	b := newBrowser(t)
	papers := map[string]string{}
	for _, look := range []struct {
		name, scheme string
		width        int
	}{{"light", "light", 1200}, {"dark", "dark", 1200}, {"narrow", "light", 380}} {
		b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": look.scheme}}}, nil)
		b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
		b.open(url)
		papers[look.name] = b.eval("getComputedStyle(document.body).backgroundColor")
		if wide := b.eval("document.documentElement.scrollWidth > innerWidth"); wide != "false" {
			t.Errorf("%s: the page is wider than the screen: %s pixels", look.name, b.eval("document.documentElement.scrollWidth"))
		}
		b.shoot(look.name)
	}
	if papers["light"] == papers["dark"] || papers["light"] != papers["narrow"] {
		t.Errorf("the paper is %v", papers)
	}
	if got := b.eval(`document.querySelectorAll("svg[role=img] > title").length > 10 && [...document.querySelectorAll("svg")].every(s => s.querySelector("title").textContent)`); got != "true" {
		t.Error("there are charts without a text")
	}
	if got := b.eval(`[...document.querySelectorAll("table")].every(t => t.querySelector("thead th[scope=col]") && [...t.tBodies[0].rows].every(r => r.cells[0].scope === "row"))`); got != "true" {
		t.Error("there are tables without heads")
	}
	var pdf struct{ Data string }
	b.call("Page.printToPDF", map[string]any{"printBackground": true}, &pdf)
	b.keep("print.pdf", pdf.Data, "%PDF-")
	b.wantQuiet(url)
}

// Tables sort by a click: numbers the largest first, then the smallest, what has no number last; names as they are spelt.
func TestReportSorts(t *testing.T) {
	url := pageOfRecording(t)
	b := newBrowser(t)
	b.open(url)
	click := func(column string) string {
		b.eval(`[...document.querySelectorAll("section[aria-labelledby=Pods] thead button")].find(b => b.textContent === "` + column + `").click()`)
		return b.eval(`[...document.querySelectorAll("section[aria-labelledby=Pods] tbody th")].map(th => th.textContent).join(" ")`)
	}
	const unsorted = "shop/web-1 lab/udp shop/api-0 shop/db-0 shop/web-0"
	if got := b.eval(`[...document.querySelectorAll("section[aria-labelledby=Pods] tbody th")].map(th => th.textContent).join(" ")`); got != unsorted {
		t.Errorf("at first: %s, want the pods with findings before the others: %s", got, unsorted)
	}
	for _, test := range []struct{ column, want string }{
		{"UDPDROP/s", "lab/udp shop/web-1 shop/api-0 shop/web-0 shop/db-0"},
		{"UDPDROP/s", "shop/web-1 shop/api-0 shop/web-0 lab/udp shop/db-0"},
		{"POD", "lab/udp shop/api-0 shop/db-0 shop/web-0 shop/web-1"},
		{"POD", "shop/web-1 shop/web-0 shop/db-0 shop/api-0 lab/udp"},
	} {
		if got := click(test.column); got != test.want {
			t.Errorf("after a click on %s: %s, want %s", test.column, got, test.want)
		}
	}
	if got := b.eval(`[...document.querySelectorAll("[aria-sort]")].map(th => th.textContent + " " + th.getAttribute("aria-sort")).join()`); got != "POD descending" {
		t.Errorf("what is said of the order: %q", got)
	}
	wide := `getComputedStyle(document.querySelector("section[aria-labelledby=Pods] td.w")).display`
	if before := b.eval(wide); before != "none" {
		t.Errorf("a column of the wide table is shown at first: %s", before)
	}
	b.eval(`document.querySelector("section[aria-labelledby=Pods] .toggle").click()`)
	if after := b.eval(wide); after != "table-cell" {
		t.Errorf("a column of the wide table is not shown when all are asked for: %s", after)
	}
	b.wantQuiet(url)
}

// Without a script the page says the same; only the order is fixed.
func TestReportWithoutScript(t *testing.T) {
	url := pageOfRecording(t)
	b := newBrowser(t)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.open(url)
	var root struct{ Root struct{ NodeID int } }
	b.call("DOM.getDocument", map[string]any{"depth": 0}, &root)
	var outer struct{ OuterHTML string }
	b.call("DOM.getOuterHTML", map[string]any{"nodeId": root.Root.NodeID}, &outer)
	for _, shown := range []string{"A listener accepts too slowly", "<polyline", "shop/web-1", "gone before the end of the recording"} {
		if !strings.Contains(outer.OuterHTML, shown) {
			t.Errorf("without a script there is no %q", shown)
		}
	}
	if strings.Contains(outer.OuterHTML, "<button") {
		t.Error("a script ran, or there are buttons that do nothing")
	}
	b.wantQuiet(url)
}

// Names that are markup and script stay names in a real browser.
func TestReportPageOfHostileNames(t *testing.T) {
	b := newBrowser(t)
	for i, name := range append(markupTexts[:8:8], hostileTexts...) {
		page, _ := reported(t, name)
		path := filepath.Join(t.TempDir(), "page.html")
		if err := os.WriteFile(path, page, 0o644); err != nil {
			t.Fatal(err)
		}
		url := "file://" + path
		b.events = nil
		b.open(url)
		b.eval(`document.querySelectorAll("thead button").forEach(b => b.click()); document.querySelectorAll("*").forEach(e => e.dispatchEvent(new Event("mouseover")))`)
		if got := b.eval("typeof window.pwned + document.scripts.length + document.images.length + document.querySelectorAll('iframe, object, embed, form, link').length"); got != "undefined100" {
			t.Errorf("%q: %s, want no trace of a script, one script, no image and nothing embedded", name, got)
		}
		b.wantQuiet(url)
		if i == 0 {
			b.shoot("hostile")
		}
	}
}
