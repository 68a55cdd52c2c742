package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// lines reads lines with their ends – CR, LF, or CR LF, also mixed in one file –, counts them, and takes lines back.
type lines struct {
	r    *bufio.Reader
	max  int
	line int     // number of the line that next gave last
	back []given // taken back, to be given again
	open bool    // the line that was read last has no line end: the file ends with it
}

// given is what next gave.
type given struct {
	text []byte
	err  error // nil or errLong
}

// next gives a line. A line longer than max gives its beginning and errLong; what follows it comes next. The slice is the
// caller's.
func (l *lines) next() ([]byte, error) {
	if len(l.back) > 0 {
		g := l.back[0]
		l.back = l.back[1:]
		l.line++
		return g.text, g.err
	}
	var out []byte
	long, some := false, false
	for {
		if _, err := l.r.Peek(1); err != nil {
			if !some || !errors.Is(err, io.EOF) {
				return nil, err
			}
			return l.give(out, long, false)
		}
		some = true
		b, _ := l.r.Peek(l.r.Buffered()) // it is buffered
		n, ended := lineEnd(b)
		cr := b[n-1] == '\r'
		if len(out)+n <= l.max {
			out = append(out, b[:n]...)
		} else {
			long = true
		}
		_, _ = l.r.Discard(n)
		if !ended {
			continue
		}
		if next, _ := l.r.Peek(1); cr && len(next) == 1 && next[0] == '\n' { // it had not been read yet
			if !long {
				out = append(out, '\n')
			}
			_, _ = l.r.Discard(1)
		}
		return l.give(out, long, true)
	}
}

func (l *lines) give(line []byte, long, ended bool) ([]byte, error) {
	l.line++
	l.open = !ended
	if long {
		return line, fmt.Errorf("%w: it has more than %s, which max-row is", errLong, strictyaml.Size(l.max))
	}
	return line, nil
}

// lineEnd gives the length of the line that b begins with, up to its end or that of b.
func lineEnd(b []byte) (n int, ended bool) {
	n = bytes.IndexByte(b, '\n') + 1
	ended = n > 0
	if !ended {
		n = len(b)
	}
	i := bytes.IndexByte(b[:n], '\r')
	if i < 0 || ended && i == n-2 {
		return n, ended
	}
	return i + 1, true
}

// unread takes lines back that follow the line with the given number.
func (l *lines) unread(after int, taken ...given) {
	l.back = append(append([]given(nil), taken...), l.back...)
	l.line = after
}

// last: no line comes after the one that was given last.
func (l *lines) last() bool {
	if len(l.back) > 0 {
		return false
	}
	_, err := l.r.Peek(1)
	return errors.Is(err, io.EOF)
}

// chomp leaves a line's end out.
func chomp(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}
