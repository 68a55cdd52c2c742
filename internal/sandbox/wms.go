package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// wms is the warehouse: it takes orders to ship and products, ships after a while, and drops files.
type wms struct {
	o       Options
	m       *remote
	imp     *imp
	end     *endpoint
	traffic *traffic

	mu       sync.Mutex
	sequence int64            // of the last stock movement
	dirty    map[string]bool  // stock rows that no file holds yet
	latest   map[string]int64 // stock row → its sequence
	open     map[string]bool  // shipment orders with something left to ship
	unfiled  []string         // shipments that no confirmation file holds yet
	files    int64            // files dropped
	beats    int64
	counted  int // products that were looked at for their first stock
}

func wmsDialect() *dialect {
	return &dialect{
		system: WMS, prefix: "/v1/", id: "id", ext: "externalId", created: "createdAt", stamp: "updatedAt", counts: "version",
		newID:    func(s *spec, n int) string { return fmt.Sprintf("%s%08d", s.Prefix, n) },
		decorate: func(*dialect, *spec, string, map[string]any) {},
		fail: func(e *apiError) any {
			one := map[string]any{"code": strings.ToLower(e.code), "message": e.msg}
			if e.field != "" {
				one["field"] = e.field
			}
			if e.id != "" {
				one["id"] = e.id
			}
			return map[string]any{"error": one}
		},
	}
}

func startWMS(o Options) (_ *wms, err error) {
	w := &wms{o: o, m: newRemote(wmsDialect(), wmsSpecs), imp: newImp(o.Seed, WMS, o.chaos(WMS)), dirty: map[string]bool{}, latest: map[string]int64{}, open: map[string]bool{}}
	w.m.tables["shipment-orders"].spec = withStatus(w.m.tables["shipment-orders"].spec)
	w.m.changed = w.changed
	for _, d := range []string{"stock", "shipments"} {
		if err := os.MkdirAll(filepath.Join(o.DropDir, d), 0o755); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(o.Dir, "wms.log.jsonl")
	if err := w.m.open(path); err != nil {
		return nil, err
	}
	if err := w.filed(path); err != nil {
		return nil, errors.Join(err, w.m.journal.Close())
	}
	mux := http.NewServeMux()
	a := &api{m: w.m, imp: w.imp, allow: func(t string) bool { return same(t, wmsToken(o.Seed)) }, idempotency: o.Idempotency, sinceParam: "updatedSince",
		page: func(items []json.RawMessage, next string, done bool, total int) any {
			out := map[string]any{"items": items, "more": !done, "count": total, "next": nil}
			if next != "" {
				out["next"] = next
			}
			return out
		}}
	a.routes(mux)
	w.traffic = newTraffic(o, WMS, .35, w.act, w.live)
	w.traffic.first = w.sequence
	control{system: WMS, imp: w.imp, traffic: w.traffic, pending: w.pending, objects: w.objects}.routes(mux)
	if w.end, err = serve(o.ListenWMS, mux); err != nil {
		return nil, errors.Join(err, w.m.journal.Close())
	}
	if len(w.m.tables["stock"].ids) == 0 {
		if err := w.seed(); err != nil {
			return nil, errors.Join(err, w.end.Close(), w.m.journal.Close())
		}
	}
	w.traffic.start()
	return w, nil
}

// withStatus gives new shipment orders their first status.
func withStatus(s *spec) *spec {
	c := *s
	c.compute = func(doc map[string]any) {
		if doc["status"] == nil {
			doc["status"] = "received"
		}
	}
	return &c
}

func (w *wms) close() error {
	w.traffic.close()
	return errors.Join(w.end.Close(), w.m.journal.Close())
}

func (w *wms) objects() map[string][]Object { return w.m.objects(wmsEntities) }

// changed keeps the lists of what is left to do. It is called under the remote's lock.
func (w *wms) changed(_ *Entry, _ int, r *row, s *spec, _ time.Duration) {
	doc, err := decode(r.raw)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s.Name {
	case "stock":
		n, _ := strconv.ParseInt(text(doc["sequence"]), 10, 64)
		w.sequence = max(w.sequence, n)
		w.dirty[r.id], w.latest[r.id] = true, n
	case "shipment-orders":
		if doc["status"] == "shipped" {
			delete(w.open, r.id)
		} else {
			w.open[r.id] = true
		}
	case "shipments":
		w.unfiled = append(w.unfiled, r.id)
	}
}

// filed finds out from the log what files were dropped: a DROP entry names the folder as its object and, as its id, the
// last sequence or shipment that all files up to then hold.
func (w *wms) filed(path string) error {
	for e, err := range ReadLog(path) {
		if err != nil {
			return err
		}
		if e.Method != "DROP" {
			continue
		}
		w.files++
		switch e.Object {
		case "stock":
			last, _ := strconv.ParseInt(e.ID, 10, 64)
			for id, n := range w.latest {
				if n <= last {
					delete(w.dirty, id)
				}
			}
		case "shipments":
			for i, id := range w.unfiled {
				if id == e.ID {
					w.unfiled = w.unfiled[i+1:]
					break
				}
			}
		}
	}
	return nil
}

// pending is what the warehouse still has to do, and the stock files that nobody has taken yet. Confirmation files do
// not count: they say nothing that the API does not say.
func (w *wms) pending() map[string]int {
	w.mu.Lock()
	out := map[string]int{"stock": len(w.dirty), "shipments": len(w.open), "confirmations": len(w.unfiled)}
	w.mu.Unlock()
	files, _ := filepath.Glob(filepath.Join(w.o.DropDir, "stock", "*.csv"))
	out["files"] = len(files)
	return out
}
