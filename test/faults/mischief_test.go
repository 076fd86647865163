package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// refuses answers in place of the API server as it does itself.
func refuses(code int, reason metav1.StatusReason) mischief {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(&metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Code: int32(code), Reason: reason, Message: "the test says " + string(reason)})
	}
}

// gateway answers as a load balancer does that lost the API server: by a page for people.
func gateway(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusBadGateway)
	w.Write([]byte("<html><body><h1>502 Bad Gateway</h1></body></html>\n"))
}

// breaks resets the connection before the API server hears of the request.
func breaks(_ http.ResponseWriter, r *http.Request, _ http.Handler) { reset(r) }

// aborts ends the request alone, as a proxy does whose own connection broke: of HTTP/2 the stream.
func aborts(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// loses lets the API server do what it is asked for, and then does something else than to say so.
func loses(then mischief) mischief {
	return func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		pass.ServeHTTP(httptest.NewRecorder(), r)
		then(w, r, pass)
	}
}

// hangs never answers.
func hangs(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }

// expires ends a watch as the API server does that has forgotten the version from which it is to begin: with an event in it.
func expires(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"type": "ERROR", "object": &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status: metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "too old resource version: 1 (2)"}})
}

// gate holds requests until it is opened.
type gate struct {
	reached, open   chan struct{} // closed
	arrive, release sync.Once
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) lift() { g.release.Do(func() { close(g.open) }) }

func (g *gate) arrives() { g.arrive.Do(func() { close(g.reached) }) }

// wait is where a request is held, also when it is given up.
func (g *gate) wait(r *http.Request) {
	select {
	case <-g.open:
	case <-r.Context().Done():
	}
}

// hold holds a request of which the API server has not heard, without a word of it.
func (g *gate) hold(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	g.wait(r)
	pass.ServeHTTP(w, r)
}

// announces says that a request was answered, and holds nothing.
func (g *gate) announces(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	pass.ServeHTTP(w, r)
	g.arrives()
}

// before holds a request of which the API server has not heard.
func (g *gate) before(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	g.arrives()
	g.wait(r)
	pass.ServeHTTP(w, r)
}

// after holds the answer.
func (g *gate) after(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	answer := httptest.NewRecorder()
	pass.ServeHTTP(answer, r)
	g.arrives()
	g.wait(r)
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

// body is an answer whose bytes go through a function.
type body struct {
	http.ResponseWriter
	write func([]byte) (int, error)
}

func (b *body) Write(p []byte) (int, error) { return b.write(p) }
func (b *body) Unwrap() http.ResponseWriter { return b.ResponseWriter }

var errCut = errors.New("cut by the test")

// cut is where an answer ends, by what came of it so far: the number of bytes that still pass, or all of them.
type cut func(come []byte) (pass int, ends bool)

// after so many bytes.
func after(n int) cut {
	return func(come []byte) (int, bool) { return min(n, len(come)), len(come) >= n }
}

// until an answer says mark for the nth time. What could be the beginning of mark is held back.
func until(mark string, nth int) cut {
	return func(come []byte) (int, bool) {
		at := 0
		for range nth {
			i := bytes.Index(come[at:], []byte(mark))
			if i < 0 {
				return max(0, len(come)-len(mark)+1), false
			}
			at += i + len(mark)
		}
		return at - len(mark), true
	}
}

// cuts an answer short. How it ends is what then does: in order where that is nil, as if all had come.
func cuts(where cut, then mischief) mischief {
	return func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		var come []byte
		passed, over := 0, false
		func() {
			defer func() {
				if !over { // the API server's own end
					w.Write(come[passed:])
					return
				}
				recover() // of the copying that could not write: the answer ends here as it should
			}()
			pass.ServeHTTP(&body{w, func(p []byte) (int, error) {
				come = append(come, p...)
				var n int
				n, over = where(come)
				if _, err := w.Write(come[passed:max(n, passed)]); err != nil {
					return 0, err
				}
				passed = max(n, passed)
				if over {
					http.NewResponseController(w).Flush()
					return 0, errCut
				}
				return len(p), nil
			}}, r)
		}()
		if over && then != nil {
			then(w, r, pass)
		}
	}
}

// drips an answer over a slow link, some kilobytes a second.
func drips(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	pass.ServeHTTP(&body{w, func(p []byte) (int, error) {
		for i := 0; i < len(p); i += 16 {
			if _, err := w.Write(p[i:min(i+16, len(p))]); err != nil {
				return i, err
			}
			http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond) // the link, not the test, takes its time
		}
		return len(p), nil
	}}, r)
}

// promises more bytes than come: an answer that ends within its Content-Length.
func promises(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	answer := httptest.NewRecorder()
	pass.ServeHTTP(answer, r)
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()))
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
}
