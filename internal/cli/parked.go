package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/waybill-hub/waybill/internal/api"
)

func (e *env) parkedCommand() *cobra.Command {
	c := &cobra.Command{Use: "parked", Short: "List and repair what waits for a person", Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			_ = c.Help()
			return &exitError{exitUsage, nil}
		}}
	c.AddCommand(e.parkedList(), e.parkedShow(), e.parkedEdit(), e.parkedReplay(), e.parkedDiscard(), e.parkedReplays(), e.parkedCodes())
	return c
}

// selectFlags are the flags by which messages are selected.
func selectFlags(f *pflag.FlagSet, s *api.Selection) {
	f.StringVar(&s.Flow, "flow", "", "of one flow")
	f.StringVar(&s.System, "system", "", "of the flows from or to one system")
	f.StringVar(&s.Entity, "entity", "", "of the flows of one kind of object")
	f.StringVar(&s.Key, "key", "", "of one business key")
	f.StringVar(&s.State, "state", "", "parked, waiting, held, or follower: what queues behind another message")
	f.StringVar(&s.Cause, "cause", "", "of one cause, by its id in: waybill parked list --by cause")
	f.StringVar(&s.Code, "code", "", "of one code")
	f.StringVar(&s.OlderThan, "older-than", "", "queued at least so long ago: 90s, 15m, 2h30m, 3d")
}

// checkSelection says what is wrong with flags before a hub is asked.
func checkSelection(s *api.Selection) error {
	if _, err := s.Age(); err != nil {
		return usage("--older-than %q is no age: write it like 90s, 15m, 2h30m or 3d", s.OlderThan)
	}
	switch s.State {
	case "", "parked", "waiting", "held", "follower":
		return nil
	}
	return usage("--state %q: a message is parked, waiting or held, or a follower of one that is", s.State)
}

func (e *env) parkedList() *cobra.Command {
	var sel api.Selection
	var by string
	var heads, marked bool
	var limit, followers int
	var after int64
	c := &cobra.Command{Use: "list", Short: "List parked, waiting and held messages, each with what queues behind it", Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) error {
		if err := checkSelection(&sel); err != nil {
			return err
		}
		switch {
		case by == "cause":
			return e.listCauses(c.Context(), &sel)
		case by != "":
			return usage("--by %q: messages are grouped by cause", by)
		case limit < 1 || limit > 10_000:
			return usage("--limit %d: from 1 to 10000", limit)
		case followers < 0 || followers > 100:
			return usage("--followers %d: from 0 to 100", followers)
		}
		q := sel.Query()
		if sel.State != "follower" { // what queues behind a message is shown under it
			q.Set("heads", "true")
			if !heads {
				q.Set("followers", strconv.Itoa(followers))
			}
		}
		if marked {
			q.Set("marked", "true")
		}
		if after > 0 {
			q.Set("after", num(after))
		}
		q.Set("limit", strconv.Itoa(limit))
		var page api.Page
		if err := e.ask(c.Context(), http.MethodGet, "/api/v1/parked?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		if e.output == "json" {
			return e.json(page)
		}
		if len(page.Parked) == 0 {
			fmt.Fprintln(e.out, "nothing is parked, waiting or held")
			return nil
		}
		if err := e.showQueued(page.Parked); err != nil {
			return err
		}
		if page.Next > 0 {
			fmt.Fprintf(e.out, "\nthere may be more: add --after %d\n", page.Next)
		}
		return nil
	})}
	f := c.Flags()
	selectFlags(f, &sel)
	f.StringVar(&by, "by", "", "cause: count messages by what has stopped them")
	f.BoolVar(&heads, "heads", false, "leave out messages that queue behind another one")
	f.BoolVar(&marked, "marked", false, "only what a replay or discard is asked for and not carried out yet")
	f.IntVar(&followers, "followers", 5, "of those behind each message, show so many")
	f.IntVar(&limit, "limit", 100, "at most so many")
	f.Int64Var(&after, "after", 0, "go on behind the message with this id")
	return c
}

func (e *env) listCauses(ctx context.Context, sel *api.Selection) error {
	var got struct {
		Causes []api.Cause `json:"causes"`
	}
	path := "/api/v1/parked/causes"
	if q := sel.Query().Encode(); q != "" {
		path += "?" + q
	}
	if err := e.ask(ctx, http.MethodGet, path, nil, &got); err != nil {
		return err
	}
	if e.output == "json" {
		return e.json(got)
	}
	if len(got.Causes) == 0 {
		fmt.Fprintln(e.out, "nothing is parked, waiting or held")
		return nil
	}
	rows := [][]string{{"CAUSE", "COUNT", "BEHIND", "MARKED", "STATE", "OLDEST", "FLOWS", "EXAMPLE", "WHAT"}}
	for _, c := range got.Causes {
		id, what := c.Cause, c.Text
		if id == "" {
			id, what = "-", "nothing has stopped them: they are due"
		}
		rows = append(rows, []string{id, num(c.Count), num(c.Behind), num(c.Marked), c.State, c.Oldest.Local().Format(time.DateTime), strings.Join(c.Flows, ","), num(c.Example.ID), what})
	}
	return e.columns(rows)
}

func (e *env) showQueued(rows []api.Queued) error {
	out := [][]string{{"ID", "FLOW", "KEY", "STATE", "SINCE", "CAUSE", "REASON"}}
	for i := range rows {
		q := &rows[i]
		out = append(out, queuedRow(q, ""))
		for j := range q.Followers {
			out = append(out, queuedRow(&q.Followers[j], "  "))
		}
		if more := q.Behind - int64(len(q.Followers)); more > 0 {
			text := fmt.Sprintf("  and %d more behind it", more)
			if len(q.Followers) == 0 {
				text = fmt.Sprintf("  %d behind it", more)
			}
			out = append(out, []string{"", "", "", "", "", "", text})
		}
	}
	return e.columns(out)
}

func queuedRow(q *api.Queued, indent string) []string {
	state := q.State
	if q.Mark != "" {
		state += " (" + q.Mark + ")"
	}
	reason, cause := q.Reason, q.Cause
	if q.Edits > 0 {
		reason = fmt.Sprintf("(edited by %s) %s", q.EditedBy, reason)
	}
	if q.Follower {
		reason, cause = "behind an earlier message of its key", ""
		if q.Head != 0 {
			reason = fmt.Sprintf("behind message %d", q.Head)
		}
	}
	return []string{indent + num(q.ID), q.Flow, q.Key, state, q.Since.Local().Format(time.DateTime), cause, reason}
}

func (e *env) parkedShow() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show a message with its document, its original beside it, and what people did to it", Args: needs("the ID of a message"),
		RunE: do(func(c *cobra.Command, args []string) error {
			var q api.Queued
			if err := e.parkedOne(c.Context(), args[0], "", &q); err != nil {
				return err
			}
			if e.output == "json" {
				return e.json(q)
			}
			return e.showOne(&q)
		})}
}

func (e *env) showOne(q *api.Queued) error {
	state := q.State
	switch {
	case q.Follower:
		state += fmt.Sprintf(", behind message %d of its key", q.Head)
	case q.Behind > 0:
		state += fmt.Sprintf(", %d behind it", q.Behind)
	}
	rows := [][]string{{"message", num(q.ID)}, {"flow", q.Flow}, {"key", q.Key}, {"event", q.Event}, {"state", state}, {"since", q.Since.Local().Format(time.DateTime)}}
	add := func(name, v string) {
		if v != "" {
			rows = append(rows, []string{name, v})
		}
	}
	add("operation", q.Operation)
	add("version", q.Version)
	add("origin", q.Origin)
	add("submitted", q.Submitted)
	add("attempts", strconv.Itoa(q.Attempts))
	add("cause", strings.TrimSpace(q.Cause+" "+q.Kind+" "+q.Code))
	add("reason", q.Reason)
	if m := q.Missing; m != nil {
		add("waits for", strings.Join(strings.Fields(m.Entity+" "+m.Hub+m.Local+" in "+m.System), " "))
	}
	if q.Mark != "" {
		who := q.MarkedBy
		if who == "" {
			who = "the hub"
		}
		add("asked for", why(q.Mark+" by "+who, q.MarkNote)+" (not carried out yet)")
	}
	add("etag", q.ETag)
	if err := e.columns(rows); err != nil {
		return err
	}
	if len(q.Acts) > 0 {
		fmt.Fprintln(e.out)
		acts := [][]string{{"WHEN", "WHO", "WHAT", "WHY"}}
		for _, a := range q.Acts {
			what := a.Action
			if a.Bulk != 0 {
				what += fmt.Sprintf(" (bulk %d)", a.Bulk)
			}
			acts = append(acts, []string{a.Time.Local().Format(time.DateTime), a.Who, what, a.Note})
		}
		if err := e.columns(acts); err != nil {
			return err
		}
	}
	if q.Edits == 0 {
		fmt.Fprintf(e.out, "\n%s\n", pretty(q.Data, q.DataText))
		return nil
	}
	fmt.Fprintf(e.out, "\n--- original\n+++ edited by %s\n", why(q.EditedBy, q.EditNote))
	for _, l := range diffLines(pretty(q.Original, q.OriginText), pretty(q.Data, q.DataText)) {
		fmt.Fprintln(e.out, l)
	}
	return nil
}

func why(who, note string) string {
	if note == "" {
		return who
	}
	return who + ": " + note
}

// pretty is a document as people read it; text stands for one that is not JSON.
func pretty(doc json.RawMessage, text string) string {
	if len(doc) == 0 {
		return text
	}
	var b bytes.Buffer
	if json.Indent(&b, doc, "", "  ") != nil {
		return string(doc)
	}
	return b.String()
}

// parkedOne gets a message; query is empty, or inClear.
func (e *env) parkedOne(ctx context.Context, id, query string, q *api.Queued) error {
	if err := checkID(id); err != nil {
		return err
	}
	return e.ask(ctx, http.MethodGet, "/api/v1/parked/"+id+query, nil, q)
}

// inClear asks for a document without masks: what is edited is sent.
const inClear = "?clear=true"

func checkID(id string) error {
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return usage("%q is not the id of a message: `waybill parked list` shows them", id)
	}
	return nil
}
