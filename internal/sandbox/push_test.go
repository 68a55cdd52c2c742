package sandbox

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestSignWebhook(t *testing.T) {
	// A vector of the standardwebhooks library.
	body := `{"type":"order.created","timestamp":"2026-01-15T10:00:00Z","data":{"id":"SO-1001","customer":"Müller & Söhne","total":"105.50"}}`
	got, err := SignWebhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_1", time.Unix(1768471200, 0), []byte(body))
	if want := "v1,ngpMPDL169ViCwlf7WNXx5x0uQw9W1qCuoeYVkMiY0g="; got != want || err != nil {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if _, err := SignWebhook("whsec_???", "msg_1", time.Unix(0, 0), nil); err == nil {
		t.Error("a secret that is no base64 was taken")
	}
}

func (r received) checkSignature(t *testing.T, secret string) {
	t.Helper()
	sec, err := strconv.ParseInt(r.stamp, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := SignWebhook(secret, r.id, time.Unix(sec, 0), r.body); r.signature != want {
		t.Errorf("signature %s, want %s", r.signature, want)
	}
}

func TestPushes(t *testing.T) {
	// The first two answers are refusals.
	hooks := newReceiver(t, func(n int) int { return []int{503, 500, 202, 202, 202, 202}[min(n, 5)] })
	dir := t.TempDir()
	w := quiet(t, Options{Dir: dir, HookURL: hooks.URL})
	c := w.crmClient(t)
	made := c.do(201, "POST", "accounts", anAccount(nil))
	c.do(200, "PATCH", "accounts/"+text(made.doc["Id"]), map[string]any{"Phone": "1"})
	c.do(201, "POST", "products", map[string]any{"ProductCode": "1", "Name": "n", "UnitOfMeasure__c": "Each", "UnitPrice": 1}) // not pushed
	got := hooks.until(t, func(got []received) bool { return len(got) >= 4 })
	for _, r := range got {
		r.checkSignature(t, w.Env()[EnvCRMHookSecret])
		if r.path != "/crm/accounts" {
			t.Errorf("pushed to %s", r.path)
		}
	}
	if got[0].id != got[1].id || got[1].id != got[2].id || got[2].id == got[3].id {
		t.Error("the first message has to come until it is taken, and the second after it")
	}
	if !bytes.Equal(bytes.TrimSpace(made.raw), got[0].body) {
		t.Errorf("pushed %s, want the record as it was", got[0].body)
	}
	w.settle(t) // the sender has the answer a moment after the receiver gave it
	var status []int
	for e, err := range w.Logs(CRM) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Actor == "push" {
			status = append(status, e.Status)
			if e.Request != got[len(status)-1].id || e.BodyHash != bodyHash(got[len(status)-1].body) {
				t.Errorf("logged %+v", e)
			}
		}
	}
	if !slices.Equal(status, []int{503, 500, 202, 202}) {
		t.Errorf("logged answers %v", status)
	}
}

func TestPushesSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	w := quiet(t, Options{Dir: dir, Accounts: 3}) // nowhere to push to yet
	if n := w.Pending()["crm.webhooks"]; n != 3 {
		t.Fatalf("%d webhooks wait", n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	hooks := newReceiver(t, nil)
	w = quiet(t, Options{Dir: dir})
	w.SetHookURL(hooks.URL)
	first := hooks.until(t, func(got []received) bool { return len(got) == 3 })
	w.settle(t)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = quiet(t, Options{Dir: dir, HookURL: hooks.URL})
	if n := w.Pending()["crm.webhooks"]; n != 0 || len(hooks.all()) != len(first) {
		t.Errorf("%d wait and %d came after everything was taken", n, len(hooks.all()))
	}
}

func TestWickedPushes(t *testing.T) {
	hooks := newReceiver(t, nil)
	quiet(t, Options{Accounts: 60, HookURL: hooks.URL, ChaosFor: map[string]Chaos{CRM: {DuplicateHooks: .5, LateHooks: .5, LateMS: 200}}})
	count := map[string]int{}
	got := hooks.until(t, func(got []received) bool {
		clear(count)
		twice := 0
		for _, r := range got {
			if count[r.id]++; count[r.id] == 2 {
				twice++
			}
		}
		return len(count) == 60 && twice > 15
	})
	sorted := slices.IsSortedFunc(got, func(a, b received) int { return bytes.Compare([]byte(a.id), []byte(b.id)) })
	if sorted {
		t.Error("nothing was late")
	}
}
