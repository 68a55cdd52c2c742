package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// plainWriter writes text to a terminal: of what comes from outside, nothing reaches it but what can be seen. Escape sequences, other control
// characters and those that turn the direction of writing are shown as \u001b, which JSON reads as what it was.
type plainWriter struct{ to io.Writer }

func (w plainWriter) Write(b []byte) (int, error) {
	text := string(b)
	if strings.IndexFunc(text, unseen) < 0 && utf8.ValidString(text) {
		return w.to.Write(b)
	}
	if _, err := io.WriteString(w.to, seen(text)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// unseen reports whether a terminal would act on a character, or hide it, instead of showing it.
func unseen(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\uFEFF':
		return true
	}
	return r >= '\u200B' && r <= '\u200F' || r >= '\u202A' && r <= '\u202E' || r >= '\u2060' && r <= '\u206F' || r >= '\U000E0000' && r <= '\U000E007F'
}

// seen writes every such character, and bytes that are no text, as an escape.
func seen(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r > 0xFFFF && unseen(r):
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		case unseen(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(text[i : i+n])
		}
		i += n
	}
	return b.String()
}

// cell is a text on one line: a line's end within it would break the table around it, and so would a tab.
func cell(text string) string {
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	if strings.ContainsAny(text, "\n\r\t\v\f\u0085\u2028\u2029") {
		text = indent + strings.Join(strings.Fields(text), " ")
	}
	return seen(text)
}

// shorten cuts a text for a column that others stand behind, or that is to stay on one line.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// columns writes tables: a row without cells ends one. The last cell of a row may be as long as it likes.
func (e *env) columns(rows [][]string) error {
	var b strings.Builder
	for len(rows) > 0 {
		n := 0
		for n < len(rows) && len(rows[n]) > 0 {
			n++
		}
		table(&b, rows[:n])
		if n < len(rows) {
			b.WriteByte('\n')
			n++
		}
		rows = rows[n:]
	}
	_, err := io.WriteString(e.out, b.String())
	return err
}

func table(b *strings.Builder, rows [][]string) {
	var widths []int
	cells := make([][]string, len(rows))
	for i, row := range rows {
		cells[i] = make([]string, len(row))
		for j, text := range row {
			cells[i][j] = cell(text)
			if j == len(row)-1 {
				break // it may be as long as it likes
			}
			if j == len(widths) {
				widths = append(widths, 0)
			}
			widths[j] = max(widths[j], wide(cells[i][j]))
		}
	}
	for _, row := range cells {
		var line strings.Builder
		for j, text := range row {
			line.WriteString(text)
			if j < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[j]+2-wide(text)))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// wide is how many columns of a terminal a text takes.
func wide(text string) (n int) {
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case r > 0x10FF && isWide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

func isWide(r rune) bool {
	k := width.LookupRune(r).Kind()
	return k == width.EastAsianWide || k == width.EastAsianFullwidth
}
