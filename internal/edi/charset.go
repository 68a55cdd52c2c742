package edi

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
)

// levels are EDIFACT's character sets (data element 0001). nil: the bytes are UTF-8 or ASCII as they are.
var levels = map[string]encoding.Encoding{
	"UNOA": nil, "UNOB": nil, "UNOW": nil, "UNOY": nil,
	"UNOC": charmap.ISO8859_1, "UNOD": charmap.ISO8859_2, "UNOE": charmap.ISO8859_5, "UNOF": charmap.ISO8859_7, "UNOG": charmap.ISO8859_3,
	"UNOH": charmap.ISO8859_4, "UNOI": charmap.ISO8859_6, "UNOJ": charmap.ISO8859_8, "UNOK": charmap.ISO8859_9, "UNOL": charmap.ISO8859_15,
}

// What levels A and B can write beside their separators. Those that are read may hold any printable ASCII: many senders say UNOA and mean it.
const (
	levelA = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-()/='+:?!\"%&*;<>"
	levelB = levelA + "abcdefghijklmnopqrstuvwxyz"
)

// plain: the bytes are their text, and JSON's.
func (s *Syntax) plain(raw []byte) bool {
	for _, c := range raw {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == s.Release && c != 0 {
			return false
		}
	}
	return true
}

// text decodes a value's bytes, without their release characters. Its error says why they are no text.
func (s *Syntax) text(raw []byte) (string, error) {
	if s.plain(raw) {
		return string(raw), nil
	}
	if s.Release != 0 && bytes.IndexByte(raw, s.Release) >= 0 {
		out := make([]byte, 0, len(raw))
		for i := 0; i < len(raw); i++ {
			if raw[i] == s.Release && i+1 < len(raw) {
				i++
			}
			out = append(out, raw[i])
		}
		raw = out
	}
	if e := levels[s.Level]; e != nil {
		out, err := e.NewDecoder().Bytes(raw)
		if err != nil {
			return "", fmt.Errorf("bytes that %s does not have", s.Level)
		}
		raw = out
	}
	if s.Level == "UNOA" || s.Level == "UNOB" {
		for _, c := range raw {
			if c >= 0x7f {
				return "", fmt.Errorf("bytes that %s does not have", s.Level)
			}
		}
	}
	if !utf8.Valid(raw) || bytes.ContainsRune(raw, utf8.RuneError) {
		return "", fmt.Errorf("bytes that are not of the file's encoding")
	}
	if i := bytes.IndexFunc(raw, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }); i >= 0 {
		return "", fmt.Errorf("a control character")
	}
	return string(raw), nil
}

// appendText appends a value as it stands in an interchange: in its character set, with release characters. A value that the syntax cannot
// hold is an error.
func (s *Syntax) appendText(dst []byte, v string) ([]byte, error) {
	set := ""
	switch s.Level {
	case "UNOA":
		set = levelA
	case "UNOB":
		set = levelB
	}
	for _, r := range v {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || set != "" && !strings.ContainsRune(set, r) {
			return nil, fmt.Errorf("%q cannot be written%s", r, inLevel(s.Level))
		}
	}
	raw := []byte(v)
	if e := levels[s.Level]; e != nil {
		out, err := e.NewEncoder().Bytes(raw)
		if err != nil {
			return nil, fmt.Errorf("a character that %s does not have", s.Level)
		}
		raw = out
	}
	marks := s.marks()
	for _, c := range raw {
		if bytes.IndexByte(marks, c) >= 0 {
			if s.Release == 0 {
				return nil, fmt.Errorf("%q is a separator, and there is no release character", string(rune(c)))
			}
			dst = append(dst, s.Release)
		}
		dst = append(dst, c)
	}
	return dst, nil
}

func inLevel(level string) string {
	if level == "" {
		return ""
	}
	return " in " + level
}
