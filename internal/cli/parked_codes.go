package cli

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

func (e *env) parkedCodes() *cobra.Command {
	c := &cobra.Command{Use: "codes", Short: "List the codes that value maps do not know, with the messages that they have stopped", Args: noSuchCommand, RunE: do(func(c *cobra.Command, _ []string) error {
		var got struct {
			Codes []api.UnknownCode `json:"codes"`
		}
		if err := e.ask(c.Context(), http.MethodGet, "/api/v1/parked/codes", nil, &got); err != nil {
			return err
		}
		if e.output == "json" {
			return e.json(got)
		}
		if len(got.Codes) == 0 {
			fmt.Fprintln(e.out, "no message is stopped by a code that a value map does not know")
			return nil
		}
		rows := [][]string{{"MAP", "SYSTEM", "CODE", "DIRECTION", "MESSAGES", "BEHIND", "CAUSE", "FLOWS", "FILE"}}
		for _, u := range got.Codes {
			at := u.File
			switch {
			case u.Known:
				at += " (known by now: replay)"
			case at == "":
				at = "(in no file)"
			}
			rows = append(rows, []string{u.Map, u.System, u.Code, u.Direction, num(u.Count), num(u.Behind), u.Cause, strings.Join(u.Flows, ","), at})
		}
		return e.columns(rows)
	})}
	c.AddCommand(e.parkedCodesAdd())
	return c
}

func (e *env) parkedCodesAdd() *cobra.Command {
	var q api.CodeRequest
	var replay bool
	c := &cobra.Command{Use: "add MAP SYSTEM CODE --to CODE", Short: "Write a code into its value map's file, load the files, and with --replay replay what it has stopped",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 3 {
				return usage("give the map, the system and the code, as `waybill parked codes` lists them")
			}
			return nil
		}, RunE: do(func(c *cobra.Command, args []string) error {
			if q.Map, q.System, q.Code = args[0], args[1], args[2]; q.To == "" {
				return usage("say with --to what it stands for")
			}
			if q.Direction != api.CodeOfSystem && q.Direction != api.CodeOfMap {
				return usage("--direction %q: value (CODE is the system's) or code (CODE is the canonical one)", q.Direction)
			}
			var list api.UnknownCodes
			if err := e.ask(c.Context(), http.MethodGet, "/api/v1/parked/codes", nil, &list); err != nil {
				return err
			}
			var done api.AddedCode
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/parked/codes", q, &done); err != nil {
				return err
			}
			if e.output == "text" {
				fmt.Fprintf(e.out, "%s:%d: %s of %s is known; the files are loaded (%s)\n", done.File, done.Line, q.Code, q.System, done.Plan.Hash)
			}
			stopped := false
			for _, u := range list.Codes {
				if !replay || u.Map != q.Map || u.System != q.System || u.Code != q.Code || u.Direction != q.Direction {
					continue
				}
				stopped = true
				last, err := e.bulk(c.Context(), "/api/v1/parked/replay", api.BulkRequest{Filter: api.Selection{Cause: u.Cause}, Note: q.Note}, u.Count)
				if err != nil {
					return err
				}
				if e.output == "text" {
					fmt.Fprintf(e.out, "%s to be replayed, as bulk %d\n", messages(last.Total), last.Act)
				}
			}
			if e.output == "json" {
				return e.json(done)
			}
			if replay && !stopped {
				fmt.Fprintln(e.out, "no message was stopped by it: nothing is replayed")
			}
			return nil
		})}
	f := c.Flags()
	f.StringVar(&q.To, "to", "", "what it stands for: the canonical code; with --direction code the system's")
	f.StringVar(&q.Direction, "direction", api.CodeOfSystem, "value: CODE is the system's; code: it is the canonical one, and the system has none for it")
	f.StringVar(&q.Note, "note", "", "why; it stands in the audit")
	f.BoolVar(&replay, "replay", false, "replay the messages that it has stopped")
	return c
}
