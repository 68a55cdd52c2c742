package format

import (
	"io"
	"strings"
)

// Table writes CSV for people: RFC 4180 with commas and CRLF, in UTF-8 with a byte order mark, without which Excel reads letters beyond ASCII as others.
// A text that a spreadsheet would take for a formula gets an apostrophe before it; see Harmless.
type Table struct {
	w    io.Writer
	line []byte
}

// NewTable writes the header.
func NewTable(w io.Writer, head ...string) (*Table, error) {
	t := &Table{w: w, line: []byte("\uFEFF")}
	return t, t.Row(head)
}

// Row writes a row.
func (t *Table) Row(fields []string) error {
	for i, f := range fields {
		if i > 0 {
			t.line = append(t.line, ',')
		}
		t.line = appendQuoted(t.line, Harmless(f))
	}
	t.line = append(t.line, '\r', '\n')
	_, err := t.w.Write(t.line)
	t.line = t.line[:0]
	return err
}

func appendQuoted(dst []byte, f string) []byte {
	if !strings.ContainsAny(f, ",\"\r\n") && f == strings.TrimSpace(f) {
		return append(dst, f...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(f, `"`, `""`)...)
	return append(dst, '"')
}

// Harmless puts an apostrophe before a text that begins as a formula does (= + - @, also in their wide forms, a tab or a line end), unless it is a
// plain number: -1.50 stays.
func Harmless(s string) string {
	if s == "" {
		return s
	}
	for _, p := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(s, p) && !plainNumber(s) {
			return "'" + s
		}
	}
	return s
}

// plainNumber is a decimal with a minus at most: no spreadsheet computes anything of it.
func plainNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	whole, part, dot := strings.Cut(digits, ".")
	only := func(s string) bool {
		return s != "" && strings.Trim(s, "0123456789") == ""
	}
	return only(whole) && (!dot || only(part))
}
