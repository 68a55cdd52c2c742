package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// TestFindShown: what was not looked at is said, and nothing is "none" before all of what had come in was.
func TestFindShown(t *testing.T) {
	at := time.Date(2026, 11, 30, 2, 0, 0, 0, time.Local)
	object := []api.FoundObject{{Entity: "order", Key: "SO\x1b-1", Time: &at, State: "received", Flow: "orders", Refs: []api.Ref{{System: "shop", Local: "7", Deleted: true}}}}
	for name, c := range map[string]struct {
		found api.Found
		code  int
		want  string
	}{
		"none":          {api.Found{Query: "acme", Looked: api.Looked{Complete: true, At: at}}, 1, "the hub knows nothing that is called acme or begins so\n"},
		"only newer":    {api.Found{Query: "acme", Looked: api.Looked{Underway: new(at.Add(time.Second)), At: at}}, 1, "the hub knows nothing that is called acme"},
		"and more":      {api.Found{Query: "so", Objects: object, Next: "c2", Looked: api.Looked{Behind: 3, Unread: &at, Underway: &at, At: at}}, 0, "there is more: --after c2\n"},
		"not indexed":   {api.Found{Query: "so", Objects: object, Looked: api.Looked{Behind: 3, At: at}}, 0, "of about 3 newer fates the keys and ids alone"},
		"not read":      {api.Found{Query: "so", Objects: object, Looked: api.Looked{Unread: &at, At: at}}, 0, "deliveries wait since 2026-11-30 02:00:00 that nobody has read yet"},
		"on their way":  {api.Found{Query: "so", Objects: object, Looked: api.Looked{Underway: &at, At: at}}, 0, "messages are on their way since 2026-11-30 02:00:00; of those the keys and ids alone were looked at\n"},
		"how it stands": {api.Found{Query: "so", Objects: object, Looked: api.Looked{Complete: true, At: at}}, 0, "orders  shop:7 (deleted)"},
	} {
		code, out, errs := command(t, "find", "x", "--url", answers(t, c.found))
		if code != c.code || !strings.Contains(out, c.want) || errs != "" || strings.Contains(out, "\x1b") {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, errs)
		}
	}
	waits := api.Looked{Underway: &at, At: at}
	if waits.Reached(at) || !waits.Reached(at.Add(-time.Second)) {
		t.Error("what is on its way since then was not looked at")
	}
	for _, args := range [][]string{{"find"}, {"find", " "}, {"find", "x", "--limit", "101"}, {"find", "x", "--limit", "0"}} {
		if code, _, errs := command(t, args...); code != 2 || errs == "" {
			t.Errorf("%v: exit %d, %q", args, code, errs)
		}
	}
}
