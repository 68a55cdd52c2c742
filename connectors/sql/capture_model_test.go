package sql

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestCaptureModel: whatever transactions run, wherever the hub and the connection end, and whatever page was read and not stored: what the records
// tell of is the table in the end, each change came once, and of no row did something older come after something newer.
func TestCaptureModel(t *testing.T) {
	p := newLogical(t)
	p.head = strings.Replace(p.head, "publication: waybill", "publication: waybill, buffer: 64KiB", 1)
	p.exec(t, "CREATE TABLE x (id text PRIMARY KEY, rev bigint, note text); ALTER TABLE x ALTER note SET STORAGE EXTERNAL; CREATE TABLE noise (n integer)")
	h := newHub(t, p, "x", "objects: {x: {table: x, columns: {id: text, rev: integer, note: text}, capture: {}}}")
	rev := 0
	rapid.Check(t, func(r *rapid.T) {
		h.cursor, h.taken, h.names = "", nil, map[string]bool{}
		h.start() // a snapshot that was under way ends with the hub before
		p.exec(t, "TRUNCATE x")
		for _, id := range []string{"a", "B", "e"} {
			rev++
			p.exec(t, "INSERT INTO x VALUES ($1, $2, 'first')", id, rev)
		}
		id := func() string { return rapid.SampledFrom([]string{"a", "B", "ç", "d'", "e"}).Draw(r, "id") }
		change := func() string {
			rev++
			quoted := strings.ReplaceAll(id(), "'", "''")
			switch rapid.IntRange(0, 5).Draw(r, "what") {
			case 0, 1:
				return fmt.Sprintf("INSERT INTO x VALUES ('%s', %d, repeat('n', 3000)) ON CONFLICT (id) DO UPDATE SET rev = excluded.rev", quoted, rev)
			case 2:
				return fmt.Sprintf("UPDATE x SET rev = %d WHERE id = '%s'", rev, quoted)
			case 3:
				return fmt.Sprintf("UPDATE x SET rev = %d, note = NULL WHERE id = '%s'", rev, quoted)
			case 4: // the long value is set with the key: one that did not change would not be sent
				return fmt.Sprintf("UPDATE x SET id = '%s', rev = %d, note = repeat('k', 3000) || '%d' WHERE id = '%s'",
					strings.ReplaceAll(id(), "'", "''"), rev, rev, quoted)
			}
			return fmt.Sprintf("DELETE FROM x WHERE id = '%s'", quoted)
		}
		for range rapid.IntRange(1, 20).Draw(r, "steps") {
			switch rapid.IntRange(0, 7).Draw(r, "step") {
			case 0, 1, 2:
				end := rapid.SampledFrom([]string{"COMMIT", "COMMIT", "ROLLBACK"}).Draw(r, "end")
				var all []string
				for range rapid.IntRange(1, 5).Draw(r, "changes") {
					all = append(all, change())
				}
				// A key that is taken already ends the transaction: nothing of it is there then.
				if _, err := p.db.Exec("BEGIN; " + strings.Join(all, "; ") + "; INSERT INTO noise VALUES (1); " + end); err != nil && !strings.Contains(err.Error(), "23505") {
					r.Fatal(err)
				}
			case 3: // what is read is not stored
				h.limit = rapid.IntRange(1, 3).Draw(r, "limit")
				_, _ = h.page() // it fails where the connection was ended
			case 4:
				h.start()
			case 5: // of the log alone: what ends a snapshot is in TestCaptureSnapshotEndsHalfWay
				p.exec(t, "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = '"+p.slot()+"' AND active_pid IS NOT NULL")
			case 6: // it begins anew, as waybill rewind does, and may end in the midst of the snapshot
				h.cursor, h.taken = "", nil
				h.limit = 1
				if page, err := h.page(); err == nil {
					h.store(page)
				}
				if rapid.Bool().Draw(r, "ends") {
					h.start()
				}
			default:
				h.limit = rapid.IntRange(1, 3).Draw(r, "limit")
				for range rapid.IntRange(1, 4).Draw(r, "pages") {
					if page, err := h.page(); err == nil {
						h.store(page)
					}
				}
			}
		}
		// A round of pages that has begun sees what was committed before; the next one sees the rest.
		for rounds, failed := 0, 0; rounds < 2; {
			page, err := h.page()
			if err != nil {
				if failed++; failed > 3 {
					r.Fatal(err)
				}
				continue
			}
			if h.store(page); !page.More {
				rounds++
			}
		}
		h.same()
		inOrder(t, "rev", h.taken)
	})
}
