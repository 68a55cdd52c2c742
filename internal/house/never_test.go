package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ban is something of a library, or of the language, that the hub does without, because of what it does wrong. The guards
// stand in the code that is used instead.
type ban struct {
	lib   string   // import path; empty: a name of the language, or any method of that name
	name  string   // what the package is called where its path does not end in that
	names []string // nil: the whole package
	in    []string // files and packages that it is for; nil: all
	but   []string // files and packages that may
	why   string
}

// values are the packages that documents, and with them money and codes, pass through.
var values = []string{"internal/event", "internal/jsondoc", "internal/schema", "internal/mapping", "internal/flow", "internal/connector",
	"internal/state", "internal/store", "internal/avrodoc", "internal/parquetdoc", "connectors"}

// intake are the packages that read what strangers and systems send.
var intake = []string{"internal/intake", "internal/webhook", "internal/relay", "internal/inbox", "internal/submit"}

var bans = []ban{
	{lib: "github.com/segmentio/kafka-go", name: "kafka", names: []string{"Reader", "ReaderConfig", "NewReader"}, but: []string{"internal/bench"},
		why: "it has no fencing: queued messages survive a rebalance, and their offsets are committed under the new generation"},
	{lib: "github.com/segmentio/kafka-go", name: "kafka", names: []string{"Writer", "WriterConfig", "NewWriter"}, but: []string{"internal/bench"},
		why: "it writes again what may have been written, and later records of a key after an earlier one failed; its queue has no bound"},
	{lib: "github.com/ThreeDotsLabs/watermill/message/router/middleware",
		why: "Deduplicator marks before the work is done, PoisonQueue poisons what a stop has cancelled, Throttle and Retry do not know the end of a context"},
	{names: []string{"AddHandler"}, why: "watermill closes the publisher of a handler that ends, although others use it: AddConsumerHandler has none"},
	{lib: "github.com/xeipuuv/gojsonschema", names: []string{"NewGoLoader"},
		why: "it writes the whole document as JSON and reads it again: use NewRawLoader"},
	{lib: "github.com/xeipuuv/gojsonschema", names: []string{"NewReferenceLoader", "NewReferenceLoaderFileSystem"},
		why: "it fetches whatever a schema names, from the network without a time limit and from files"},
	{lib: "github.com/xeipuuv/gojsonschema", names: []string{"NewStringLoader", "NewBytesLoader", "NewReaderLoader", "NewWriterLoader"},
		why: "it takes what follows the document, names that stand twice and bytes that are no UTF-8: parse with jsondoc"},
	{lib: "github.com/expr-lang/expr", why: "it compares and adds up as binary floating point and has a clock: internal/mapping compiles its tree itself"},
	{lib: "github.com/robfig/cron/v3", name: "cron", names: []string{"New", "NewChain", "Recover", "SkipIfStillRunning", "DelayIfStillRunning", "ParseStandard"},
		why: "it runs jobs over each other, forgets missed ones, and a recovered panic can disable a job for ever: internal/schedule runs them"},
	{lib: "gopkg.in/yaml.v3", name: "yaml", names: []string{"Unmarshal"}, why: "it reads the first document only, and codes as numbers"},
	{names: []string{"KnownFields", "UnmarshalYAML"}, why: "unknown keys pass below an own UnmarshalYAML: internal/strictyaml knows the keys itself"},
	{lib: "net/url", names: []string{"Values"}, in: []string{"connectors", "internal/httpclient", "internal/connector"},
		but: []string{"connectors/sql/dialect.go", "internal/httpclient/token.go"}, // a driver's settings; a form
		why: "Encode writes a space as +, which not every server reads as one: use httpclient.Query"},
	{names: []string{"float64", "float32"}, in: values, but: []string{"internal/jsondoc/round.go", "internal/avrodoc/float.go", "internal/parquetdoc/float.go"}, // for metrics alone; Avro's and Parquet's own float and double
		why: "money and codes are exact: use jsondoc.Decimal"},
	{lib: "encoding/json", names: []string{"Unmarshal", "NewDecoder"}, in: values, but: []string{"internal/connector/window.go", "internal/store", "connectors/kafka/cursor.go", "connectors/sql/capture_cursor.go"}, // own columns and cursors
		why: "it makes numbers floats, and takes names that stand twice: parse with jsondoc"},
	{lib: "net/http", names: []string{"Client", "DefaultClient", "Transport", "DefaultTransport", "Get", "Head", "Post", "PostForm", "NewRequest", "NewRequestWithContext"},
		in: slices.Concat(intake, values), why: "nothing that a payload names is fetched, and systems are reached through httpclient, which refuses addresses"},
	{lib: "time", names: []string{"LoadLocation"}, why: "what a zone means would depend on the machine, and nobody would say so: use internal/zones"},
	{lib: "time/tzdata", why: "the data of the compiler's release is older than the law: use internal/zones"},
	{lib: "net", names: []string{"Dial", "DialTimeout", "Dialer"}, in: slices.Concat(intake, values),
		why: "connections to systems are made by httpclient's dialer, which refuses addresses"},
}

func TestNeverUsed(t *testing.T) {
	for _, file := range goFiles(t) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join("..", "..", file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range banned(fset, f, file) {
			t.Error(found)
		}
	}
}

// banned lists what a file uses of the bans.
func banned(fset *token.FileSet, f *ast.File, file string) (found []string) {
	report := func(n ast.Node, what string, b *ban) {
		found = append(found, fmt.Sprintf("%s:%d uses %s: %s", file, fset.Position(n.Pos()).Line, what, b.why))
	}
	for i := range bans {
		b := &bans[i]
		if b.in != nil && !slices.ContainsFunc(b.in, func(p string) bool { return under(file, p) }) || slices.ContainsFunc(b.but, func(p string) bool { return under(file, p) }) {
			continue
		}
		local := ""
		for _, s := range f.Imports {
			if b.lib == "" || s.Path.Value != `"`+b.lib+`"` {
				continue
			}
			if local = localName(s, b); b.names == nil || local == "." {
				report(s, b.lib, b)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && local != "" && x.Name == local && slices.Contains(b.names, n.Sel.Name) {
					report(n, local+"."+n.Sel.Name, b)
				}
			case *ast.Ident:
				if b.lib == "" && slices.Contains(b.names, n.Name) {
					report(n, n.Name, b)
				}
			}
			return true
		})
	}
	return found
}

func localName(s *ast.ImportSpec, b *ban) string {
	switch {
	case s.Name != nil:
		return s.Name.Name
	case b.name != "":
		return b.name
	}
	return b.lib[strings.LastIndexByte(b.lib, '/')+1:]
}

// TestNeverUsedSees: the search finds what it is for, under other names too.
func TestNeverUsedSees(t *testing.T) {
	const text = `package x

import (
	"encoding/json"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	k "github.com/segmentio/kafka-go"
	. "github.com/xeipuuv/gojsonschema"
	"net/url"
)

func (y *yaml) UnmarshalYAML() {}

func f() {
	k.NewReader(k.ReaderConfig{})
	var price float64 = 1
	json.Unmarshal(nil, &price)
	d.KnownFields(true)
	_ = url.Values{}
	_ = json.Number("1")
}
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"connectors/x/x.go":   "5 7 7 7 11 14 14 15 16 17 18",
		"internal/bench/x.go": "5 7 7 7 11 17",
	} {
		var lines []int
		for _, found := range banned(fset, f, file) {
			var line int
			if _, err := fmt.Sscanf(strings.TrimPrefix(found, file+":"), "%d", &line); err != nil {
				t.Fatal(found, err)
			}
			lines = append(lines, line)
		}
		slices.Sort(lines)
		if got := strings.Trim(fmt.Sprint(lines), "[]"); got != want {
			t.Errorf("%s: found in lines %s, want %s", file, got, want)
		}
	}
}
