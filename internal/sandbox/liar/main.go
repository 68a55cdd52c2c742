package liar

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// DefaultListen is where a liar of its own process listens unless told otherwise.
const DefaultListen = "127.0.0.1:18074"

// Main is `waybill sandbox liar ARGS`: it serves until ctx ends and changes its objects meanwhile. GET /_verdict compares truth and copies, POST
// /_calm ends the lies and the changes, POST /_grade adds a field in the middle.
func Main(ctx context.Context, args []string, out io.Writer) error {
	o := Wicked()
	f := flag.NewFlagSet("waybill sandbox liar", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	listen := f.String("listen", DefaultListen, "address")
	rate := f.Int("rate", 20, "changes a second")
	f.IntVar(&o.Items, "items", 200, "objects of the source")
	f.DurationVar(&o.Late, "late", 2*time.Second, "longest time between a stamp and the moment in which its change can be read")
	f.DurationVar(&o.Slow, "slow", 0, "longest time that a page of a list takes")
	f.Uint64Var(&o.Seed, "seed", 1, "makes its choices repeatable")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(out)
		fmt.Fprintln(out, "Flags:")
		f.PrintDefaults()
		return nil
	case err != nil:
		return err
	case f.NArg() > 0:
		return fmt.Errorf("what is %q?", f.Arg(0))
	case *rate < 0 || o.Items < 1:
		return errors.New("--rate and --items are not negative, and there is an item at least")
	}
	l := New(o)
	lis, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	calm := make(chan struct{}, 1)
	mux := http.NewServeMux()
	mux.Handle("/", l.Handler())
	mux.HandleFunc("GET /_verdict", func(w http.ResponseWriter, _ *http.Request) {
		body, _ := json.MarshalIndent(l.Verdict(), "", "  ") // texts and numbers always marshal
		answer(w, http.StatusOK, append(body, '\n'))
	})
	mux.HandleFunc("POST /_calm", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case calm <- struct{}{}:
		default:
		}
		fmt.Fprintf(w, "everything can be read from %s on\n", l.Calm().Format(time.RFC3339))
	})
	mux.HandleFunc("POST /_grade", func(w http.ResponseWriter, _ *http.Request) { l.Grade() })
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	fmt.Fprintf(out, "liar http://%s\nready\n", lis.Addr())
	l.live(ctx, *rate, calm)
	<-ctx.Done()
	_ = srv.Close()
	<-served
	return nil
}

// live makes changes until it is calmed, or ctx ends.
func (l *Liar) live(ctx context.Context, rate int, calm <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began, made := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-calm:
			return
		case <-tick.C:
			due := int(time.Since(began).Seconds() * float64(rate))
			l.Change(due - made)
			made = due
		}
	}
}
