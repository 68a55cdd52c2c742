package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// configured loads the files of a hub that does not run.
func (e *env) configured(file string) (*config.Plan, error) {
	plan, _, err := e.load(config.DefaultPaths(file), nil, slog.New(slog.DiscardHandler))
	return plan, err
}

func (e *env) restoredCommand() *cobra.Command {
	var asOf, file string
	var q api.RestoredRequest
	var before bool
	c := &cobra.Command{Use: "restored", Short: "Say that the hub's store is an older state of itself, so that nothing is created twice; --done ends that",
		Long: `Restored tells the hub that its store has gone back to an older state: a disk or a virtual machine was put back, which a hub cannot
notice. What it does not know to exist is then looked up before it is created, and parked where the target cannot be asked, until
everything of that time is passed. Best said before the hub is started, with --before-start. A copy of waybill backup, a copied
folder, a dump that was read in and a store behind its broker are noticed without it. See docs/backup.md.`,
		Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) error {
			if asOf != "" {
				at, err := time.Parse(time.RFC3339, asOf)
				if err != nil {
					return usage("--as-of %q: write for example 2026-11-29T10:00:00Z", asOf)
				}
				q.AsOf = at
			}
			if before {
				if q.Done {
					return usage("--done is for a running hub: without --before-start")
				}
				return e.restoredBefore(c.Context(), file, &q)
			}
			var r api.Restored
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/restored", &q, &r); err != nil {
				return err
			}
			if e.output == "json" {
				return e.json(r)
			}
			e.showRestored(&r)
			return nil
		})}
	f := c.Flags()
	f.StringVar(&asOf, "as-of", "", "the moment that the store is of, as 2026-11-29T10:00:00Z")
	f.StringVar(&q.Note, "note", "", "why, for the audit")
	f.BoolVar(&q.Done, "done", false, "it is settled: what was sent before is not sent again, or the store was only moved")
	f.BoolVar(&before, "before-start", false, "no hub runs yet: write it into the store that the configuration names")
	f.StringVarP(&file, "config", "c", "configs/waybill.yaml", "the configuration file, for --before-start")
	return c
}

// restoredBefore writes into the store itself. One that is not there is not made: the hub's own would not hear of it.
func (e *env) restoredBefore(ctx context.Context, file string, q *api.RestoredRequest) (err error) {
	plan, err := e.configured(file)
	if err != nil {
		return err
	}
	var cfg store.Config
	if p := plan.Hub.Store.Postgres; p != nil {
		cfg.Postgres = p.URL.Reveal()
	} else {
		cfg.SQLite = plan.Hub.Store.SQLite.Path
		if _, err := os.Stat(cfg.SQLite); err != nil {
			return fmt.Errorf("the store cannot be told: %w; its path begins at the working directory, so run this in the one that the hub is run in", err)
		}
	}
	s, err := store.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r := &state.Restoration{Signs: []string{state.SignPerson}, Why: "a person says so", Since: time.Now().UTC(), AsOf: q.AsOf, Phase: state.RestoredReading, Who: userName(), Note: q.Note}
	if err := s.BeginRestoration(ctx, r); err != nil {
		return err
	}
	if e.output == "json" {
		noted := api.Restored{State: r.Phase, Signs: r.Signs, Why: r.Why, Since: r.Since, Who: r.Who, Note: r.Note, Waits: []string{}}
		if !r.AsOf.IsZero() {
			noted.AsOf = &r.AsOf
		}
		return e.json(noted)
	}
	fmt.Fprintln(e.out, "noted: the hub looks up what it does not know when it is started")
	return nil
}

// showRestored tells of a restoration.
func (e *env) showRestored(r *api.Restored) {
	if r.State == api.NeverRestored {
		fmt.Fprintln(e.out, "the store never went back to an older state")
		return
	}
	of := ""
	if r.AsOf != nil {
		of = ", as of " + r.AsOf.Local().Format(time.DateTime)
	}
	fmt.Fprintf(e.out, "restored: %s%s; %d looked up before they were created, %d of them were there, %d parked because nobody can tell\n", r.Why, of, r.LookedUp, r.Found, r.Parked)
	if r.Lost != "" {
		fmt.Fprintf(e.out, "  lost: %s\n", r.Lost)
	}
	if r.Ended != nil {
		fmt.Fprintf(e.out, "  settled %s by %s\n", r.Ended.Local().Format(time.DateTime), r.EndedBy)
		return
	}
	fmt.Fprintf(e.out, "  %s since %s", r.State, r.Since.Local().Format(time.DateTime))
	for i, w := range r.Waits {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprint(e.out, sep, w)
	}
	fmt.Fprintln(e.out)
}
