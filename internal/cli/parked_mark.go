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
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// marking is one `waybill parked replay` or `discard`.
type marking struct {
	verb, done  string // "replay", "replayed"
	sel         api.Selection
	all, behind bool
	dryRun, yes bool
	note, rate  string
	wait        time.Duration
	needsNote   bool
}

func (e *env) parkedReplay() *cobra.Command {
	m := &marking{verb: "replay", done: "replayed"}
	c := e.markCommand(m, "Try messages again, in their places: some by id, or all of a cause once it is repaired")
	c.Flags().StringVar(&m.rate, "rate", "", "with a selection: so many at a time, such as 5/s or 100/m; the hub goes on by itself, also over a restart")
	return c
}

func (e *env) parkedDiscard() *cobra.Command {
	m := &marking{verb: "discard", done: "discarded", needsNote: true}
	c := e.markCommand(m, "Give messages up, by name and with a reason")
	c.Flags().BoolVar(&m.behind, "behind", false, "with a selection: what queues behind the selected messages too")
	return c
}

func (e *env) markCommand(m *marking, short string) *cobra.Command {
	c := &cobra.Command{Use: m.verb + " ID... | --cause CAUSE | --all", Short: short,
		RunE: do(func(c *cobra.Command, args []string) error {
			if err := m.check(args); err != nil {
				return err
			}
			if len(args) > 0 {
				return e.markSome(c.Context(), m, args)
			}
			return e.markAll(c, m)
		})}
	f := c.Flags()
	selectFlags(f, &m.sel)
	f.BoolVar(&m.all, "all", false, "everything that is parked")
	f.BoolVar(&m.dryRun, "dry-run", false, "only count what is selected")
	f.BoolVarP(&m.yes, "yes", "y", false, "do not ask")
	f.DurationVar(&m.wait, "wait", 0, "wait so long until it is carried out, and exit 1 when it is not, or in vain")
	f.StringVar(&m.note, "note", "", "why; it is kept with the messages")
	return c
}

// check says what is wrong with the command line before a hub is asked.
func (m *marking) check(args []string) error {
	selects := m.sel != (api.Selection{}) || m.all
	switch {
	case len(args) == 0 && !selects:
		return usage("give the ids of messages, or select them with --cause, --flow and the like, or --all; `waybill parked %s --help` lists them", m.verb)
	case len(args) > 0 && (selects || m.behind || m.dryRun):
		return usage("give either ids or a selection")
	case m.rate != "" && (len(args) > 0 || m.wait > 0):
		return usage("--rate is for a selection, and goes on by itself: `waybill parked replays` shows how far it has come")
	case m.needsNote && !m.dryRun && strings.TrimSpace(m.note) == "":
		return usage("say why with --note: it is kept with the message")
	case m.verb == "replay" && m.sel.State == "follower":
		return usage("what queues behind a message is released in order when that one is replayed: it cannot be replayed itself")
	}
	if m.rate != "" {
		if _, err := strictyaml.ParseRate(m.rate); err != nil {
			return usage("--rate: %v: write it like 5/s, 100/m or 1000/h", err)
		}
	}
	for _, id := range args {
		if err := checkID(id); err != nil {
			return err
		}
	}
	return checkSelection(&m.sel)
}

// ofMessage says which message a failure is about, where it does not say so itself.
func ofMessage(id string, err error) error {
	if text := err.Error(); strings.HasPrefix(text, "message "+id+" ") || strings.HasPrefix(text, "message "+id+":") {
		return err
	}
	return fmt.Errorf("message %s: %w", id, err)
}

func (e *env) markSome(ctx context.Context, m *marking, ids []string) error {
	events := map[string]api.Queued{}
	for _, id := range ids {
		if m.wait > 0 {
			var q api.Queued
			if err := e.parkedOne(ctx, id, "", &q); err != nil {
				return ofMessage(id, err)
			}
			events[id] = q
		}
		if err := e.ask(ctx, http.MethodPost, "/api/v1/parked/"+id+"/"+m.verb, map[string]string{"note": m.note}, nil); err != nil {
			return ofMessage(id, err)
		}
		if e.output == "text" {
			fmt.Fprintf(e.out, "message %s: %s asked for\n", id, m.verb)
		}
	}
	if m.wait > 0 {
		return e.awaitSome(ctx, m, ids, events)
	}
	if e.output == "json" {
		return e.json(map[string]any{"ids": ids, "mark": m.verb})
	}
	return nil
}

// look is how often the hub is asked again whether it is done.
const look = 300 * time.Millisecond

// awaitSome tells what became of messages.
func (e *env) awaitSome(ctx context.Context, m *marking, ids []string, before map[string]api.Queued) error {
	type fate struct {
		ID      string `json:"id"`
		Outcome string `json:"outcome"`
		Reason  string `json:"reason,omitempty"`
	}
	var fates []fate
	vain := false
	err := e.until(ctx, m, func() (bool, error) {
		for len(fates) < len(ids) {
			id := ids[len(fates)]
			var q api.Queued
			err := e.parkedOne(ctx, id, "", &q)
			var no *refused
			switch {
			case errors.As(err, &no) && no.Status == http.StatusNotFound:
				b := before[id]
				out, why, err := e.fateOf(ctx, &b)
				if err != nil {
					return false, err
				}
				fates = append(fates, fate{id, out, why})
			case err != nil:
				return false, err
			case q.Mark != "":
				return false, nil
			default:
				vain = true
				fates = append(fates, fate{id, q.State, q.Reason})
			}
			if f := &fates[len(fates)-1]; e.output == "text" {
				fmt.Fprintln(e.out, strings.TrimSuffix(fmt.Sprintf("message %s: %s: %s", f.ID, f.Outcome, f.Reason), ": "))
			}
		}
		return true, nil
	})
	if e.output == "json" {
		err = errors.Join(e.json(map[string]any{"ids": ids, "mark": m.verb, "fates": fates}), err)
	}
	if err == nil && vain {
		return &exitError{exitFailed, nil}
	}
	return err
}

// fateOf finds in the journal how a message ended that is in no queue any more.
func (e *env) fateOf(ctx context.Context, q *api.Queued) (outcome, reason string, err error) {
	var m api.Message
	if err := e.ask(ctx, http.MethodGet, "/api/v1/messages?key="+url.QueryEscape(q.Event), nil, &m); err != nil {
		return "", "", err
	}
	for _, j := range m.Journal { // the newest first
		if j.Flow == q.Flow && j.Event == q.Event {
			return j.Outcome, j.Reason, nil
		}
	}
	return "carried out", "", nil
}

// until looks again until it holds or the person's patience ends.
func (e *env) until(ctx context.Context, m *marking, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, m.wait)
	defer cancel()
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		ok, err := holds()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not carried out within %s: is the flow paused, or its system down? `waybill status` tells; what was asked for stays", m.wait)
		case <-t.C:
		}
	}
}

func (e *env) markAll(c *cobra.Command, m *marking) error {
	ctx := c.Context()
	ask := api.BulkRequest{Filter: m.sel, All: m.all, Behind: m.behind, Note: m.note, Rate: m.rate, DryRun: true}
	path := "/api/v1/parked/" + m.verb
	var count api.BulkAnswer
	if err := e.ask(ctx, http.MethodPost, path, ask, &count); err != nil {
		return err
	}
	if e.output == "text" {
		fmt.Fprintf(e.out, "%s would be %s", messages(count.Matched), m.done)
		if count.Behind > 0 {
			fmt.Fprintf(e.out, "; %d more queue behind and are released in order after", count.Behind)
		}
		if count.Seconds > 0 {
			fmt.Fprintf(e.out, "; at %s that takes %s", m.rate, time.Duration(count.Seconds*float64(time.Second)).Round(time.Second))
		}
		fmt.Fprintln(e.out)
	}
	switch {
	case m.dryRun && e.output == "json":
		return e.json(count)
	case m.dryRun:
		return nil
	case count.Matched > 0 && !m.yes && !e.agreed(c, m):
		return errors.New("nothing is done: say --yes, or answer y")
	}
	ask.DryRun = false
	if m.rate != "" {
		return e.markAtRate(ctx, path, ask)
	}
	last, err := e.bulk(ctx, path, ask, count.Matched)
	if err != nil {
		return err
	}
	if m.wait > 0 && last.Total > 0 {
		if err := e.awaitAll(ctx, m); err != nil {
			return err
		}
	}
	if e.output == "json" {
		return e.json(last)
	}
	if last.Total > 0 && m.wait == 0 {
		fmt.Fprintf(e.out, "%s to be %s, as bulk %d; `waybill parked list --marked` shows what is not carried out yet\n", messages(last.Total), m.done, last.Act)
	}
	return nil
}

func messages(n int64) string {
	if n == 1 {
		return "1 message"
	}
	return num(n) + " messages"
}

// agreed asks the person.
func (e *env) agreed(c *cobra.Command, m *marking) bool {
	fmt.Fprintf(e.err, "%s%s them? [y/N] ", strings.ToUpper(m.verb[:1]), m.verb[1:])
	line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if err != nil {
		fmt.Fprintln(e.err)
	}
	line = strings.ToLower(strings.TrimSpace(line))
	return line == "y" || line == "yes"
}

// bulk marks step by step, and tells how far it has come where one step is not all.
func (e *env) bulk(ctx context.Context, path string, ask api.BulkRequest, of int64) (api.BulkAnswer, error) {
	for {
		var a api.BulkAnswer
		if err := e.ask(ctx, http.MethodPost, path, ask, &a); err != nil {
			return a, fmt.Errorf("%w\nwhat was marked so far stays marked: the same command again marks the rest", err)
		}
		if a.Done {
			return a, nil
		}
		fmt.Fprintf(e.err, "marked %d of %d\n", a.Total, of)
		ask.Continue = a.Continue
	}
}

// awaitAll waits until nothing of the selection is marked any more, and says what is left of it.
func (e *env) awaitAll(ctx context.Context, m *marking) error {
	sel := m.sel
	sel.OlderThan = ""
	if sel.State == "" {
		sel.State = "parked"
	}
	var left, marked int64
	told := time.Now()
	err := e.until(ctx, m, func() (bool, error) {
		var got struct {
			Causes []api.Cause `json:"causes"`
		}
		if err := e.ask(ctx, http.MethodGet, "/api/v1/parked/causes?"+sel.Query().Encode(), nil, &got); err != nil {
			return false, err
		}
		left, marked = 0, 0
		for _, c := range got.Causes {
			left, marked = left+c.Count, marked+c.Marked
		}
		if marked > 0 && time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(e.err, "%s still to be %s\n", messages(marked), m.done)
		}
		return marked == 0, nil
	})
	switch {
	case err != nil:
		return err
	case left > 0:
		fmt.Fprintf(e.err, "%s of the selection: stopped again, or come since; `waybill parked list --by cause` tells why\n", messages(left))
		return &exitError{exitFailed, nil}
	case e.output == "text":
		fmt.Fprintln(e.out, "all are "+m.done)
	}
	return nil
}
