package console

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver behind database/sql; the store brings SQLite's
)

// The history that a store is filled with, by numbers. Rows of the journal come in blocks: in each, fatesEach fates of objectsEach objects, one round
// after the other, so that the fates of an object lie apart as those of a day do. The first rows of a block are all of one object, the same in every block: some things
// change all day long.
const (
	fatesEach   = 10
	objectsEach = 1000
	blockRows   = fatesEach * objectsEach
	hotRows     = 100
	// hotKey is the key of that object.
	hotKey = "ST-HOT"
	// historyDays is over how many days the history is spread.
	historyDays = 20
	// customerEvery is how many customers the objects of 5,000 numbers name.
	customerEvery = 50
)

// filler fills a store from outside, while no hub is at work on it: with statements that make the rows in the database itself.
type filler struct {
	db       *sql.DB
	c        *sql.Conn
	postgres bool
	out      io.Writer
	rows     int64 // of the journal
	parked   int64
	now      time.Time
	base     int64 // the newest row that was there before
	began    time.Time
}

// size is how much a store is to hold.
type size struct{ Rows, Parked int64 }

// openStore connects to the database of a store: a PostgreSQL's URL or a file of SQLite.
func openStore(place string) (db *sql.DB, postgres bool, err error) {
	if strings.HasPrefix(place, "postgres") {
		db, err = sql.Open("pgx", place)
		return db, true, err
	}
	q := url.Values{"_pragma": {"busy_timeout(60000)", "cache_size(-262144)", "temp_store(FILE)"}}
	db, err = sql.Open("sqlite", "file:"+place+"?"+q.Encode())
	return db, false, err
}

// fill fills the store at place.
func fill(ctx context.Context, place string, s size, out io.Writer) (err error) {
	db, isPostgres, err := openStore(place)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	f := &filler{db: db, c: c, postgres: isPostgres, out: out, rows: s.Rows, parked: s.Parked, now: time.Now(), began: time.Now()}
	if err := f.run(ctx); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	return nil
}

func (f *filler) run(ctx context.Context) error {
	if err := f.prepare(ctx); err != nil {
		return err
	}
	back, err := f.dropIndexes(ctx)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		fill func(context.Context) error
	}{{"journal", f.journal}, {"objects", f.objects}, {"references", f.references}, {"search index", f.search}, {"documents", f.documents}, {"parked", f.queue}, {"acts and audit", f.acts}, {"deliveries", f.deliveries},
		{"runs", f.runs}, {"counters", f.counters}, {"indexes", back}, {"statistics", f.statistics}} {
		if err := part.fill(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		f.tell("%s", part.name)
	}
	return nil
}

func (f *filler) tell(format string, args ...any) {
	fmt.Fprintf(f.out, "  %4.0f s  %s\n", time.Since(f.began).Seconds(), fmt.Sprintf(format, args...))
}

func (f *filler) do(ctx context.Context, q string, args ...any) error {
	_, err := f.c.ExecContext(ctx, q, args...)
	if err != nil {
		return fmt.Errorf("%s…: %w", strings.Join(strings.Fields(q[:min(len(q), 160)]), " "), err)
	}
	return nil
}

func (f *filler) number(ctx context.Context, q string) (n int64, err error) {
	err = f.c.QueryRowContext(ctx, q).Scan(&n)
	return n, err
}

func (f *filler) prepare(ctx context.Context) (err error) {
	settings := []string{"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF"}
	if f.postgres {
		settings = []string{"SET synchronous_commit = off", "SET maintenance_work_mem = '256MB'", "SET work_mem = '128MB'"}
	}
	for _, q := range settings {
		if err := f.do(ctx, q); err != nil {
			return err
		}
	}
	f.base, err = f.number(ctx, "SELECT COALESCE(MAX(id), 0) FROM journal")
	return err
}

// filled are the tables whose indexes are made when they are full. SQLite's index of the journal is one of the store's own: the store makes it when it is opened.
var filled = []string{"journal", "objects", "refs", "search_objects", "search_links", "queue", "audit", "acts"}

// dropIndexes takes the indexes away and gives what makes them again.
func (f *filler) dropIndexes(ctx context.Context) (back func(context.Context) error, err error) {
	q := "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = "
	if f.postgres {
		q = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND indexname NOT LIKE '%_pkey' AND tablename = "
	}
	var make []string
	for _, table := range filled {
		rows, err := f.c.QueryContext(ctx, q+"'"+table+"'")
		if err != nil {
			return nil, err
		}
		var names []string
		for rows.Next() {
			var name, text string
			if err := rows.Scan(&name, &text); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			names, make = append(names, name), append(make, text)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
		for _, name := range names {
			if err := f.do(ctx, "DROP INDEX "+name); err != nil {
				return nil, err
			}
		}
	}
	return func(ctx context.Context) error {
		for _, text := range make {
			if err := f.do(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// lot is how many rows one statement makes: progress is told behind each.
const lot = 500_000

// lots runs a statement for the numbers from 0 to n-1, a lot at a time: {numbers} stands for the table of them, whose column is n.
func (f *filler) lots(ctx context.Context, what string, n int64, q string) error {
	for from := int64(0); from < n; from += lot {
		to := min(from+lot, n)
		numbers := fmt.Sprintf("(WITH RECURSIVE c(n) AS (SELECT %d UNION ALL SELECT n + 1 FROM c WHERE n < %d) SELECT n FROM c)", from, to-1)
		if f.postgres {
			numbers = fmt.Sprintf("(SELECT n FROM generate_series(%d::bigint, %d::bigint) AS g(n))", from, to-1)
		}
		if err := f.do(ctx, strings.ReplaceAll(q, "{numbers}", numbers)); err != nil {
			return err
		}
		if n > lot {
			f.tell("%s: %d of %d", what, to, n)
		}
	}
	return nil
}

// pad writes a number in so many digits.
func (f *filler) pad(x string, digits int) string {
	if f.postgres {
		return fmt.Sprintf("lpad((%s)::text, %d, '0')", x, digits)
	}
	return fmt.Sprintf("printf('%%0%dd', %s)", digits, x)
}

// hex writes a number below 2^32 in eight digits.
func (f *filler) hex(x string) string {
	if f.postgres {
		return "lpad(to_hex(" + x + "), 8, '0')"
	}
	return "printf('%08x', " + x + ")"
}

// scattered is a number below 2^32 that looks like none before it.
func scattered(x string) string {
	return "((" + x + ") % 1048576 * 2654435761 + (" + x + ")) % 4294967296"
}

// of picks a value by a number.
func of(x string, values []string) string {
	var b strings.Builder
	b.WriteString("CASE (" + x + ")")
	for i, v := range values[:len(values)-1] {
		fmt.Fprintf(&b, " WHEN %d THEN '%s'", i, v)
	}
	return b.String() + " ELSE '" + values[len(values)-1] + "' END"
}

// byKind picks a value by the kind of the object x.
func byKind(x string, value func(*kind) string) string {
	var b strings.Builder
	b.WriteString("CASE")
	to := 0
	for i := range kinds[:len(kinds)-1] {
		to += kinds[i].share
		fmt.Fprintf(&b, " WHEN (%s) %% 100 < %d THEN '%s'", x, to, value(&kinds[i]))
	}
	return b.String() + " ELSE '" + value(&kinds[len(kinds)-1]) + "' END"
}

// Expressions of an object's number.
func (f *filler) entity(o string) string { return byKind(o, func(k *kind) string { return k.entity }) }
func (f *filler) key(o string) string {
	return "(" + byKind(o, func(k *kind) string { return k.prefix }) + " || '-' || " + f.pad(o, 8) + ")"
}
func (f *filler) hub(o string) string {
	return "(" + f.hex(scattered(o)) + " || '-0000-4000-8000-' || " + f.pad(o, 12) + ")"
}
func (f *filler) external(o string) string {
	return "(" + f.hex(scattered("("+o+") + 77")) + " || '-0000-5000-8000-' || " + f.pad(o, 12) + ")"
}
func (f *filler) local(o string) string { return "('E' || " + f.pad(o, 9) + ")" }
func (f *filler) name(o string) string {
	return "(" + of("("+o+") % 20", words) + " || ' ' || " + of("("+o+") / 20 % 20", words) + " || ' nr. ' || CAST((" + o + ") % 1000 AS TEXT))"
}

// customer is the number of the customer that an object names; one of them is named by very many.
func customer(o string) string {
	return fmt.Sprintf("(CASE WHEN (%[1]s) %% 97 = 0 THEN %[2]d ELSE (%[1]s) / 5000 * 5000 + (%[1]s) %% %[3]d * 100 + %[2]d END)", o, firstOf("customer"), customerEvery)
}

// firstOf is the number of the first object of a kind.
func firstOf(entity string) (first int) {
	for i := range kinds {
		if kinds[i].entity == entity {
			return first
		}
		first += kinds[i].share
	}
	panic("no kind " + entity)
}

var words = []string{"acme", "globex", "initech", "umbrella", "hooli", "vandelay", "stark", "wayne", "wonka", "tyrell", "cyberdyne", "soylent", "massive", "octan", "oscorp", "pied", "piper", "dunder", "mifflin", "sterling"}

// object is the number of the object that fate n is of; position its inverse within a block.
func object(n string) string {
	return fmt.Sprintf("((%s) / %d * %d + (%s) %% %d * 37 %% %d)", n, blockRows, objectsEach, n, objectsEach, objectsEach)
}

// newest is the number of the newest fate of an object.
func newest(o string) string {
	return fmt.Sprintf("((%s) / %d * %d + %d + (%s) %% %d * 973 %% %d)", o, objectsEach, blockRows, blockRows-objectsEach, o, objectsEach, objectsEach)
}

// at is the time of fate n.
func (f *filler) at(n string) string {
	step := int64(historyDays*24*time.Hour) / f.rows
	return fmt.Sprintf("(%d - CAST(%d - (%s) AS BIGINT) * %d)", f.now.UnixNano(), f.rows, n, step)
}

func (f *filler) numberOfObjects() int64 { return f.rows / fatesEach }

func (f *filler) journal(ctx context.Context) error {
	hot := fmt.Sprintf("n %% %d < %d", blockRows, hotRows)
	chance := "(n * 7919 % 100)"
	outcome := "CASE WHEN " + chance + " < 90 THEN 'delivered' WHEN " + chance + " < 96 THEN 'skipped' WHEN " + chance + " < 99 THEN 'parked' ELSE 'discarded' END"
	pick := func(usual, ofHot string) string {
		return "CASE WHEN " + hot + " THEN " + ofHot + " ELSE " + usual + " END"
	}
	inventory := &kinds[len(kinds)-1]
	q := fmt.Sprintf(`INSERT INTO journal (id, time, flow, event_id, entity, ekey, hub, outcome, reason, system, local, external, version, attempts, took, action, field, told, fold)
		SELECT %d + n + 1, %s, %s, 'msg_' || %s || '_' || CAST(n AS TEXT), %s, %s, %s, %s, CASE WHEN %s >= 90 AND %s < 96 THEN 'stale' ELSE '' END, %s, %s, %s, CAST(n / %d %% 10 AS TEXT), 1, 250000000 + n %% 1000 * 1000000, 'update', '', '', %s
		FROM (SELECT n, %s AS o FROM {numbers} AS g) AS x`,
		f.base, f.at("n"), pick(byKind("o", (*kind).out), "'"+inventory.out()+"'"), f.hex(scattered("n")), pick(f.entity("o"), "'"+inventory.entity+"'"), pick(f.key("o"), "'"+hotKey+"'"), pick(f.hub("o"), f.hub(fmt.Sprint(f.numberOfObjects()))), outcome, chance, chance,
		pick(byKind("o", func(k *kind) string { return k.system }), "'"+inventory.system+"'"), pick(f.local("o"), f.local(fmt.Sprint(f.numberOfObjects()))), "''", objectsEach, "lower("+pick(f.key("o"), "'"+hotKey+"'")+")", object("n"))
	return f.lots(ctx, "journal", f.rows, q)
}

// eachObject runs a statement over all objects, with the busy one as the last: entity, key, hub, local and system are columns of {objects}.
func (f *filler) eachObject(ctx context.Context, what, q string) error {
	n := f.numberOfObjects()
	last := fmt.Sprint("o = ", n)
	inventory := &kinds[len(kinds)-1]
	pick := func(usual, ofHot string) string {
		return "CASE WHEN " + last + " THEN '" + ofHot + "' ELSE " + usual + " END"
	}
	objects := "(SELECT o, " + f.hub("o") + " AS hub, " + pick(f.entity("o"), inventory.entity) + " AS entity, " + pick(f.key("o"), hotKey) + " AS ekey, " + f.local("o") + " AS local, " +
		pick(byKind("o", func(k *kind) string { return k.system }), inventory.system) + " AS system, " + pick(byKind("o", (*kind).out), inventory.out()) + " AS flow, " + f.name("o") + " AS name, " +
		fmt.Sprintf("CASE WHEN %s THEN %d ELSE %s END", last, f.rows-blockRows+hotRows-1, newest("o")) + " AS fate FROM (SELECT n AS o FROM {numbers} AS g) AS k) AS x"
	return f.lots(ctx, what, n+1, strings.ReplaceAll(q, "{objects}", objects))
}

func (f *filler) objects(ctx context.Context) error {
	return f.eachObject(ctx, "objects", "INSERT INTO objects (entity, hub, external, event_id, created) SELECT entity, hub, "+f.external("o")+", '', "+f.at("0")+" FROM {objects} ORDER BY entity, hub")
}

// references: every object is known in the shop and in the system that its flow writes to.
func (f *filler) references(ctx context.Context) error {
	for _, side := range []struct{ system, local string }{{"'shop'", "ekey"}, {"system", "local"}} {
		err := f.eachObject(ctx, "references", "INSERT INTO refs (entity, hub, system, local, deleted, known, known_flow, received, known_event, etag, updated, ekey, fold) SELECT entity, hub, "+side.system+", "+side.local+
			", 0, NULL, '', '', '', '', "+f.at("0")+", '', lower("+side.local+") FROM {objects} ORDER BY entity, hub")
		if err != nil {
			return err
		}
	}
	return nil
}

// terms are what an object is found by, as the index has them: its key, its number, its name from each word on, and its id.
func (f *filler) terms() [][2]string {
	name := "(" + of("o / 20 % 20", words) + " || ' nr. ' || CAST(o % 1000 AS TEXT))"
	return [][2]string{{"key", "lower(ekey)"}, {"key", f.pad("o", 8)}, {"name", "name"}, {"name", name}, {"name", "('nr. ' || CAST(o % 1000 AS TEXT))"}, {"name", "CAST(o % 1000 AS TEXT)"}, {"id", "lower(local)"}}
}

// packed is the stored form of terms: a zero for what is not compressed, then texts with their lengths.
func (f *filler) packed() string {
	if f.postgres {
		b := `'\x00'::bytea`
		text := func(x string) string {
			return " || decode(lpad(to_hex(length(" + x + ")), 2, '0'), 'hex') || convert_to(" + x + ", 'UTF8')"
		}
		for _, t := range f.terms() {
			b += text("'"+t[0]+"'") + text(t[1])
		}
		return b
	}
	b := "char(0)"
	text := func(x string) string { return " || char(length(" + x + ")) || " + x }
	for _, t := range f.terms() {
		b += text("'"+t[0]+"'") + text(t[1])
	}
	return "CAST(" + b + " AS BLOB)"
}

func (f *filler) search(ctx context.Context) error {
	first, err := f.number(ctx, "SELECT COALESCE(MAX(object), 0) + 1 FROM search_objects")
	if err != nil {
		return err
	}
	err = f.eachObject(ctx, "search index", fmt.Sprintf(`INSERT INTO search_objects (object, entity, name, hub, ekey, newest, time, flow, event_id, system, outcome, terms)
		SELECT %d + o, entity, hub, hub, ekey, %d + fate + 1, %s, flow, 'msg_' || %s || '_' || CAST(fate AS TEXT), system, 'delivered', %s FROM {objects}`, first, f.base, f.at("fate"), f.hex(scattered("fate")), f.packed()))
	if err != nil {
		return err
	}
	var all []string
	for _, t := range f.terms() {
		all = append(all, fmt.Sprintf("SELECT %s AS term, %d + o AS object FROM {objects}", t[1], first))
	}
	if f.postgres { // its key is a tree beside the table: made at once it is smaller, and made sooner
		if err := f.do(ctx, "ALTER TABLE search_terms DROP CONSTRAINT search_terms_pkey"); err != nil {
			return err
		}
		for _, one := range all {
			if err := f.eachObject(ctx, "search terms", "INSERT INTO search_terms (term, object) "+one); err != nil {
				return err
			}
		}
		if err := f.do(ctx, "ALTER TABLE search_terms ADD PRIMARY KEY (term, object)"); err != nil {
			return err
		}
	} else {
		if err := f.do(ctx, "CREATE TEMP TABLE unsorted (term TEXT, object BIGINT)"); err != nil {
			return err
		}
		for _, one := range all {
			if err := f.eachObject(ctx, "search terms", "INSERT INTO unsorted (term, object) "+one); err != nil {
				return err
			}
		}
		for _, q := range []string{"INSERT OR IGNORE INTO search_terms (term, object) SELECT term, object FROM unsorted ORDER BY term, object", "DROP TABLE unsorted"} {
			if err := f.do(ctx, q); err != nil {
				return err
			}
		}
	}
	err = f.eachObject(ctx, "links", fmt.Sprintf("INSERT INTO search_links (object, field, entity, value, since) SELECT %d + o, 'customer', 'customer', %s, %d + fate + 1 FROM {objects} WHERE o %% 100 < %d", first, f.hub(customer("o")), f.base, kinds[0].share+kinds[1].share))
	if err != nil {
		return err
	}
	return f.do(ctx, fmt.Sprintf("UPDATE search_place SET fate = %d, time = %d WHERE one = 1", f.base+f.rows, f.now.UnixNano()))
}

// documented is of how many of the newest fates documents are kept.
const documented = 100_000

// documents are short: their stored form needs a byte for each length then.
func (f *filler) documents(ctx context.Context) error {
	n := min(f.rows, documented)
	fate := fmt.Sprintf("(%d - 1 - n)", f.rows)
	o := object(fate)
	doc := `('{"number":"' || ` + f.key(o) + ` || '","name":"' || ` + f.name(o) + ` || '","customer":{"id":"' || ` + f.hub(customer(o)) + ` || '"}}')`
	body := "CAST(char(0) || char(2) || 'OK' || char(length(doc)) || doc || char(0) || char(0) || char(0) AS BLOB)"
	if f.postgres {
		body = `'\x00024f4b'::bytea || decode(lpad(to_hex(length(doc)), 2, '0'), 'hex') || convert_to(doc, 'UTF8') || '\x000000'::bytea`
	}
	return f.lots(ctx, "documents", n, fmt.Sprintf("INSERT INTO documents (id, time, failed, size, body) SELECT %d + fate + 1, %s, 0, length(doc) + 8, %s FROM (SELECT %s AS fate, %s AS doc FROM {numbers} AS g) AS x",
		f.base, f.at("fate"), body, fate, doc))
}

// The same of a number, for those who ask.
func kindOf(o int64) *kind {
	to := int64(0)
	for i := range kinds {
		if to += int64(kinds[i].share); o%100 < to {
			return &kinds[i]
		}
	}
	return &kinds[len(kinds)-1]
}
func scatteredOf(x int64) int64 { return (x%1048576*2654435761 + x) % 4294967296 }
func keyOf(o int64) string      { return fmt.Sprintf("%s-%08d", kindOf(o).prefix, o) }
func hubOf(o int64) string      { return fmt.Sprintf("%08x-0000-4000-8000-%012d", scatteredOf(o), o) }
func localOf(o int64) string    { return fmt.Sprintf("E%09d", o) }
func nameOf(o int64) string {
	return fmt.Sprintf("%s %s nr. %d", words[o%20], words[o/20%20], o%1000)
}

// numberOf is the number of the object that has a key.
func numberOf(key string) (o int64) {
	if _, err := fmt.Sscanf(key[3:], "%d", &o); err != nil {
		panic(err) // keyOf has made it
	}
	return o
}
