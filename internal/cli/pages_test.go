package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	yamlBlock = regexp.MustCompile("(?ms)^( *)```yaml\\n(.*?)^ *```")
	fileOf    = regexp.MustCompile(`^# ([a-z0-9/-]+\.yaml)\n`)
	reference = regexp.MustCompile(`\$\{env:(\w+)\}`)
)

// TestSettingsOfPages: what a page shows as settings is what check takes, and a file that it shows beside them is where they name it.
func TestSettingsOfPages(t *testing.T) {
	for page, blocks := range map[string]int{"alerts": 1, "change-capture": 1, "edi": 2, "files": 3, "graphql": 1, "odata": 1, "kafka-systems": 2, "recipes-old-systems": 8, "soap": 2, "sql-systems": 6, "tryton": 1} {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", "..", "docs", page+".md"))
			if err != nil {
				t.Fatal(err)
			}
			files, settings := map[string]string{}, []string(nil)
			for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
				block := strings.ReplaceAll("\n"+m[2], "\n"+m[1], "\n")[1:]
				switch name := fileOf.FindStringSubmatch(block); {
				case name != nil:
					files[name[1]] = block
				case strings.HasPrefix(block, "systems:"), strings.HasPrefix(block, "alerts:"):
					settings = append(settings, block)
				case strings.Contains(block, "\n  connector:"):
					settings = append(settings, "systems:\n  "+strings.ReplaceAll(block, "\n", "\n  "))
				}
			}
			if len(settings) != blocks {
				t.Errorf("%d blocks of settings, not %d", len(settings), blocks)
			}
			for _, conf := range settings {
				t.Chdir(t.TempDir())
				write(t, "configs/waybill.yaml", conf)
				for name, content := range files {
					write(t, name, content)
				}
				for _, m := range reference.FindAllStringSubmatch(conf, -1) {
					t.Setenv(m[1], setting(m[1], conf))
				}
				if code, out, errs := command(t, "check", "--elsewhere"); code != 0 {
					t.Errorf("exit %d: %s%s\nof:\n%s", code, out, errs, conf)
				}
			}
		})
	}
}

// TestEDIFilesThatAreNotThere: each is named once, where it is named, with from where files are looked for.
func TestEDIFilesThatAreNotThere(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "configs/waybill.yaml", "systems:\n  acme:\n    connector: file\n    path: .\n    objects:\n      orders: {path: in, format: x12, edi: {tables: [edi/a.yaml], partners: [edi/p.yaml]}}\n")
	code, out, _ := command(t, "check")
	for _, name := range []string{"tables: edi/a.yaml", "partners: edi/p.yaml"} {
		key, file, _ := strings.Cut(name, ": ")
		want := key + ": " + filepath.Join("configs", file) + ": no such file or directory (files are named from the configuration's directory)\n"
		if code != 1 || !strings.Contains(out, "waybill.yaml:6:") || !strings.Contains(out, want) {
			t.Errorf("exit %d: %s\nwant %s", code, out, want)
		}
	}
}

var flowSpan = regexp.MustCompile("`((?:from|to|retry|slo): \\{[^`\n…]*\\})`")

// TestFlowsOfPages: what a page shows of a flow, in a line or as a block, has keys that there are.
func TestFlowsOfPages(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{} // by the name of the file that holds it here
	for _, page := range append(pages, filepath.Join("..", "..", "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		for i, m := range flowSpan.FindAllStringSubmatch(string(text), -1) {
			shown[fmt.Sprintf("flows/%s-line-%d.yaml", name, i)] = "flow: shown\n" + m[1] + "\n"
		}
		for i, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if block := strings.ReplaceAll("\n"+m[2], "\n"+m[1], "\n")[1:]; strings.HasPrefix(block, "flow:") {
				shown[fmt.Sprintf("flows/%s-block-%d.yaml", name, i)] = block
			}
		}
	}
	if len(shown) < 5 {
		t.Errorf("%d parts of flows alone", len(shown))
	}
	t.Chdir(t.TempDir())
	write(t, "configs/waybill.yaml", "")
	for file, content := range shown {
		write(t, file, content)
	}
	_, out, errs := command(t, "check")
	for _, line := range strings.Split(out+errs, "\n") {
		if strings.Contains(line, "unknown key") {
			file, _, _ := strings.Cut(line, ":")
			t.Errorf("%s\nof:\n%s", line, shown[file])
		}
	}
}

// setting is a value that an example may have for a variable.
func setting(name, conf string) string {
	switch {
	case strings.HasSuffix(name, "_SECRET"):
		return "whsec_c2VjcmV0LW9mLXRoZS1leGFtcGxl"
	case !strings.HasSuffix(name, "_URL") && !strings.HasSuffix(name, "_DATABASE"):
		return "an-example-of-a-value"
	case strings.Contains(conf, "driver: postgres"):
		return "postgres://hub:x@db.example.com:5432/erp"
	case strings.Contains(conf, "driver: mysql"):
		return "mysql://hub:x@db.example.com:3306/erp"
	case strings.Contains(conf, "driver: sqlserver"):
		return "sqlserver://hub:x@db.example.com:1433?database=erp"
	}
	return "https://chat.example.com/hooks/T0"
}
