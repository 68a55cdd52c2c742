package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	// mostFindPages is how many pages one search asks for until it has something to show.
	mostFindPages = 200
	// findPatience is how long a search that has found nothing waits for the index to catch up.
	findPatience = 10 * time.Second
	// findAgain is how soon it asks again.
	findAgain = 300 * time.Millisecond
)

func (e *env) findCommand() *cobra.Command {
	var entity, after string
	limit := 20
	c := &cobra.Command{Use: "find TEXT", Short: "Find objects by any id, number or name, or its beginning, and show how they stand; exits 1 when there is none",
		Args: needs("a TEXT"), RunE: do(func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(args[0]) == "" {
				return usage("find: give a TEXT: any id, number or name, or its beginning")
			}
			if limit < 1 || limit > 100 {
				return usage("--limit %d: write a number from 1 to 100", limit)
			}
			q := url.Values{"q": {args[0]}, "limit": {fmt.Sprint(limit)}}
			if entity != "" {
				q.Set("entity", entity)
			}
			f, err := e.find(c, q, after)
			if err != nil {
				return err
			}
			if e.output == "json" {
				err = e.json(f)
			} else {
				err = e.showFound(f)
			}
			if err != nil || len(f.Objects) > 0 {
				return err
			}
			return &exitError{exitFailed, nil}
		})}
	c.Flags().StringVar(&entity, "entity", "", "only this kind of object: order, customer, …")
	c.Flags().StringVar(&after, "after", "", "go on behind an answer: what it says below the table")
	c.Flags().IntVar(&limit, "limit", limit, "how many objects at most, up to 100")
	return c
}

// find asks until there is something to show, or everything was looked at: a page may be empty although there is more, and the index may be behind.
func (e *env) find(c *cobra.Command, q url.Values, after string) (*api.Found, error) {
	clock := lifecycle.Real()
	began := clock.Elapsed()
	at := after
	var asked time.Time // by the hub's clock
	for pages := 1; ; pages++ {
		q.Del("after")
		if at != "" {
			q.Set("after", at)
		}
		var f api.Found
		if err := e.ask(c.Context(), http.MethodGet, "/api/v1/find?"+q.Encode(), nil, &f); err != nil {
			return nil, err
		}
		if asked.IsZero() {
			asked = f.Looked.At
		}
		switch {
		case len(f.Objects) > 0, pages == mostFindPages:
			return &f, nil
		case f.Next != "":
			at = f.Next
			continue
		case f.Looked.Reached(asked):
			f.Looked.Complete = true // of what had come in by then
			return &f, nil
		case clock.Elapsed()-began > findPatience:
			return &f, nil
		}
		at = after
		if err := lifecycle.Sleep(c.Context(), clock, findAgain); err != nil {
			return nil, err
		}
	}
}

func (e *env) showFound(f *api.Found) error {
	if len(f.Objects) == 0 {
		if f.Looked.Complete && f.Next == "" {
			fmt.Fprintf(e.out, "the hub knows nothing that is called %s or begins so\n", f.Query)
			return nil
		}
		fmt.Fprintf(e.out, "nothing that is called %s or begins so has been found yet\n", f.Query)
		e.showLooked(f)
		return nil
	}
	rows := [][]string{{"ENTITY", "KEY", "STATE", "TIME", "FLOW", "IDS", "REASON"}}
	for i := range f.Objects {
		rows = append(rows, foundRow(&f.Objects[i]))
	}
	if err := e.columns(rows); err != nil {
		return err
	}
	e.showLooked(f)
	return nil
}

// findReason is how much of a reason stands in the table.
const findReason = 80

func foundRow(o *api.FoundObject) []string {
	at := ""
	if o.Time != nil {
		at = o.Time.Local().Format(time.DateTime)
	}
	ids := make([]string, 0, len(o.Refs))
	for _, r := range o.Refs {
		text := r.System + ":" + r.Local
		if r.Deleted {
			text += " (deleted)"
		}
		ids = append(ids, text)
	}
	key := o.Key
	if key == "" {
		key = o.Hub
	}
	return []string{o.Entity, key, o.State, at, o.Flow, shorten(cell(strings.Join(ids, " ")), findReason), shorten(cell(o.Reason), findReason)}
}

// showLooked says what the answer does not hold yet.
func (e *env) showLooked(f *api.Found) {
	l := &f.Looked
	if f.Next != "" {
		if l.Back != nil {
			fmt.Fprintf(e.out, "looked back to %s; ", l.Back.Local().Format(time.DateTime))
		}
		fmt.Fprintf(e.out, "there is more: --after %s\n", f.Next)
	}
	if l.Behind > 0 {
		until := "the beginning"
		if l.Until != nil {
			until = l.Until.Local().Format(time.DateTime)
		}
		fmt.Fprintf(e.out, "everything up to %s was looked at; of about %d newer fates the keys and ids alone: ask again\n", until, l.Behind)
	}
	if l.Unread != nil {
		fmt.Fprintf(e.out, "deliveries wait since %s that nobody has read yet: ask again\n", l.Unread.Local().Format(time.DateTime))
	}
	if l.Underway != nil {
		fmt.Fprintf(e.out, "messages are on their way since %s; of those the keys and ids alone were looked at\n", l.Underway.Local().Format(time.DateTime))
	}
}
