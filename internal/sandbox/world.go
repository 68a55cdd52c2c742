package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"
)

// World is the three systems, running in this process.
type World struct {
	o   Options
	crm *crm
	erp *erp
	wms *wms
}

// StartAll starts the three systems over Options.Dir; what is there from before goes on. ctx bounds the start only: the
// world runs until Close.
func StartAll(ctx context.Context, o Options) (_ *World, err error) {
	o = o.withDefaults()
	if o.Dir == "" {
		return nil, errors.New("sandbox: Options.Dir is needed")
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	w := &World{o: o}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("sandbox: %w", err), w.Close())
		}
	}()
	if o.runs(ERP) {
		if w.erp, err = startERP(ctx, o); err != nil {
			return nil, err
		}
	}
	if o.runs(WMS) {
		if w.wms, err = startWMS(o); err != nil {
			return nil, err
		}
	}
	if o.runs(CRM) {
		if w.crm, err = startCRM(o); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Close stops everything; state and logs stay.
func (w *World) Close() error {
	var errs []error
	for _, p := range w.parts() {
		errs = append(errs, p.close())
	}
	w.crm, w.wms, w.erp = nil, nil, nil
	return errors.Join(errs...)
}

// Env is how the hub's configuration finds the systems: see the Env constants.
func (w *World) Env() map[string]string {
	o := w.o
	if w.crm != nil {
		o.ListenCRM = w.crm.end.addr
	}
	if w.erp != nil {
		o.ListenERP = w.erp.end.addr
	}
	if w.wms != nil {
		o.ListenWMS = w.wms.end.addr
	}
	return Env(o)
}

// Env is the same before anything runs: the addresses must be fixed ones for that.
func Env(o Options) map[string]string {
	o = o.withDefaults()
	crmURL := "http://" + o.ListenCRM
	return map[string]string{
		EnvCRMURL: crmURL, EnvCRMToken: crmToken(o.Seed), EnvCRMTokenURL: crmURL + "/oauth/token",
		EnvCRMClientID: crmClientID(o.Seed), EnvCRMClientSecret: crmClientSecret(o.Seed), EnvCRMHookSecret: o.HookSecret,
		EnvERPDB: o.ERPPath, EnvERPControl: "http://" + o.ListenERP,
		EnvWMSURL: "http://" + o.ListenWMS, EnvWMSToken: wmsToken(o.Seed), EnvWMSDrop: o.DropDir,
	}
}

// SetHookURL says where the CRM pushes from now on, also what it has not got rid of yet.
func (w *World) SetHookURL(url string) {
	if w.crm != nil {
		w.crm.out.target(url)
	}
}

// part is what all systems have.
type part struct {
	name    string
	imp     *imp
	traffic *traffic
	pending func() map[string]int
	close   func() error
}

// parts are the systems that run, in the order in which they stop.
func (w *World) parts() []part {
	var out []part
	if c := w.crm; c != nil {
		out = append(out, part{CRM, c.imp, c.traffic, c.pending, c.close})
	}
	if s := w.wms; s != nil {
		out = append(out, part{WMS, s.imp, s.traffic, s.pending, s.close})
	}
	if e := w.erp; e != nil {
		out = append(out, part{ERP, e.imp, e.traffic, e.pending, e.close})
	}
	return out
}

// SetChaos switches the chaos of one system.
func (w *World) SetChaos(system string, c Chaos) error {
	for _, p := range w.parts() {
		if p.name == system {
			p.imp.Set(c)
			return nil
		}
	}
	return fmt.Errorf("sandbox: no system %q runs here", system)
}

func (w *World) set(acting, living bool) {
	for _, p := range w.parts() {
		p.traffic.set(acting, living)
	}
}

// Quiesce stops new business; what follows from business that is there goes on: confirming, shipping, invoicing, paying.
func (w *World) Quiesce() {
	w.set(false, true)
}

// Resume starts business again.
func (w *World) Resume() {
	w.set(true, true)
}

// Freeze stops all that moves by itself, except webhooks that are still to be sent.
func (w *World) Freeze() {
	w.set(false, false)
}

// Pending counts what the systems still have to do about what they know: webhooks nobody has accepted, orders to confirm,
// ship, invoice or to be paid, files to be dropped or taken. Names are system.what; what is done is left out.
func (w *World) Pending() map[string]int {
	out := map[string]int{}
	for _, p := range w.parts() {
		for what, n := range p.pending() {
			if n > 0 {
				out[p.name+"."+what] = n
			}
		}
	}
	return out
}

// Settled waits until nothing is pending and has not been for the length of quiet, because the hub may hand the next
// system something to do. What but names does not count. It gives what is pending when ctx ends.
func (w *World) Settled(ctx context.Context, quiet time.Duration, but ...string) (map[string]int, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var since time.Time
	for {
		p := w.Pending()
		for _, name := range but {
			delete(p, name)
		}
		switch now := time.Now(); {
		case len(p) > 0:
			since = time.Time{}
		case since.IsZero():
			since = now
		}
		if !since.IsZero() && time.Since(since) >= quiet {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return p, ctx.Err()
		case <-tick.C:
		}
	}
}

// Snapshot reads every object of every system that runs. Systems go on meanwhile: Freeze first for a picture of one moment.
func (w *World) Snapshot() (Snapshot, error) {
	out := Snapshot{}
	if w.crm != nil {
		out[CRM] = w.crm.objects()
	}
	if w.wms != nil {
		out[WMS] = w.wms.objects()
	}
	if w.erp != nil {
		var err error
		if out[ERP], err = readERP(context.Background(), w.erp.ro); err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
	}
	return out, nil
}

// Logs reads a system's log from the beginning, up to now.
func (w *World) Logs(system string) iter.Seq2[Entry, error] {
	if system == ERP && w.erp != nil {
		w.erp.traffic.mu.Lock()
		err := w.erp.export(context.Background())
		w.erp.traffic.mu.Unlock()
		if err != nil {
			return func(yield func(Entry, error) bool) { yield(Entry{}, err) }
		}
	}
	return ReadLog(LogPath(w.o.Dir, system))
}

// LogPath is where a system's log is.
func LogPath(dir, system string) string { return filepath.Join(dir, system+".log.jsonl") }

// Odd lists the documents that were made wicked on purpose.
func (w *World) Odd() ([]Odd, error) {
	return readOdd(w.Logs)
}

// ReadOdd does the same from the logs in dir.
func ReadOdd(dir string) ([]Odd, error) {
	return readOdd(func(system string) iter.Seq2[Entry, error] { return ReadLog(LogPath(dir, system)) })
}

func readOdd(logs func(string) iter.Seq2[Entry, error]) ([]Odd, error) {
	var out []Odd
	for system, entities := range map[string][]entityTable{CRM: crmEntities, ERP: erpEntities, WMS: wmsEntities} {
		var odd []Entry
		for e, err := range logs(system) {
			if errors.Is(err, fs.ErrNotExist) {
				break // it does not run here
			}
			if err != nil {
				return nil, err
			}
			if e.Odd != "" {
				odd = append(odd, e)
			}
		}
		out = append(out, oddKeys(odd, entities)...)
	}
	return out, nil
}

// ReadSnapshot rebuilds the picture from what is on disk: the logs of CRM and WMS, and the ERP's database (Dir/erp.db unless
// erpPath says otherwise). It works while the systems run, and after they were killed.
func ReadSnapshot(ctx context.Context, dir, erpPath string) (Snapshot, error) {
	out := Snapshot{}
	c, m := newRemote(crmDialect(), crmSpecs), newRemote(wmsDialect(), wmsSpecs)
	if err := c.replay(LogPath(dir, CRM)); err != nil {
		return nil, err
	}
	if err := m.replay(LogPath(dir, WMS)); err != nil {
		return nil, err
	}
	out[CRM], out[WMS] = c.objects(crmEntities), m.objects(wmsEntities)
	if erpPath == "" {
		erpPath = filepath.Join(dir, "erp.db")
	}
	db, err := sql.Open("sqlite", erpDSN(erpPath, false))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	out[ERP], err = readERP(ctx, db)
	return out, err
}
