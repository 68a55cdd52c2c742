package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const rowsPerFile = 500

// dropStock drops a file of the levels that moved since the last one.
func (w *wms) dropStock() error {
	w.m.mu.RLock()
	w.mu.Lock()
	type level struct {
		id  string
		seq int64
	}
	levels := make([]level, 0, len(w.dirty))
	for id := range w.dirty {
		levels = append(levels, level{id, w.latest[id]})
	}
	slices.SortFunc(levels, func(a, b level) int { return int(a.seq - b.seq) })
	levels = levels[:min(len(levels), rowsPerFile)]
	rows := make([]*row, len(levels))
	for i, l := range levels {
		rows[i] = w.m.tables["stock"].rows[l.id]
	}
	w.mu.Unlock()
	w.m.mu.RUnlock()
	if len(rows) == 0 {
		return nil
	}
	lines := []string{header(stockColumns)}
	odd := ""
	for i, r := range rows {
		doc, err := decode(r.raw)
		if err != nil {
			return err
		}
		lines = append(lines, csvLine(doc["sku"], doc["warehouse"], doc["name"], doc["location"], doc["onHand"], doc["reserved"], doc["unit"], doc["countedAt"], doc["sequence"]))
		if w.imp.chance(w.imp.Chaos().BadRows, "row") {
			odd = "bad-row"
			lines = append(lines, badRow(levels[i].seq))
		}
	}
	if err := w.drop("stock", lines, strconv.FormatInt(levels[len(levels)-1].seq, 10), odd); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range levels {
		if w.latest[l.id] == l.seq {
			delete(w.dirty, l.id)
		}
	}
	return nil
}

// badRow is a row that nobody can use: too few columns, no number, or half a character.
func badRow(n int64) string {
	switch n % 3 {
	case 0:
		return "99999-00;SHA1"
	case 1:
		return "99999-00;SHA1;?;A-00-00;viele;0;PCE;2026-11-21T00:00:00Z;1"
	}
	return "99999-00;SHA1;\xb0;A-00-00;-;;PCE;gestern;"
}

// dropConfirmations drops a file of the shipments since the last one.
func (w *wms) dropConfirmations() error {
	w.m.mu.RLock()
	w.mu.Lock()
	ids := slices.Clone(w.unfiled[:min(len(w.unfiled), rowsPerFile)])
	rows := make([]*row, len(ids))
	for i, id := range ids {
		rows[i] = w.m.tables["shipments"].rows[id]
	}
	w.mu.Unlock()
	w.m.mu.RUnlock()
	if len(ids) == 0 {
		return nil
	}
	lines := []string{header(confirmationColumns)}
	for _, r := range rows {
		d, err := decode(r.raw)
		if err != nil {
			return err
		}
		final := "N"
		if d["final"] == true {
			final = "Y"
		}
		lines = append(lines, csvLine(d["shipmentNumber"], d["shipmentOrderId"], d["orderExternalId"], d["orderNumber"], d["carrier"], d["trackingNumber"],
			d["packages"], d["weightKg"], d["shippedAt"], final))
	}
	if err := w.drop("shipments", lines, ids[len(ids)-1], ""); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unfiled = w.unfiled[len(ids):]
	return nil
}

func header(columns []field) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.Name
	}
	return strings.Join(list, ";")
}

func csvLine(values ...any) string {
	list := make([]string, len(values))
	for i, v := range values {
		s := text(v)
		if strings.ContainsAny(s, ";\"\r\n") {
			s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		list[i] = s
	}
	return strings.Join(list, ";")
}

// drop writes a file under another name first and renames it, so that whoever looks sees all of it or nothing.
func (w *wms) drop(folder string, lines []string, last, odd string) error {
	body := strings.Join(lines, "\r\n") + "\r\n"
	if !w.o.UTF8 {
		body = rawOrGB(body)
	}
	w.files++
	name := fmt.Sprintf("%s-%s-%06d.csv", folder, w.m.now().UTC().Format("20060102T150405Z"), w.files)
	dir := filepath.Join(w.o.DropDir, folder)
	tmp := filepath.Join(dir, "."+name+".tmp")
	if err := os.WriteFile(tmp, []byte(body), 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		return err
	}
	c := work("DROP", folder+"/"+name)
	c.hash, c.odd = bodyHash([]byte(body)), odd
	w.m.note(c, folder, last, "")
	return nil
}

// rawOrGB encodes text and lets bytes through that are no text: those of a bad row.
func rawOrGB(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			b.WriteByte(s[0])
		} else {
			b.WriteString(gb18030(s[:n]))
		}
		s = s[n:]
	}
	return b.String()
}
