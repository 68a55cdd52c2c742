package jsondoc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name, in  string
		line, col int
		msg       string
	}{
		{"empty", "", 1, 1, "expected a value, found the end of the document"},
		{"spaces", " \n ", 2, 2, "found the end"},
		{"trailing garbage", "{}\nx", 2, 1, `nothing may follow the document, found 'x'`},
		{"second document", "{} {}", 1, 4, "nothing may follow"},
		{"trailing comma in object", `{"a":1,}`, 1, 8, "a member name in double quotes, found '}'"},
		{"trailing comma in array", `[1,]`, 1, 4, "expected a value, found ']'"},
		{"missing colon", `{"a" 1}`, 1, 6, `expected ":", found '1'`},
		{"missing comma", `[1 2]`, 1, 4, `expected "," or "]", found '2'`},
		{"open object", `{"a":1`, 1, 7, `expected "," or "}", found the end`},
		{"wrong closing", `{"a":1]`, 1, 7, `expected "," or "}"`},
		{"bare name", `{a:1}`, 1, 2, "a member name in double quotes"},
		{"name without value", `{"a":}`, 1, 6, "expected a value, found '}'"},
		{"single quotes", `{'a':1}`, 1, 2, "a member name in double quotes"},
		{"duplicate", `{"a":1,` + "\n" + `"a":2}`, 2, 1, `the name "a" stands twice`},
		{"duplicate empty", `{"":1,"":2}`, 1, 7, `the name "" stands twice`},
		{"duplicate by escape", `{"a":1,"\u0061":2}`, 1, 8, "stands twice"},
		{"duplicate behind nested", `{"a":{"b":[1]},"b":1,"a":2}`, 1, 22, `the name "a" stands twice`},
		{"NaN", `NaN`, 1, 1, "expected a value, found 'N'"},
		{"infinity", `-Infinity`, 1, 2, "expected a digit"},
		{"half a word", `tru`, 1, 1, "expected a value"},
		{"byte order mark", "\ufeff{}", 1, 1, "expected a value"},
		{"leading zero", `007`, 1, 1, "must not start with 0"},
		{"minus leading zero", `-01`, 1, 1, "must not start with 0"},
		{"plus", `+1`, 1, 1, "expected a value"},
		{"bare point", `.5`, 1, 1, "expected a value"},
		{"nothing behind point", `[1.]`, 1, 4, "expected a digit, found ']'"},
		{"nothing behind e", `1e`, 1, 3, "expected a digit"},
		{"hex", `0x10`, 1, 2, "nothing may follow"},
		{"huge exponent", `{"a":1e401}`, 1, 6, "exponent is beyond ±400"},
		{"small exponent", `1e-401`, 1, 1, "exponent is beyond ±400"},
		{"endless exponent", `1e` + strings.Repeat("9", 100), 1, 1, "exponent is beyond"},
		{"long number", strings.Repeat("1", 129), 1, 1, "has 129 characters; at most 128"},
		{"control character", "\"a\tb\"", 1, 3, `control character \u0009`},
		{"open string", `"abc`, 1, 1, "the string is not closed"},
		{"open string at escape", `"abc\`, 1, 5, "the string is not closed"},
		{"unknown escape", `"\x41"`, 1, 2, "a backslash before 'x'"},
		{"short escape", `"\u00g0"`, 1, 2, "four hexadecimal digits"},
		{"lone high surrogate", `"ab\ud800"`, 1, 4, `\ud800 is half of a surrogate pair`},
		{"lone low surrogate", `"\udc00x"`, 1, 2, "half of a surrogate pair"},
		{"two high surrogates", `"\ud800\ud800"`, 1, 2, "half of a surrogate pair"},
		{"bad UTF-8", "\"a\xff\"", 1, 3, "byte 0xff is not valid UTF-8"},
		{"overlong UTF-8", "\"\xc0\x80\"", 1, 2, "not valid UTF-8"},
		{"surrogate in UTF-8", "\"\xed\xa0\x80\"", 1, 2, "not valid UTF-8"},
		{"cut UTF-8", "\"日\xe6\x97\"", 1, 3, "not valid UTF-8"},
		{"column counts characters", `{"名前":"日本"x}`, 1, 11, "expected"},
		{"depth", strings.Repeat("[", 65), 1, 65, "nest deeper than 64"},
		{"depth 10,000", strings.Repeat(`{"a":[`, 5_000), 1, 193, "nest deeper than 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse([]byte(tt.in), Limits{})
			var se *SyntaxError
			if !errors.As(err, &se) {
				t.Fatalf("Parse gave %v, %v; want a SyntaxError", d, err)
			}
			if se.Line != tt.line || se.Col != tt.col || !strings.Contains(se.Msg, tt.msg) {
				t.Errorf("got %v, want %d:%d: …%s…", se, tt.line, tt.col, tt.msg)
			}
		})
	}
}

func TestLargeObjects(t *testing.T) {
	var sb strings.Builder
	sb.WriteByte('{')
	for i := range 5_000 {
		fmt.Fprintf(&sb, "\"k%d\":%d,\n", i, i)
	}
	if _, err := Parse([]byte(sb.String()+`"last":0}`), Limits{}); err != nil {
		t.Fatal(err)
	}
	_, err := Parse([]byte(sb.String()+`"k4711":0}`), Limits{})
	var se *SyntaxError
	if !errors.As(err, &se) || se.Line != 5_001 || se.Col != 1 {
		t.Fatalf("got %v, want a duplicate at 5001:1", err)
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name, in string
		l        Limits
		ok       bool
	}{
		{"bytes", `[1,2,3]`, Limits{Bytes: 6}, false},
		{"bytes enough", `[1,2,3]`, Limits{Bytes: 7}, true},
		{"depth", `[[1]]`, Limits{Depth: 1}, false},
		{"depth enough", `[[1]]`, Limits{Depth: 2}, true},
		{"depth of 10,000", strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), Limits{Depth: 1 << 30}, true},
		{"depth beyond 10,000", strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001), Limits{Depth: 1 << 30}, false},
		{"nodes", `{"a":1,"b":2}`, Limits{Nodes: 4}, false},
		{"nodes enough", `{"a":1,"b":2}`, Limits{Nodes: 5}, true},
		{"number", `12345`, Limits{NumberLen: 4}, false},
		{"number enough", `12345`, Limits{NumberLen: 5}, true},
		{"exponent", `1e11`, Limits{Exponent: 10}, false},
		{"exponent enough", `1E-10`, Limits{Exponent: 10}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse([]byte(tt.in), tt.l); (err == nil) != tt.ok {
				t.Errorf("Parse gave %v", err)
			}
		})
	}
}
