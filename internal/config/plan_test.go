package config

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/waybill-hub/waybill/configs"
	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func loadGood(t *testing.T) *Plan {
	t.Helper()
	plan, p := Load(RootPaths("testdata/good"), testOptions())
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestHub(t *testing.T) {
	plan := loadGood(t)
	b := plan.Hub.Broker
	if b.Embedded != nil || b.Partitions != 12 || b.Kafka.Replication != 2 || len(b.Kafka.Brokers) != 2 {
		t.Errorf("broker %+v", b)
	}
	if want := filepath.Join("testdata/good/configs", "tls/ca.pem"); b.Kafka.TLS.CA != want {
		t.Errorf("ca %s, want %s", b.Kafka.TLS.CA, want)
	}
	if s := b.Kafka.SASL; s.Mechanism != "scram-sha-512" || s.User != "hub" || s.Password.Reveal() != "kp" {
		t.Errorf("sasl %+v", s)
	}
	if plan.Hub.Store.SQLite != nil || plan.Hub.Store.Postgres.URL.Reveal() != "postgres://h/d" {
		t.Errorf("store %+v", plan.Hub.Store)
	}
	if h := plan.Hub.HTTP; h.Listen != "0.0.0.0:8080" || len(h.Tokens) != 1 || h.Tokens[0].Value.Reveal() != "0123456789abcdef" {
		t.Errorf("http %+v", h)
	}
	want := Hooks{Listen: "0.0.0.0:8081", MaxBody: 2 << 20, MaxDocuments: 10_000, MinRate: 4 << 10, Rate: strictyaml.Rate{N: 100, Per: time.Second}, Max: 1000, Leave: 2 * time.Second}
	if plan.Hub.Hooks != want {
		t.Errorf("hooks %+v", plan.Hub.Hooks)
	}
	if plan.Hub.TakeOver != 15*time.Second {
		t.Errorf("takeover after %s", plan.Hub.TakeOver)
	}
	crm := plan.Systems["crm"]
	if crm.Kind != "thing" || crm.VisibleAfter != 5*time.Second || crm.Settings.Dir != filepath.Join("testdata/good", "configs") || crm.Settings.Name != "crm" {
		t.Errorf("crm %+v", crm)
	}
}

func TestFlows(t *testing.T) {
	plan := loadGood(t)
	var names []string
	for _, f := range plan.Flows {
		names = append(names, f.Name)
	}
	if want := []string{"accounts", "crm-orders", "customers-by-time", "customers-to-erp", "drops", "orders-to-erp"}; !slices.Equal(names, want) {
		t.Errorf("flows %v", names)
	}

	f := plan.Flow("crm-orders")
	w := f.From.Webhook
	if w.Path != "crm/orders" || w.Split != "data.orders" || w.DeliveryID == nil || w.Verify.Scheme != "standard-webhooks" ||
		w.Verify.Tolerance != 2*time.Minute || len(w.Verify.Secrets) != 2 || w.Verify.Secrets[0].Reveal() != "h" || w.Verify.Secrets[1].Reveal() != "oh" {
		t.Errorf("webhook %+v", w)
	}
	if !slices.Equal(w.ContentTypes, []string{"text/plain", "application/x-www-form-urlencoded"}) || w.FormField != "payload" || !slices.Equal(w.Ignore, []string{"attempt", "meta.sent_at"}) ||
		!slices.Equal(w.Handshakes, []string{"get"}) || *w.Answer != (Answer{200, "text/plain", "[accepted]"}) {
		t.Errorf("webhook %+v %+v", w, w.Answer)
	}
	if f.Key == nil || f.ID == nil || f.ExternalID == nil || f.Version == nil || f.Operation == nil || f.When != nil {
		t.Error("expressions of crm-orders")
	}
	if f.Accept.Name() != "crm/opportunity.v1" || f.Map.Name() != "crm-opportunity-to-order" || f.To.Topic != "canonical.order" || !f.JournalAll {
		t.Errorf("crm-orders %+v", f)
	}
	if f.Order != Strict || f.Retry != (Retry{10 * time.Minute, 200 * time.Millisecond, 30 * time.Second}) || f.SLO != (SLO{LateAfter: 15 * time.Minute, WaitingAfter: 15 * time.Minute}) {
		t.Errorf("defaults of crm-orders %+v", f)
	}
	if f.Topic() != "in.crm-orders" || f.Group() != "waybill.crm-orders" {
		t.Errorf("topic %s, group %s", f.Topic(), f.Group())
	}

	f = plan.Flow("orders-to-erp")
	want := To{System: "erp", Object: "order", Operation: "upsert", OnDelete: Deactivate, Deactivated: []byte(`{"active":false,"code":"007"}`),
		FindBy: []FindBy{{Field: "number"}}, Owns: []string{"number", "active"}}
	if !reflect.DeepEqual(f.To, want) {
		t.Errorf("to %+v", f.To)
	}
	if f.Order != Latest || f.Retry != (Retry{time.Hour, time.Second, 5 * time.Minute}) || f.SLO != (SLO{5 * time.Minute, 2 * time.Hour, 15 * time.Minute}) {
		t.Errorf("orders-to-erp %+v", f)
	}
	if f.When == nil || len(f.Requires) != 1 || f.Requires[0].Entity != "customer" || f.Requires[0].ID == nil || f.JournalAll || f.Topic() != "canonical.order" {
		t.Errorf("orders-to-erp %+v", f)
	}

	poll := *plan.Flow("accounts").From.Poll
	if poll != (Poll{Object: "Account", Schedule: "*/5 8-18 * * 1-5", Timezone: "Asia/Shanghai", Overlap: 30 * time.Second, Limit: 200}) {
		t.Errorf("poll %+v", poll)
	}
	if poll := *plan.Flow("customers-by-time").From.Poll; poll != (Poll{Object: "customer", Every: 10 * time.Second, Overlap: 10 * time.Minute}) {
		t.Errorf("poll %+v", poll)
	}
	if files := *plan.Flow("drops").From.Files; files != (Files{"work-order", 10 * time.Second}) {
		t.Errorf("files %+v", files)
	}
	if to := plan.Flow("customers-to-erp").To; to.OnDelete != ParkDelete || to.Operation != "upsert" || to.Object != "customer" {
		t.Errorf("defaults of to: %+v", to)
	}
	if in := plan.Inbound("crm", "customer"); len(in) != 2 {
		t.Errorf("inbound %v", in)
	}
	if plan.Flow("none") != nil {
		t.Error("a flow that is not there")
	}
}

func TestReconciliations(t *testing.T) {
	plan := loadGood(t)
	r := plan.Reconciliations[0]
	if r.Name != "customers" || *r.Schedule != (Schedule{Cron: "0 2 * * *", Timezone: "Asia/Shanghai", CatchUp: true}) || r.Settle != 5*time.Minute || !r.Match.Xref {
		t.Errorf("%+v", r)
	}
	if r.Left.Object != "Account" || r.Right.Object != "customer" || r.Left.Map.To().Name() != "canonical/customer.v1" {
		t.Errorf("sides %+v %+v", r.Left, r.Right)
	}
	if got := r.Compare.Fields(); !slices.Equal(got, []string{"name", "credit_limit", "status"}) || *r.Repair != (Repair{From: FromLeft, ToRight: "customers-to-erp", AtMost: AtMost{N: 100}}) {
		t.Errorf("compare %+v repair %+v", r.Compare, r.Repair)
	}
	r = plan.Reconciliations[1]
	if !reflect.DeepEqual(r.Compare, compare.All()) || r.Repair != nil || r.Schedule != nil || r.Settle != 2*time.Minute || !slices.Equal(r.Match.Fields, []string{"name"}) {
		t.Errorf("defaults %+v", r)
	}
}

func TestDigestFollowsContent(t *testing.T) {
	tree := func(note string) Paths {
		files := fstest.MapFS{"a.yaml": {Data: []byte("# " + note)}, "README.md": {Data: []byte(note + " is not read")}}
		return Paths{Flows: []Source{{"flows", files}}}
	}
	digest := func(paths Paths) string {
		plan, p := Load(paths, testOptions())
		if err := p.Err(); err != nil {
			t.Fatal(err)
		}
		return plan.Digest
	}
	x, again, y := digest(tree("x")), digest(tree("x")), digest(tree("y"))
	if x != again || x == y {
		t.Error("the digest does not follow the content")
	}
}

func TestEmbeddedDefault(t *testing.T) {
	none := fstest.MapFS{}
	o := testOptions()
	o.Kinds = nil // its systems are checked where all connectors are known
	plan, p := Load(EmbeddedPaths(configs.FS, none, none, none), o)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	plain, _ := Load(Paths{}, testOptions())
	if !reflect.DeepEqual(plan.Hub, plain.Hub) {
		t.Errorf("the embedded file %+v differs from the defaults %+v", plan.Hub, plain.Hub)
	}
	if plan.Hub.Broker.Embedded.Dir != "data/broker" || plan.Hub.Store.SQLite.Path != "data/waybill.db" || !loopback(plan.Hub.HTTP.Listen) {
		t.Errorf("hub %+v", plan.Hub)
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	_, p := Load(RootPaths(dir), testOptions())
	if got, want := FormatText(p), filepath.Join(dir, "configs/waybill.yaml")+": cannot be read: no such file or directory\n1 problem in 1 file\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	for name, files := range map[string]fs.FS{
		"two documents": fstest.MapFS{"waybill.yaml": {Data: []byte("http: {}\n---\nflow: x\n")}},
		"a list":        fstest.MapFS{"waybill.yaml": {Data: []byte("- x\n")}},
		"broken":        fstest.MapFS{"waybill.yaml": {Data: []byte("a: [\n")}},
	} {
		if _, p := Load(Paths{Config: "waybill.yaml", ConfigFS: files}, testOptions()); p.Len() != 1 {
			t.Errorf("%s: %s", name, FormatText(p))
		}
	}
	empty := fstest.MapFS{"waybill.yaml": {Data: []byte("# all defaults\n")}}
	if _, p := Load(Paths{Config: "waybill.yaml", ConfigFS: empty}, testOptions()); p.Len() != 0 {
		t.Errorf("comments only: %s", FormatText(p))
	}
}

// TestMaxBody: what no broker could carry is not allowed.
func TestMaxBody(t *testing.T) {
	for size, want := range map[string]string{"64MiB": "", "65MiB": "waybill.yaml:1:19: max-body: 65MiB could not be carried (write at most 64MiB"} {
		file := fstest.MapFS{"waybill.yaml": {Data: []byte("hooks: {max-body: " + size + "}\n")}}
		_, p := Load(Paths{Config: "waybill.yaml", ConfigFS: file}, testOptions())
		if got := FormatText(p); !strings.HasPrefix(got, want) || want == "" && p.Len() > 0 {
			t.Errorf("%s: %s", size, got)
		}
	}
}

func TestDefaultPaths(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "configs", "waybill.yaml")
	if got := DefaultPaths(config); got.Flows[0].Name != filepath.Join(dir, "flows") || got.Dir != filepath.Join(dir, "configs") || got.Config != config {
		t.Errorf("%+v", got)
	}
	if err := os.MkdirAll(filepath.Join(dir, "configs", "flows"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := DefaultPaths(config); got.Flows[0].Name != filepath.Join(dir, "configs", "flows") {
		t.Errorf("beside the file: %+v", got)
	}
	if got := DefaultPaths("waybill.yaml"); got.Flows[0].Name != filepath.Join("..", "flows") || got.Dir != "." {
		t.Errorf("in the working directory: %+v", got)
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true, "localhost:80": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "example.org:80": false, "localhost.evil.example:80": false,
	} {
		if got := loopback(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// TestSpecDocumentsEverything: the Spec and the decoder share their tags, so only the sentences can be missing.
func TestSpecDocumentsEverything(t *testing.T) {
	var walk func(at string, fields []connector.Field)
	seen := 0
	walk = func(at string, fields []connector.Field) {
		for _, f := range fields {
			seen++
			if f.Doc == "" || f.Type == "" {
				t.Errorf("%s.%s has no sentence or type", at, f.Name)
			}
			if strings.HasSuffix(f.Doc, ".") || strings.ToUpper(f.Doc[:1]) == f.Doc[:1] && f.Doc[0] >= 'A' && f.Doc[0] <= 'Z' {
				t.Errorf("%s.%s: %q is written unlike the others", at, f.Name, f.Doc)
			}
			walk(at+"."+f.Name, f.Fields)
		}
	}
	for kind, fields := range Spec() {
		walk(kind, fields)
	}
	walk("rule", FieldRuleSpec())
	walk("group", GroupSpec())
	if seen < 80 {
		t.Errorf("only %d keys", seen)
	}
}

func TestFormatsOfNothing(t *testing.T) {
	p := &strictyaml.Problems{}
	if FormatText(p) != "" || FormatJSON(p) != "[]\n" || FormatGitHub(p) != "" {
		t.Error("something is said about nothing")
	}
}

// TestFormatsOfNotes: notes come behind the problems, with a level of their own, and are not counted among them.
func TestFormatsOfNotes(t *testing.T) {
	p := &strictyaml.Problems{}
	p.Note(strictyaml.Pos{File: "a.yaml", Line: 1, Col: 2}, "do", "odd")
	if got, want := FormatText(p), "a.yaml:1:2: note: odd (do)\n"; got != want {
		t.Errorf("got %q", got)
	}
	p.Add(strictyaml.Pos{File: "b.yaml", Line: 3, Col: 4}, "wrong")
	if got, want := FormatText(p), "b.yaml:3:4: wrong\n1 problem in 1 file\na.yaml:1:2: note: odd (do)\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got, want := FormatGitHub(p), "::error file=b.yaml,line=3,col=4::wrong\n::notice file=a.yaml,line=1,col=2::odd (do)\n"; got != want {
		t.Errorf("got %q", got)
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(FormatJSON(p)), &list); err != nil || len(list) != 2 || list[0]["level"] != "problem" || list[1]["level"] != "note" {
		t.Errorf("%v %v", list, err)
	}
}

func TestFormatGitHubEscapes(t *testing.T) {
	p := &strictyaml.Problems{}
	p.AddHint(strictyaml.Pos{File: "a,b:c%.yaml", Line: 2, Col: 3}, "so", "50%% of\nit: a, b")
	if got, want := FormatGitHub(p), "::error file=a%2Cb%3Ac%25.yaml,line=2,col=3::50%25 of%0Ait: a, b (so)\n"; got != want {
		t.Errorf("got %q", got)
	}
}
