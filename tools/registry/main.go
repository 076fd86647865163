// Command registry is a container registry in memory that wants a password, for tests of how images are pulled.
//
//	registry -listen ADDRESS -user USER -password PASSWORD
//
// Its first line on stdout is the address that it listens on. Every request makes one more: the answer's status, the user
// (- for none, or a wrong password), method and path. It ends when its standard input does.
package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "registry: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("registry", flag.ContinueOnError)
	flags.SetOutput(stderr)
	address := flags.String("listen", "127.0.0.1:0", "address to listen on: a loopback's")
	user := flags.String("user", "", "the one user")
	password := flags.String("password", "", "the user's password")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *user == "" || *password == "" {
		return errors.New("no user: give one by -user and -password")
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, listener.Addr()); err != nil {
		return err
	}
	g := &guard{images: registry.New(registry.Logger(log.New(io.Discard, "", 0))), user: *user, password: *password, out: stdout}
	server := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() {
		io.Copy(io.Discard, stdin)
		server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// guard lets in who knows the password, and writes down who asked for what.
type guard struct {
	images         http.Handler
	user, password string

	mu  sync.Mutex
	out io.Writer
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := &status{ResponseWriter: w, code: http.StatusOK}
	user, password, _ := r.BasicAuth()
	known := equal(user, g.user) && equal(password, g.password)
	if known {
		g.images.ServeHTTP(answer, r)
	} else {
		user = "-"
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		http.Error(answer, `{"errors": [{"code": "UNAUTHORIZED", "message": "a password is needed"}]}`, http.StatusUnauthorized)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	fmt.Fprintln(g.out, answer.code, user, r.Method, r.URL.Path)
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// status remembers the status of an answer.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}
