package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

func (e *env) parkedCommand() *cobra.Command {
	c := &cobra.Command{Use: "parked", Short: "List and repair what waits for a person", Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			_ = c.Help()
			return &exitError{exitUsage, nil}
		}}
	c.AddCommand(e.parkedList(), e.parkedShow(), e.parkedEdit(), e.parkedMark("replay", "Try a message again, in its place in its key's queue"),
		e.parkedMark("discard", "Give a message up, by name and with a reason"))
	return c
}

func (e *env) parkedList() *cobra.Command {
	q := url.Values{}
	var flow, key, state, code string
	var heads bool
	var limit int
	c := &cobra.Command{Use: "list", Short: "List parked, waiting and held messages", Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) error {
		for name, v := range map[string]string{"flow": flow, "key": key, "state": state, "code": code} {
			if v != "" {
				q.Set(name, v)
			}
		}
		if heads {
			q.Set("heads", "true")
		}
		q.Set("limit", strconv.Itoa(limit))
		var got struct {
			Parked []api.Queued `json:"parked"`
		}
		if err := e.ask(c.Context(), http.MethodGet, "/api/v1/parked?"+q.Encode(), nil, &got); err != nil {
			return err
		}
		if e.output == "json" {
			return e.json(got)
		}
		if len(got.Parked) == 0 {
			fmt.Fprintln(e.out, "nothing is parked, waiting or held")
			return nil
		}
		return e.showQueued(got.Parked)
	})}
	f := c.Flags()
	f.StringVar(&flow, "flow", "", "of one flow")
	f.StringVar(&key, "key", "", "of one business key")
	f.StringVar(&state, "state", "", "parked, waiting or held")
	f.StringVar(&code, "code", "", "of one cause")
	f.BoolVar(&heads, "heads", false, "leave out messages that queue behind another one")
	f.IntVar(&limit, "limit", 100, "at most so many")
	return c
}

func (e *env) showQueued(rows []api.Queued) error {
	out := [][]string{{"ID", "FLOW", "KEY", "STATE", "SINCE", "CODE", "REASON"}}
	for i := range rows {
		q := &rows[i]
		state := q.State
		if q.Mark != "" {
			state += " (" + q.Mark + ")"
		}
		reason := q.Reason
		if q.Follower {
			reason = "behind an earlier message of its key"
		}
		out = append(out, []string{num(q.ID), q.Flow, q.Key, state, q.Since.Local().Format(time.DateTime), q.Code, reason})
	}
	return e.columns(out)
}

func (e *env) parkedShow() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show a message with its document", Args: cobra.ExactArgs(1), RunE: do(func(c *cobra.Command, args []string) error {
		var q api.Queued
		if err := e.parkedOne(c.Context(), args[0], &q); err != nil {
			return err
		}
		return e.json(q)
	})}
}

func (e *env) parkedOne(ctx context.Context, id string, q *api.Queued) error {
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return usage("%q is not the id of a message: `waybill parked list` shows them", id)
	}
	return e.ask(ctx, http.MethodGet, "/api/v1/parked/"+id, nil, q)
}

func (e *env) parkedEdit() *cobra.Command {
	var file, note string
	c := &cobra.Command{Use: "edit ID --file FILE", Short: "Replace a message's document; the original is kept beside it", Args: cobra.ExactArgs(1),
		RunE: do(func(c *cobra.Command, args []string) error {
			if file == "" {
				return usage("give the new document with --file, or --file - to read it from standard input")
			}
			data, err := readDocument(file, c.InOrStdin())
			if err != nil {
				return err
			}
			if !json.Valid(data) {
				return fmt.Errorf("%s is not JSON", file)
			}
			var q api.Queued
			if err := e.parkedOne(c.Context(), args[0], &q); err != nil {
				return err
			}
			var got map[string]any
			if err := e.ask(c.Context(), http.MethodPut, "/api/v1/parked/"+args[0], map[string]any{"data": json.RawMessage(data), "note": note}, &got); err != nil {
				return err
			}
			if e.output == "json" {
				return e.json(got)
			}
			fmt.Fprintf(e.out, "message %s of %s edited; replay it with: waybill parked replay %s\n", args[0], q.Flow, args[0])
			return nil
		})}
	c.Flags().StringVar(&file, "file", "", "the new document; - reads standard input")
	c.Flags().StringVar(&note, "note", "", "why")
	return c
}

func readDocument(file string, stdin io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

func (e *env) parkedMark(verb, short string) *cobra.Command {
	var note string
	c := &cobra.Command{Use: verb + " ID...", Short: short, Args: cobra.MinimumNArgs(1), RunE: do(func(c *cobra.Command, args []string) error {
		for _, id := range args {
			if _, err := strconv.ParseInt(id, 10, 64); err != nil {
				return usage("%q is not the id of a message: `waybill parked list` shows them", id)
			}
		}
		for _, id := range args {
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/parked/"+id+"/"+verb, map[string]string{"note": note}, nil); err != nil {
				return fmt.Errorf("message %s: %w", id, err)
			}
			if e.output == "text" {
				fmt.Fprintf(e.out, "message %s: %s asked for\n", id, verb)
			}
		}
		if e.output == "json" {
			return e.json(map[string]any{"ids": args, "mark": verb})
		}
		return nil
	})}
	c.Flags().StringVar(&note, "note", "", "why")
	return c
}
