package sql

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/systemtest"
)

// unreadStatements are those that the parsers do not know although their servers' documents have them.
var unreadStatements = map[string][]string{
	"oracle": {"SET TRANSACTION READ ONLY", "BEGIN "}, // a block of PL/SQL that is one call with quoted names
	"hana":   {"CALL ", "LIKE_REGEXPR", "FOR UPDATE"}, // the parser of standard SQL stands in for HANA's, which there is none of
}

// TestStatementsAreRead has another's parsers read what the golden files say is sent.
func TestStatementsAreRead(t *testing.T) {
	python := systemtest.Tools(t, "sqlfluff", "python3")
	systems := filepath.Join("..", "..", "internal", "test", "systems")
	for kind, dialect := range map[string]string{"sqlserver": "tsql", "oracle": "oracle", "hana": "ansi"} {
		t.Run(kind, func(t *testing.T) {
			statements := recordedStatements(t, kind)
			if len(statements) < 25 {
				t.Fatalf("only %d statements are recorded", len(statements))
			}
			asked, err := json.Marshal(map[string]any{"dialect": dialect, "statements": statements})
			if err != nil {
				t.Fatal(err)
			}
			run := exec.Command(python, filepath.Join(systems, "statements.py"))
			run.Stdin, run.Stderr = bytes.NewReader(asked), os.Stderr
			out, err := run.Output()
			if err != nil {
				t.Fatal(err)
			}
			var unread []*string
			if err := json.Unmarshal(out, &unread); err != nil || len(unread) != len(statements) {
				t.Fatalf("%v: %d answers to %d statements", err, len(unread), len(statements))
			}
			for i, why := range unread {
				known := slices.ContainsFunc(unreadStatements[kind], func(s string) bool { return strings.Contains(statements[i], s) })
				if why != nil && !known {
					t.Errorf("%s\n%s", *why, statements[i])
				}
			}
		})
	}
}

var (
	oraclePlaceholder = regexp.MustCompile(`:(\d+)`)
	recordedLine      = regexp.MustCompile(`^    (\S.*)$`)
	recordedMore      = regexp.MustCompile(`^      (\S.*)$`)
)

// recordedStatements are the statements of a driver's golden files, each once, with placeholders that parsers know.
func recordedStatements(t *testing.T, kind string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "statements", kind+"*.golden"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if m := recordedLine.FindStringSubmatch(line); m != nil {
				out = append(out, m[1])
			} else if m := recordedMore.FindStringSubmatch(line); m != nil && len(out) > 0 {
				out[len(out)-1] += "\n" + m[1]
			}
		}
	}
	for i := range out {
		switch kind {
		case "oracle":
			out[i] = oraclePlaceholder.ReplaceAllString(out[i], ":b$1")
		case "hana":
			out[i] = strings.ReplaceAll(out[i], "?", "1")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
