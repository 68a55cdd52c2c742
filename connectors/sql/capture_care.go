package sql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pglogrepl"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// serverFacts are what the server says of its log, the slot and the publication.
type serverFacts struct {
	server    string // the database cluster's number
	timeline  string
	flushed   pglogrepl.LSN
	level     string // wal_level
	may       bool   // the hub's user may read logs
	slot      bool   // it is there
	plugin    string
	database  string // the slot's is this one
	ours      bool
	confirmed pglogrepl.LSN
	keeping   string // wal_status
	kept      int64  // bytes of log
	published bool   // the publication is there
	all       string // what it leaves out of inserts, updates, deletes and truncates
	version   int
}

// A standby has no place of its own to write at.
const factsQuery = `SELECT c.system_identifier::text, CASE WHEN r.standby THEN '' ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END,
	(CASE WHEN r.standby THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text, current_setting('wal_level'),
	EXISTS (SELECT FROM pg_roles u WHERE u.rolname = current_user AND (u.rolreplication OR u.rolsuper))
		OR EXISTS (SELECT FROM pg_roles u WHERE u.rolname = 'rds_replication' AND pg_has_role(current_user, u.oid, 'member')),
	s.slot_name IS NOT NULL, coalesce(s.plugin, ''), coalesce(s.database, ''), coalesce(s.database = current_database(), false),
	coalesce(s.confirmed_flush_lsn, '0/0')::text, coalesce(s.wal_status, ''),
	coalesce(pg_wal_lsn_diff(CASE WHEN r.standby THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END, s.restart_lsn), 0)::bigint,
	p.pubname IS NOT NULL,
	concat_ws(', ', CASE WHEN NOT p.pubinsert THEN 'insert' END, CASE WHEN NOT p.pubupdate THEN 'update' END, CASE WHEN NOT p.pubdelete THEN 'delete' END,
		CASE WHEN NOT p.pubtruncate THEN 'truncate' END),
	current_setting('server_version_num')::int
FROM pg_control_system() c, (SELECT pg_is_in_recovery() AS standby) r
LEFT JOIN pg_replication_slots s ON s.slot_name = $1 LEFT JOIN pg_publication p ON p.pubname = $2`

func (c *capture) facts(ctx context.Context) (f serverFacts, err error) {
	pool, err := c.looks()
	if err != nil {
		return f, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.db.set.Timeout)
	defer cancel()
	var flushed, confirmed string
	err = pool.QueryRowContext(ctx, factsQuery, c.set.Slot, c.set.Publication).Scan(&f.server, &f.timeline, &flushed, &f.level, &f.may, &f.slot, &f.plugin, &f.database, &f.ours,
		&confirmed, &f.keeping, &f.kept, &f.published, &f.all, &f.version)
	if err != nil {
		return f, err
	}
	if f.flushed, err = pglogrepl.ParseLSN(flushed); err != nil {
		return f, err
	}
	f.confirmed, err = pglogrepl.ParseLSN(confirmed)
	return f, err
}

// life tells apart logs whose places do not compare.
func (f *serverFacts) life() int {
	sum := sha256.Sum256([]byte(f.server + "/" + f.timeline))
	return int(binary.BigEndian.Uint32(sum[:]))
}

// version is that of what is read from now on. Whatever the log brings from now on is newer.
func (c *capture) version(ctx context.Context) (string, error) {
	f, err := c.facts(ctx)
	if err != nil {
		return "", err
	}
	return versionAt(f.life(), f.flushed), nil
}

// versionAt is the version of what committed at a place: of two changes in one transaction the later one counts, because it comes later.
func versionAt(life int, at pglogrepl.LSN) string { return event.PlaceVersion(life, int64(at)) }

// tableFacts are what the server says of an object's table.
type tableFacts struct {
	table     string // schema and name; empty: there is none
	published bool
	readable  bool
	identity  string // relreplident
	keyed     bool   // the identity holds the object's id
	filtered  bool   // the publication has a condition for rows
	generated []string
	unsent    []string // columns of the object that the publication leaves out
}

func (c *capture) table(ctx context.Context, o *object, version int) (t tableFacts, err error) {
	pool, err := c.looks()
	if err != nil {
		return t, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.db.set.Timeout)
	defer cancel()
	rows, err := pool.QueryContext(ctx, `SELECT n.nspname || '.' || c.relname, c.relreplident::text,
	EXISTS (SELECT FROM pg_publication_tables t WHERE t.pubname = $2 AND t.schemaname = n.nspname AND t.tablename = c.relname),
	has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'),
	EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[]) WHERE i.indrelid = c.oid AND a.attname = $3
		AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)),
	EXISTS (SELECT FROM pg_publication_tables t WHERE t.pubname = $2 AND t.schemaname = n.nspname AND t.tablename = c.relname AND to_jsonb(t)->>'rowfilter' IS NOT NULL)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)`, o.table, c.set.Publication, o.ID)
	if err != nil {
		return t, err
	}
	defer rows.Close()
	if !rows.Next() {
		return t, rows.Err()
	}
	if err := rows.Scan(&t.table, &t.identity, &t.published, &t.readable, &t.keyed, &t.filtered); err != nil {
		return t, err
	}
	rows.Close()
	// Servers before 15 send all columns and rows, and their view says nothing of them.
	if t.unsent, err = o.ownOf(pool.QueryContext(ctx, `SELECT a.attname FROM pg_attribute a JOIN pg_publication_tables t ON t.pubname = $2 AND t.schemaname || '.' || t.tablename = $3
	WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND a.attgenerated = '' AND NOT a.attisdropped AND NOT to_jsonb(t)->'attnames' ? a.attname ORDER BY 1`, o.table, c.set.Publication, t.table)); err != nil {
		return t, err
	}
	if version >= 180000 { // a publication may send them
		return t, nil
	}
	t.generated, err = o.ownOf(pool.QueryContext(ctx, `SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attgenerated <> '' AND NOT attisdropped ORDER BY 1`, o.table))
	return t, err
}

// ownOf are the columns of the object among those that a query names.
func (o *object) ownOf(rows *sql.Rows, err error) ([]string, error) {
	names, err := texts(rows, err)
	return slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(o.columnNames, name) }), err
}

// tellApart tells of columns whose long values the server keeps apart from their rows, and leaves out of the log where an update leaves them alone: a target that takes whole objects
// would lack them, or show a default. It speaks of tables that have such values, and does not look into partitions.
func (c *capture) tellApart(ctx context.Context, o *object, columns []connector.SampleColumn) error {
	pool, err := c.looks()
	if err != nil {
		return err
	}
	names, err := texts(pool.QueryContext(ctx, `SELECT a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.oid = to_regclass($1) AND c.relreplident <> 'f' AND pg_relation_size(nullif(c.reltoastrelid, 0)) > 0 AND a.attstorage IN ('x', 'e') AND a.attnum > 0 AND NOT a.attisdropped`, o.table))
	if err != nil {
		return err
	}
	for i := range columns {
		col := &columns[i]
		if _, is := o.Columns[col.Name]; is && col.Odd == "" && slices.Contains(names, col.Name) {
			col.Odd = "an update that leaves a long value of it alone comes without it: a flow to a target that takes whole objects, such as a topic, would write it as absent"
			col.Hint = "ALTER TABLE " + o.table + " REPLICA IDENTITY FULL puts it into the log"
		}
	}
	return nil
}

// lacks says what is missing on the server before the log can be read, and what to do.
func (c *capture) lacks(f *serverFacts, t *tableFacts, o *object) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	pub := quote(c.set.Publication)
	if f.level != "logical" {
		say("wal_level is %s: set it to logical (ALTER SYSTEM SET wal_level = 'logical') and restart the server", f.level)
	}
	if !f.may {
		say("the hub's user may not read the log: ALTER ROLE … REPLICATION")
	}
	switch {
	case t.table == "":
		say("there is no table %s, or the hub's user may not see its schema: was it renamed?", o.Table)
	case !f.published:
		say("there is no publication %s: CREATE PUBLICATION %s FOR TABLE %s", c.set.Publication, pub, o.table)
	case !t.published:
		say("the publication %s lacks the table: ALTER PUBLICATION %s ADD TABLE %s (of a partitioned table, with publish_via_partition_root); changes made until then never come, "+
			"and where some were made waybill rewind FLOW --to start reads all rows anew", c.set.Publication, pub, o.table)
	}
	if f.published && f.all != "" {
		say("the publication %s leaves out %s: ALTER PUBLICATION %s SET (publish = 'insert, update, delete, truncate')", c.set.Publication, f.all, pub)
	}
	if len(t.unsent) > 0 {
		say("the publication %s leaves out columns of the table (%s): ALTER PUBLICATION %s SET TABLE … names all tables anew, this one without a list; or leave them out of columns", c.set.Publication,
			strings.Join(t.unsent, ", "), pub)
	}
	if t.filtered {
		say("the publication %s leaves out rows of the table by a condition: ALTER PUBLICATION %s SET TABLE … names all tables anew, this one without WHERE", c.set.Publication, pub)
	}
	if t.table != "" && !t.readable {
		say("the hub's user may not read the table: GRANT SELECT ON %s", o.table)
	}
	switch {
	case t.table == "", t.identity == "f", t.keyed:
	case t.identity == "n":
		say("the table's replica identity is nothing, so that nobody can be told which row was changed or deleted: ALTER TABLE %s REPLICA IDENTITY DEFAULT", o.table)
	default:
		say("the table's replica identity does not hold %s, so that nobody can be told which row was deleted: make it the primary key, or ALTER TABLE %s REPLICA IDENTITY USING INDEX or FULL",
			o.ID, o.table)
	}
	if len(t.generated) > 0 {
		say("%s: the database computes it and does not write it to the log: leave it out of columns", strings.Join(t.generated, ", "))
	}
	switch {
	case !f.slot:
	case f.plugin != "pgoutput":
		say("the slot %s is another program's (%s): name another one", c.set.Slot, f.plugin)
	case !f.ours:
		say("the slot %s is of the database %s: name another one", c.set.Slot, f.database)
	}
	return out
}

// lost says why the log does not hold what a cursor goes on with; empty: it does.
func (c *capture) lost(f *serverFacts, at *logCursor) string {
	const anew = "changes may be lost to this flow. waybill rewind FLOW --to start reads all rows anew, and then their changes; what was deleted meanwhile is found by a sweep"
	switch {
	case at.began() && at.Slot != c.set.Slot:
		return fmt.Sprintf("what was read is slot %s, and the settings say %s now: waybill rewind FLOW --to start begins with it", at.Slot, c.set.Slot)
	case at.began() && at.Server != f.server:
		return "this is another database cluster than the one that was read: " + anew
	case !f.slot && at.began():
		return fmt.Sprintf("the slot %s is gone, and the hub does not make it again by itself: %s", c.set.Slot, anew)
	case f.keeping == "lost":
		return fmt.Sprintf("the server has thrown the log of slot %s away (max_slot_wal_keep_size): SELECT pg_drop_replication_slot('%s') makes room for a new one; %s", c.set.Slot, c.set.Slot, anew)
	case at.began() && f.confirmed > at.LSN.lsn():
		return fmt.Sprintf("the slot %s holds the log from %s on, and this flow has read up to %s: %s", c.set.Slot, f.confirmed, at.LSN, anew)
	case at.began() && f.flushed < at.LSN.lsn():
		return fmt.Sprintf("the server's log ends at %s, and this flow has read up to %s: the database was put back to an older state: %s", f.flushed, at.LSN, anew)
	}
	return ""
}

// remarks are what people are to know of the slot: how much log is kept for it, in quarters of the bound, so that it is not another remark each time.
func (c *capture) remarks(f *serverFacts) []connector.Remark {
	bound := int64(c.set.Kept)
	if bound <= 0 || f.kept <= bound && f.keeping != "unreserved" {
		return nil
	}
	step := max(bound/4, 1)
	say := "over " + strictyaml.Size(f.kept/step*step).String() + ", and capture.kept is " + c.set.Kept.String()
	if f.keeping == "unreserved" {
		say += "; the server is about to throw it away"
	}
	return []connector.Remark{{Kind: connector.Kept, Local: c.set.Slot, Version: say, Count: 1}}
}

// missing is the failure that says what the server lacks.
func (c *capture) missing(op string, lacks []string) error {
	return c.db.fail(fault.Invalid, op, "%s", strings.Join(lacks, "; and "))
}

// check says what the server lacks before an object can be read from its log. It changes nothing.
func (c *capture) check(ctx context.Context, op string, o *object) error {
	f, err := c.facts(ctx)
	if err != nil {
		return c.classify(op, o, err)
	}
	t, err := c.table(ctx, o, f.version)
	if err != nil {
		return c.classify(op, o, err)
	}
	if lacks := c.lacks(&f, &t, o); len(lacks) > 0 {
		return c.missing(op, lacks)
	}
	if why := c.lost(&f, &logCursor{}); why != "" {
		return c.db.fail(fault.Invalid, op, "%s", why)
	}
	return nil
}
