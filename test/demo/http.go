//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	answerSize  = 4 << 10               // bytes of one answer
	keptEvery   = 50 * time.Millisecond // between two requests over the connection that is kept
	freshEvery  = 200 * time.Millisecond
	httpTimeout = 2 * time.Second
)

// serveHTTP listens on a wildcard address: one socket takes IPv4 and IPv6.
func serveHTTP(ctx context.Context, args []string) error {
	answer := bytes.Repeat([]byte("cosanet\n"), answerSize/8)
	server := http.Server{
		Addr:              args[0],
		ReadHeaderTimeout: httpTimeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(answer) // a client that went away is its own business
		}),
	}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", args[0], err)
	}
	return nil
}

// askHTTP asks at a steady rate, twice at once: a kept connection makes segments, fresh ones make opens and closes.
func askHTTP(ctx context.Context, args []string) error {
	var wg sync.WaitGroup
	ask := func(interval time.Duration, transport *http.Transport) {
		client := http.Client{Transport: transport, Timeout: httpTimeout}
		every(ctx, interval, func() {
			if err := get(ctx, &client, args[0]); err != nil && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "demo: asking %s: %v\n", args[0], err)
			}
		})
	}
	wg.Go(func() { ask(keptEvery, &http.Transport{MaxIdleConns: 1}) })
	wg.Go(func() { ask(freshEvery, &http.Transport{DisableKeepAlives: true}) })
	wg.Wait()
	return nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// every calls do at a steady rate until ctx ends. A slow do makes it late, never more frequent.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}
