package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

func (e *env) recoverCommand() *cobra.Command {
	var q api.RecoverRequest
	var dry, yes bool
	var wait time.Duration
	c := &cobra.Command{Use: "recover [FLOW...]", Short: "Go on after the broker has lost records: what has no fate comes again from the store",
		Long: `Recover goes on when the broker does not hold what the hub remembers of it: it was wiped, is another one, a topic was made
again, or retention has passed a flow that rested. What has no fate comes again from the store, in its order; the guards skip
by name what a target has already. See docs/recovery.md.

It exits 0 when everything fits and is on its topics, 1 when something does not (with --dry-run: when there is something to
recover), 2 without --yes where nobody can be asked, 3 when no hub answers.`,
		RunE: do(func(c *cobra.Command, args []string) error {
			q.Flows = args
			if q.From != "" && q.From != "committed" && q.From != "start" {
				return usage("--from %q: write committed or start", q.From)
			}
			would, err := e.recovery(c.Context(), &q)
			if err != nil {
				return err
			}
			if dry {
				return e.wouldRecover(would)
			}
			if !would.Broken {
				return e.recovered(c.Context(), would, &q, wait)
			}
			if !yes {
				if err := e.confirm(c, would, &q); err != nil {
					return err
				}
			}
			if q.Plan = would.Plan; missing(would) {
				q.Plan = "" // topics that do not exist are made first: only then it can be said what is to be done
			}
			var did api.Recovery
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/recover", &q, &did); err != nil {
				return err
			}
			return e.recovered(c.Context(), &did, &q, wait)
		})}
	f := c.Flags()
	f.BoolVar(&dry, "dry-run", false, "only show what does not fit and what would be done")
	f.BoolVar(&yes, "yes", false, "do not ask")
	f.StringVar(&q.Note, "note", "", "why, for the audit")
	f.BoolVar(&q.DiscardLost, "discard-lost", false, "give up, by name, what only its producers can send again")
	f.StringVar(&q.From, "from", "", "where a flow goes on whose position the store has lost: committed (default) or start")
	f.DurationVar(&wait, "wait", time.Minute, "wait so long until everything is on its topics again")
	return c
}

func (e *env) recovery(ctx context.Context, q *api.RecoverRequest) (*api.Recovery, error) {
	v := url.Values{}
	if len(q.Flows) > 0 {
		v.Set("flow", strings.Join(q.Flows, ","))
	}
	if q.From != "" {
		v.Set("from", q.From)
	}
	var got api.Recovery
	err := e.ask(ctx, http.MethodGet, "/api/v1/recover?"+v.Encode(), nil, &got)
	return &got, err
}

// wouldRecover shows what would be done; it exits 1 when there is something.
func (e *env) wouldRecover(r *api.Recovery) error {
	if e.output == "json" {
		if err := e.json(r); err != nil {
			return err
		}
	} else if err := e.showRecovery(r); err != nil {
		return err
	}
	if r.Broken || r.Pending > 0 {
		return &exitError{exitFailed, nil}
	}
	return nil
}

// missing reports whether a topic does not exist.
func missing(r *api.Recovery) bool {
	for _, t := range r.Topics {
		if t.Cause == "missing" {
			return true
		}
	}
	return false
}

func (e *env) showRecovery(r *api.Recovery) error {
	if len(r.Topics) == 0 {
		if !r.Broken {
			fmt.Fprintln(e.out, "the broker holds everything that the hub remembers")
		}
	}
	for _, t := range r.Topics {
		fmt.Fprintf(e.out, "%s: %s\n", t.Topic, t.Text)
		if len(t.Writers) > 0 {
			fmt.Fprintf(e.out, "  waiting to write to it: %s\n", strings.Join(t.Writers, ", "))
		}
		rows := [][]string{{"  FLOW", "PARTITION", "EXPECTED", "FOUND", "GOES ON AT", "AGAIN", "LOST"}}
		for _, f := range t.Flows {
			for _, p := range f.Partitions {
				expected := "none stored"
				if p.Expected != nil {
					expected = num(*p.Expected)
				}
				rows = append(rows, []string{"  " + f.Flow, num(int64(p.Partition)), expected, fmt.Sprintf("%d to %d", p.FoundFirst, p.FoundEnd), num(p.ReadsFrom), num(p.Again), num(p.Lost)})
			}
		}
		if len(rows) > 1 {
			if err := e.columns(rows); err != nil {
				return err
			}
		}
	}
	if len(r.Topics) > 0 || r.Pending > 0 {
		fmt.Fprintf(e.out, "%d events again from the inbox, %d records again on their topics, %d lost", r.InboxEvents, r.Records, r.Lost)
		if r.Copies > 0 {
			fmt.Fprintf(e.out, ", %d copies that the hub had written twice left out", r.Copies)
		}
		if r.Pending > 0 {
			fmt.Fprintf(e.out, "; %d still to be put on their topics", r.Pending)
		}
		fmt.Fprintln(e.out)
	}
	return nil
}

// confirm shows what would be done and asks.
func (e *env) confirm(c *cobra.Command, r *api.Recovery, q *api.RecoverRequest) error {
	if e.output == "json" {
		return usage("give --yes: with --output json nobody is asked")
	}
	if err := e.showRecovery(r); err != nil {
		return err
	}
	ask := "Is this the right broker, and shall the flows go on so?"
	switch {
	case r.Lost > 0 && q.DiscardLost:
		ask = fmt.Sprintf("Shall the flows go on so, and %d records be given up in your name?", r.Lost)
	case r.Lost > 0:
		return fmt.Errorf("%d records are gone that only their producers can send again: have them sent again, then give them up with --discard-lost", r.Lost)
	}
	fmt.Fprintf(e.out, "%s Type yes: ", ask)
	line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if strings.TrimSpace(line) == "yes" {
		return nil
	}
	fmt.Fprintln(e.out)
	if err != nil && line == "" {
		return usage("nobody answers: give --yes")
	}
	return errors.New("nothing was done")
}

// recovered waits until everything is on its topics, and tells.
func (e *env) recovered(ctx context.Context, did *api.Recovery, q *api.RecoverRequest, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for did.Pending > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
		now, err := e.recovery(context.WithoutCancel(ctx), q)
		if err != nil {
			return err
		}
		if did.Pending = now.Pending; ctx.Err() != nil {
			break
		}
	}
	if e.output == "json" {
		if err := e.json(did); err != nil {
			return err
		}
	} else {
		if err := e.showRecovery(did); err != nil {
			return err
		}
		if did.Done && len(did.Topics) > 0 {
			fmt.Fprintln(e.out, "recovered: `waybill status` shows how the flows go on")
		}
	}
	if did.Broken || did.Pending > 0 {
		return &exitError{exitFailed, nil}
	}
	return nil
}
