package kafka

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestProblems(t *testing.T) { connectortest.Problems(t, Kind{}, "testdata/problems") }

// TestNotes: what works and may not be meant is noted.
func TestNotes(t *testing.T) {
	t.Setenv("A", "a")
	s := parsed(t, "connector: kafka\nbrokers: [\"a:1\"]\nsasl: {mechanism: plain, user: a, password: \"${env:A}\"}\nobjects: {order: {topic: a}}\n")
	var p strictyaml.Problems
	Kind{}.Check(s, &p)
	if p.Err() != nil || len(p.Notes()) != 1 {
		t.Errorf("%v, %v", p.Err(), p.Notes())
	}
	if o := (Kind{}).Ordering(s, "order"); o.By != connector.ByCommit {
		t.Errorf("%+v", o)
	}
	if o := (Kind{}).Ordering(s, "nobody"); o.By != "" {
		t.Errorf("%+v", o)
	}
}

// TestFilesOfTLS: a certificate that is not there is said when the system is opened, and nobody is called.
func TestFilesOfTLS(t *testing.T) {
	_, err := Kind{}.Open(t.Context(), parsed(t, "connector: kafka\nbrokers: [\"a:1\"]\ntls: {ca: absent.pem}\nobjects: {order: {topic: a}}\n"))
	if err == nil {
		t.Error("it is open")
	}
}
