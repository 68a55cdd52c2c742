package sql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/waybill-hub/waybill/internal/connector"
)

// postgresSession reads one table of PostgreSQL over a connection of its own. It speaks the protocol itself: what comes is compared as it came.
type postgresSession struct {
	db   *database
	o    *object
	conn *pgconn.PgConn
	salt int64

	table   uint32 // its oid
	rows    int64
	columns map[string]*postgresColumn
	indexes []postgresIndex

	key    []postgresKey
	values []string // what is selected: the key, then the columns
	// numbers are the places of numbers among them.
	numbers []int
	served  connector.PlainKeys
	filter  string // the condition for a row to be there; empty: all are
	hash    string // of a row
	live    *postgresRows
}

type postgresColumn struct {
	name     string
	attnum   int
	oid      uint32
	declared string // the type in the settings
	nullable bool
	// collation is that of the column; plain: it orders by bytes.
	collation uint32
	plain     bool
}

type postgresIndex struct {
	unique     bool
	attnums    []int // 0 is an expression
	options    []int
	collations []int
	keyColumns int
}

// The table as PostgreSQL's catalogue has it. The default collation orders by bytes where the database's does and is the C library's.
const (
	tableQuery = `SELECT c.oid, CASE WHEN c.relkind = 'p' THEN (SELECT coalesce(sum(greatest(l.reltuples, 0)), -1) FROM pg_partition_tree(c.oid) p JOIN pg_class l ON l.oid = p.relid WHERE p.isleaf)
		WHEN c.relpages = 0 AND c.reltuples = 0 THEN -1 ELSE c.reltuples END::bigint FROM pg_class c WHERE c.oid = $1::text::regclass`
	columnsQuery = `SELECT a.attname, a.attnum, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, NOT a.attnotnull, a.attcollation,
		coalesce(a.attcollation IN (950, 951) OR (a.attcollation = 100 AND d.datcollate IN ('C', 'POSIX') AND coalesce(to_jsonb(d)->>'datlocprovider', 'c') = 'c'), false)
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_database d ON d.datname = current_database()
		WHERE a.attrelid = $1::text::oid AND a.attnum > 0 AND NOT a.attisdropped`
	indexesQuery = `SELECT i.indisunique, i.indkey, i.indoption, i.indcollation, i.indnkeyatts FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
		WHERE i.indrelid = $1::text::oid AND i.indisvalid AND i.indpred IS NULL AND i.indimmediate AND m.amname = 'btree'`
	// oneAtATime: a range is read by the key's index, and by one process: the other side and the applications need theirs.
	oneAtATime = `SET enable_seqscan = off; SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0; SET jit = off`
)

// oldestServer has trim_scale.
const oldestServer = 13

func (db *database) postgresPlain(ctx context.Context, o *object, salt int64) (*postgresSession, error) {
	cfg, err := postgresConfig(db.set.URL.Reveal())
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["client_encoding"] = "UTF8"
	connecting, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(connecting, &cfg.Config)
	if err != nil {
		return nil, err
	}
	s := &postgresSession{db: db, o: o, conn: conn, salt: salt}
	if err := s.look(ctx); err != nil {
		_ = s.Close() // it has failed
		return nil, err
	}
	return s, nil
}

func (s *postgresSession) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.db.set.Timeout)
	defer cancel()
	version, _, _ := strings.Cut(s.conn.ParameterStatus("server_version"), ".")
	if n, err := strconv.Atoi(version); err == nil && n < oldestServer {
		return fmt.Errorf("PostgreSQL %s is too old: its tables %w", version, connector.ErrNotPlain)
	}
	if _, err := s.conn.Exec(ctx, oneAtATime).ReadAll(); err != nil {
		return err
	}
	found, err := s.texts(ctx, tableQuery, s.o.table)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("%s is not there", s.o.Table)
	}
	oid := found[0][0]
	s.table, s.rows = uint32(number(oid)), number(found[0][1])
	columns, err := s.texts(ctx, columnsQuery, oid)
	if err != nil {
		return err
	}
	s.columns = map[string]*postgresColumn{}
	for _, c := range columns {
		s.columns[c[0]] = &postgresColumn{name: c[0], attnum: int(number(c[1])), oid: uint32(number(c[2])), nullable: c[3] == "t", collation: uint32(number(c[4])), plain: c[5] == "t",
			declared: s.o.Columns[c[0]]}
	}
	indexes, err := s.texts(ctx, indexesQuery, oid)
	for _, i := range indexes {
		s.indexes = append(s.indexes, postgresIndex{unique: i[0] == "t", attnums: vector(i[1]), options: vector(i[2]), collations: vector(i[3]), keyColumns: int(number(i[4]))})
	}
	return err
}

// texts asks for rows as texts.
func (s *postgresSession) texts(ctx context.Context, query string, args ...string) ([][]string, error) {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	got := s.conn.ExecParams(ctx, query, params, nil, nil, nil).Read()
	out := make([][]string, len(got.Rows))
	for i, r := range got.Rows {
		for _, v := range r {
			out[i] = append(out[i], string(v))
		}
	}
	return out, got.Err
}

// number reads what the catalogue says.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func vector(s string) (out []int) {
	for _, f := range strings.Fields(s) {
		out = append(out, int(number(f)))
	}
	return out
}

func (s *postgresSession) estimate(context.Context) (int64, error) { return s.rows, nil }

func (s *postgresSession) Close() error {
	// What is open is not read to its end: the server stops when the connection is gone.
	ctx, cancel := context.WithTimeout(context.Background(), s.db.set.Timeout)
	defer cancel()
	if s.live != nil {
		cancel()
	}
	err := s.conn.Close(ctx)
	if s.live != nil {
		return nil // it was cut off on purpose
	}
	return err
}

func (s *postgresSession) Served() connector.PlainKeys { return s.served }

func (s *postgresSession) prepare(q connector.PlainQuery) (why string) {
	var parts, contents []string
	for i, c := range slices.Concat(q.Key, q.Columns) {
		col := s.columns[c.Name]
		s.values = append(s.values, col.selected(c.Form))
		part, content := col.digested(c.Form)
		if parts = append(parts, part...); content != "" {
			contents = append(contents, content)
		}
		if c.Form == connector.PlainNumber {
			s.numbers = append(s.numbers, i)
		}
		if i < len(q.Key) {
			s.key = append(s.key, col.key(c.Form))
		}
	}
	if mark := s.columns[s.o.Deleted]; s.o.Deleted != "" {
		if mark == nil || mark.declared == "boolean" && mark.oid != oidBool || (mark.declared == "integer" || mark.declared == "unix" || mark.declared == "unix-ms") && !mark.integer() {
			return "the column " + s.o.Deleted + ", which marks deleted rows, is of another type in the database than the settings say"
		}
	}
	s.hash = rowHash(parts, contents, s.salt)
	s.filter = s.present(q.Key)
	s.serve()
	return ""
}

// present is the condition that a row has a key, and is not marked as deleted.
func (s *postgresSession) present(key []connector.PlainColumn) string {
	var and []string
	for _, k := range key {
		if s.columns[k.Name].nullable {
			and = append(and, of(k.Name)+" IS NOT NULL")
		}
	}
	return strings.Join(append(and, s.undeleted()...), " AND ")
}

func (s *postgresSession) undeleted() []string {
	c := of(s.o.Deleted)
	switch s.o.Columns[s.o.Deleted] {
	case "":
		return nil
	case "boolean":
		return []string{c + " IS NOT TRUE"}
	case "integer", "unix", "unix-ms":
		return []string{"(" + c + " IS NULL OR " + c + " = 0)"}
	}
	return []string{c + " IS NULL"}
}

// serve looks for the index that gives the key's order, and for one that keeps it unique.
func (s *postgresSession) serve() {
	s.served = connector.PlainKeys{Ordered: slices.ContainsFunc(s.indexes, s.orders), Unique: slices.ContainsFunc(s.indexes, s.keeps)}
	if s.served.Ordered && s.served.Unique {
		return
	}
	terms := make([]string, len(s.key))
	for i, k := range s.key {
		terms[i] = strings.TrimPrefix(k.expr, "t.")
	}
	s.served.Hint = "CREATE UNIQUE INDEX ON " + s.o.table + " (" + strings.Join(terms, ", ") + ")"
}

func (s *postgresSession) orders(x postgresIndex) bool {
	if len(x.attnums) < len(s.key) || x.keyColumns < len(s.key) {
		return false
	}
	for i, k := range s.key {
		// 0: ascending, nulls last; 3: descending, nulls first, which backwards is the same.
		if !k.native || x.attnums[i] != k.attnum || x.options[i] != x.options[0] || x.options[0] != 0 && x.options[0] != 3 {
			return false
		}
		if k.collation != 0 && uint32(x.collations[i]) != k.collation {
			return false
		}
	}
	return true
}

func (s *postgresSession) keeps(x postgresIndex) bool {
	if !x.unique {
		return false
	}
	for _, attnum := range x.attnums[:x.keyColumns] {
		if attnum == 0 || !slices.ContainsFunc(s.key, func(k postgresKey) bool { return k.attnum == attnum }) {
			return false
		}
	}
	return true
}

// Unkeyed counts rows without a key.
func (s *postgresSession) Unkeyed(ctx context.Context) (int64, error) {
	var or []string
	for _, k := range s.key {
		if k.nullable {
			or = append(or, k.column+" IS NULL")
		}
	}
	if len(or) == 0 {
		return 0, nil
	}
	found, err := s.texts(ctx, "SELECT count(*) FROM "+s.o.table+" AS t WHERE "+strings.Join(append(s.undeleted(), "("+strings.Join(or, " OR ")+")"), " AND "))
	if err != nil {
		return 0, s.db.failure(s.o, err)
	}
	return number(found[0][0]), nil
}
