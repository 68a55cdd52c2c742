package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

func (e *env) resendCommand() *cobra.Command {
	var q api.ResendRequest
	var from string
	var detach bool
	c := &cobra.Command{Use: "resend ENTITY KEY…|--all", Short: "Read objects from their source as they are there now, and send them again through the flow that takes them from there",
		Long: `Resend reads objects from the system that holds what is right, and sends them through the flow that takes them from there, also where the hub knows
their target to hold all that already. With --all everything that the source holds is sent, as after the target was restored from a copy: that
is a backfill, which is shown until its end and goes on without the command. See docs/backfill.md.`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 || len(args) == 1 && !q.All:
				return usage("%s: give an ENTITY and the KEYs of objects, such as order SO-1000, or --all in place of keys", c.CommandPath())
			case len(args) > 1 && q.All:
				return usage("%s: --all stands for every object: leave the KEYs out", c.CommandPath())
			case len(args) > 2 && q.ID != "":
				return usage("%s: --id names one wish, and %d KEYs are given", c.CommandPath(), len(args)-1)
			}
			return nil
		}, RunE: do(func(c *cobra.Command, args []string) error {
			q.Entity = args[0]
			if !q.All {
				if from != "" || detach {
					return usage("%s: --since and --detach go with --all", c.CommandPath())
				}
				return e.resendKeys(c.Context(), q, args[1:])
			}
			if q.DryRun || q.ID != "" {
				return usage("%s: --dry-run and --id are of single objects: leave them out, or give KEYs", c.CommandPath())
			}
			if from != "" {
				at, err := since(from, time.Now())
				if err != nil {
					return usage("%s: --since: %w", c.CommandPath(), err)
				}
				q.Since = at
			}
			return e.resendAll(c.Context(), &q, detach)
		})}
	f := c.Flags()
	f.StringVar(&q.System, "from", "", "the system to read it from, where several flows read such objects")
	f.StringVar(&q.Flow, "flow", "", "the flow to send it through, where several could")
	f.StringVar(&q.ID, "id", "", "a name for this wish: the same again, within seven days, sends nothing more")
	f.StringVar(&q.Note, "note", "", "why; it goes with the object, and is kept with who asked")
	f.BoolVar(&q.All, "all", false, "send everything that the source holds")
	f.StringVar(&from, "since", "", "with --all: leave out what has not changed since: a time with its zone, or an age such as 3d")
	f.BoolVar(&detach, "detach", false, "with --all: do not wait for its end")
	f.BoolVar(&q.DryRun, "dry-run", false, "show what would be sent, and send nothing")
	return c
}

// showResent tells what is sent; of a dry run, the documents too.
func (e *env) showResent(got *api.Resent) error {
	if got.State == api.ResendDry {
		rows := [][]string{{"object", fmt.Sprintf("%s %s, %s in %s", got.Entity, cell(got.Key), cell(got.Local), got.System)}, {"through", got.Flow + " to " + got.To}}
		if got.Version != "" {
			rows = append(rows, []string{"version", got.Version})
		}
		if r := got.Rehearsal; r.Outcome == "waiting" {
			rows = append(rows, []string{"would wait", cell(r.Reason)})
		}
		if err := e.columns(rows); err != nil {
			return err
		}
		for _, d := range []struct {
			name string
			doc  json.RawMessage
		}{{"as it is in " + got.System, got.Document}, {"as it would be sent", got.Mapped}} {
			e.showDocument(d.name, d.doc, "")
		}
	}
	_, err := fmt.Fprintln(e.out, got.Text)
	return err
}
