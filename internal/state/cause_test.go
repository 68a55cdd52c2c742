package state_test

import (
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

func TestCauseOf(t *testing.T) {
	for _, tt := range []struct{ kind, code, reason, want string }{
		{"", "", "", ""},
		{"schema", "required:lines[*].sku", "accept: not valid by a: lines[3].sku: missing; lines[4].sku: missing", "schema required:lines[*].sku"},
		{"mapping", "value:order-status/crm/Lost", "no such code", "mapping value:order-status/crm/Lost"},
		{"xref", "customer/erp", "the customer 1a5aa360-8bd4-5ca4-9fbb-e974cc1ebecd has no id in erp yet", "xref customer/erp"},
		{"invalid", "erp/422", `erp: POST /orders/8431: 422: the amount 13.50 of "Müller & Söhne" is refused at 2026-03-01T10:00:00Z`,
			`invalid erp/422: the amount * of "*" is refused at *`},
		{"invalid", "erp/422", "ACME-Works is blocked", "invalid erp/422: * is blocked"},
		{"invalid", "erp/422", "客户12345不存在", "invalid erp/422: 客户*不存在"},
		{"unavailable", "erp/", "erp: dial tcp 127.0.0.1:8443: connect: connection refused", "unavailable erp/: erp: dial tcp *: connect: connection refused"},
		{"invalid", "erp/422", `erp: update: 422: {"message":"the amount 5004 of \"Müller\" is over the limit","code":"E17","field" : "amount"}`,
			`invalid erp/422: {"message":"the amount * of "*" is over the limit","code":"*","field" : "*"}`},
		{"conflict", "erp/409", `an "open quote`, `conflict erp/409: an "open quote`},
	} {
		id, text := state.CauseOf(&state.Queued{Kind: tt.kind, Code: tt.code, Reason: tt.reason, Event: event.Event{Key: "ACME-Works", Hub: "h"}})
		if text != tt.want {
			t.Errorf("%s: got %q, want %q", tt.reason, text, tt.want)
		}
		if (id == "") != (text == "") {
			t.Errorf("%q has the id %q", text, id)
		}
	}
}

// Messages that one thing has stopped have one cause; what another thing has stopped has another.
func TestCausesGroup(t *testing.T) {
	of := func(key, reason string) string {
		id, _ := state.CauseOf(&state.Queued{Kind: "invalid", Code: "erp/422", Reason: reason, Event: event.Event{Key: key}})
		return id
	}
	a := of("SO-2026-000123", "erp: POST /orders: 422: order SO-2026-000123: the amount 13 is over the limit")
	if b := of("SO-2026-000999", "erp: POST /orders: 422: order SO-2026-000999: the amount 5000.25 is over the limit"); a != b {
		t.Errorf("one cause has two ids: %s, %s", a, b)
	}
	if b := of("SO-2026-000999", "erp: update order: 422: order SO-2026-000999: the amount 5000.25 is over the limit"); a != b {
		t.Errorf("what the hub did makes another cause: %s, %s", a, b)
	}
	if b := of("SO-2026-000123", "erp: POST /orders: 422: order SO-2026-000123: the customer is blocked"); a == b {
		t.Error("two causes have one id")
	}
	if len(a) != 8 || strings.Trim(a, "0123456789abcdef") != "" {
		t.Errorf("the id %q is none that a person can type", a)
	}
	// The id is typed into scripts: it must not change.
	if id, _ := state.CauseOf(&state.Queued{Kind: "schema", Code: "required:number"}); id != "f4d6c149" {
		t.Errorf("the id of a cause has changed: %s", id)
	}
	long := strings.Repeat("ü", 500)
	if _, text := state.CauseOf(&state.Queued{Kind: "invalid", Reason: long}); len(text) > 210 || !strings.HasSuffix(text, "…") || strings.ContainsRune(text, '\uFFFD') {
		t.Errorf("a long text: %d bytes, %q", len(text), text)
	}
}
