package sandbox

import (
	"encoding/json"
	"errors"
	"testing"
)

// TestDriftTellsNobody: what drifts has neither a new stamp nor a version, and nothing is pushed.
func TestDriftTellsNobody(t *testing.T) {
	w, err := StartAll(t.Context(), Options{Dir: t.TempDir(), Rate: -1, NoHooks: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Drift(t.Context(), 0); !errors.Is(err, ErrNothingToDrift) {
		t.Errorf("before a hub has brought anything: %v", err)
	}
	c := call{actor: "api"}
	made, err := w.crm.m.create(c, "products", map[string]any{"ProductCode": "00107", "Name": "Bolt", "UnitOfMeasure__c": "Each", "UnitPrice": json.Number("1.50"), "CurrencyIsoCode": "CNY", "IsActive": true, "External_Id__c": "0b6b5f0e-6f2f-5f0b-9d57-9f0b7c1b7a11"})
	if err != nil {
		t.Fatal(err)
	}
	entries := w.crm.m.journal.seq
	d, err := w.Drift(t.Context(), 0)
	if err != nil || d.String() != "crm: product 00107: Name" {
		t.Fatalf("%v %v", d, err)
	}
	now := w.crm.m.tables["products"].rows[made.id]
	if !now.stamp.Equal(made.stamp) || string(now.raw) == string(made.raw) || w.crm.m.journal.seq != entries || w.Pending()["crm.webhooks"] != 0 {
		t.Errorf("%s after %s, pending %v", now.raw, made.raw, w.Pending())
	}
	if d, err = w.Drift(t.Context(), 3); err != nil || !w.crm.m.tables["products"].rows[made.id].deleted {
		t.Errorf("%v %v", d, err)
	}
}
