package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
)

func (e *env) rewindCommand() *cobra.Command {
	var q api.RewindRequest
	c := &cobra.Command{Use: "rewind FLOW --to TIME|VERSION|start", Short: "Read the source of a polled flow again, from a time or version on, for what was missed; what was taken before is left out",
		Args: needs("a FLOW"), RunE: do(func(c *cobra.Command, args []string) error {
			if q.To == "" {
				return usage("%s: give --to: a time such as 2026-11-01T00:00:00Z, a version as the system writes it, or start", c.CommandPath())
			}
			var got api.Rewound
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/flows/"+url.PathEscape(args[0])+"/rewind", q, &got); err != nil {
				return err
			}
			if e.output == "json" {
				return e.json(got)
			}
			_, err := fmt.Fprintf(e.out, "%s: %s\n", got.Flow, got.Text)
			return err
		})}
	c.Flags().StringVar(&q.To, "to", "", "from where on: a time with its zone, a version as the system writes it, or start")
	c.Flags().StringVar(&q.Note, "note", "", "why; it is kept with who asked")
	return c
}

func (e *env) sweepCommand() *cobra.Command {
	var q api.SweepRequest
	c := &cobra.Command{Use: "sweep FLOW [--at-most N|N%]", Short: "Look now for what was deleted in a polled source without a trace, and for what polls have missed; --at-most confirms more deletes than the flow allows",
		Args: needs("a FLOW"), RunE: do(func(c *cobra.Command, args []string) error {
			if q.AtMost != "" {
				if _, err := config.ParseAtMost(q.AtMost); err != nil {
					return usage("%s: --at-most: %w: write a share or a number: 5%% or 100", c.CommandPath(), err)
				}
			}
			var got api.SweepAsked
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/flows/"+url.PathEscape(args[0])+"/sweep", q, &got); err != nil {
				return err
			}
			if e.output == "json" {
				return e.json(got)
			}
			_, err := fmt.Fprintf(e.out, "%s: %s\n", got.Flow, got.Text)
			return err
		})}
	c.Flags().StringVar(&q.AtMost, "at-most", "", "how many objects may be deleted, for this once: a share or a number; default: what the flow allows")
	c.Flags().StringVar(&q.Note, "note", "", "why; it is kept with who asked")
	return c
}
