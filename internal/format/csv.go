package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// csvReader reads records one by one. A record that cannot be read is an error of its own, and the next one still comes:
// a quote without its end costs the one line that it stands in, not the rest of the file.
type csvReader struct {
	lines     lines
	delimiter byte
	quote     byte // 0: none
}

// A quoted value may span so many lines; beyond, its quote is taken for a stray one.
const maxSpan = 1000

// next gives a record and the line that it begins in. io.EOF, and only that, ends the file; a *RowError is the record's own.
func (r *csvReader) next() (fields []string, line int, err error) {
	for {
		text, err := r.lines.next()
		line = r.lines.line
		if errors.Is(err, errLong) {
			return nil, line, &RowError{Err: err}
		}
		if err != nil {
			return nil, line, err
		}
		if len(chomp(text)) == 0 {
			continue // a blank line is no record
		}
		fields, err := r.record(text, line)
		return fields, line, err
	}
}

var separator = regexp.MustCompile(`^"?(?i:sep)=([ -~\t])"?$`)

// begin reads a first line that says the delimiter, and the lines before the header.
func (r *csvReader) begin(set *CSV) error {
	l := &r.lines
	first, err := l.next()
	if err != nil && !errors.Is(err, errLong) {
		return err
	}
	if m := separator.FindSubmatch(chomp(first)); err == nil && m != nil && single(string(m[1])) && m[1][0] != r.quote {
		r.delimiter = m[1][0]
	} else {
		l.unread(0, given{first, err})
	}
	return l.skip(set)
}

// skip passes over the lines before the header, or before the data.
func (l *lines) skip(set *CSV) error {
	for range set.Skip {
		if _, err := l.next(); err != nil && !errors.Is(err, errLong) {
			return err
		}
	}
	for set.Starts != "" {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			return &FileError{Err: fmt.Errorf("header: no line holds %q", short(set.Starts))}
		}
		if err != nil && !errors.Is(err, errLong) {
			return err
		}
		if strings.Contains(string(line), set.Starts) {
			l.unread(l.line-1, given{line, err})
			return nil
		}
	}
	return nil
}

func newCSV(s *Settings, l lines) *csvReader {
	quote := byte(0)
	if s.CSV.Quote != "" {
		quote = s.CSV.Quote[0]
	}
	return &csvReader{lines: l, delimiter: s.CSV.Delimiter[0], quote: quote}
}

func (r *csvReader) cut() bool { return r.lines.open && r.lines.last() }

func (r *csvReader) end() ending { return ending{open: r.lines.open} }

// record reads the record that begins with text; it takes more lines while a quote is open.
func (r *csvReader) record(text []byte, first int) ([]string, error) {
	var taken []given
	for {
		fields, open, err := r.split(text)
		switch {
		case err != nil:
			if len(taken) > 0 {
				r.lines.unread(first, taken...)
			}
			return nil, &RowError{Err: err}
		case !open:
			return fields, nil
		}
		more, err := r.lines.next()
		if err != nil || len(text)+len(more) > r.lines.max || len(taken) >= maxSpan {
			if err == nil || errors.Is(err, errLong) {
				taken = append(taken, given{more, err})
			} else if !errors.Is(err, io.EOF) {
				return nil, err
			}
			r.lines.unread(first, taken...)
			return nil, &RowError{Err: errQuote, Cut: errors.Is(err, io.EOF)}
		}
		taken = append(taken, given{more, nil})
		text = append(text, more...)
	}
}

// split divides a record. open: a quote is not closed yet.
func (r *csvReader) split(text []byte) (fields []string, open bool, err error) {
	text = chomp(text)
	for {
		if r.quote != 0 && len(text) > 0 && text[0] == r.quote {
			value, rest, closed := r.quoted(text[1:])
			if !closed {
				return nil, true, nil
			}
			if len(rest) > 0 && rest[0] != r.delimiter {
				return nil, false, errTrailing
			}
			fields = append(fields, value)
			text = rest
		} else {
			end := bytes.IndexByte(text, r.delimiter)
			if end < 0 {
				end = len(text)
			}
			fields = append(fields, string(text[:end]))
			text = text[end:]
		}
		if last := fields[len(fields)-1]; !utf8.ValidString(last) || strings.ContainsRune(last, utf8.RuneError) {
			return nil, false, errBytes
		} else if strings.IndexByte(last, 0) >= 0 {
			return nil, false, errNUL
		}
		if len(text) == 0 {
			return fields, false, nil
		}
		text = text[1:]
	}
}

// quoted reads up to the closing quote; a doubled one stands for itself.
func (r *csvReader) quoted(text []byte) (value string, rest []byte, closed bool) {
	var b strings.Builder
	for {
		end := bytes.IndexByte(text, r.quote)
		if end < 0 {
			return "", nil, false
		}
		b.Write(text[:end])
		text = text[end+1:]
		if len(text) == 0 || text[0] != r.quote {
			return b.String(), text, true
		}
		b.WriteByte(r.quote)
		text = text[1:]
	}
}

// appendRecord writes a record; values are quoted where they must be.
func appendRecord(dst []byte, fields []string, delimiter, quote byte) ([]byte, error) {
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, delimiter)
		}
		must := strings.IndexByte(f, delimiter) >= 0 || strings.ContainsAny(f, "\r\n") || quote != 0 && strings.IndexByte(f, quote) >= 0 ||
			f == "" && len(fields) == 1
		switch {
		case !must:
			dst = append(dst, f...)
		case quote == 0:
			return dst, fmt.Errorf("a value holds the delimiter or a line end, and there is no quote")
		default:
			q := string(quote)
			dst = append(dst, quote)
			dst = append(dst, strings.ReplaceAll(f, q, q+q)...)
			dst = append(dst, quote)
		}
	}
	return append(dst, '\r', '\n'), nil
}
