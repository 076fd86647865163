package plugin

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// oneWish is the time within which signals count as one: timeout(1) and others signal a process and then its group.
const oneWish = 300 * time.Millisecond

// UntilSignalled returns a context that the first SIGINT, SIGTERM or SIGHUP cancels, so that the run ends in order and
// deletes its pods. The second one ends the process at once, and says what stays behind.
func UntilSignalled(ledger *Ledger, stderr io.Writer) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // a closed pipe must not end the run before its pods are deleted
	go func() {
		<-signals
		cancel()
		time.Sleep(oneWish)
		select {
		case <-signals:
		default:
		}
		<-signals
		fmt.Fprint(stderr, ledger.Farewell())
		os.Exit(ExitInterrupted)
	}()
	return ctx
}
