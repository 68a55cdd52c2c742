package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	namedPage = regexp.MustCompile(`(?:^|[^-\w])(docs/[a-z0-9/-]+\.md)\b`) // another project's may end in -docs
	link      = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	namedTest = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)`")
	declared  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)\(`)
)

// TestPagesThatAreNamed: a page that a help text, a comment or another page sends its reader to exists, and so does a test that a page
// calls as its witness.
func TestPagesThatAreNamed(t *testing.T) {
	root := filepath.Join("..", "..")
	tests := map[string]bool{}
	var pages []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "testdata" || d.Name() == "data") {
				return filepath.SkipDir
			}
			return err
		}
		if !slices.Contains([]string{".go", ".md", ".yaml", ""}, filepath.Ext(path)) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, page := range namedPage.FindAllStringSubmatch(string(data), -1) {
			if _, err := os.Stat(filepath.Join(root, page[1])); err != nil {
				t.Errorf("%s names %s, which does not exist", path, page[1])
			}
		}
		if strings.HasSuffix(path, "_test.go") {
			for _, m := range declared.FindAllStringSubmatch(string(data), -1) {
				tests[m[1]] = true
			}
		}
		if filepath.Ext(path) == ".md" {
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	links, witnesses := 0, 0
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			if links++; !strings.HasPrefix(m[1], "http") {
				if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
					t.Errorf("%s links to %s, which does not exist", page, m[1])
				}
			}
		}
		for _, m := range namedTest.FindAllStringSubmatch(string(data), -1) {
			if witnesses++; !tests[m[1]] {
				t.Errorf("%s names %s, which no file declares", page, m[1])
			}
		}
	}
	if links < 10 || witnesses < 100 {
		t.Errorf("only %d links and %d names of tests were found", links, witnesses)
	}
}

// TestChangelogSaysOnce: no entry of the changelog stands there twice, as a merge may leave it.
func TestChangelogSaysOnce(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i, line := range strings.Split(string(data), "\n") {
		if !strings.HasPrefix(line, "- ") {
			continue
		}
		if first, twice := seen[line]; twice {
			t.Errorf("CHANGELOG.md:%d: the entry of line %d again: %.80s…", i+1, first, line)
		}
		seen[line] = i + 1
	}
	if len(seen) < 100 {
		t.Errorf("only %d entries were found", len(seen))
	}
}
