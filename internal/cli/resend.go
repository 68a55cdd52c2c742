package cli

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

func (e *env) resendCommand() *cobra.Command {
	var q api.ResendRequest
	c := &cobra.Command{Use: "resend ENTITY KEY", Short: "Read one object from its source as it is there now, and send it again through the flow that takes it from there",
		Args: needsTwo("an ENTITY and a KEY, such as order SO-1000"), RunE: do(func(c *cobra.Command, args []string) error {
			q.Entity, q.Key = args[0], args[1]
			var got api.Resent
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/resend", q, &got); err != nil {
				return err
			}
			if e.output == "json" {
				return e.json(got)
			}
			return e.showResent(&got)
		})}
	f := c.Flags()
	f.StringVar(&q.System, "from", "", "the system to read it from, where several flows read such objects")
	f.StringVar(&q.Flow, "flow", "", "the flow to send it through, where several could")
	f.StringVar(&q.ID, "id", "", "a name for this wish: the same again, within seven days, sends nothing more")
	f.StringVar(&q.Note, "note", "", "why; it goes with the object, and is kept with who asked")
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
