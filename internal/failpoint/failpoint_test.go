package failpoint_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/failpoint"
)

const root = "../.."

// TestNames: every constant is listed, documented, well-formed and unique.
func TestNames(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+\.[a-z]+(-[a-z]+)+$`)
	declared := constants(t)
	seen := map[failpoint.Name]bool{}
	for _, n := range failpoint.All() {
		if !form.MatchString(string(n)) {
			t.Errorf("%q: write part.step-state; with its hyphen it is no Go symbol", n)
		}
		if seen[n] {
			t.Errorf("%q is listed twice", n)
		}
		seen[n] = true
	}
	for ident, c := range declared {
		if !seen[c.name] {
			t.Errorf("%s is not in All", ident)
		}
		if fails := strings.Contains(c.doc, "ay fail"); fails != c.name.Fails() {
			t.Errorf("%s: Fails is %v, and its comment says %q", ident, c.name.Fails(), c.doc)
		}
	}
	if len(declared) != len(seen) {
		t.Errorf("%d constants, %d names listed", len(declared), len(seen))
	}
}

// TestEveryNameIsUsedOnce: a name that stands nowhere tests nothing, and one that stands twice cannot be counted.
func TestEveryNameIsUsedOnce(t *testing.T) {
	used := map[string][]string{}
	declared := constants(t)
	for _, file := range goFiles(t) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			fun := selector(call.Fun)
			if fun != "Hit" && fun != "Fail" {
				return true
			}
			at := fset.Position(call.Pos()).String()
			ident := selector(call.Args[0])
			c, ok := declared[ident]
			if !ok {
				t.Errorf("%s: not a constant of package failpoint", at)
				return true
			}
			if c.name.Fails() != (fun == "Fail") {
				t.Errorf("%s: %s is called by %s", at, ident, fun)
			}
			used[ident] = append(used[ident], at)
			return true
		})
	}
	for ident := range declared {
		if len(used[ident]) != 1 {
			t.Errorf("%s is used at %v, and must be used exactly once", ident, used[ident])
		}
	}
}

// TestOrdinaryBuild: what people run holds no failpoint, not even a name.
func TestOrdinaryBuild(t *testing.T) {
	if failpoint.Enabled {
		t.Skip("of a build without the tag failpoints")
	}
	n := failpoint.All()[0]
	if testing.AllocsPerRun(100, func() { failpoint.Hit(n) }) != 0 || failpoint.Fail(n) != nil {
		t.Error("a place does something")
	}
}

// TestOrdinaryProgram: the same of the program itself.
func TestOrdinaryProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what builds the program twice")
	}
	plain, tagged := build(t), build(t, "-tags", "failpoints")
	for _, n := range failpoint.All() {
		if bytes.Contains(plain, []byte(n)) {
			t.Errorf("the ordinary program holds %q", n)
		}
		if !bytes.Contains(tagged, []byte(n)) {
			t.Errorf("the program with failpoints does not hold %q", n)
		}
	}
	if bytes.Contains(plain, []byte(failpoint.Variable)) {
		t.Errorf("the ordinary program reads %s", failpoint.Variable)
	}
}

func build(t *testing.T, flags ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "waybill")
	cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), "./cmd/waybill")...)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// selector is X of failpoint.X, or empty.
func selector(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok && x.Name == "failpoint" {
			return s.Sel.Name
		}
	}
	return ""
}

type constant struct {
	name failpoint.Name
	doc  string
}

// constants are the names as they are declared, by identifier.
func constants(t *testing.T) map[string]constant {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "failpoint.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]constant{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "Name" {
				continue
			}
			text := strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
			if !strings.HasPrefix(v.Doc.Text(), v.Names[0].Name+":") {
				t.Errorf("%s: its comment must say what is durable there", v.Names[0].Name)
			}
			out[v.Names[0].Name] = constant{failpoint.Name(text), v.Doc.Text()}
		}
	}
	if len(out) < 20 {
		t.Fatalf("only %d constants found: the scan is wrong", len(out))
	}
	return out
}

// goFiles are the program's files, without tests.
func goFiles(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{"cmd", "connectors", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && slices.Contains([]string{"testdata", "failpoint"}, d.Name()) {
				return fs.SkipDir
			}
			if strings.HasSuffix(p, ".go") && !strings.HasSuffix(p, "_test.go") {
				out = append(out, p)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}
