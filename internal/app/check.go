package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/kafkaauth"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/reconcile"
	"github.com/waybill-hub/waybill/internal/reconcile/rules"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// CheckOptions say how a plan is looked at.
type CheckOptions struct {
	Kinds *connector.Registry
	// Elsewhere: the files are for another machine, so that what they ask of this one (folders, certificates, addresses to listen on) are notes.
	Elsewhere bool
}

// Check builds what Start builds, as far as that can be without opening anything: no file is made or locked, no port taken, nobody called. What
// Start would refuse goes to p, with its place in the configuration. What depends on a reference that is not set here is left out.
func Check(ctx context.Context, plan *config.Plan, o CheckOptions, p *strictyaml.Problems) {
	c := &checker{plan: plan, o: o, p: p}
	c.store()
	c.broker()
	c.backups()
	c.systems(ctx)
	c.listen("http", plan.Hub.HTTP.Listen)
	c.listen("hooks", plan.Hub.Hooks.Listen)
	c.certificate("http", plan.Hub.HTTP.TLS)
	c.certificate("hooks", plan.Hub.Hooks.TLS)
	c.personal()
}

// personal notes where the results of runs will show no values: personal data is marked, and of some documents nobody knows what of them is.
func (c *checker) personal() {
	if !privacy.Of(c.plan).Marks() {
		return
	}
	const hint = "leave map out, so that the mapping of the flow that reads them counts, or write through; ids and keys are shown all the same"
	for _, r := range c.plan.Reconciliations {
		if why := reconcile.MaskedWhole(r, c.plan); why != "" {
			c.p.Note(r.Pos, hint, "schemas mark personal data (x-pii), and %s: nobody knows what of them is personal, and in what a run keeps every value of a document is ***", why)
		}
	}
	for _, r := range c.plan.Rules {
		if lists := rules.MaskedWhole(r, c.plan); len(lists) > 0 {
			c.p.Note(r.Pos, hint, "schemas mark personal data (x-pii), and no flow reads %s as the rule does: nobody knows what of them is personal, and in what a run keeps every value of theirs is ***", strings.Join(lists, ", "))
		}
	}
}

type checker struct {
	plan *config.Plan
	o    CheckOptions
	p    *strictyaml.Problems
}

// here tells what this machine lacks.
func (c *checker) here(at strictyaml.Pos, hint, format string, args ...any) {
	if c.o.Elsewhere {
		c.p.Note(at, hint, format, args...)
		return
	}
	c.p.AddHint(at, hint, format, args...)
}

const userHint = "run check as the user that runs the hub, or with --elsewhere where the files are for another machine"

func (c *checker) store() {
	if pg := c.plan.Hub.Store.Postgres; pg != nil {
		if len(c.plan.Absent("store", "postgres", "url")) > 0 {
			return
		}
		if err := store.CheckPostgres(pg.URL.Reveal()); err != nil {
			c.p.AddHint(c.plan.Place("store", "postgres", "url"), "write postgres://user:password@host:5432/database into it", "url: %s", err)
		}
		return
	}
	if s := c.plan.Hub.Store.SQLite; s != nil && len(c.plan.Absent("store")) == 0 {
		at := c.plan.Place("store", "sqlite", "path")
		switch info, err := os.Stat(s.Path); {
		case s.Path == "" || strings.HasSuffix(s.Path, "/"):
			c.p.AddHint(at, "write for example data/waybill.db", "path: %q is no file", s.Path)
			return
		case err == nil && info.IsDir():
			c.here(at, "name a file in it: "+filepath.Join(s.Path, "waybill.db"), "path: %s is a directory", s.Path)
			return
		case err == nil && syscall.Access(s.Path, mayRead|mayWrite) != nil:
			c.here(at, userHint, "path: %s cannot be read and written by this user", s.Path)
			return
		}
		if err := makeable(filepath.Dir(s.Path)); err != nil {
			c.here(at, userHint, "path: the directory of %s: %s", s.Path, err)
		}
	}
}

// backups looks at the folder that copies are written below. The hub runs without it, so that it is a note; but when a copy is wanted it is late to learn
// that there can be none.
func (c *checker) backups() {
	dir := c.plan.Hub.Backup.Dir
	if dir == "" {
		return
	}
	if err := makeable(dir); err != nil {
		c.p.Note(c.plan.Place("backup", "dir"), userHint, "dir: %s: %s", dir, err)
	}
}

func (c *checker) broker() {
	b := c.plan.Hub.Broker
	if len(c.plan.Absent("broker")) > 0 {
		return
	}
	if e := b.Embedded; e != nil {
		at := c.plan.Place("broker", "embedded", "dir")
		if e.Dir == "" {
			c.p.AddHint(at, "write for example data/broker", "dir: no directory is named")
		} else if err := makeable(e.Dir); err != nil {
			c.here(at, userHint, "dir: %s: %s", e.Dir, err)
		}
		return
	}
	if _, err := b.Kafka.TLS.Config(); err != nil {
		at := c.plan.Place("broker", "kafka", "tls")
		if e := (*kafkaauth.Error)(nil); errors.As(err, &e) && e.Key != "" {
			at = c.plan.Place("broker", "kafka", "tls", e.Key)
		}
		c.here(at, "relative paths start at the directory of the configuration file", "broker.kafka.%s", err)
	}
}

// systems opens every system, which makes no connection, and the sources of their flows.
func (c *checker) systems(ctx context.Context) {
	open := map[string]connector.System{}
	for _, name := range sortedKeys(c.plan.Systems) {
		s := c.plan.Systems[name]
		kind, ok := c.o.Kinds.Get(s.Kind)
		if !ok || len(s.Settings.Node.Absent()) > 0 {
			continue
		}
		settings := s.Settings
		settings.Log = slog.New(slog.DiscardHandler)
		sys, err := kind.Open(ctx, settings)
		if err != nil {
			c.unopened(s, err)
			continue
		}
		open[name] = sys
		if k, ok := kind.(connector.Surveyor); ok {
			for _, f := range k.Survey(settings) {
				c.p.Note(f.Pos, f.Hint, "%s", f.Text) // a share that is not mounted may be by the time it is needed
			}
		}
	}
	defer func() {
		for _, s := range open {
			_ = s.Close() // nothing was done with it
		}
	}()
	for _, f := range c.plan.Flows {
		if open[f.From.System] == nil {
			continue
		}
		one := *c.plan
		one.Flows = []*config.Flow{f}
		if _, err := intake.FromPlan(&one, open, nil); err != nil {
			c.p.Add(f.Pos, "%s", strings.TrimPrefix(err.Error(), f.Pos.String()+": "))
		}
	}
}

// unopened tells why a system cannot be opened. What its own Check found has been told; the rest is a file of this machine, or a setting
// that only building shows to be wrong.
func (c *checker) unopened(s *config.System, err error) {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		c.here(s.Pos, "relative paths start at the directory of the configuration file", "system %s: %s", s.Name, err)
		return
	}
	c.p.Add(s.Pos, "system %s: %s", s.Name, err)
}

// certificate complains of a listener's files that this machine lacks: a stand-in was taken for them. What they hold was looked at when they were read.
func (c *checker) certificate(key string, t *config.ServerTLS) {
	if t == nil {
		return
	}
	for _, f := range []struct{ name, path string }{{"cert", t.Cert}, {"key", t.Key}} {
		file, err := os.Open(f.path)
		if err == nil {
			_ = file.Close()
			continue
		}
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			err = pe.Err
		}
		c.here(c.plan.Place(key, "tls", f.name), "relative paths start at the directory of the configuration file; --elsewhere where the files are for another machine",
			"%s: the file %s cannot be read: %v", f.name, f.path, err)
	}
}

// listen complains of an address that no interface of this machine has.
func (c *checker) listen(key, address string) {
	if len(c.plan.Absent(key, "listen")) > 0 {
		return
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return // told
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsUnspecified() || ip.IsLoopback() {
		return
	}
	own, err := net.InterfaceAddrs()
	if err != nil || slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(net.IP(ip.AsSlice()))
	}) {
		return
	}
	c.here(c.plan.Place(key, "listen"), "listen on 0.0.0.0, or on an address that the machine has; --elsewhere where the files are for another machine",
		"listen: this machine has no address %s", host)
}

const (
	maySearch = 1
	mayWrite  = 2
	mayRead   = 4
)

// makeable says why a directory cannot be made, or written to where it is there. Nothing is made.
func makeable(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if link, lerr := os.Lstat(at); lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
				return fmt.Errorf("%s is a link that leads nowhere", at)
			}
			if filepath.Dir(at) != at {
				continue
			}
			return err
		case errors.Is(err, syscall.ENOTDIR):
			continue // the file above it is told
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is no directory", at)
		}
		if err := syscall.Access(at, mayWrite|maySearch); err != nil {
			return fmt.Errorf("%s cannot be written to by this user: %w", at, err)
		}
		return nil
	}
}
