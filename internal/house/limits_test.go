package house

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	boundName  = regexp.MustCompile(`^(max|Max|most|longest|defaultMax|defaultMin|defaultMem)[A-Z]`)
	namedConst = regexp.MustCompile("`((?:internal|connectors)/[a-z0-9/]+) ([A-Za-z]+)`")
	namedKey   = regexp.MustCompile("^`([a-z][A-Za-z.-]+)`$")
	keyRow     = regexp.MustCompile("(?m)^\\| `([A-Za-z.\\[\\]-]+)` \\| [^|]* \\| `([^`]*)` \\|")
	units      = map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
)

// TestLimitsAreTrue: docs/limits.md says of each setting the default, and of each constant the value, that the code has; and every constant
// that is named as a bound stands there.
func TestLimitsAreTrue(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	consts := bounds(t, root)
	defaults := map[string]string{}
	for _, name := range []string{"configuration.md", "connectors.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range keyRow.FindAllStringSubmatch(string(text), -1) {
			if _, twice := defaults[m[1]]; !twice {
				defaults[m[1]] = m[2]
			}
		}
	}
	named, keys := map[string]bool{}, 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 {
			continue
		}
		value, where := strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])
		if m := namedKey.FindStringSubmatch(where); m != nil {
			keys++
			if has, ok := defaults[m[1]]; !ok || has != value {
				t.Errorf("docs/limits.md says %s of %s, whose default is %q", value, m[1], has)
			}
		}
		for _, m := range namedConst.FindAllStringSubmatch(where, -1) {
			name := m[1] + " " + m[2]
			named[name] = true
			has, ok := consts[name]
			switch want, err := amount(value); {
			case !ok:
				t.Errorf("docs/limits.md names %s, which is no constant of the code", name)
			case value != "" && (err != nil || !same(has, want)):
				t.Errorf("docs/limits.md says %s of %s, which is %s", value, name, has)
			}
		}
	}
	for name := range consts {
		if !named[name] && boundName.MatchString(name[strings.Index(name, " ")+1:]) {
			t.Errorf("%s is a bound that docs/limits.md does not name", name)
		}
	}
	if keys < 8 {
		t.Errorf("%d settings were compared: the page has another form than this test reads", keys)
	}
}

// same compares a constant with what the page says; of a duration the page says seconds or hours.
func same(has constant.Value, want int64) bool {
	n, exact := constant.Int64Val(has)
	return exact && (n == want || n == want*1e9 || n == want*3600*1e9)
}

// amount reads 10,000 or 4 MiB.
func amount(s string) (int64, error) {
	number, unit, _ := strings.Cut(s, " ")
	n, err := strconv.ParseInt(strings.ReplaceAll(number, ",", ""), 10, 64)
	return n * units[unit], err
}

// bounds are the constants of packages that run in the hub, by package and name.
func bounds(t *testing.T, root string) map[string]constant.Value {
	t.Helper()
	out := map[string]constant.Value{}
	for _, top := range []string{"internal", "connectors"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				switch d.Name() {
				case "sandbox", "bench", "soak", "acceptance", "connectortest", "storetest", "pgtest", "mariatest", "testdata":
					return filepath.SkipDir
				}
				return nil
			}
			if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			where, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			for _, decl := range file.Decls {
				if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.CONST {
					constants(g, filepath.ToSlash(where), out)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// constants adds the whole numbers of one declaration.
func constants(g *ast.GenDecl, where string, out map[string]constant.Value) {
	for _, spec := range g.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, name := range v.Names {
			if i >= len(v.Values) {
				continue
			}
			text := types.ExprString(v.Values[i])
			text = strings.NewReplacer("time.Second", "1000000000", "time.Minute", "60000000000", "time.Hour", "3600000000000").Replace(text)
			if tv, err := types.Eval(token.NewFileSet(), nil, token.NoPos, text); err == nil && tv.Value != nil && tv.Value.Kind() == constant.Int {
				out[where+" "+name.Name] = tv.Value
			} else if boundName.MatchString(name.Name) && (err != nil || tv.Value == nil) {
				out[where+" "+name.Name] = constant.MakeUnknown()
			}
		}
	}
}
