package webhook

import (
	"context"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func settingsOf(t *testing.T, text string) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	nodes := strictyaml.Parse("waybill.yaml", []byte(text), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return connector.Settings{Name: "facilities", Node: nodes[0]}
}

func TestSystem(t *testing.T) {
	s := settingsOf(t, "connector: webhook\n")
	var p strictyaml.Problems
	Kind{}.Check(s, &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	sys, err := Kind{}.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Probe(t.Context()); err != nil {
		t.Errorf("probe: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sys.Probe(gone); err == nil {
		t.Error("a probe goes on after its caller has gone")
	}
	if err := sys.Close(); err != nil {
		t.Error(err)
	}
}

func TestSettingsThatMeanNothing(t *testing.T) {
	var p strictyaml.Problems
	Kind{}.Check(settingsOf(t, "connector: webhook\nurl: https://facilities.example\n"), &p)
	const want = `waybill.yaml:2:1: unknown key "url"`
	if got := p.List(); len(got) != 1 || got[0].String()[:len(want)] != want {
		t.Errorf("got %v", got)
	}
}
