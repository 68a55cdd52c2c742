package sandbox

import (
	"encoding/base64"
	"log/slog"
	"path/filepath"
	"slices"
	"time"
)

// Options of the sandbox. The zero value of every field has a default.
type Options struct {
	// Dir holds all state: crm.log.jsonl, erp.db, erp.log.jsonl, wms.log.jsonl and drop/. Required.
	Dir string
	// Seed makes names, numbers, choices and chaos repeatable. Default 1.
	Seed int64
	// Rate is business actions per second over all three systems; negative: no traffic at all. Default 60.
	Rate float64
	// Hold: no business until World.Resume, so that a demo's time does not run while the hub still starts.
	Hold bool
	// Chaos applies to every system, unless ChaosFor has an entry for it.
	Chaos    Chaos
	ChaosFor map[string]Chaos
	// Only names the systems to start; empty: all.
	Only []string
	// HookURL is where the CRM pushes: it appends /crm/accounts, /crm/orders and /crm/quotes. Empty: what is to be pushed
	// waits for World.SetHookURL.
	HookURL string
	// NoHooks: the CRM does not push at all.
	NoHooks bool
	// HookSecret signs the pushes (whsec_ + base64). Default: made from the seed.
	HookSecret string
	// Listen addresses of the HTTP endpoints; default 127.0.0.1:0 each.
	ListenCRM, ListenERP, ListenWMS string
	// ERPPath is the ERP's database; default Dir/erp.db. DropDir is the WMS's folder; default Dir/drop.
	ERPPath, DropDir string
	// Pace scales the time that people and machines take between steps (confirm, ship, invoice, pay); default 1.
	Pace float64
	// Initial numbers of objects that exist before the traffic starts. Defaults 200 items, 60 customers in the ERP, 120
	// accounts in the CRM. Negative: none.
	Items, ERPCustomers, Accounts int
	// UTF8 makes the WMS write its files in UTF-8 instead of GB18030.
	UTF8 bool
	// Idempotency makes CRM and WMS honour Idempotency-Key; off, they ignore it as many real systems do.
	Idempotency bool
	// TokenTTL is how long an OAuth2 token of the CRM lives. Default 1 h.
	TokenTTL time.Duration
	// Log gets a few lines on start, stop and internal trouble. Default: discarded.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	def := func(p *int, n int) {
		if *p == 0 {
			*p = n
		}
		*p = max(*p, 0)
	}
	str := func(p *string, s string) {
		if *p == "" {
			*p = s
		}
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Rate == 0 {
		o.Rate = 60
	}
	o.Rate = max(o.Rate, 0)
	if o.Pace <= 0 {
		o.Pace = 1
	}
	if o.TokenTTL <= 0 {
		o.TokenTTL = time.Hour
	}
	def(&o.Items, 200)
	def(&o.ERPCustomers, 60)
	def(&o.Accounts, 120)
	str(&o.ListenCRM, "127.0.0.1:0")
	str(&o.ListenERP, "127.0.0.1:0")
	str(&o.ListenWMS, "127.0.0.1:0")
	if dir, err := filepath.Abs(o.Dir); err == nil && o.Dir != "" {
		o.Dir = dir // whoever reads a path from Env stands elsewhere
	}
	str(&o.ERPPath, filepath.Join(o.Dir, "erp.db"))
	str(&o.DropDir, filepath.Join(o.Dir, "drop"))
	str(&o.HookSecret, HookSecret(o.Seed))
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// runs says whether the system is among those to start.
func (o *Options) runs(system string) bool {
	return len(o.Only) == 0 || slices.Contains(o.Only, system)
}

func (o *Options) chaos(system string) Chaos {
	if c, ok := o.ChaosFor[system]; ok {
		return c
	}
	return o.Chaos
}

// pace is how long a step of about d takes here.
func (o *Options) pace(d time.Duration) time.Duration { return time.Duration(float64(d) * o.Pace) }

// HookSecret is the webhook secret that a sandbox of that seed uses unless told otherwise.
func HookSecret(seed int64) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(digest(seed, "hook-secret")[:24])
}

// Tokens and client credentials are fixed by the seed, so that a restarted system still accepts them.
func crmToken(seed int64) string        { return "crm_" + secretText(seed, "crm-token") }
func crmClientID(seed int64) string     { return "waybill-" + secretText(seed, "crm-client")[:8] }
func crmClientSecret(seed int64) string { return secretText(seed, "crm-client-secret") }
func wmsToken(seed int64) string        { return "wms_" + secretText(seed, "wms-token") }

func secretText(seed int64, what string) string {
	return base64.RawURLEncoding.EncodeToString(digest(seed, what)[:18])
}
