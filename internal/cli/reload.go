package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// reloadWait is how long a hub may take: flows that change end what is under way first.
const reloadWait = 2 * time.Minute

func (e *env) reloadCommand() *cobra.Command {
	return &cobra.Command{Use: "reload", Short: "Let the hub load its files again and change over to what differs; exits 1, with every problem, when it refuses them",
		Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), reloadWait)
			defer cancel()
			var r api.Reload
			err := e.request(ctx, http.MethodPost, "/api/v1/reload", struct{}{}, &r)
			var no *refused
			switch {
			case errors.As(err, &no) && e.output == "json":
				return errors.Join(e.json(no.Problem), &exitError{exitFailed, nil})
			case errors.As(err, &no):
				for _, p := range no.Problems {
					at := strictyaml.Problem{Pos: strictyaml.Pos{File: p.File, Line: p.Line, Col: p.Column}, Message: p.Message, Hint: p.Hint}
					fmt.Fprintln(e.err, at)
				}
				return no
			case err != nil:
				return err
			case e.output == "json":
				return e.json(r)
			}
			return e.showReload(&r)
		})}
}

func (e *env) showReload(r *api.Reload) error {
	fmt.Fprintf(e.out, "the hub runs plan %s, loaded %s\n", r.Plan.Hash, r.Plan.LoadedAt.Local().Format(time.DateTime))
	for _, part := range []struct {
		what   string
		c      *api.Changes
		always bool
	}{{"flows", &r.Flows, true}, {"systems", &r.Systems, true}, {"reconciliations", &r.Reconciliations, false}, {"rules", &r.Rules, false}} {
		list := func(word string, names []string) {
			if len(names) > 0 {
				fmt.Fprintf(e.out, "%s %s: %s\n", part.what, word, strings.Join(names, ", "))
			}
		}
		list("added", part.c.Added)
		list("changed", part.c.Changed)
		list("removed", part.c.Removed)
		if c := part.c; c.Unchanged > 0 || len(c.Added)+len(c.Changed)+len(c.Removed) > 0 || part.always {
			fmt.Fprintf(e.out, "%s unchanged: %d\n", part.what, c.Unchanged)
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(e.err, "warning:", w)
	}
	return nil
}
