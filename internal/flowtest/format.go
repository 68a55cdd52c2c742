package flowtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Add joins another project's report to r.
func (r *Report) Add(o *Report) {
	r.Files += o.Files
	r.Results = append(r.Results, o.Results...)
	r.Updated = append(r.Updated, o.Updated...)
	r.Problems.Append(o.Problems)
}

// FormatResult gives a line for a case that failed or was updated, with one below it for every difference; nothing for a case
// that passed.
func FormatResult(r *Result) string {
	var b strings.Builder
	switch {
	case !r.Passed():
		fmt.Fprintf(&b, "%s: FAIL %s: %s\n", r.Pos, r.Test, r.Case)
		for _, d := range r.Differences {
			fmt.Fprintf(&b, "    %s: %s\n", d.Pos, d)
		}
	case r.Updated:
		fmt.Fprintf(&b, "%s: updated %s: %s\n", r.Pos, r.Test, r.Case)
	}
	return b.String()
}

// FormatEnd gives the problems of the files and a last line that counts.
func FormatEnd(r *Report) string {
	var b strings.Builder
	b.WriteString(config.FormatText(r.Problems))
	passed := len(r.Results) - r.Failed()
	switch {
	case r.Files == 0:
		b.WriteString("no tests: there is no *_test.yaml beside flows and mappings\n")
	case r.OK():
		fmt.Fprintf(&b, "ok: %s passed in %s\n", count(passed, "case"), count(r.Files, "file"))
	default:
		fmt.Fprintf(&b, "FAIL: %d of %s passed in %s", passed, count(len(r.Results), "case"), count(r.Files, "file"))
		if r.Problems.Len() > 0 {
			b.WriteString("; cases with problems were not run")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

type place struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func placeOf(p strictyaml.Pos) place { return place{p.File, p.Line, p.Col} }

type jsonDifference struct {
	place
	Path string `json:"path,omitempty"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

type jsonResult struct {
	place
	Test        string           `json:"test"`
	Case        string           `json:"case"`
	Passed      bool             `json:"passed"`
	Updated     bool             `json:"updated,omitempty"`
	Differences []jsonDifference `json:"differences,omitempty"`
}

// FormatJSON gives the report as one object: ok, files, cases, passed, failed, results, problems and updated.
func FormatJSON(r *Report) string {
	out := struct {
		OK       bool            `json:"ok"`
		Files    int             `json:"files"`
		Cases    int             `json:"cases"`
		Passed   int             `json:"passed"`
		Failed   int             `json:"failed"`
		Results  []jsonResult    `json:"results"`
		Problems json.RawMessage `json:"problems"`
		Updated  []string        `json:"updated,omitempty"`
	}{
		OK: r.OK(), Files: r.Files, Cases: len(r.Results), Passed: len(r.Results) - r.Failed(), Failed: r.Failed(),
		Results: []jsonResult{}, Problems: json.RawMessage(config.FormatJSON(r.Problems)), Updated: r.Updated,
	}
	for i := range r.Results {
		x := &r.Results[i]
		j := jsonResult{place: placeOf(x.Pos), Test: x.Test, Case: x.Case, Passed: x.Passed(), Updated: x.Updated}
		for _, d := range x.Differences {
			j.Differences = append(j.Differences, jsonDifference{placeOf(d.Pos), d.Path, d.Want, d.Got})
		}
		out.Results = append(out.Results, j)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(out) // texts and numbers never fail
	return b.String()
}
