package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/backup"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/store"
)

func (e *env) backupCommand() *cobra.Command {
	var verify, wait, list bool
	c := &cobra.Command{Use: "backup DIR", Short: "Copy the embedded hub while it works; --verify reads a copy through",
		Long: `Backup has the running hub write a copy of its store and of the embedded broker's logs, as they belong together, below the folder
that backup.dir names. DIR is a name there, or its whole path. The copy is written under another name first, and has its own
only when it is whole; the hub goes on meanwhile. Old copies are yours to remove. See docs/backup.md, also for Kafka and PostgreSQL.

It exits 0 when the copy is whole, 1 when it is not (with --verify: when it is not what was written), 3 when no hub answers.`,
		Args: func(c *cobra.Command, args []string) error {
			if list {
				return cobra.NoArgs(c, args)
			}
			return needs("the name of the copy")(c, args)
		},
		RunE: do(func(c *cobra.Command, args []string) error {
			switch {
			case list:
				return e.listBackups(c.Context())
			case verify:
				return e.verifyBackup(c.Context(), args[0])
			}
			var b api.Backup
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/backups", &api.BackupRequest{Name: args[0]}, &b); err != nil {
				return err
			}
			if !wait {
				return e.showBackup(&b)
			}
			return e.awaitBackup(c.Context(), b)
		})}
	f := c.Flags()
	f.BoolVar(&verify, "verify", false, "hold a copy's files against its list of them, without any hub; DIR is its path")
	f.BoolVar(&wait, "wait", true, "wait until the copy is whole, and show how far it is")
	f.BoolVar(&list, "list", false, "list the copies that the hub knows of")
	return c
}

// awaitBackup shows how far the hub is until it is done.
func (e *env) awaitBackup(ctx context.Context, b api.Backup) error {
	shown := time.Now() // a copy that is soon whole needs no telling
	for b.State == api.BackupRunning {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
		var all api.Backups
		if err := e.ask(ctx, http.MethodGet, "/api/v1/backups", nil, &all); err != nil {
			return err
		}
		if all.Last == nil || all.Last.ID != b.ID {
			return errors.New("the hub was started anew while it wrote the copy: there is none; begin again")
		}
		if b = *all.Last; time.Since(shown) > 2*time.Second && b.State == api.BackupRunning && e.output == "text" {
			shown = time.Now()
			fmt.Fprintf(e.err, "%s: %s of %s\n", b.Step, mib(b.Copied), mib(b.All))
		}
	}
	return e.showBackup(&b)
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func (e *env) showBackup(b *api.Backup) error {
	if e.output == "json" {
		if err := e.json(b); err != nil {
			return err
		}
	}
	switch {
	case b.State == api.BackupFailed:
		return fmt.Errorf("%s was not written: %s", b.Path, b.Error)
	case e.output == "json":
	case b.State == api.BackupRunning:
		fmt.Fprintf(e.out, "%s is being written; waybill backup --list tells when it is whole\n", b.Path)
	default:
		fmt.Fprintf(e.out, "%s is whole: %s, as of %s\n", b.Path, mib(b.Copied), b.AsOf.Local().Format(time.DateTime))
	}
	return nil
}

func (e *env) listBackups(ctx context.Context) error {
	var all api.Backups
	if err := e.ask(ctx, http.MethodGet, "/api/v1/backups", nil, &all); err != nil {
		return err
	}
	if e.output == "json" {
		return e.json(all)
	}
	rows := [][]string{{"COPY", "AS OF", "SIZE", "PATH"}}
	for _, b := range all.Copies {
		rows = append(rows, []string{b.Name, b.AsOf.Local().Format(time.DateTime), mib(b.Copied), b.Path})
	}
	if len(rows) == 1 {
		fmt.Fprintln(e.out, "no copies")
		return nil
	}
	return e.columns(rows)
}

// verified holds a copy against its list and reads its store through.
func verified(ctx context.Context, dir string) (*backup.Manifest, error) {
	m, err := backup.Verify(ctx, dir)
	if err != nil {
		return nil, err
	}
	return m, store.CheckCopy(ctx, filepath.Join(dir, backup.StoreFile))
}

func (e *env) verifyBackup(ctx context.Context, dir string) error {
	m, err := verified(ctx, dir)
	if err != nil {
		return err
	}
	if e.output == "json" {
		return e.json(m)
	}
	fmt.Fprintf(e.out, "%s is what was copied: %d files, %s, as of %s\n", dir, len(m.Files), mib(m.Size()), m.AsOf.Local().Format(time.DateTime))
	return nil
}

func (e *env) restoreCommand() *cobra.Command {
	var file string
	var replace bool
	c := &cobra.Command{Use: "restore DIR", Short: "Put a copy of the embedded hub in its place, for the hub to be started on",
		Long: `Restore verifies a copy that waybill backup has written, and puts it where the configuration says that the hub's data is. No hub may
be at work there: it is refused then. Data that lies there is left alone, or with --replace moved aside. The hub notices at its
next start that it runs on a copy, and looks up what it may have created since: see docs/backup.md.`,
		Args: needs("the path of the copy"), RunE: do(func(c *cobra.Command, args []string) error {
			to, err := e.place(file)
			if err != nil {
				return err
			}
			m, err := verified(c.Context(), args[0])
			if err != nil {
				return err
			}
			if err := restore(c.Context(), args[0], m, to, replace); err != nil {
				return err
			}
			if e.output == "json" {
				return e.json(m)
			}
			fmt.Fprintf(e.out, "%s and %s are as of %s; start the hub, and see waybill status\n", to.Store, to.Broker, m.AsOf.Local().Format(time.DateTime))
			return nil
		})}
	c.Flags().StringVarP(&file, "config", "c", "configs/waybill.yaml", "the configuration file")
	c.Flags().BoolVar(&replace, "replace", false, "move data that lies there aside, to names that end in .before- and the time")
	return c
}

// place is where the configured hub keeps its data.
func (e *env) place(file string) (to backup.Place, err error) {
	plan, err := e.configured(file)
	if err != nil {
		return to, err
	}
	if plan.Hub.Broker.Embedded == nil || plan.Hub.Store.SQLite == nil {
		return to, errors.New("restore puts back the embedded broker and SQLite alone: for Kafka and PostgreSQL see docs/backup.md")
	}
	return backup.Place{Store: plan.Hub.Store.SQLite.Path, Broker: plan.Hub.Broker.Embedded.Dir}, nil
}

// restore keeps hubs from the place while the copy is put there.
func restore(ctx context.Context, dir string, m *backup.Manifest, to backup.Place, replace bool) (err error) {
	unlock, err := store.LockFile(to.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	lock, err := embedded.LockDir(to.Broker)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	aside := ""
	if replace {
		aside = time.Now().UTC().Format("20060102T150405Z")
	}
	err = backup.Restore(ctx, dir, m, to, aside)
	if errors.Is(err, backup.ErrData) {
		return fmt.Errorf("%w: move it away, or give --replace to have that done", err)
	}
	return err
}
