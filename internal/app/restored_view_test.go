package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestRestoredView: lists are lists, also where nothing is in them, and times that are the same are both told.
func TestRestoredView(t *testing.T) {
	t.Parallel()
	h := &Hub{}
	h.now.Store(&current{plan: &config.Plan{}})
	at := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		r    state.Restoration
		want []string
	}{
		{state.Restoration{Phase: state.RestoredReading, Since: at}, []string{`"signs":[]`, `"waits":[]`, `"as_of":null`, `"stopped":null`, `"ended":null`}},
		{state.Restoration{Phase: state.RestoredSettled, AsOf: at, Stopped: at, Ended: at, Waits: []string{"the last request"}},
			[]string{`"as_of":"2026-11-29T10:00:00Z"`, `"stopped":"2026-11-29T10:00:00Z"`, `"ended":"2026-11-29T10:00:00Z"`, `"waits":["the last request"]`}},
		{state.Restoration{Phase: state.RestoredReading, Signs: []string{state.SignFile}, AsOf: at, Since: at},
			[]string{"\"lost\":\"nothing if it was only moved (say so: `waybill restored --done --note moved`); else what people decided between"}},
		{state.Restoration{Phase: state.RestoredSettled, Signs: []string{state.SignFile}, AsOf: at, Since: at, Ended: at, EndedBy: byHub}, []string{`"lost":"nothing if it was only moved`}},
		{state.Restoration{Phase: state.RestoredSettled, Signs: []string{state.SignFile}, AsOf: at, Since: at, Ended: at, EndedBy: "ann"}, []string{`"lost":""`}},
		{state.Restoration{Phase: state.RestoredSettled, Signs: []string{state.SignFile}, Again: 3, AsOf: at, Since: at, Ended: at, EndedBy: "ann"}, []string{`"lost":"what people decided between`}},
		{state.Restoration{Phase: state.RestoredSettled, Signs: []string{state.SignCopy, state.SignFile}, AsOf: at, Since: at, Ended: at, EndedBy: "ann"}, []string{`"lost":"what people decided between`}},
	} {
		text, err := json.Marshal(h.restoredView(&tt.r))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s is not in %s", want, text)
			}
		}
	}
}
