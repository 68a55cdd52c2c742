package odata

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/connector/connectortest"
)

func TestProblems(t *testing.T) { connectortest.Problems(t, Kind{}, "testdata/problems") }
