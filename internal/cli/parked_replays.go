package cli

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

// markAtRate begins a replay that the hub carries out at a rate.
func (e *env) markAtRate(ctx context.Context, path string, ask api.BulkRequest) error {
	var a api.BulkAnswer
	if err := e.ask(ctx, http.MethodPost, path, ask, &a); err != nil {
		return err
	}
	if e.output == "json" {
		return e.json(a)
	}
	fmt.Fprintf(e.out, "%s to be replayed at %s, as bulk %d; `waybill parked replays` shows how far it has come, and ends it with --stop %d\n", messages(a.Matched), ask.Rate, a.Act, a.Act)
	return nil
}

func (e *env) parkedReplays() *cobra.Command {
	var stop int64
	c := &cobra.Command{Use: "replays", Short: "List the replays at a rate of the last month, and how far they have come", Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) error {
		if stop != 0 {
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/replays/"+strconv.FormatInt(stop, 10)+"/stop", nil, nil); err != nil {
				return err
			}
		}
		var got struct {
			Replays []api.Replay `json:"replays"`
		}
		if err := e.ask(c.Context(), http.MethodGet, "/api/v1/replays", nil, &got); err != nil {
			return err
		}
		if e.output == "json" {
			return e.json(got)
		}
		if len(got.Replays) == 0 {
			fmt.Fprintln(e.out, "nothing was replayed at a rate in the last month")
			return nil
		}
		rows := [][]string{{"BULK", "STATE", "REPLAYED", "OF", "RATE", "LEFT", "BEGAN", "WHO", "ABOUT"}}
		for _, r := range got.Replays {
			how, left := r.State, "-"
			if r.StoppedBy != "" {
				how += " by " + r.StoppedBy
			}
			if r.SecondsLeft > 0 {
				left = time.Duration(r.SecondsLeft * float64(time.Second)).Round(time.Second).String()
			}
			rows = append(rows, []string{num(r.Act), how, num(r.Marked), num(r.Matched), r.Rate, left, r.Began.Local().Format(time.DateTime), why(r.Who, r.Note), r.About})
		}
		return e.columns(rows)
	})}
	c.Flags().Int64Var(&stop, "stop", 0, "end the replay of this number first: what it has not come to stays as it is")
	return c
}
