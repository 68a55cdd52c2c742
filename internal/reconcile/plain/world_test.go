package plain

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	sqlconn "github.com/waybill-hub/waybill/connectors/sql"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/mariatest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) {
	code := mariatest.Main(func() int { return pgtest.Main(m) })
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// world is a database with two tables, l and r.
type world struct {
	db     *sql.DB
	kind   string
	head   string
	system connector.PlainReader
}

var urls atomic.Int64

func newWorld(t testing.TB, kind string) *world {
	t.Helper()
	w := &world{kind: kind}
	driver, dsn := "sqlite", ""
	url := func(driver, dsn string) {
		name := fmt.Sprintf("PLAIN_TEST_URL_%d", urls.Add(1))
		os.Setenv(name, dsn)
		t.Cleanup(func() { os.Unsetenv(name) })
		w.head = "connector: sql\ndriver: " + driver + "\nurl: ${env:" + name + "}\n"
	}
	switch kind {
	case "postgres":
		driver, dsn = "pgx", pgtest.URL(t)
		url(kind, dsn)
	case "mysql":
		dsn = mariatest.URL(t)
		url(kind, dsn)
		w.db = mariatest.Open(t, dsn)
		return w
	default:
		path := filepath.Join(t.TempDir(), "a.db")
		dsn = "file:" + path + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
		w.head = "connector: sql\ndriver: sqlite\npath: " + path + "\n"
	}
	var err error
	if w.db, err = sql.Open(driver, dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	return w
}

func both(t *testing.T, test func(t *testing.T, w *world)) {
	for _, kind := range []string{"sqlite", "postgres", "mysql"} {
		t.Run(kind, func(t *testing.T) { test(t, newWorld(t, kind)) })
	}
}

// inMaria is what MariaDB says in other words.
var inMaria = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`\btext PRIMARY KEY`), "varchar(60) COLLATE utf8mb4_nopad_bin PRIMARY KEY"},
	{regexp.MustCompile(`\bnumeric\b([^(]|$)`), "decimal(40,10)$1"},
	{regexp.MustCompile(`CAST\((\d+) AS bigint\)`), "$1"},
	{regexp.MustCompile(`^WITH RECURSIVE g\(n\) AS \(SELECT 1 UNION ALL SELECT n \+ 1 FROM g WHERE n < (\d+)\) (.*) FROM g$`), "$2 FROM (SELECT CAST(seq AS signed) AS n FROM seq_1_to_$1) AS g"},
}

func (w *world) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	for _, r := range inMaria {
		if w.kind == "mysql" {
			query = r.re.ReplaceAllString(query, r.to)
		}
	}
	if _, err := w.db.Exec(query, args...); err != nil {
		t.Fatalf("%v: %s", err, query)
	}
}

// open makes the hub's system, whose objects l and r have the columns of the settings; r those of other, where that is given.
func (w *world) open(t testing.TB, columns string, other ...string) {
	t.Helper()
	right := strings.Join(append(other, columns)[:1], "")
	yaml := w.head + "objects:\n  l: {table: l, " + columns + "}\n  r: {table: r, " + right + "}\n"
	var p strictyaml.Problems
	docs := strictyaml.Parse("waybill.yaml", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	sys, err := sqlconn.Kind{}.Open(t.Context(), connector.Settings{Name: "erp", Node: docs[0]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sys.Close() })
	w.system = sys.(connector.PlainReader)
}

func spec(key string, columns ...string) Spec {
	var s Spec
	for _, k := range strings.Fields(key) {
		s.Key = append(s.Key, Column{Left: k, Right: k})
	}
	for _, c := range columns {
		s.Columns = append(s.Columns, Column{Left: c, Right: c})
	}
	return s
}

// compare gives the pairs as lines: kind, key, fields.
func (w *world) compare(t testing.TB, s Spec, o Options, look ...func(Pair)) (lines []string, res Result, path Path) {
	t.Helper()
	c, err := Open(t.Context(), Table{w.system, "l"}, Table{w.system, "r"}, s, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	res, err = c.Run(t.Context(), func(p Pair) error {
		lines = append(lines, line(s, p))
		for _, look := range look {
			look(p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, res, c.Path()
}

func line(s Spec, p Pair) string {
	out := string(p.Kind) + " " + strings.Join(p.Key, ",")
	for _, f := range p.Fields {
		out += fmt.Sprintf(" %s:%s/%s", s.Columns[f].Left, p.Left[f], p.Right[f])
	}
	if p.Rows > 0 {
		out += fmt.Sprintf(" x%d", p.Rows)
	}
	return out
}

// bothWays compares by both paths, which must find the same.
func (w *world) bothWays(t testing.TB, s Spec, o Options, want ...string) (res Result) {
	t.Helper()
	for _, stream := range []bool{true, false} {
		o.Stream = stream
		lines, r, path := w.compare(t, s, o)
		if !slices.Equal(lines, want) {
			t.Errorf("%s, %s: found\n%s\nand not\n%s", w.kind, path, strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
		if want := Streamed; !stream {
			if want = Pushed; path != want {
				t.Errorf("%s: the path is %s", w.kind, path)
			}
		}
		res = r
	}
	return res
}
