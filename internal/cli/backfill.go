package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

func (e *env) backfillCommand() *cobra.Command {
	var q api.BackfillRequest
	var from string
	var detach bool
	c := &cobra.Command{Use: "backfill [FLOW]", Short: "Load everything that a flow's source holds through the flow, beside its live changes; without a FLOW, list the backfills",
		Long: `Backfill has the running hub read everything that the source of a flow holds and send it through the flow, and shows how far it is. It gives way
to live traffic and to a target that is slow, overwrites nothing newer, and goes on where it was when the hub is started anew. What is known
to be in the target is left out: to send that, too, as after a target was restored, see resend --all. Ctrl-C leaves it running. See docs/backfill.md.

It exits 0 when everything has come through, 1 when it failed, was cancelled or left something out, 3 when no hub answers.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("%s takes one FLOW, and %d words are given", c.CommandPath(), len(args))
			}
			return nil
		}, RunE: do(func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, flag := range []string{"since", "note", "detach"} {
					if c.Flags().Lookup(flag).Changed {
						return usage("%s: give a FLOW for --%s", c.CommandPath(), flag)
					}
				}
				return e.listBackfills(c.Context())
			}
			if from != "" {
				at, err := since(from, time.Now())
				if err != nil {
					return usage("%s: --since: %w", c.CommandPath(), err)
				}
				q.Since = at
			}
			var got api.Backfill
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/flows/"+url.PathEscape(args[0])+"/backfill", &q, &got); err != nil {
				return err
			}
			return e.followBackfill(c.Context(), &got, detach)
		})}
	f := c.Flags()
	f.StringVar(&from, "since", "", "leave out what has not changed since: a time with its zone such as 2026-11-01T00:00:00Z, or an age such as 90m or 3d")
	f.StringVar(&q.Note, "note", "", "why; it goes with each object, and is kept with who asked")
	f.BoolVar(&detach, "detach", false, "do not wait for its end")
	c.AddCommand(e.showBackfillCommand(), e.cancelBackfillCommand())
	return c
}

// backfillNumber reads the number of a backfill.
func backfillNumber(c *cobra.Command, arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return 0, usage("%s: %q is no backfill's number: `waybill backfill` lists them", c.CommandPath(), arg)
	}
	return id, nil
}

func (e *env) showBackfillCommand() *cobra.Command {
	var follow bool
	c := &cobra.Command{Use: "show NUMBER", Short: "Show how far a backfill is, or what came of it", Args: needs("the NUMBER of a backfill"), RunE: do(func(c *cobra.Command, args []string) error {
		id, err := backfillNumber(c, args[0])
		if err != nil {
			return err
		}
		b, err := e.backfillByID(c.Context(), id)
		if err != nil {
			return err
		}
		if follow {
			return e.followBackfill(c.Context(), b, false)
		}
		return e.showBackfill(b)
	})}
	c.Flags().BoolVar(&follow, "follow", false, "wait for its end")
	return c
}

func (e *env) cancelBackfillCommand() *cobra.Command {
	var note string
	c := &cobra.Command{Use: "cancel NUMBER", Short: "End a backfill; what was submitted by then stays", Args: needs("the NUMBER of a backfill"), RunE: do(func(c *cobra.Command, args []string) error {
		id, err := backfillNumber(c, args[0])
		if err != nil {
			return err
		}
		var got api.Backfill
		if err := e.ask(c.Context(), http.MethodPost, "/api/v1/backfills/"+num(id)+"/cancel", map[string]string{"note": note}, &got); err != nil {
			return err
		}
		if e.output == "json" {
			return e.json(got)
		}
		text := "is cancelled"
		if !state.BackfillState(got.State).Over() {
			text = "ends as soon as the hub that works it has heard of it"
		}
		_, err = fmt.Fprintf(e.out, "backfill %d of flow %s %s\n", got.ID, got.Flow, text)
		return err
	})}
	c.Flags().StringVar(&note, "note", "", "why; it is kept with who asked")
	return c
}

func (e *env) listBackfills(ctx context.Context) error {
	var page api.Backfills
	if err := e.ask(ctx, http.MethodGet, "/api/v1/backfills", nil, &page); err != nil {
		return err
	}
	if e.output == "json" {
		return e.json(page)
	}
	if len(page.Backfills) == 0 {
		_, err := fmt.Fprintln(e.out, "there was no backfill yet: `waybill backfill FLOW` begins one")
		return err
	}
	rows := [][]string{{"NUMBER", "FLOW", "STATE", "SUBMITTED", "WANTED", "BY", "WHAT"}}
	for i := range page.Backfills {
		b := &page.Backfills[i]
		rows = append(rows, []string{num(b.ID), b.Flow, b.State, grouped(b.Submitted), b.Wanted.Local().Format(time.DateTime), cell(b.By), cell(backfillText(b))})
	}
	return e.columns(rows)
}

// showBackfill tells of one.
func (e *env) showBackfill(b *api.Backfill) error {
	if e.output == "json" {
		return e.json(b)
	}
	_, err := fmt.Fprintf(e.out, "backfill %d of flow %s, wanted by %s at %s: %s\n", b.ID, b.Flow, cell(b.By), b.Wanted.Local().Format(time.DateTime), cell(backfillText(b)))
	return err
}

// backfillText says in a line how far one is.
func backfillText(b *api.Backfill) string {
	text := fmt.Sprintf("%s, %s objects", b.State, grouped(b.Submitted))
	if b.Expect > b.Submitted { // how many there were at its beginning: there may be more by now, and those that change meanwhile are listed again
		text = fmt.Sprintf("%s, %s of about %s objects", b.State, grouped(b.Submitted), grouped(b.Expect))
	}
	if b.Again {
		text += ", also what is known to be there"
	}
	if b.Rate >= 0.1 {
		text += fmt.Sprintf(", %.3g/s", b.Rate)
	}
	if b.LeftSeconds > 0 {
		text += ", " + (time.Duration(b.LeftSeconds) * time.Second).String() + " left"
	}
	if b.Text != "" {
		text += ": " + b.Text
	}
	return text
}

func (e *env) backfillByID(ctx context.Context, id int64) (*api.Backfill, error) {
	var b api.Backfill
	return &b, e.ask(ctx, http.MethodGet, "/api/v1/backfills/"+num(id), nil, &b)
}

// followBackfill shows how far one is until it is over, and gives the exit code. When ctx ends, as by Ctrl-C, it is left running: it may take hours.
func (e *env) followBackfill(ctx context.Context, b *api.Backfill, detach bool) error {
	if detach {
		if e.output == "json" {
			return e.json(b)
		}
		_, err := fmt.Fprintf(e.out, "backfill %d of flow %s is wanted: `waybill backfill show %d` tells how far it is\n", b.ID, b.Flow, b.ID)
		return err
	}
	bar := &progressBar{w: e.rawErr, plain: e.err, terminal: isTerminal(e.rawErr), name: b.Flow, quiet: e.output == "json"}
	defer bar.end()
	stop, done := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer done()
	away := time.Time{}
	for !state.BackfillState(b.State).Over() {
		bar.tell(b.Flow+": "+backfillText(b), time.Now())
		select {
		case <-stop.Done():
			bar.end()
			return fmt.Errorf("backfill %d of flow %s goes on: `waybill backfill show %d` tells how far it is, `waybill backfill cancel %d` ends it", b.ID, b.Flow, b.ID, b.ID)
		case <-time.After(lookEvery):
		}
		now, err := e.backfillByID(context.WithoutCancel(ctx), b.ID)
		switch {
		case err == nil:
			b, away = now, time.Time{}
		case noAnswer(err) && (away.IsZero() || time.Since(away) < hubAway):
			if away.IsZero() {
				away = time.Now()
				bar.say("the hub does not answer; waiting for it")
			}
		default:
			return err
		}
	}
	bar.end()
	if err := e.showBackfill(b); err != nil {
		return err
	}
	if b.State != string(state.BackfillDone) || b.Unread > 0 {
		return &exitError{exitFailed, nil}
	}
	return nil
}

// resendAll has everything of an entity sent again.
func (e *env) resendAll(ctx context.Context, q *api.ResendRequest, detach bool) error {
	var got api.Resent
	if err := e.ask(ctx, http.MethodPost, "/api/v1/resend", q, &got); err != nil {
		return err
	}
	if e.output == "json" && detach {
		return e.json(got)
	}
	if e.output != "json" {
		fmt.Fprintln(e.out, got.Text)
	}
	if detach {
		return nil
	}
	b, err := e.backfillByID(ctx, got.Backfill)
	if err != nil {
		return err
	}
	return e.followBackfill(ctx, b, false)
}

// resendKeys sends objects again one by one; what one of them fails of does not keep the others.
func (e *env) resendKeys(ctx context.Context, q api.ResendRequest, keys []string) error {
	var done []api.Resent
	failed := 0
	for _, key := range keys {
		q.Key = key
		var got api.Resent
		err := e.ask(ctx, http.MethodPost, "/api/v1/resend", q, &got)
		var no *refused
		switch {
		case err == nil:
			done = append(done, got)
			if e.output != "json" {
				if err := e.showResent(&got); err != nil {
					return err
				}
			}
		case errors.As(err, &no) && len(keys) > 1:
			failed++
			fmt.Fprintf(e.err, "waybill: %s %s: %v\n", q.Entity, key, err)
		default:
			return err
		}
	}
	if e.output == "json" {
		var err error
		if len(keys) == 1 {
			err = e.json(done[0])
		} else {
			err = e.json(map[string]any{"resent": done})
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %d were not sent", failed, len(keys))}
	}
	return nil
}
