package jsondoc

import "testing"

func TestTruthy(t *testing.T) {
	doc, err := Parse([]byte(`{"null":null,"false":false,"true":true,"zero":0,"nought":0.00,"minus":-0,"one":1,"small":0.0001,"empty":"","text":"0","list":[],"object":{}}`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"absent": false, "null": false, "false": false, "true": true, "zero": false, "nought": false, "minus": false, "one": true, "small": true,
		"empty": false, "text": true, "list": true, "object": true} {
		if got := doc.Root().Get(name).Truthy(); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
