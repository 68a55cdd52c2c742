package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/report"
	"github.com/waybill-hub/waybill/internal/state"
)

// comparing are the commands about runs of one kind.
type comparing struct {
	e                  *env
	kind, verb, plural string
}

func (e *env) reconcileCommand() *cobra.Command {
	k := &comparing{e, state.RunReconciliation, "reconcile", "reconciliations"}
	c := k.command("Compare two systems now, and with --repair mend what differs through the flows; without a NAME, list the reconciliations",
		`Reconcile has the running hub compare an entity in two systems, shows how far it is, and what it has found. What differs and is
on its way, waits, is parked or was changed while the run went on is no drift; the rest is looked at twice. With --repair what is
drift is written through the flows and read again; --dry-run shows what would be sent. Ctrl-C asks the hub to end the run; a
second one leaves it running. See docs/operations.md.

It exits 0 when the systems agree or were repaired, 1 when drift is left or the run failed, 3 when no hub answers.`)
	c.AddCommand(k.runs(), k.show(), k.cancel(), k.repair())
	return c
}

func (e *env) ruleCommand() *cobra.Command {
	k := &comparing{e, state.RunRule, "rule", "rules"}
	c := k.command("Look now where a business rule does not hold; without a NAME, list the rules",
		`Rule has the running hub evaluate a business rule over the systems that it is about, shows how far it is, and what breaks the rule.
Ctrl-C asks the hub to end the run; a second one leaves it running.

It exits 0 when the rule holds, 1 when it does not or the run failed, 3 when no hub answers.`)
	c.AddCommand(k.runs(), k.show(), k.cancel(), e.forgetCommand())
	return c
}

// runFlags are those of a run that is begun now.
type runFlags struct {
	q      api.RunRequest
	since  string
	report string
	detach bool
}

func (k *comparing) command(short, long string) *cobra.Command {
	var o runFlags
	c := &cobra.Command{Use: k.verb + " [NAME]", Short: short, Long: long, Args: func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage("%s takes one NAME, and %d words are given", c.CommandPath(), len(args))
		}
		return nil
	}, RunE: do(func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			if flag := changed(c); flag != "" {
				return usage("%s: give a NAME for --%s", c.CommandPath(), flag)
			}
			return k.list(c.Context())
		}
		if err := o.check(c); err != nil {
			return err
		}
		var run api.Run
		if err := k.e.ask(c.Context(), http.MethodPost, "/api/v1/"+k.plural+"/"+url.PathEscape(args[0])+"/run", &o.q, &run); err != nil {
			return k.underWay(err)
		}
		return k.follow(c.Context(), &run, &o)
	})}
	f := c.Flags()
	f.StringVar(&o.q.Key, "key", "", "look at one object alone: its business key, or any of its ids")
	if k.kind == state.RunReconciliation {
		f.StringVar(&o.since, "since", "", "look at what has changed since: a time with its zone such as 2026-11-01T00:00:00Z, or an age such as 90m or 3d")
		f.BoolVar(&o.q.Repair, "repair", false, "write what differs through the flows, and read it again")
		repairFlags(c, &o.q.DryRun, &o.q.Deletes, &o.q.AtMost)
	}
	o.flags(c, &o.q.Note)
	return c
}

func repairFlags(c *cobra.Command, dry, deletes *bool, most *api.Whole) {
	f := c.Flags()
	f.BoolVar(dry, "dry-run", false, "show what a repair would send, and send nothing")
	f.BoolVar(deletes, "deletes", false, "repair deletions, too")
	f.IntVar((*int)(most), "at-most", 0, "so many may be repaired, for this once; default: as the file says")
}

func (o *runFlags) flags(c *cobra.Command, note *string) {
	f := c.Flags()
	f.StringVar(note, "note", "", "why; it is kept with who asked")
	f.StringVar(&o.report, "report", "", "write all that was found to a file, whose ending says how: .json, .csv or .xlsx")
	f.BoolVar(&o.detach, "detach", false, "do not wait for its end")
}

// changed is the first of a command's own flags that is given.
func changed(c *cobra.Command) string {
	for _, name := range []string{"key", "since", "repair", "dry-run", "deletes", "at-most", "note", "report", "detach"} {
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			return name
		}
	}
	return ""
}

// check says what is wrong with flags before a hub is asked.
func (o *runFlags) check(c *cobra.Command) error {
	if !o.q.Repair {
		for _, name := range []string{"dry-run", "deletes", "at-most"} {
			if f := c.Flags().Lookup(name); f != nil && f.Changed {
				return usage("%s: --%s says how to repair: add --repair", c.CommandPath(), name)
			}
		}
	}
	if err := positive(c, o.q.AtMost); err != nil {
		return err
	}
	if o.since != "" {
		at, err := since(o.since, time.Now())
		if err != nil {
			return usage("%s: --since: %w", c.CommandPath(), err)
		}
		o.q.Since = at
	}
	return o.checkReport(c)
}

func positive(c *cobra.Command, most api.Whole) error {
	if f := c.Flags().Lookup("at-most"); f != nil && f.Changed && most < 1 {
		return usage("%s: --at-most %d: a number from 1 on", c.CommandPath(), most)
	}
	return nil
}

func (o *runFlags) checkReport(c *cobra.Command) error {
	switch {
	case o.report == "":
		return nil
	case o.detach:
		return usage("%s: --report needs the end of the run, which --detach does not wait for", c.CommandPath())
	case !slices.Contains(report.Formats, reportFormat(o.report)):
		return usage("%s: --report %s: its ending must be .json, .csv or .xlsx", c.CommandPath(), o.report)
	}
	if st, err := os.Stat(filepath.Dir(o.report)); err != nil || !st.IsDir() {
		return usage("%s: --report %s: there is no such folder", c.CommandPath(), o.report)
	}
	return nil
}

func reportFormat(file string) string {
	return strings.ToLower(strings.TrimPrefix(filepath.Ext(file), "."))
}

// since reads a time with its zone, or an age.
func since(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if age, err := (&api.Selection{OlderThan: text}).Age(); err == nil && age > 0 {
		return now.Add(-age), nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a time with its zone, such as 2026-11-01T00:00:00Z, nor an age, such as 90m or 3d", text)
}

// underWay names the run for which another one is refused.
func (k *comparing) underWay(err error) error {
	no, ok := err.(*refused)
	if !ok || no.Run == nil {
		return err
	}
	return fmt.Errorf("%w: `waybill %s show %d --wait` waits for it, `waybill %s cancel %d` ends it", err, k.verb, no.Run.ID, k.verb, no.Run.ID)
}

// list shows how all stand.
func (k *comparing) list(ctx context.Context) error {
	e := k.e
	var got struct {
		Reconciliations []api.Reconciliation `json:"reconciliations,omitempty"`
		Rules           []api.Rule           `json:"rules,omitempty"`
	}
	if err := e.ask(ctx, http.MethodGet, "/api/v1/"+k.plural, nil, &got); err != nil {
		return err
	}
	switch {
	case e.output == "json":
		return e.json(map[string]any{k.plural: map[bool]any{true: got.Reconciliations, false: got.Rules}[k.kind == state.RunReconciliation]})
	case len(got.Reconciliations)+len(got.Rules) == 0:
		_, err := fmt.Fprintf(e.out, "the hub's files hold no %s\n", k.plural)
		return err
	}
	var below []note
	why := belowWhy(&below, "")
	rows := append(reconciliationRows(got.Reconciliations, why), ruleRows(got.Rules, why)...)
	if err := e.columns(rows); err != nil {
		return err
	}
	e.notes(below)
	return nil
}

// runs lists the runs of a name.
func (k *comparing) runs() *cobra.Command {
	var limit int
	var before int64
	c := &cobra.Command{Use: "runs NAME", Short: "List the runs of a " + k.kind + ", newest first", Args: needs("a NAME"), RunE: do(func(c *cobra.Command, args []string) error {
		if limit < 1 || limit > 1000 {
			return usage("%s: --limit %d: from 1 to 1000", c.CommandPath(), limit)
		}
		path := "/api/v1/" + k.plural + "/" + url.PathEscape(args[0]) + "/runs?limit=" + strconv.Itoa(limit)
		if before > 0 {
			path += "&before=" + num(before)
		}
		var page api.Runs
		if err := k.e.ask(c.Context(), http.MethodGet, path, nil, &page); err != nil {
			return err
		}
		if k.e.output == "json" {
			return k.e.json(page)
		}
		if len(page.Runs) == 0 {
			_, err := fmt.Fprintf(k.e.out, "%s has never run\n", args[0])
			return err
		}
		if err := k.e.columns(runRows(page.Runs)); err != nil {
			return err
		}
		if page.Next > 0 {
			fmt.Fprintf(k.e.out, "\nthere are older ones: add --before %d\n", page.Next)
		}
		return nil
	})}
	c.Flags().IntVar(&limit, "limit", 20, "at most so many")
	c.Flags().Int64Var(&before, "before", 0, "go on below the run of this number")
	return c
}

// cancel asks for the end of a run.
func (k *comparing) cancel() *cobra.Command {
	var why string
	c := &cobra.Command{Use: "cancel RUN", Short: "End a run", Args: needs("the number of a RUN"), RunE: do(func(c *cobra.Command, args []string) error {
		id, err := runID(c, args[0])
		if err != nil {
			return err
		}
		run, err := k.e.cancelRun(c.Context(), id, why)
		if err != nil {
			return err
		}
		if k.e.output == "json" {
			return k.e.json(run)
		}
		if run.State == string(state.RunCancelled) {
			_, err = fmt.Fprintf(k.e.out, "run %d of %s has ended: it was not begun yet\n", id, run.Name)
		} else {
			_, err = fmt.Fprintf(k.e.out, "run %d of %s ends as soon as the hub that works it looks, within seconds\n", id, run.Name)
		}
		return err
	})}
	c.Flags().StringVar(&why, "note", "", "why; it is kept with who asked")
	return c
}

func (e *env) cancelRun(ctx context.Context, id int64, why string) (*api.Run, error) {
	var run api.Run
	return &run, e.ask(ctx, http.MethodPost, "/api/v1/runs/"+num(id)+"/cancel", map[string]string{"note": why}, &run)
}

func runID(c *cobra.Command, text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usage("%s: %q is no run's number", c.CommandPath(), text)
	}
	return id, nil
}

// repair wants a run that repairs what another one has found.
func (k *comparing) repair() *cobra.Command {
	var o runFlags
	var q api.RepairRequest
	c := &cobra.Command{Use: "repair RUN [N]... | --reason R | --all", Short: "Repair what a run has found: some by their numbers, those of a reason, or all",
		Long: `Repair looks at the differences of a run again, and writes those that are still there through the flows. It exits as reconcile does.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("%s: give the number of a RUN", c.CommandPath())
			}
			return nil
		}, RunE: do(func(c *cobra.Command, args []string) error {
			id, err := runID(c, args[0])
			if err != nil {
				return err
			}
			for _, a := range args[1:] {
				n, err := strconv.Atoi(a)
				if err != nil || n < 1 {
					return usage("%s: %q is no difference's number", c.CommandPath(), a)
				}
				q.Numbers = append(q.Numbers, api.Whole(n))
			}
			switch given := len(q.Numbers) + len(q.Reasons); {
			case given == 0 && !q.All:
				return usage("%s: say what is to be repaired: numbers, --reason or --all", c.CommandPath())
			case given > 0 && q.All, len(q.Numbers) > 0 && len(q.Reasons) > 0:
				return usage("%s: give numbers, --reason or --all, one of them", c.CommandPath())
			}
			if err := positive(c, q.AtMost); err != nil {
				return err
			}
			if err := o.checkReport(c); err != nil {
				return err
			}
			var run api.Run
			if err := k.e.ask(c.Context(), http.MethodPost, "/api/v1/runs/"+num(id)+"/repair", &q, &run); err != nil {
				return k.underWay(err)
			}
			return k.follow(c.Context(), &run, &o)
		})}
	c.Flags().StringArrayVar(&q.Reasons, "reason", nil, "those of this reason; it may be given several times")
	c.Flags().BoolVar(&q.All, "all", false, "all of its drift")
	repairFlags(c, &q.DryRun, &q.Deletes, &q.AtMost)
	o.flags(c, &q.Note)
	return c
}
