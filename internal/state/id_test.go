package state_test

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
)

// The ids are written to other people's systems: this test pins them for ever.
func TestIDsNeverChange(t *testing.T) {
	hub := state.MintHub("customer", "crm", "001A")
	if want := "1a5aa360-8bd4-5ca4-9fbb-e974cc1ebecd"; hub != want {
		t.Errorf("MintHub = %s, want %s", hub, want)
	}
	if got, want := state.ExternalID("customer", hub), "1297f71c-1905-53e0-bbb7-e253a25632a9"; got != want {
		t.Errorf("ExternalID = %s, want %s", got, want)
	}
	if state.MintHub("customer", "cr", "m001A") == hub {
		t.Error("the parts of a hub id run into each other")
	}
}
