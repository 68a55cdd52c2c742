package strictyaml

import (
	"encoding/json"
	"testing"
)

func TestAppendJSON(t *testing.T) {
	var p Problems
	n := ParseWith("f", []byte("b: [1.10, 00123, '1', true, 'true', -0, 1e5, 0x1F, no, ~]\na: {}\nu: ${env:USER}\nx:\n"), testResolver, &p)[0]
	got, ok := n.AppendJSON(nil, &p)
	const want = `{"b":[1.10,"00123","1",true,"true",-0,1e5,"0x1F","no",null],"a":{},"u":"ann","x":null}`
	if string(got) != want || !ok || !json.Valid(got) {
		t.Errorf("got %s, %v", got, p.Err())
	}
	if _, ok := Parse("f", []byte("a: ['${env:}']"), &p)[0].AppendJSON(nil, &p); ok || p.Len() != 1 {
		t.Errorf("a bad reference passes: %v", p.Err())
	}
}
