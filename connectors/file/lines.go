package file

import (
	"bufio"
	"errors"
	"io"
)

// lines reads lines with their ends, counts them, and takes lines back.
type lines struct {
	r    *bufio.Reader
	max  int
	line int      // number of the line that next gave last
	back [][]byte // taken back, to be given again
}

var errLong = errors.New("the line is too long")

// next gives a line. A line longer than max gives its beginning and errLong; what follows it comes next. The slice is the
// caller's.
func (l *lines) next() ([]byte, error) {
	if len(l.back) > 0 {
		b := l.back[0]
		l.back = l.back[1:]
		l.line++
		return b, nil
	}
	var out []byte
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		if len(out)+len(part) <= l.max {
			out = append(out, part...)
		} else {
			long = true
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (len(out) == 0 && !long || !errors.Is(err, io.EOF)):
			return nil, err
		}
		l.line++
		if long {
			return out, errLong
		}
		return out, nil
	}
}

// unread takes lines back that follow the line with the given number.
func (l *lines) unread(after int, taken [][]byte) {
	l.back = append(append([][]byte(nil), taken...), l.back...)
	l.line = after
}

// chomp leaves a line's end out.
func chomp(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
		if n := len(b); n > 0 && b[n-1] == '\r' {
			b = b[:n-1]
		}
	}
	return b
}
