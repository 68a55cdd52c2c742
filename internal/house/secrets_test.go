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

// TestSecretsAreComparedInConstantTime: a function that works out a digest or compares secrets compares nothing else than
// with literals. How long `==` takes tells a sender how much of its guess was right.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	seen := 0
	for _, file := range goFiles(t) {
		if !under(file, "internal/webhook") && !under(file, "internal/intake") && !under(file, "internal/access") && !under(file, "internal/api") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join("..", "..", file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		functions, found := plainComparisons(fset, f)
		seen += functions
		for _, what := range found {
			t.Errorf("%s:%s: use subtle.ConstantTimeCompare", file, what)
		}
	}
	if seen < 4 {
		t.Errorf("only %d functions work with digests: the search is wrong", seen)
	}
}

// plainComparisons counts the functions that work with secrets, and lists where they compare two values plainly.
func plainComparisons(fset *token.FileSet, f *ast.File) (functions int, found []string) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || !calls(fn, "hmac.New", "sha256.Sum256", "subtle.ConstantTimeCompare", "Reveal") {
			continue
		}
		functions++
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if (n.Op == token.EQL || n.Op == token.NEQ) && !plain(n.X) && !plain(n.Y) {
					found = append(found, fmt.Sprintf("%d compares with %s", fset.Position(n.Pos()).Line, n.Op))
				}
			case *ast.CallExpr:
				if name := called(n); name != "hmac.Equal" && (strings.HasSuffix(name, "Equal") || strings.HasSuffix(name, "Compare") && name != "subtle.ConstantTimeCompare") {
					found = append(found, fmt.Sprintf("%d compares with %s", fset.Position(n.Pos()).Line, name))
				}
			}
			return true
		})
	}
	return functions, found
}

func calls(fn *ast.FuncDecl, names ...string) (yes bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			name := called(c)
			yes = yes || slices.Contains(names, name) || slices.Contains(names, name[strings.LastIndexByte(name, '.')+1:])
		}
		return !yes
	})
	return yes
}

// called is what a call calls, as far as it has a name: "hmac.New".
func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
		return f.Sel.Name
	}
	return ""
}

// plain: a literal, nil, a length, or a named constant such as http.MethodGet.
func plain(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return e.Name == "nil" || e.Name == "true" || e.Name == "false"
	case *ast.CallExpr:
		return called(e) == "len"
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && x.Name == "http"
	}
	return false
}
