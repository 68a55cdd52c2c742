package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// Whatever stands in a text from outside, a table keeps its rows and the terminal gets nothing to act on; JSON keeps it as it is.
func TestTextsFromOutside(t *testing.T) {
	evil := "line one\nline two\t\x1b[31mred\x1b[0m \u009b2J \u202Eback \u0007 客户"
	m := api.Message{Key: "K", Journal: []api.Journal{{Time: time.Unix(0, 0), Flow: "f", Outcome: "parked", System: "erp", Local: "7\n8", Version: "v\t1", Reason: evil},
		{Time: time.Unix(1, 0), Flow: "客户", Outcome: "delivered", Operation: "create", System: "erp", Local: "客9"}},
		Queued: []api.Queued{{ID: 1, Flow: "f", Key: "K\n2", State: "parked", Reason: evil}}}
	for _, output := range []string{"text", "json"} {
		var out bytes.Buffer
		e := &env{out: plainWriter{&out}, raw: &out, output: output}
		if output == "json" {
			if err := e.json(&m); err != nil {
				t.Fatal(err)
			}
			var back api.Message
			if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Journal[0].Reason != evil {
				t.Errorf("JSON: %v, %q", err, back.Journal[0].Reason)
			}
			continue
		}
		if err := e.showTrace(&m, false); err != nil {
			t.Fatal(err)
		}
		if err := e.showStatus(&api.Status{Flows: []api.Flow{{Name: "f", Why: evil}}, Systems: []api.System{{Name: "s", Why: strings.Repeat(evil, 3)}}}); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if i := strings.IndexAny(text, "\x1b\u009b\u202E\u0007\r\t"); i >= 0 {
			t.Errorf("%q reaches the terminal: %q", text[i], text[max(0, i-20):i+5])
		}
		if !strings.Contains(text, `line one line two \u001b[31mred\u001b[0m \u009b2J \u202eback \u0007 客户`) {
			t.Errorf("the text is not shown:\n%s", text)
		}
		rows := strings.Split(text, "\n")
		at := -1
		for _, row := range rows {
			if strings.HasPrefix(row, "TIME ") {
				at = wide(row[:strings.Index(row, "OUTCOME")])
			}
		}
		for _, word := range []string{"parked ", "delivered "} {
			for _, row := range rows {
				if i := strings.Index(row, word); i > 0 && strings.HasPrefix(row, "19") && wide(row[:i]) != at {
					t.Errorf("a column begins at %d, not at %d: %s", wide(row[:i]), at, row)
				}
			}
		}
	}
}

func TestSeenIsReversible(t *testing.T) {
	for in, want := range map[string]string{"plain": "plain", "\x00": `\u0000`, "\xff": `\xff`, "a\u200bb": `a\u200bb`, "\U000E0041": `\udb40\udc41`, "ok\n": "ok\n"} {
		if got := seen(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestTraceOfSeveralKeys(t *testing.T) {
	var out bytes.Buffer
	e := &env{out: plainWriter{&out}, raw: &out, output: "text"}
	m := api.Message{Key: "47", Keys: []string{"4711", "4712\n"}}
	if err := e.showTrace(&m, false); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "several keys begin with 47:\n  4711\n  4712\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTraceNamesTheDocument: only what a call was decided on for is called sent, or to be sent.
func TestTraceNamesTheDocument(t *testing.T) {
	for want, j := range map[string]api.Journal{
		"sent":          {Operation: "create", Documents: &api.Documents{Mapped: []byte(`{"no":"A"}`), Status: "422"}},
		"to be sent":    {Operation: "create", Documents: &api.Documents{Mapped: []byte(`{"no":"A"}`)}},
		"after mapping": {Documents: &api.Documents{Mapped: []byte(`{"no":"A"}`)}}, // a delete without a policy
	} {
		var out bytes.Buffer
		e := &env{out: plainWriter{&out}, raw: &out, output: "text"}
		j.Flow, j.Outcome = "orders-to-erp", "parked"
		if err := e.showCause(&j, false); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.Contains(got, "  "+want+":\n    {\n      \"no\": \"A\"") {
			t.Errorf("%s:\n%s", want, got)
		}
	}
}

// TestIDsOnOneLine: an id with a line's end stays on the line of its system.
func TestIDsOnOneLine(t *testing.T) {
	var out bytes.Buffer
	e := &env{out: plainWriter{&out}, raw: &out, output: "text"}
	e.showObjects([]api.Object{{Entity: "order", Hub: "h", External: "x", Refs: []api.Ref{{System: "shop", Local: "A\nerp: 7"}}}})
	if got := out.String(); got != "order h (external id x)\n  shop: A erp: 7\n\n" {
		t.Errorf("%q", got)
	}
}
