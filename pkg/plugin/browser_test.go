package plugin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// browser is a page of a real browser without a window, which is told what to do over two pipes: the DevTools protocol
// (https://chromedevtools.github.io/devtools-protocol/), each message closed by a zero byte.
type browser struct {
	t       testing.TB
	to      io.Writer
	from    *bufio.Reader
	session string
	last    int
	events  []event // all that came, in order
}

// event is something that happened in the page.
type event struct {
	Method string
	Params struct {
		Request          struct{ URL string }
		Entry            struct{ Text, URL string }
		ExceptionDetails struct{ Text string }
		Type             string
	}
}

// newBrowser starts one that calls nobody. Without Chromium the test skips, and fails where CI=true.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no chromium: tools/deps test installs it")
		}
		t.Skip("no chromium here, in which the page could be looked at")
	}
	commands, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{commands, answers}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	commands.Close()
	answers.Close()
	b := &browser{t: t, to: to, from: bufio.NewReader(from)}
	t.Cleanup(func() {
		to.Close() // at the end of the pipe it goes
		io.Copy(io.Discard, from)
		from.Close()
		if err := cmd.Wait(); err != nil && t.Failed() {
			t.Logf("chromium: %v\n%s", err, said.String())
		}
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// call asks for something and waits for the answer.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	b.last++
	message := map[string]any{"id": b.last, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatalf("telling the browser %s: %v", method, err)
	}
	for {
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		answerText := b.next()
		if err := json.Unmarshal(answerText, &answer); err != nil {
			b.t.Fatal(err)
		}
		switch {
		case answer.ID != b.last:
		case answer.Error != nil:
			b.t.Fatalf("%s: %s", method, answer.Error.Message)
		case result == nil:
			return
		default:
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
			return
		}
	}
}

// next is the next message, noted if it is an event.
func (b *browser) next() []byte {
	b.t.Helper()
	text, err := b.from.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("reading from the browser: %v", err)
	}
	text = text[:len(text)-1]
	var e event
	if err := json.Unmarshal(text, &e); err == nil && e.Method != "" {
		b.events = append(b.events, e)
	}
	return text
}

// open shows a page, and waits until it is loaded.
func (b *browser) open(url string) {
	b.t.Helper()
	from := len(b.events)
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	for {
		for ; from < len(b.events); from++ {
			if b.events[from].Method == "Page.loadEventFired" {
				return
			}
		}
		b.next()
	}
}

// eval is the value of an expression in the page, as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var result struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Exception struct{ Description string }
		}
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &result)
	if result.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, result.ExceptionDetails.Exception.Description)
	}
	return fmt.Sprint(result.Result.Value)
}

// wantQuiet wants nothing asked for but the page itself, no script that failed and no word on the console.
func (b *browser) wantQuiet(url string) {
	b.t.Helper()
	opened := 0
	for _, e := range b.events {
		switch e.Method {
		case "Network.requestWillBeSent":
			if e.Params.Request.URL != url {
				b.t.Errorf("%s asks for %s", url, e.Params.Request.URL)
			}
			opened++
		case "Log.entryAdded":
			b.t.Errorf("%s: the console says %q", url, e.Params.Entry.Text)
		case "Runtime.exceptionThrown":
			b.t.Errorf("%s: a script failed: %s", url, e.Params.ExceptionDetails.Text)
		case "Runtime.consoleAPICalled":
			b.t.Errorf("%s: a script says something: %s", url, e.Params.Type)
		}
	}
	if opened == 0 {
		b.t.Errorf("%s was not asked for itself: requests are not seen", url)
	}
}
