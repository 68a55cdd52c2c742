package sql

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// readOne reads the row with an id; what it says is unreadable is the error.
func readOne(t interface{ Fatal(...any) }, db *database, object, id string) (jsondoc.Value, error) {
	var one connector.Record
	found, err := db.Find(context.Background(), connector.Lookup{Object: object, Local: id})
	if err == nil {
		if len(found) != 1 {
			t.Fatal(object, id, len(found), "rows")
		}
		one = found[0]
		err = one.Err
	}
	if err != nil {
		return jsondoc.Value{}, err
	}
	doc, err := jsondoc.Parse(one.Doc, jsondoc.Limits{})
	if err != nil {
		return jsondoc.Value{}, fmt.Errorf("a document that nobody can read: %w", err)
	}
	return doc.Root(), nil
}

var digits200 = strings.Repeat("1234567890", 20)

// Values as they are: the text that the database holds, and what the document shows, or ("!") why the row is refused. A value that can be read
// is written back into another row, and the database must then hold the same.
var valueCases = []struct{ where, column, held, want string }{
	{"postgres", "date", "2026-11-28", `"2026-11-28"`},
	{"postgres", "date", "9999-12-31", `"9999-12-31"`},
	{"postgres", "date", "0001-01-01", `"0001-01-01"`},
	{"postgres", "date", "0001-02-29 BC", `"0000-02-29"`},
	{"postgres", "date", "0044-03-15 BC", `!"0044-03-15 BC" is before the year 0 (44 BC)`},
	{"postgres", "date", "4713-11-24 BC", `!is before the year 0 (4713 BC)`},
	{"postgres", "date", "10000-01-01", `!"10000-01-01" is after the year 9999`},
	{"postgres", "date", "infinity", `!"infinity" is infinity`},
	{"postgres", "date", "-infinity", `!"-infinity" is infinity`},
	{"postgres", "timestamptz", "2026-11-28 10:00:00.123456+02", `"2026-11-28T08:00:00.123456Z"`},
	{"postgres", "timestamptz", "9999-12-31 23:59:59.999999+00", `"9999-12-31T23:59:59.999999Z"`},
	{"postgres", "timestamptz", "0001-06-01 00:00:00+00 BC", `"0000-06-01T00:00:00Z"`},
	{"postgres", "timestamptz", "0044-03-15 12:00:00+00 BC", `!is before the year 0 (44 BC)`},
	{"postgres", "timestamptz", "10000-01-01 00:00:00+00", `!is after the year 9999`},
	{"postgres", "timestamptz", "294276-12-31 23:59:59+00", `!is after the year 9999`},
	{"postgres", "timestamptz", "infinity", `!is infinity`},
	{"postgres", "timestamp", "2026-11-28 10:00:00", `"2026-11-28T02:00:00Z"`},
	{"postgres", "timestamp", "0001-01-01 00:00:00", `"0000-12-31T15:54:17Z"`}, // the mean time of Shanghai
	{"postgres", "timestamp", "9999-12-31 23:59:59", `"9999-12-31T15:59:59Z"`},
	{"postgres", "timestamp", "infinity", `!is infinity`},
	{"postgres", "timestamp", "10000-01-01 08:00:00", `!is after the year 9999`},
	{"postgres", "numeric", "123456789012345678901234567890.1200", `123456789012345678901234567890.1200`},
	{"postgres", "numeric", "NaN", `!"NaN" is no number that a document can show`},
	{"postgres", "numeric", "Infinity", `!"Infinity" is no number that a document can show`},
	{"postgres", "numeric", "-Infinity", `!is no number that a document can show`},
	{"postgres", "numeric", digits200, `!at most 128 are allowed`},
	{"postgres", "numeric", "0." + digits200, `!at most 128 are allowed`},
	{"postgres", "numeric", digits200[:128], digits200[:128]},
	{"postgres", "float8", "1e300", `1e+300`},
	{"postgres", "float8", "0.30000000000000004", `0.30000000000000004`},
	{"postgres", "float8", "-0", `0`},
	{"postgres", "float8", "NaN", `!is no number that a document can show`},
	{"postgres", "float8", "-Infinity", `!is no number that a document can show`},
	{"postgres", "time", "24:00:00", `"24:00:00"`},
	{"postgres", "interval", "1 mon 2 days 03:00:00", `"1 mon 2 days 03:00:00"`},
	{"postgres", "bytea", `\x00ff`, `"\\x00ff"`},
	{"postgres", "texts", `{a,"b c",NULL}`, `"{a,\"b c\",NULL}"`},
	{"postgres", "open", "infinity", `"infinity"`},
	{"postgres", "jsonb", `{"n": ` + digits200 + `}`, `!number`},
	{"mysql", "date", "2026-11-28", `"2026-11-28"`},
	{"mysql", "date", "0000-02-28", `"0000-02-28"`},
	{"mysql", "date", "9999-12-31", `"9999-12-31"`},
	{"mysql", "date", "0000-00-00", `!systems write zeros for none`},
	{"mysql", "date", "2026-02-00", `!names a day that does not exist`},
	{"mysql", "timestamptz", "2026-11-28 10:00:00.123456", `"2026-11-28T10:00:00.123456Z"`},
	{"mysql", "timestamptz", "0000-00-00 00:00:00", `!systems write zeros for none`},
	{"mysql", "timestamptz", "9999-12-31 23:59:59.999999", `"9999-12-31T23:59:59.999999Z"`},
	{"mysql", "timestamp", "2026-11-28 10:00:00", `"2026-11-28T02:00:00Z"`},
	{"mysql", "timestamp", "2026-00-28 10:00:00", `!names a day that does not exist`},
	{"mysql", "numeric", "1234567890123456789012345678901234567890.1234567890", `1234567890123456789012345678901234567890.1234567890`},
	{"mysql", "float8", "1e300", `1e+300`},
	{"mysql", "float8", "0.30000000000000004", `0.30000000000000004`},
	{"mysql", "time", "-838:59:59", `"-838:59:59"`},
	{"mysql", "bytea", `plain`, `"plain"`},
	{"mysql", "open", "2026-11-28", `"2026-11-28"`},
	{"mysql", "jsonb", `{"n": 1.50}`, `{"n": 1.50}`},
	{"mysql", "jsonb", `{"n": ` + digits200 + `}`, `!number`},
	{"mysql", "unix", "253402300800", `!is after the year 9999`},
	{"sqlite", "date", "2026-11-28", `"2026-11-28"`},
	{"sqlite", "date", "2026-02-30", `!"2026-02-30" names a day that does not exist`},
	{"sqlite", "date", "2026-02-00", `!names a day that does not exist`},
	{"sqlite", "date", "0000-00-00", `!systems write zeros for none`},
	{"sqlite", "date", "10000-01-01", `!is after the year 9999`},
	{"sqlite", "date", "-0044-03-15", `!is before the year 0 (45 BC)`},
	{"sqlite", "date", "infinity", `!is infinity`},
	{"sqlite", "timestamptz", "2026-11-28 24:00:00", `"2026-11-29T00:00:00Z" another form`},
	{"sqlite", "timestamptz", "2026-11-28T10:00Z", `"2026-11-28T10:00:00Z" another form`},
	{"sqlite", "timestamptz", "20261128T100000Z", `"2026-11-28T10:00:00Z" another form`},
	{"sqlite", "timestamptz", "2026-02-30 10:00:00", `!names a day that does not exist`},
	{"sqlite", "timestamptz", "0000-00-00 00:00:00", `!systems write zeros for none`},
	{"sqlite", "timestamptz", "10000-01-01T00:00:00Z", `!is after the year 9999`},
	{"sqlite", "timestamptz", "soon", `!"soon" is no time`},
	{"sqlite", "unix", "253402300799", `"9999-12-31T23:59:59Z"`},
	{"sqlite", "unix", "253402300800", `!is after the year 9999`},
	{"sqlite", "unix", "-62167219201", `!is before the year 0`},
	{"sqlite", "unix", "9223372036854775807", `!too far from 1970`},
	{"sqlite", "numeric", "NaN", `!is no number that a document can show`},
	{"sqlite", "numeric", digits200, `!at most 128 are allowed`},
	{"sqlite", "numeric", "a lot", `!"a lot" is no number`},
	{"sqlite", "date", "28/11/2026", `"28/11/2026" no date to write`},
	{"sqlite", "date", "2026-11-28 10:00:00", `"2026-11-28" another form`},
}

var valueTypes = map[string]string{"date": "date", "timestamptz": "timestamp", "timestamp": "local-timestamp", "numeric": "decimal", "float8": "decimal",
	"time": "text", "interval": "text", "bytea": "text", "texts": "text", "open": "text", "jsonb": "json", "unix": "unix"}

// valueTable makes a table with a column of every kind.
func valueTable(t *testing.T, p *place) *database {
	var columns, settings string
	for name, typ := range valueTypes {
		kind := map[string]string{"texts": "text[]", "open": "date", "unix": "bigint"}[name]
		switch {
		case p.kind == "sqlite":
			kind = "text"
		case p.kind == "mysql":
			kind = map[string]string{"date": "date", "timestamptz": "datetime(6)", "timestamp": "datetime(6)", "numeric": "decimal(50,10)", "float8": "double", "time": "time",
				"interval": "text", "bytea": "varbinary(20)", "texts": "text", "open": "date", "jsonb": "json", "unix": "bigint"}[name]
		case kind == "":
			kind = name
		}
		columns += ", " + quote(name) + " " + kind
		settings += ", " + name + ": " + typ
	}
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY"+columns+")")
	return open(t, p, "zone: Asia/Shanghai\nobjects: {x: {table: x, columns: {id: integer"+settings+"}}}")
}

func TestValuesAsTheyAre(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		db := valueTable(t, p)
		for i, tc := range valueCases {
			if tc.where != p.kind {
				continue
			}
			p.exec(t, fmt.Sprintf("INSERT INTO x (id, %s) VALUES (%d, '%s'), (%d, NULL)", quote(tc.column), 2*i, tc.held, 2*i+1))
			got, err := readOne(t, db, "x", fmt.Sprint(2*i))
			if why, refused := strings.CutPrefix(tc.want, "!"); refused {
				if err == nil || !strings.Contains(err.Error(), "column "+tc.column) || !strings.Contains(err.Error(), why) {
					t.Errorf("%s %s: %v, want %s", tc.column, tc.held, err, why)
				}
				continue
			}
			want, _, form := strings.Cut(tc.want, `" `)
			if form {
				want += `"`
			}
			if err != nil || string(got.Get(tc.column).Raw()) != want {
				t.Errorf("%s %s: %s %v, want %s", tc.column, tc.held, got.Get(tc.column).Raw(), err, want)
				continue
			}
			if form {
				continue // what is written has the hub's form
			}
			if _, err := write(t, db, connector.Update, fmt.Sprint(2*i+1), fmt.Sprintf(`{%q:%s}`, tc.column, want)); err != nil {
				t.Errorf("%s %s: it cannot be written back: %v", tc.column, tc.held, err)
				continue
			}
			same := fmt.Sprintf("SELECT count(*) FROM x a, x b WHERE a.id = %d AND b.id = %d AND a.%[3]s = b.%[3]s", 2*i, 2*i+1, quote(tc.column))
			if p.text(t, same) != "1" && p.kind != "sqlite" {
				t.Errorf("%s %s: it was written back as another value", tc.column, tc.held)
			}
		}
	})
}

// What no column of a date or time can hold is refused before it is written.
func TestNoSuchTimesAreNotWritten(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		db := valueTable(t, p)
		p.exec(t, "INSERT INTO x (id) VALUES (1)")
		for doc, why := range map[string]string{
			`{"date":"2026-02-30"}`:                             "names a day that does not exist",
			`{"date":"infinity"}`:                               "is infinity",
			`{"date":"20261128"}`:                               "is no date (write 2006-01-02)",
			`{"date":"2026-11-28T10:00:00Z"}`:                   "is no date (write 2006-01-02)",
			`{"date":"10000-01-01"}`:                            "is after the year 9999",
			`{"timestamptz":"2026-11-28"}`:                      "is no time with a zone",
			`{"timestamptz":"2026-11-28T10:00:00"}`:             "is no time with a zone",
			`{"timestamptz":"2026-02-30T10:00:00Z"}`:            "names a day that does not exist",
			`{"timestamp":"2026-11-28T25:00:00Z"}`:              "names a time of day that does not exist",
			`{"timestamptz":"9999-12-31T23:59:59-05:00"}`:       "is after the year 9999",
			`{"timestamp":"9999-12-31T23:00:00Z"}`:              "is after the year 9999",
			`{"numeric":"NaN"}`:                                 "is no decimal number",
			`{"numeric":"` + digits200 + `"}`:                   "at most 128 are allowed",
			`{"timestamptz":"2026-11-28T10:00:00.1234567891Z"}`: "is finer than a nanosecond",
		} {
			if _, err := write(t, db, connector.Update, "1", doc); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %v, want %s", doc, err, why)
			}
		}
	})
}

// The text of a float tells it from every other. SQLite gave 15 digits until 3.51: with an older driver this would be a silent loss.
func TestFloatsKeepTheirDigits(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, a real, n numeric)")
	db := open(t, p, "objects: {x: {table: x, columns: {id: integer, a: decimal, n: integer}}}")
	for i, tc := range []struct{ held, want string }{
		{"0.1 + 0.2", "0.30000000000000004"}, {"0.1", "0.1"}, {"123456789.12345679", "123456789.12345679"}, {"1e300", "1.0e+300"}, {"2.0", "2.0"},
		{"9e999", "!is no number that a document can show"},
	} {
		p.exec(t, fmt.Sprintf("INSERT INTO x VALUES (%d, %s, 12345678901234567890)", i, tc.held))
		got, err := readOne(t, db, "x", fmt.Sprint(i))
		if why, refused := strings.CutPrefix(tc.want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %v", tc.held, err)
			}
		} else if err != nil || string(got.Get("a").Raw()) != tc.want || string(got.Get("n").Raw()) != "12345678901234567000" {
			t.Errorf("%s: %s %s %v, want %s", tc.held, got.Get("a").Raw(), got.Get("n").Raw(), err, tc.want)
		}
	}
}

// A text of bytes that are no UTF-8 is refused: a sign in their place would be another value, and be written back.
func TestBytesAreNoText(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, name text)")
	p.exec(t, "INSERT INTO x VALUES (1, CAST(x'4dfc6c6c6572' AS TEXT)), (2, 'Müller')")
	db := open(t, p, "objects: {x: {table: x, columns: {id: integer, name: text}}}")
	if _, err := readOne(t, db, "x", "1"); err == nil || !strings.Contains(err.Error(), "column name") || !strings.Contains(err.Error(), "no UTF-8") {
		t.Errorf("%v", err)
	}
	if got, err := readOne(t, db, "x", "2"); err != nil || got.Get("name").Str() != "Müller" {
		t.Errorf("%v %v", got, err)
	}
}

// Every day from 4713 BC to 294276: given as it is where a document can write it, and refused by its year where not. What is given is
// written back as the same day.
func TestEveryDay(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		db := valueTable(t, p)
		p.exec(t, "INSERT INTO x (id) VALUES (1), (2)")
		least, most := time.Date(-4712, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(294276, 12, 31, 0, 0, 0, 0, time.UTC)
		rapid.Check(t, func(rt *rapid.T) {
			second := rapid.OneOf(
				rapid.Int64Range(least.Unix(), most.Unix()),
				rapid.Int64Range(time.Date(-2, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(3, 1, 1, 0, 0, 0, 0, time.UTC).Unix()),
				rapid.Int64Range(time.Date(9998, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC).Unix()),
			).Draw(rt, "second")
			at := time.Unix(second, rapid.Int64Range(0, 999_999).Draw(rt, "micro")*1000).UTC()
			if y := at.Year(); p.kind == "mysql" && (y < 0 || y > 9999 || y == 0 && at.YearDay() == 60) {
				return // it has no such years, and no 29 February of the year 0
			}
			day, stamp := heldAs(p.kind, at)
			p.exec(t, fmt.Sprintf(`UPDATE x SET "date" = '%s', "timestamptz" = '%s' WHERE id = 1`, day, stamp))
			got, err := readOne(rt, db, "x", "1")
			if y := at.Year(); y < 0 || y > 9999 {
				if err == nil || !strings.Contains(err.Error(), "the year") {
					rt.Fatalf("%s: %v", day, err)
				}
				return
			}
			if err != nil || got.Get("date").Str() != at.Format(time.DateOnly) || got.Get("timestamptz").Str() != at.Format(time.RFC3339Nano) {
				rt.Fatalf("%s %s: %s %v", day, stamp, got.Raw(), err)
			}
			if _, err := write(t, db, connector.Update, "2", fmt.Sprintf(`{"date":%s,"timestamptz":%s}`, got.Get("date").Raw(), got.Get("timestamptz").Raw())); err != nil {
				rt.Fatal(err)
			}
			again, err := readOne(rt, db, "x", "2")
			if err != nil || again.Get("date").Str() != got.Get("date").Str() || again.Get("timestamptz").Str() != got.Get("timestamptz").Str() {
				rt.Fatalf("%s came back as %s %v", got.Raw(), again.Raw(), err)
			}
			if p.kind != "sqlite" && p.text(t, `SELECT count(*) FROM x a, x b WHERE a.id = 1 AND b.id = 2 AND a."date" = b."date" AND a."timestamptz" = b."timestamptz"`) != "1" {
				rt.Fatalf("%s was written back as another value", got.Raw())
			}
		})
	})
}

// heldAs writes a day and a time as a database does.
func heldAs(kind string, at time.Time) (day, stamp string) {
	year, era := at.Year(), ""
	if kind == "postgres" && year <= 0 {
		year, era = 1-year, " BC"
	}
	text := fmt.Sprintf("%04d", year)
	if year < 0 {
		text = fmt.Sprintf("-%04d", -year)
	}
	if kind == "mysql" {
		return text + at.Format("-01-02"), text + at.Format("-01-02 15:04:05.000000")
	}
	return text + at.Format("-01-02") + era, text + at.Format("-01-02 15:04:05.000000+00") + era
}

// A version in a form that is read and not written again still has an overlap: a change that appears late is read.
func TestOverlapOfOtherForms(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v text)")
	p.exec(t, "INSERT INTO x VALUES (1, '2026-11-28t24:00:00z')")
	db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp}}}")
	now := time.Date(2026, 11, 29, 0, 0, 1, 0, time.UTC)
	db.clock = testClock{lifecycle.Real(), func() time.Time { return now }}
	first, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Overlap: 10 * time.Minute})
	if err != nil || len(first.Records) != 1 || first.Records[0].Version != "2026-11-29T00:00:00Z" {
		t.Fatal(first, err)
	}
	p.exec(t, "INSERT INTO x VALUES (2, '2026-11-28t23:58:00z')")
	second, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Overlap: 10 * time.Minute, Cursor: first.Cursor})
	if err != nil || len(second.Records) != 1 || second.Records[0].Local != "2" {
		t.Errorf("%v %v", second, err)
	}
}
