package format

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

var encodings = map[string]encoding.Encoding{
	"gb18030":      simplifiedchinese.GB18030,
	"iso-8859-1":   charmap.ISO8859_1,
	"iso-8859-15":  charmap.ISO8859_15,
	"windows-1252": charmap.Windows1252,
	"utf-16":       unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
	"utf-16le":     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	"utf-16be":     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
}

var bom = []byte("\uFEFF")

// decoded reads bytes of an encoding as UTF-8, without a byte order mark. Bytes that the encoding does not have become
// U+FFFD, or stay as they are in UTF-8: the readers refuse a row that holds either.
func decoded(r io.Reader, name string) *bufio.Reader {
	if e := encodings[name]; e != nil {
		r = e.NewDecoder().Reader(r)
	}
	b := bufio.NewReaderSize(r, 64<<10)
	if head, _ := b.Peek(len(bom)); bytes.Equal(head, bom) {
		_, _ = b.Discard(len(bom)) // they were peeked
	}
	return b
}

// encoded gives text in an encoding; a character that it does not have is an error.
func encoded(text []byte, name string) ([]byte, error) {
	e := encodings[name]
	if e == nil {
		return text, nil
	}
	return e.NewEncoder().Bytes(text)
}

// foreign notices the byte order mark of another encoding.
func foreign(b *bufio.Reader, name string) error {
	head, _ := b.Peek(2)
	if name == "utf-8" && (string(head) == "\xff\xfe" || string(head) == "\xfe\xff") {
		return &FileError{1, errors.New("the file begins with the byte order mark of UTF-16: set encoding: utf-16")}
	}
	return nil
}
