// Package report writes what a run of a reconciliation or a rule has found, as a file for people and programs: JSON, CSV or XLSX. Differences are
// asked for page by page and never held all at once.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// Formats are those that there are.
var Formats = []string{"json", "csv", "xlsx"}

// MediaType is what a file of that format is on the web.
func MediaType(format string) string {
	switch format {
	case "csv":
		return "text/csv; charset=utf-8; header=present"
	case "xlsx":
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	}
	return "application/json"
}

// Report is what a report is made of.
type Report struct {
	Run *state.Comparison
	// Head is the run as JSON tells of it.
	Head any
	// Next gives differences behind a number; none: there are no more.
	Next func(after int) ([]state.Difference, error)
}

// FileName is a name for the file, that sorts by run.
func (r *Report) FileName(format string) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			return c
		}
		return '-'
	}, r.Run.Name)
	return fmt.Sprintf("%s-%d.%s", name, r.Run.ID, format)
}

// Write writes the report in one of the Formats.
func (r *Report) Write(w io.Writer, format string) error {
	switch format {
	case "json":
		return r.json(w)
	case "csv":
		return r.csv(w)
	case "xlsx":
		return r.xlsx(w)
	}
	return fmt.Errorf("there is no report in the format %q; there are %s", format, strings.Join(Formats, ", "))
}

// each calls f for every difference.
func (r *Report) each(f func(*state.Difference) error) error {
	after := 0
	for {
		page, err := r.Next(after)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if err := f(&page[i]); err != nil {
				return err
			}
		}
		after = page[len(page)-1].N
	}
}

// json writes one document: {"run": …, "differences": […]}.
func (r *Report) json(w io.Writer) error {
	encode := func(v any) ([]byte, error) {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		err := e.Encode(v)
		return []byte(strings.TrimSuffix(b.String(), "\n")), err
	}
	head, err := encode(r.Head)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "{\"run\":%s,\n\"differences\":[", head); err != nil {
		return err
	}
	before := "\n"
	err = r.each(func(d *state.Difference) error {
		text, err := encode(d)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s%s", before, text)
		before = ",\n"
		return err
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n]}\n")
	return err
}
