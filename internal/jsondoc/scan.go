package jsondoc

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// scanString finds the end of the string that starts with the quote at b[i]; -1 when it is not well formed, which
// stringProblem then explains. escaped is flagEscaped or 0.
func scanString(b []byte, i int) (end int, escaped uint32) {
	i++
	for {
		// Eight bytes at a time up to the first that is a quote, a backslash, a control character or not ASCII.
		for len(b)-i >= 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			q, s := w^(0x22*ones), w^(0x5c*ones)
			m := ((q-ones)&^q | (s-ones)&^s | (w-0x20*ones)&^w | w) & tops
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1, 0
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			escaped = flagEscaped
			n, msg := scanEscape(b[i:])
			if msg != "" {
				return -1, 0
			}
			i += n
		case c < 0x20:
			return -1, 0
		case c < utf8.RuneSelf:
			i++ // the last bytes of the document are looked at one by one
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return -1, 0
			}
			i += n
		}
	}
}

// stringProblem says what is wrong with the string at b[i], and where.
func stringProblem(b []byte, start int) problem {
	for i := start + 1; i < len(b); {
		switch c := b[i]; {
		case c == '\\':
			n, msg := scanEscape(b[i:])
			if msg != "" {
				return problem{i, msg}
			}
			i += n
		case c < 0x20:
			return problem{i, fmt.Sprintf(`control character \u%04x stands unescaped in a string`, c)}
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return problem{i, fmt.Sprintf("byte 0x%02x is not valid UTF-8; send the document as UTF-8", c)}
			}
			i += n
		}
	}
	return problem{start, "the string is not closed"}
}

// scanEscape checks the escape at the start of b and gives its length; a surrogate pair is one escape.
func scanEscape(b []byte) (n int, msg string) {
	if len(b) < 2 {
		return 0, "the string is not closed"
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
	default:
		return 0, "unknown escape in a string: a backslash before " + describe(b, 1)
	}
	r, ok := hex4(b[2:])
	if !ok {
		return 0, `\u wants four hexadecimal digits`
	}
	if !utf16.IsSurrogate(r) {
		return 6, ""
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if r2, ok := hex4(b[8:]); ok && utf16.DecodeRune(r, r2) != utf8.RuneError {
			return 12, ""
		}
	}
	return 0, fmt.Sprintf(`\u%04x is half of a surrogate pair and stands alone`, r)
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// scanNumber finds the end of the number at b[i], and refuses one that is too long or whose exponent is too large: a
// few bytes of exponent would cost seconds wherever they are expanded.
func scanNumber(b []byte, i int, l *Limits) (int, problem) {
	start := i
	if b[i] == '-' {
		i++
	}
	whole := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == whole {
		if i == start {
			return 0, unexpected(b, i, "a value")
		}
		return 0, unexpected(b, i, "a digit")
	}
	if b[whole] == '0' && i > whole+1 {
		return 0, problem{start, "a number must not start with 0; codes such as 007 are strings and need quotes"}
	}
	if i < len(b) && b[i] == '.' {
		i++
		frac := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		if i == frac {
			return 0, unexpected(b, i, "a digit")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exp, n := i, 0
		for i < len(b) && b[i]-'0' <= 9 {
			n = min(n*10+int(b[i]-'0'), 1<<20)
			i++
		}
		if i == exp {
			return 0, unexpected(b, i, "a digit")
		}
		if n > l.Exponent {
			return 0, problem{start, fmt.Sprintf("the number's exponent is beyond ±%d", l.Exponent)}
		}
	}
	if i-start > l.NumberLen {
		return 0, problem{start, fmt.Sprintf("the number has %d characters; at most %d are allowed", i-start, l.NumberLen)}
	}
	return i, problem{}
}
