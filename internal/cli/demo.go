package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/app"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/sandbox"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/telemetry"
)

type demo struct {
	*env
	lasts    time.Duration
	chaos    bool
	rate     float64
	report   string
	listen   string
	data     string
	seed     int64
	logLevel string
	restless bool   // not everything came to rest
	drift    int64  // differences that are left
	shown    string // the figures that were shown last
}

func (e *env) demoCommand() *cobra.Command {
	d := demo{env: e}
	c := &cobra.Command{Use: "demo", Short: "Run the whole hub with three sandbox systems and live traffic; exits 1 if anything is unaccounted or duplicated",
		Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) error {
			if d.lasts < 0 || d.rate < 0 {
				return usage("--for and --rate must not be negative")
			}
			return d.run(c.Context())
		})}
	f := c.Flags()
	f.DurationVar(&d.lasts, "for", 0, "how long the systems make traffic; 0: until interrupted")
	f.BoolVar(&d.chaos, "chaos", false, "systems that fail, answer late, push twice and in the wrong order, and drop bad files")
	f.Float64Var(&d.rate, "rate", 0, "business actions a second (0: the sandbox's default)")
	f.StringVar(&d.report, "report", "", "write the final status as JSON to this file")
	f.StringVar(&d.listen, "listen", "127.0.0.1:0", "where the console and API listen")
	f.StringVar(&d.data, "data", "", "keep everything in this directory (default: a temporary one)")
	f.Int64Var(&d.seed, "seed", 1, "makes names, numbers and chaos repeatable")
	f.StringVar(&d.logLevel, "log-level", "error", "of the hub's log on standard error")
	return c
}

// demoEnv answers for the references of the shipped configuration: the sandbox's own, then the process's.
type demoEnv map[string]string

func (d demoEnv) Env(name string) (string, bool) {
	if v, ok := d[name]; ok {
		return v, true
	}
	return os.LookupEnv(name)
}

func (demoEnv) File(path string) ([]byte, error) {
	return strictyaml.ReadPath(path, strictyaml.MaxFile)
}

func (d *demo) run(ctx context.Context) (err error) {
	log, err := telemetry.NewLogger(d.err, "text", d.logLevel)
	if err != nil {
		return usage("%w", err)
	}
	if d.report != "" { // found out now, not after the whole run
		f, err := os.OpenFile(d.report, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("--report: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
	}
	dir := d.data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "waybill-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	o := sandbox.Options{Dir: filepath.Join(dir, "sandbox"), Seed: d.seed, Rate: d.rate, Log: log, Hold: true}
	if d.chaos {
		o.Chaos = sandbox.Wicked()
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	fmt.Fprintln(d.out, "starting three sandbox systems and the hub …")
	// The systems end after the hub: they are the outside world.
	world, err := sandbox.StartAll(context.WithoutCancel(ctx), o)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	hub, err := d.startHub(ctx, world, dir, log)
	if err != nil {
		return err
	}
	world.SetHookURL("http://" + hub.HooksAddr() + "/hooks")
	world.Resume()
	fmt.Fprintf(d.out, "console: http://%s/\n", hub.Addr())
	status, parked, ferr := d.traffic(ctx, world, hub)
	if serr := stopHub(hub, log, 0); serr != nil {
		ferr = errors.Join(ferr, serr)
	}
	if ferr != nil {
		return ferr
	}
	return d.finish(status, parked)
}

func (d *demo) startHub(ctx context.Context, world *sandbox.World, dir string, log *slog.Logger) (*app.Hub, error) {
	plan, kinds, err := d.load(shipped(), demoEnv(world.Env()), log)
	if err != nil {
		return nil, err
	}
	// The shipped flows and systems, with a place and addresses of the demo's own.
	plan.Hub = config.Hub{
		Documents: plan.Hub.Documents,
		Broker:    config.Broker{Embedded: &config.EmbeddedBroker{Dir: filepath.Join(dir, "broker")}, Partitions: plan.Hub.Broker.Partitions},
		Store:     config.Store{SQLite: &config.SQLite{Path: filepath.Join(dir, "waybill.db")}},
		HTTP:      config.HTTP{Listen: d.listen},
		Hooks:     plan.Hub.Hooks,
	}
	plan.Hub.Hooks.Listen = "127.0.0.1:0"
	hurry(plan)
	hub, err := app.New(app.Options{Plan: plan, Kinds: kinds, Log: log, Version: Version()})
	if err != nil {
		return nil, err
	}
	if err := hub.Start(ctx); err != nil {
		return nil, err
	}
	return hub, nil
}

// traffic shows the figures every second while the systems work, then lets everything come to rest.
func (d *demo) traffic(ctx context.Context, world *sandbox.World, hub *app.Hub) (*api.Status, []state.Queued, error) {
	work := ctx
	if d.lasts > 0 {
		var cancel context.CancelFunc
		work, cancel = context.WithTimeout(ctx, d.lasts)
		defer cancel()
	}
	drifting := lifecycle.NewBackground(work)
	drifting.Go(func(ctx context.Context) error { d.drifting(ctx, world, hub); return nil })
	if err := d.watch(work, hub, "working"); err != nil {
		return nil, nil, errors.Join(err, drifting.Stop(context.Background(), nil))
	}
	if err := drifting.Wait(); err != nil {
		return nil, nil, err
	}
	world.Quiesce()
	// An interrupted demo still settles and reports: that is what it is for.
	rest := context.WithoutCancel(ctx)
	if ctx.Err() != nil {
		fmt.Fprintln(d.out, "interrupted: letting everything come to rest; interrupt again to end at once")
		again, stop := signal.NotifyContext(rest, os.Interrupt, syscall.SIGTERM)
		defer stop()
		rest = again
	}
	if err := d.settle(rest, world, hub); err != nil {
		return nil, nil, err
	}
	if !d.restless {
		d.agree(rest, hub)
		if err := d.settle(rest, world, hub); err != nil { // repairs are traffic, too
			return nil, nil, err
		}
	}
	rest = context.WithoutCancel(rest)
	status, err := patiently(rest, d.out, hub.Status)
	if err != nil {
		return nil, nil, err
	}
	parked, err := hub.Queued(rest, state.QueueFilter{Heads: true, Limit: 1000})
	return status, parked, err
}

func (d *demo) watch(ctx context.Context, hub *app.Hub, what string) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			st, err := patiently(ctx, d.out, hub.Status)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			d.line(what, st)
		}
	}
}

// busyFor is how long a hub that is too busy to tell its figures is asked again.
const busyFor = 30 * time.Second

// patiently asks a hub for its figures. A machine that has too little for the traffic answers late, which is no reason to give up.
func patiently(ctx context.Context, out io.Writer, ask func(context.Context) (*api.Status, error)) (*api.Status, error) {
	for began := time.Now(); ; {
		st, err := ask(ctx)
		if err == nil || ctx.Err() != nil || time.Since(began) >= busyFor {
			return st, err
		}
		fmt.Fprintf(out, "the hub is too busy to tell its figures, and is asked again: %v\n", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// line shows the figures, unless they are those that were shown last.
func (d *demo) line(what string, st *api.Status) {
	t := &st.Totals
	figures := fmt.Sprintf("%s  accepted %d  delivered %d  skipped %d  in flight %d  waiting %d  parked %d  retried %d  unaccounted %d",
		what, t.Accepted, t.Delivered, t.Skipped, t.InFlight, t.Waiting, t.Parked, t.Retried, t.Unaccounted)
	if figures == d.shown {
		return
	}
	d.shown = figures
	fmt.Fprintf(d.out, "%s %s\n", st.Time.Format("15:04:05"), figures)
}

// settle waits until neither the systems nor the hub have anything left to do: the figures stand still for a while. What a
// system still has to do may depend on a message that is parked; then only the hub's figures count, and for longer.
func (d *demo) settle(ctx context.Context, world *sandbox.World, hub *app.Hub) error {
	const still, stuck, longest = 4 * time.Second, 15 * time.Second, 2 * time.Minute
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began := time.Now()
	var last api.Totals
	since := began // when the figures moved last
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("ended before everything came to rest")
		}
		st, err := patiently(ctx, d.out, hub.Status)
		if err != nil {
			return err
		}
		d.line("settling", st)
		if !st.AtRest() || st.Totals.Accepted != last.Accepted {
			since = time.Now()
		}
		last = st.Totals
		pending := world.Pending()
		quiet := time.Since(since)
		if quiet >= stuck || quiet >= still && !busy(pending) {
			if busy(pending) {
				fmt.Fprintf(d.out, "the systems still have work that nothing brings them: %v\n", pending)
			}
			return nil
		}
		if time.Since(began) > longest {
			d.restless = true
			fmt.Fprintf(d.out, "not everything came to rest in time; pending in the systems: %v\n", pending)
			return nil
		}
	}
}

func busy(pending map[string]int) bool {
	for _, n := range pending {
		if n > 0 {
			return true
		}
	}
	return false
}

// demoReport is the final status with what waits for a person.
type demoReport struct {
	*api.Status
	Parked []demoParked `json:"parked"`
}

type demoParked struct {
	Flow   string `json:"flow"`
	Key    string `json:"key"`
	State  string `json:"state"`
	Kind   string `json:"kind"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

func (d *demo) finish(st *api.Status, parked []state.Queued) error {
	r := demoReport{Status: st, Parked: []demoParked{}}
	for i := range parked {
		q := &parked[i]
		r.Parked = append(r.Parked, demoParked{Flow: q.Flow, Key: q.Event.Key, State: string(q.State), Kind: q.Kind, Code: q.Code, Reason: q.Reason})
	}
	if d.report != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(d.report, append(data, '\n'), 0o644); err != nil {
			return err
		}
	}
	if d.output == "json" {
		if err := d.json(r); err != nil {
			return err
		}
	} else if err := d.showStatus(st); err != nil {
		return err
	}
	t := &st.Totals
	if t.Unaccounted != 0 || t.Duplicates != 0 {
		return fmt.Errorf("%d messages are unaccounted for, %d target objects are doubled", t.Unaccounted, t.Duplicates)
	}
	if t.Accepted == 0 {
		return errors.New("nothing was moved")
	}
	if d.drift > 0 {
		fmt.Fprintf(d.out, "%d differences are left: a person decides about them\n", d.drift)
	}
	if d.restless {
		return fmt.Errorf("%d messages are still in flight: nothing is lost, but this machine was too busy for the traffic; try a smaller --rate", t.InFlight)
	}
	fmt.Fprintf(d.err, "moved %d messages: nothing lost, nothing doubled\n", t.Accepted)
	return nil
}
