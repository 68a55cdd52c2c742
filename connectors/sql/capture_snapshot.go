package sql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// snapshot is all rows of a table as they were at one place in the log: it holds what was committed before, and nothing else. It lives as long as its
// transaction; one that ends half-way is not gone on with, because nobody can see that state again.
type snapshot struct {
	at      pglogrepl.LSN
	tx      *sql.Tx
	end     context.CancelFunc
	fetch   string
	page    int // how many were read
	last    []connector.Record
	over    bool
	columns map[string]columnType
}

// close ends the transaction with its connection, which may be dead: a ROLLBACK would wait for an answer.
func (sn *snapshot) close() {
	sn.end()
	_ = sn.tx.Rollback() // it only read
}

// snapshotCursor is the cursor's name on the server.
const snapshotCursor = "waybill_snapshot_"

// snap begins a snapshot. The place comes from the creation of a slot: of the hub's own where there is none yet, else of one that ends with the connection.
func (c *capture) snap(ctx context.Context, op string, o *object, makeSlot bool) (*snapshot, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeNow(conn) // the server holds the state for others as long as it is there
	suffix := suffixOf()
	slot := c.set.Slot
	if !makeSlot {
		slot = snapshotCursor + suffix
	}
	made, err := c.makeSlot(ctx, op, conn, slot, !makeSlot)
	if err != nil {
		return nil, err
	}
	at, err := pglogrepl.ParseLSN(made.ConsistentPoint)
	if err != nil {
		return nil, err
	}
	pool, err := c.looks()
	if err != nil {
		return nil, err
	}
	ctx, opened := context.WithTimeout(ctx, c.db.set.Timeout)
	defer opened()
	sctx, cancel := context.WithCancel(c.ctx) // the transaction outlives this call
	defer context.AfterFunc(ctx, cancel)()
	tx, err := pool.BeginTx(sctx, repeatable)
	if err != nil {
		cancel()
		return nil, err
	}
	sn := &snapshot{at: at, tx: tx, end: cancel, columns: map[string]columnType{}}
	if err := sn.open(ctx, c.db, o, made.SnapshotName, snapshotCursor+suffix); err != nil {
		sn.close()
		return nil, err
	}
	return sn, nil
}

func suffixOf() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// open sees the state of the snapshot, and begins to read the table.
func (sn *snapshot) open(ctx context.Context, db *database, o *object, name, cursor string) error {
	if _, err := sn.tx.ExecContext(ctx, "SET TRANSACTION SNAPSHOT '"+name+"'"); err != nil {
		return err
	}
	rows, err := sn.tx.QueryContext(ctx, `SELECT attname, atttypid::bigint, atttypmod FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`, o.table)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var oid int64
		var t columnType
		if err := rows.Scan(&name, &oid, &t.Mod); err != nil {
			return err
		}
		t.OID = uint32(oid)
		sn.columns[name] = t
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	st := db.selecting(o)
	if _, err := sn.tx.ExecContext(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR FOR "+st.String()); err != nil {
		return err
	}
	sn.fetch = cursor
	return nil
}

// read gives the page with a number: the next one, or the last one again.
func (sn *snapshot) read(ctx context.Context, db *database, o *object, page, limit int, name func(n int, rec *connector.Record)) error {
	if page == sn.page-1 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	now := db.clock.Now()
	rows, err := db.fetch(ctx, sn.tx, o, db.statement(fmt.Sprintf("FETCH FORWARD %d FROM %s", limit, sn.fetch)))
	if err != nil {
		return err
	}
	sn.last = make([]connector.Record, len(rows))
	for i, r := range rows {
		sn.last[i] = db.present(o, r, now)
		name(i, &sn.last[i])
	}
	sn.page, sn.over = page+1, len(rows) < limit
	return nil
}

// makeSlot creates a slot. The server waits for transactions that are open: until they end nobody can say what comes before the slot.
func (c *capture) makeSlot(ctx context.Context, op string, conn *pgconn.PgConn, slot string, temporary bool) (pglogrepl.CreateReplicationSlotResult, error) {
	sctx, cancel := context.WithTimeout(ctx, c.db.set.Timeout)
	defer cancel()
	made, err := pglogrepl.CreateReplicationSlot(sctx, conn, slot, "pgoutput", pglogrepl.CreateReplicationSlotOptions{Temporary: temporary, SnapshotAction: "EXPORT_SNAPSHOT"})
	if err != nil && sctx.Err() != nil && ctx.Err() == nil {
		return made, c.db.fail(fault.Unavailable, op, "the server did not make the slot %s within %s: it waits for transactions that are open (see pg_stat_activity, and raise timeout)",
			slot, c.db.set.Timeout.Round(time.Millisecond))
	}
	return made, err
}
