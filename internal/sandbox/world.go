package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	if w.erp, err = startERP(ctx, o); err != nil {
		return nil, err
	}
	if w.wms, err = startWMS(o); err != nil {
		return nil, err
	}
	if w.crm, err = startCRM(o); err != nil {
		return nil, err
	}
	return w, nil
}

// Close stops everything; state and logs stay.
func (w *World) Close() error {
	var errs []error
	if w.crm != nil {
		errs = append(errs, w.crm.close())
	}
	if w.wms != nil {
		errs = append(errs, w.wms.close())
	}
	if w.erp != nil {
		errs = append(errs, w.erp.close())
	}
	w.crm, w.wms, w.erp = nil, nil, nil
	return errors.Join(errs...)
}

// Env is how the hub's configuration finds the systems: see the Env constants.
func (w *World) Env() map[string]string {
	return map[string]string{
		EnvCRMURL: w.crm.end.url, EnvCRMToken: crmToken(w.o.Seed), EnvCRMTokenURL: w.crm.end.url + "/oauth/token",
		EnvCRMClientID: crmClientID(w.o.Seed), EnvCRMClientSecret: crmClientSecret(w.o.Seed), EnvCRMHookSecret: w.o.HookSecret,
		EnvERPDB: w.o.ERPPath, EnvERPControl: w.erp.end.url,
		EnvWMSURL: w.wms.end.url, EnvWMSToken: wmsToken(w.o.Seed), EnvWMSDrop: w.o.DropDir,
	}
}

// SetHookURL says where the CRM pushes from now on, also what it has not got rid of yet.
func (w *World) SetHookURL(url string) { w.crm.out.target(url) }

// SetChaos switches the chaos of one system.
func (w *World) SetChaos(system string, c Chaos) error {
	m := map[string]*imp{CRM: w.crm.imp, ERP: w.erp.imp, WMS: w.wms.imp}[system]
	if m == nil {
		return fmt.Errorf("sandbox: no system %q", system)
	}
	m.Set(c)
	return nil
}

func (w *World) all() []*traffic { return []*traffic{w.crm.traffic, w.erp.traffic, w.wms.traffic} }

// Quiesce stops new business; what follows from business that is there goes on: confirming, shipping, invoicing, paying.
func (w *World) Quiesce() {
	for _, t := range w.all() {
		t.set(false, true)
	}
}

// Resume starts business again.
func (w *World) Resume() {
	for _, t := range w.all() {
		t.set(true, true)
	}
}

// Freeze stops all that moves by itself, except webhooks that are still to be sent.
func (w *World) Freeze() {
	for _, t := range w.all() {
		t.set(false, false)
	}
}

// Pending counts what the systems still have to do about what they know: webhooks nobody has accepted, orders to confirm,
// ship, invoice or to be paid, files to be dropped or taken. Names are system.what; what is done is left out.
func (w *World) Pending() map[string]int {
	out := map[string]int{}
	for system, p := range map[string]func() map[string]int{CRM: w.crm.pending, ERP: w.erp.pending, WMS: w.wms.pending} {
		for what, n := range p() {
			if n > 0 {
				out[system+"."+what] = n
			}
		}
	}
	return out
}

// Settled waits until nothing is pending and has not been for the length of quiet, because the hub may hand the next
// system something to do. It gives what is pending when ctx ends.
func (w *World) Settled(ctx context.Context, quiet time.Duration) (map[string]int, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var since time.Time
	for {
		p := w.Pending()
		switch now := time.Now(); {
		case len(p) > 0:
			since = time.Time{}
		case since.IsZero():
			since = now
		case now.Sub(since) >= quiet:
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return p, ctx.Err()
		case <-tick.C:
		}
	}
}

// Snapshot reads every object of every system. Systems go on meanwhile: Freeze first for a picture of one moment.
func (w *World) Snapshot() (Snapshot, error) {
	erpObjects, err := readERP(context.Background(), w.erp.ro)
	if err != nil {
		return nil, err
	}
	return Snapshot{CRM: w.crm.objects(), ERP: erpObjects, WMS: w.wms.objects()}, nil
}

// Logs reads a system's log from the beginning, up to now.
func (w *World) Logs(system string) iter.Seq2[Entry, error] {
	if system == ERP {
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
