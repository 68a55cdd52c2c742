package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/app"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/filemode"
	"github.com/waybill-hub/waybill/internal/sdnotify"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/telemetry"
)

// stopTimeout bounds an orderly stop.
const stopTimeout = 45 * time.Second

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (e *env) runCommand() *cobra.Command {
	var file, format, level string
	var prof profile
	c := &cobra.Command{Use: "run -c FILE", Short: "Run the hub", Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) (err error) {
		stopProfile, err := prof.start()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stopProfile()) }()
		log, err := telemetry.NewLogger(e.err, format, level)
		if err != nil {
			return usage("%w", err)
		}
		if _, err := os.Stat(file); err != nil {
			var pe *fs.PathError
			if errors.As(err, &pe) {
				err = pe.Err // the file is named already
			}
			return usage("the configuration %s cannot be read: %w: give it with -c; waybill init makes a project", file, err)
		}
		filemode.Private()
		// From the beginning: a signal that comes while the hub starts must not end it.
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		paths := config.DefaultPaths(file)
		plan, kinds, err := e.load(paths, nil, log)
		if err != nil {
			return err
		}
		manager, err := sdnotify.FromEnvironment()
		if err != nil {
			return err
		}
		again := func() (*config.Plan, *strictyaml.Problems) { return config.Load(paths, planOptions(kinds, nil, log)) }
		hub, err := app.New(app.Options{Plan: plan, Load: again, Kinds: kinds, Log: log, Version: Version()})
		if err != nil {
			return err
		}
		if err := hub.Start(c.Context()); err != nil {
			return err
		}
		fmt.Fprintf(e.out, "waybill runs %d flows; console %s, webhooks %s/hooks/\n", len(plan.Flows), hub.URL(), hub.HooksURL())
		tell(log, manager.Ready(fmt.Sprintf("%d flows; console %s", len(plan.Flows), hub.URL())))
		go manager.Watch(context.WithoutCancel(c.Context()), hub.Alive) // also while it stops
		reloads := reloadOn(c.Context(), hangup, hub, manager, log)
		<-c.Context().Done()
		tell(log, manager.Stopping())
		return errors.Join(stopHub(hub, log, plan.Hub.Hooks.Leave), <-reloads)
	})}
	f := c.Flags()
	f.StringVarP(&file, "config", "c", "configs/waybill.yaml", "the configuration")
	f.StringVar(&format, "log-format", "text", "text or json")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	prof.flags(c)
	return c
}

// reloadOn reloads whenever the signal comes, until ctx ends; the channel is closed when none is under way any more. How each went
// stands in the log.
func reloadOn(ctx context.Context, hangup <-chan os.Signal, hub *app.Hub, manager *sdnotify.Notifier, log *slog.Logger) <-chan error {
	done := make(chan error)
	go func() {
		defer close(done)
		for {
			select {
			case <-hangup:
				tell(log, manager.Reloading())
				status := "the files were loaded again"
				if _, err := hub.Reload(ctx, "SIGHUP"); err != nil {
					status = "the hub goes on as before: " + err.Error()
				}
				tell(log, manager.Ready(status))
			case <-ctx.Done():
				return
			}
		}
	}()
	return done
}

// tell logs that the service manager could not be told something: the hub works all the same.
func tell(log *slog.Logger, err error) {
	if err != nil {
		log.Warn("the service manager does not hear", "error", err)
	}
}

// stopHub stops a hub that still takes webhooks for a while, for others to notice.
func stopHub(hub *app.Hub, log *slog.Logger, leave time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout+leave)
	defer cancel()
	log.Info("stopping")
	if err := hub.Stop(ctx); err != nil {
		return fmt.Errorf("not everything stopped in order; what had no fate yet is decided after the next start: %w", err)
	}
	return nil
}
