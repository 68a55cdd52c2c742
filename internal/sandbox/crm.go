package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// crm is the customer system: people there keep accounts, quotes and orders; it pushes every change of them, also those
// that were made through its API.
type crm struct {
	o       Options
	m       *remote
	imp     *imp
	out     *outbox
	end     *endpoint
	traffic *traffic
}

func crmDialect() *dialect {
	return &dialect{
		system: CRM, prefix: "/api/", id: "Id", ext: "External_Id__c", created: "CreatedDate", stamp: "SystemModstamp",
		deleted: "IsDeleted", modifiedBy: "LastModifiedById", newID: salesforceID,
		decorate: func(d *dialect, s *spec, id string, doc map[string]any) {
			name := strings.TrimPrefix(s.Schema, "crm/")
			doc["attributes"] = map[string]any{"type": strings.ToUpper(name[:1]) + name[1:], "url": d.prefix + s.Name + "/" + id}
		},
		fail: func(e *apiError) any {
			one := map[string]any{"errorCode": e.code, "message": e.msg, "fields": []string{}}
			if e.field != "" {
				one["fields"] = []string{e.field}
			}
			return []any{one}
		},
	}
}

func startCRM(o Options) (_ *crm, err error) {
	c := &crm{o: o, m: newRemote(crmDialect(), crmSpecs), imp: newImp(o.Seed, CRM, o.chaos(CRM))}
	c.out = newOutbox(o.HookURL, o.HookSecret, c.imp, func(e *Entry) { _ = c.m.journal.append(e) })
	c.m.changed = c.queue
	c.m.pushed = func(e *Entry) {
		if e.Status >= 200 && e.Status < 300 {
			c.out.acknowledged(e.Request)
		}
	}
	if err := c.m.open(filepath.Join(o.Dir, "crm.log.jsonl")); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	a := &api{m: c.m, imp: c.imp, allow: c.allowed, idempotency: o.Idempotency, sinceParam: "changedSince",
		page: func(items []json.RawMessage, next string, done bool, total int) any {
			out := map[string]any{"records": items, "done": done, "hasMore": !done, "totalSize": total, "nextCursor": nil}
			if next != "" {
				out["nextCursor"] = next
			}
			return out
		}}
	a.routes(mux)
	mux.HandleFunc("POST /oauth/token", c.token)
	c.traffic = newTraffic(o, CRM, .45, c.act, nil)
	control{system: CRM, imp: c.imp, traffic: c.traffic, pending: c.pending, objects: c.objects}.routes(mux)
	if c.end, err = serve(o.ListenCRM, mux); err != nil {
		_ = c.m.journal.Close()
		return nil, err
	}
	if len(c.m.tables["accounts"].ids) == 0 {
		if err := c.seed(); err != nil {
			_ = c.end.Close()
			_ = c.m.journal.Close()
			return nil, err
		}
	}
	c.out.start()
	c.traffic.start()
	return c, nil
}

func (c *crm) close() error {
	c.traffic.close()
	c.out.close()
	err := c.end.Close()
	if e := c.m.journal.Close(); err == nil {
		err = e
	}
	return err
}

// queue puts the change of an account, order or quote into the outbox.
func (c *crm) queue(e *Entry, i int, r *row, s *spec, delay time.Duration) {
	if s.Push == "" || c.o.NoHooks {
		return
	}
	c.out.add(&push{id: fmt.Sprintf("msg_%012d_%d", e.Seq, i), path: "/crm/" + s.Push, object: r.id, body: r.raw, index: -1}, delay)
}

func (c *crm) pending() map[string]int { return map[string]int{"webhooks": c.out.pending()} }

func (c *crm) objects() map[string][]Object { return c.m.objects(crmEntities) }

// token is the OAuth2 client-credentials endpoint; credentials in the form or as basic authentication.
func (c *crm) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	note := func(status int) {
		c.m.note(call{actor: "api", method: r.Method, path: r.URL.Path, status: status}, "", "", "")
	}
	if r.PostFormValue("grant_type") != "client_credentials" {
		note(400)
		answer(w, 400, map[string]any{"error": "unsupported_grant_type", "error_description": "grant_type must be client_credentials"})
		return
	}
	if !same(id, crmClientID(c.o.Seed)) || !same(secret, crmClientSecret(c.o.Seed)) {
		note(401)
		answer(w, 401, map[string]any{"error": "invalid_client", "error_description": "client identifier or secret is wrong"})
		return
	}
	note(200)
	answer(w, 200, map[string]any{"access_token": c.issue(time.Now().Add(c.o.TokenTTL)), "token_type": "Bearer",
		"expires_in": int(c.o.TokenTTL.Seconds()), "instance_url": c.end.url})
}

// issue makes a token that carries its own end, so that it outlives a restart.
func (c *crm) issue(end time.Time) string {
	until := strconv.FormatInt(end.Unix(), 10)
	mac := hmac.New(sha256.New, digest(c.o.Seed, "crm-oauth"))
	mac.Write([]byte(until))
	return "at_" + until + "_" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (c *crm) allowed(token string) bool {
	if same(token, crmToken(c.o.Seed)) {
		return true
	}
	until, _, _ := strings.Cut(strings.TrimPrefix(token, "at_"), "_")
	end, err := strconv.ParseInt(until, 10, 64)
	return err == nil && time.Now().Unix() < end && same(token, c.issue(time.Unix(end, 0)))
}
