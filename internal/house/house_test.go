// Package house tests the layout: imports go downward only, and each bold library appears in one package alone.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/waybill-hub/waybill/"

// may says what the non-test files of a package may import of the module. A trailing /... stands for everything below.
var may = map[string][]string{
	"internal/event":      {},
	"internal/fault":      {},
	"internal/failpoint":  {},
	"internal/filemode":   {},
	"internal/sdnotify":   {},
	"internal/lifecycle":  {"internal/failpoint"},
	"internal/strictyaml": {},
	"internal/jsondoc":    {},
	"internal/idset":      {},
	"internal/timetext":   {},
	"internal/tracing":    {},
	"internal/telemetry":  {"internal/tracing"},
	"internal/notice":     {"internal/fault", "internal/lifecycle"},
	"internal/gather":     {"internal/lifecycle"},
	"internal/guards":     {},
	"internal/spill":      {},
	"internal/zones":      {},
	"internal/kafkaauth":  {"internal/strictyaml"},
	"internal/avrodoc":    {"internal/jsondoc"},
	"internal/parquetdoc": {"internal/jsondoc"},
	"internal/state":      {"internal/event"},
	"internal/schema":     {"internal/fault", "internal/strictyaml", "internal/jsondoc"},
	"internal/mapping":    {"internal/zones", "internal/timetext", "internal/event", "internal/fault", "internal/strictyaml", "internal/jsondoc", "internal/schema"},
	"internal/connector":  {"internal/lifecycle", "internal/zones", "internal/event", "internal/fault", "internal/strictyaml"},
	"internal/manifest":   {"internal/connector", "internal/strictyaml"},
	"internal/recording":  {"internal/connector", "internal/fault", "internal/jsondoc", "internal/manifest", "internal/strictyaml", "internal/webhook", "internal/xmldoc"},
	"internal/compare":    {"internal/zones", "internal/timetext", "internal/connector", "internal/jsondoc"},
	"internal/einvoice":   {"internal/xmldoc", "internal/jsondoc"},
	"internal/format":     {"internal/edi", "internal/einvoice", "internal/parquetdoc", "internal/strictyaml", "internal/jsondoc"},
	"internal/drop":       {"internal/edi", "internal/format", "internal/connector", "internal/fault", "internal/strictyaml", "internal/lifecycle", "internal/failpoint"},
	"internal/edi":        {"internal/zones", "internal/strictyaml", "internal/jsondoc"},
	"internal/httpclient": {"internal/tracing", "internal/connector", "internal/fault", "internal/strictyaml", "internal/jsondoc", "internal/lifecycle", "internal/failpoint"},
	"internal/fold":       {},
	"internal/store":      {"internal/fold", "internal/filemode", "internal/event", "internal/fault", "internal/state", "internal/lifecycle", "internal/failpoint"},
	"internal/bus":        {"internal/notice", "internal/event", "internal/fault", "internal/lifecycle", "internal/failpoint"},
	// Below bus, and not the other way: the client is tried on the embedded broker, which knows nothing of it.
	"internal/bus/recordbatch": {},
	"internal/bus/embedded":    {"internal/notice", "internal/bus/recordbatch", "internal/fault", "internal/filemode", "internal/lifecycle", "internal/failpoint"},
	"internal/config":          {"internal/access", "internal/kafkaauth", "internal/zones", "internal/strictyaml", "internal/schema", "internal/mapping", "internal/connector", "internal/manifest", "internal/compare", "internal/jsondoc", "internal/xmldoc"},
	"internal/library":         {"internal/config", "internal/edi", "internal/strictyaml", "mappings", "schemas"},
	"internal/lease":           {"internal/state", "internal/notice", "internal/lifecycle", "internal/failpoint"},
	"internal/inbox":           {"internal/event", "internal/fault", "internal/jsondoc"},
	"internal/publish":         {"internal/event"},
	"internal/relay":           {"internal/publish", "internal/inbox", "internal/lease", "internal/notice", "internal/event", "internal/fault", "internal/state", "internal/jsondoc", "internal/lifecycle", "internal/failpoint"},
	"internal/xmldoc":          {"internal/jsondoc"},
	"internal/webhook":         {"internal/xmldoc", "internal/inbox", "internal/fault", "internal/state", "internal/jsondoc", "internal/strictyaml", "internal/lifecycle", "internal/failpoint"},
	"internal/submit":          {"internal/inbox", "internal/event", "internal/fault", "internal/state", "internal/jsondoc", "internal/lifecycle", "internal/failpoint"},
	"internal/intake": {"internal/guards", "internal/notice", "internal/publish", "internal/inbox", "internal/lease", "internal/relay", "internal/webhook", "internal/submit", "internal/event", "internal/fault", "internal/connector", "internal/state",
		"internal/config", "internal/mapping", "internal/jsondoc", "internal/idset", "internal/lifecycle", "internal/schedule", "internal/failpoint"},
	"internal/reconcile/plain": {"internal/compare", "internal/connector", "internal/jsondoc", "internal/lifecycle"},
	"internal/reconcile/index": {"internal/connector", "internal/fault", "internal/idset", "internal/lifecycle", "internal/state"},
	"internal/privacy":         {"internal/config", "internal/mapping", "internal/schema", "internal/jsondoc"},
	"internal/search":          {"internal/fold", "internal/jsondoc", "internal/lease", "internal/lifecycle", "internal/privacy", "internal/state"},
	"internal/flow/calls":      {"internal/state", "internal/failpoint"},
	"internal/flow/breaker":    {"internal/fault", "internal/lifecycle"},
	"internal/flow/decide":     {"internal/guards", "internal/event", "internal/fault", "internal/mapping", "internal/schema", "internal/connector", "internal/state", "internal/config", "internal/jsondoc"},
	"internal/flow/deliver": {"internal/flow/breaker", "internal/flow/calls", "internal/flow/decide", "internal/event", "internal/fault", "internal/mapping", "internal/connector", "internal/state",
		"internal/privacy", "internal/config", "internal/lifecycle", "internal/failpoint", "internal/tracing"},
	"internal/flow": {"internal/guards", "internal/tracing", "internal/publish", "internal/notice", "internal/event", "internal/fault", "internal/connector", "internal/state", "internal/privacy", "internal/config",
		"internal/lifecycle", "internal/failpoint"},
	"internal/reconcile": {"internal/compare", "internal/config", "internal/connector", "internal/event", "internal/fault", "internal/flow/decide", "internal/jsondoc", "internal/lifecycle", "internal/mapping", "internal/privacy", "internal/spill", "internal/state", "internal/strictyaml", "internal/submit"},
	"internal/backfill":  {"internal/intake", "internal/submit", "internal/inbox", "internal/connector", "internal/event", "internal/fault", "internal/state", "internal/lifecycle", "internal/failpoint"},
	"internal/flowtest": {"internal/reconcile/rules", "internal/flow/decide", "internal/config", "internal/connector", "internal/event", "internal/jsondoc", "internal/state",
		"internal/strictyaml"},
	"internal/backup":   {"internal/filemode"},
	"internal/connect":  {"internal/config", "internal/connector", "internal/schema", "internal/jsondoc", "internal/fault", "internal/strictyaml"},
	"internal/scaffold": {"internal/config", "internal/mapping", "internal/format", "internal/jsondoc", "internal/schema", "internal/strictyaml"},
	"internal/schedule": {"internal/lease", "internal/notice", "internal/zones", "internal/lifecycle", "internal/state"},
	"internal/sandbox":  {"internal/sandbox/liar"},
	"internal/status":   {},
	"internal/report":   {"internal/format", "internal/state"},
	"internal/logcheck": {"internal/notice", "internal/publish", "internal/fault", "internal/lease", "internal/event", "internal/state", "internal/lifecycle"},
	"internal/access":   {"internal/lifecycle"},
	"internal/signon":   {"internal/access"},
	"internal/api":      {"internal/event", "internal/fault", "internal/state", "internal/lifecycle", "internal/status", "internal/access", "internal/report"},
	"internal/mailer":   {"internal/drop", "internal/httpclient", "internal/strictyaml"},
	"internal/alert":    {"internal/mailer", "internal/api", "internal/config", "internal/connector", "internal/fault", "internal/httpclient", "internal/lifecycle", "internal/notice", "internal/state", "internal/status"},
	"internal/console":  {"internal/api", "internal/access", "internal/status", "internal/lifecycle"},
	"internal/cli":      {"internal/...", "connectors", "connectors/manifests", "schemas", "flows", "mappings", "configs"},
	"internal/app":      {"internal/...", "connectors/...", "connectors", "schemas", "flows", "mappings", "configs"},
	"internal/bench":    {"internal/...", "connectors/...", "connectors", "schemas", "flows", "mappings", "configs"},
	"connectors":        {"connectors/...", "internal/connector"},
	"connectors/*":      {"internal/filemode", "internal/zones", "internal/timetext", "internal/connector", "internal/fault", "internal/event", "internal/httpclient", "internal/edi", "internal/format", "internal/drop", "internal/strictyaml", "internal/jsondoc", "internal/lifecycle", "internal/failpoint", "internal/gather"},
	// What this kind of system needs beside that: Kafka's client is one, for the hub's own cluster and for others.
	"connectors/kafka": {"internal/bus", "internal/kafkaauth", "internal/avrodoc", "internal/schema"},
	// SOAP is a dialect of the calls that rest makes: lists that move, windows of polls, look-ups and what an answer means are one room.
	"connectors/soap": {"connectors/rest", "internal/xmldoc"},
	"connectors/mail": {"internal/mailer"},
	"cmd/waybill":     {"internal/cli"},
	"schemas":         {}, "flows": {}, "mappings": {}, "configs": {},
}

// home says which package alone may import a library.
var home = map[string][]string{
	"github.com/coreos/go-oidc":                {"internal/signon"},
	"gopkg.in/yaml.v3":                         {"internal/strictyaml"},
	"github.com/segmentio/kafka-go":            {"internal/bus", "internal/bench"},
	"github.com/twmb/franz-go":                 {"internal/bus/embedded"},
	"github.com/twmb/avro":                     {"internal/avrodoc"},
	"github.com/xeipuuv/gojsonschema":          {"internal/schema"},
	"github.com/santhosh-tekuri/jsonschema/v6": {"internal/schema"},
	"github.com/expr-lang/expr":                {"internal/mapping"},
	"github.com/robfig/cron/v3":                {"internal/schedule"},
	"modernc.org/sqlite":                       {"internal/store", "connectors/sql", "internal/sandbox"},
	"github.com/jackc/pgx/v5":                  {"internal/store", "connectors/sql", "internal/store/pgtest", "internal/bench/capture", "internal/bench/road", "internal/bench/rows"},
	"github.com/jackc/pglogrepl":               {"connectors/sql", "internal/bench/capture"},
	"github.com/go-sql-driver/mysql":           {"connectors/sql"},
	"github.com/microsoft/go-mssqldb":          {"connectors/sql"},
	"github.com/SAP/go-hdb":                    {"connectors/sql"},
	"github.com/sijms/go-ora/v2":               {"connectors/sql"},
	"github.com/prometheus":                    {"internal/telemetry"},
	"go.opentelemetry.io/otel":                 {"internal/telemetry"},
	"github.com/swaggest/swgui":                {"internal/console"},
	"github.com/xuri/excelize/v2":              {"internal/format"},
	"github.com/parquet-go/parquet-go":         {"internal/parquetdoc"},
	"github.com/wneessen/go-mail":              {"connectors/mail", "internal/alert", "internal/mailer"},
	"github.com/pkg/sftp":                      {"connectors/sftp"},
	"golang.org/x/crypto/ssh":                  {"connectors/sftp"},
	"github.com/minio/minio-go/v7":             {"connectors/s3"},
	"github.com/ThreeDotsLabs/watermill":       {"internal/bus", "internal/flow", "internal/app"},
}

func TestImportsGoDownward(t *testing.T) {
	files := goFiles(t)
	if len(files) < 20 {
		t.Fatalf("only %d Go files found: the walk is wrong", len(files))
	}
	for _, f := range files {
		pkg := path.Dir(f)
		for _, imp := range imports(t, f) {
			if in, ok := strings.CutPrefix(imp, module); ok {
				checkDirection(t, f, pkg, in)
				continue
			}
			for lib, homes := range home {
				if (imp == lib || strings.HasPrefix(imp, lib+"/")) && !slices.ContainsFunc(homes, func(h string) bool { return under(pkg, h) }) {
					t.Errorf("%s imports %s, which belongs to %v alone", f, imp, homes)
				}
			}
		}
	}
}

func checkDirection(t *testing.T, file, pkg, imp string) {
	t.Helper()
	rule, allowed, ok := ruleOf(pkg)
	if !ok {
		t.Errorf("%s: package %s has no place in the table of internal/house: give it one", file, pkg)
		return
	}
	if imp == rule || strings.HasPrefix(imp, rule+"/") {
		return // its own sub-packages
	}
	for _, a := range allowed {
		if imp == a || strings.HasSuffix(a, "/...") && strings.HasPrefix(imp, strings.TrimSuffix(a, "...")) {
			return
		}
	}
	t.Errorf("%s imports %s: %s may import %v only", file, imp, rule, allowed)
}

// ruleOf gives the table's row for a package or the nearest one above it.
func ruleOf(pkg string) (string, []string, bool) {
	if d := path.Dir(pkg); d == "connectors" {
		return pkg, slices.Concat(may["connectors/*"], may[pkg]), true
	}
	for p := pkg; p != "."; p = path.Dir(p) {
		if a, ok := may[p]; ok {
			return p, a, true
		}
	}
	return "", nil, false
}

func under(pkg, home string) bool { return pkg == home || strings.HasPrefix(pkg, home+"/") }

// goFiles lists the module's Go files without tests: a test may use what it tests against. Suites that tests share
// (…test packages) count as tests, but flowtest is what `waybill test` runs.
func goFiles(t *testing.T) []string {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		rel = filepath.ToSlash(rel)
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || strings.HasSuffix(d.Name(), "test") && d.Name() != "flowtest") {
			return fs.SkipDir
		}
		if strings.HasSuffix(rel, ".go") && !strings.HasSuffix(rel, "_test.go") {
			out = append(out, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", file), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range f.Imports {
		p, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// TestTopLevel: nothing but the agreed directories stands at the top.
func TestTopLevel(t *testing.T) {
	want := []string{"cmd", "configs", "connectors", "deploy", "docs", "findings", "flows", "internal", "mappings", "schemas"}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" && e.Name() != "data" && !slices.Contains(want, e.Name()) {
			t.Errorf("a top-level directory without a place in the house: %s", e.Name())
		}
	}
}

// TestDecidesWithoutAClock: what becomes of a message depends on what is handed in; nobody there asks for the time, waits, or starts anything.
func TestDecidesWithoutAClock(t *testing.T) {
	looked := 0
	for _, f := range goFiles(t) {
		if path.Dir(f) != "internal/flow/decide" {
			continue
		}
		looked++
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", f), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s starts something", f)
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if id, is := sel.X.(*ast.Ident); is && (id.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Sleep", "NewTimer", "Tick"}, sel.Sel.Name) || slices.Contains([]string{"rand", "os", "http", "sync"}, id.Name)) {
				t.Errorf("%s asks %s.%s", f, id.Name, sel.Sel.Name)
			}
			return true
		})
	}
	if looked == 0 {
		t.Error("internal/flow/decide has no files: the walk is wrong")
	}
}
