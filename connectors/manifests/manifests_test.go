package manifests_test

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/connectors/manifests"
	"github.com/waybill-hub/waybill/connectors/sql"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flowtest"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/recording"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// vendors are those that the hub is to know.
var vendors = []string{"dynamics-365", "infor-syteline", "kingdee-k3cloud", "netsuite", "odoo", "oracle-ebs", "oracle-fusion", "salesforce", "sap-ecc", "sap-s4hana", "shopify", "siebel",
	"sugarcrm", "tryton-erp", "vendure", "woocommerce", "yonyou-u8", "yonyou-yonbip"}

const root = "../.."

// anywhere answers for every reference.
type anywhere struct{}

func (anywhere) Env(name string) (string, bool) {
	if strings.Contains(name, "URL") {
		return "https://system.example", true
	}
	return "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", true
}

func (anywhere) File(string) ([]byte, error) { return []byte("stand-in for a file"), nil }

func world(t *testing.T) recording.World {
	t.Helper()
	kinds, err := connector.NewRegistry(connectors.All()...)
	if err != nil {
		t.Fatal(err)
	}
	files, err := manifest.Files(manifests.FS, "connectors/manifests")
	if err != nil {
		t.Fatal(err)
	}
	return recording.World{Kinds: kinds.Map(), Manifests: manifest.New(files...)}
}

// TestManifests: of every manifest the recordings replay through the real connector, the mappings and the starter pass check and test, what was recorded goes
// through the mappings, and its page names its proof. A manifest is right in all of it, or it does not count.
func TestManifests(t *testing.T) {
	w := world(t)
	right := 0
	for _, name := range w.Manifests.Names() {
		if t.Run(name, func(t *testing.T) { one(t, w, name) }) && slices.Contains(vendors, name) {
			right++
		} else if !slices.Contains(vendors, name) {
			t.Errorf("the manifest %s is not in the list of vendors", name)
		}
	}
	t.Logf("manifests=%d/%d", right, len(vendors))
	for _, name := range vendors {
		if !slices.Contains(w.Manifests.Names(), name) {
			t.Errorf("there is no manifest %s", name)
		}
	}
}

func one(t *testing.T, w recording.World, name string) {
	var p strictyaml.Problems
	m := w.Manifests.Get(name, anywhere{}, &p)
	if m == nil {
		t.Fatal(p.Err())
	}
	complete(t, m)
	for name, s := range m.Settings { // a default that is nobody's would be sent a client's secret
		if m.Example.Get("auth").Has("client-credentials") && strings.Contains(s.Default, "example.com") && !m.Example.Has(name) {
			t.Errorf("the example does not write %s, whose default is nobody's address", name)
		}
	}
	recordings := replayed(t, w, m)
	plan := loaded(t, m)
	tested(t, m, plan)
	carried(t, m, plan, recordings)
	page(t, m, recordings)
}

// complete: a manifest says something of everything that those who connect the system have to know.
func complete(t *testing.T, m *manifest.Manifest) {
	for _, entity := range manifest.Entities {
		has := m.System.Get("objects").Has(entity)
		if why := m.Lacks[entity]; has == (why != "") {
			t.Errorf("%s: an object type and a reason under lacks are one too many or one too few", entity)
		}
	}
	for _, claim := range manifest.Claims {
		if !slices.ContainsFunc(m.Claims, func(c manifest.Claim) bool { return c.Of == claim }) {
			t.Errorf("claims: nothing is said of %s", claim)
		}
	}
	for _, c := range m.Claims {
		if strings.HasPrefix(c.Source, "seen: ") {
			continue
		}
		for _, source := range strings.Split(c.Source, ", ") {
			if at, err := url.Parse(source); err != nil || at.Scheme != "https" || at.Host == "" || strings.ContainsAny(source, " <>") {
				t.Errorf("claims: the source of %q is no address, and begins with no \"seen: \": %s", c.Says, source)
			}
		}
	}
}

// replayed plays the recordings.
func replayed(t *testing.T, w recording.World, m *manifest.Manifest) []*recording.Recording {
	files, err := filepath.Glob(filepath.Join("recordings", m.Name, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no recordings: %v", err)
	}
	var out []*recording.Recording
	asked := map[string]bool{}
	for _, file := range files {
		var p strictyaml.Problems
		r := recording.Open(file, &p)
		if r == nil {
			t.Error(p.Err())
			continue
		}
		if r.Manifest != m.Name || r.On != m.Proof.On && m.Proof.On != "product" {
			t.Errorf("%s: it is of %s, recorded on a %s, and the manifest %s says it was proven on a %s", file, r.Manifest, r.On, m.Name, m.Proof.On)
		}
		troubles, err := w.Replay(t.Context(), r, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, trouble := range troubles {
			t.Errorf("%s: %s", file, trouble)
		}
		for _, what := range r.Asked() {
			asked[what] = true
		}
		out = append(out, r)
	}
	for _, f := range m.System.Get("objects").Fields() {
		if slices.Contains(manifest.Entities, f.Key) && !asked["poll "+f.Key] && !asked["list "+f.Key] && !asked["find "+f.Key] && !asked["receive "+f.Key] {
			t.Errorf("no recording reads the object type %s", f.Key)
		}
	}
	return out
}

// loaded checks the starter and its mappings in a project of their own, as a user would have them.
func loaded(t *testing.T, m *manifest.Manifest) *config.Plan {
	sub := func(dir string) fs.FS {
		if _, err := os.Stat(filepath.Join(root, dir)); err != nil {
			t.Errorf("%s is missing", dir)
		}
		return os.DirFS(filepath.Join(root, dir))
	}
	read := func(file string) []byte {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	flow := "flows/vendors/" + m.Name + ".yaml"
	of := m.Name + "_test.yaml"
	paths := config.EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: Configuration(m)}}, fstest.MapFS{m.Name + ".yaml": {Data: read(flow)}, of: {Data: read("flows/vendors/" + of)}},
		sub("mappings/vendors/"+m.Name), fstest.MapFS{})
	paths.Schemas = []config.Source{{Name: "schemas/vendors", FS: only{sub("schemas/vendors"), m.Name}}, {Name: "schemas", FS: only{sub("schemas"), "canonical"}}}
	plan, problems := config.Load(paths, config.Options{Kinds: worldKinds(t), Resolver: anywhere{}, Manifests: manifests.FS, Advise: true, Verify: intake.CheckVerify,
		Cron: func(line, zone string) error { _, err := schedule.Parse(line, zone); return err }})
	if plan == nil {
		t.Fatal("\n" + config.FormatText(problems))
	}
	files, err := flowtest.Find(paths)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := flowtest.Run(t.Context(), plan, files, flowtest.Options{Each: func(r flowtest.Result) {
		if !r.Passed() {
			t.Error(flowtest.FormatResult(&r))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Problems.Len() > 0 {
		t.Error("\n" + config.FormatText(rep.Problems))
	}
	cases := map[string]int{}
	for _, r := range rep.Results {
		cases[r.Test]++
	}
	for _, f := range plan.Flows {
		if cases[f.Name] == 0 {
			t.Errorf("the starter's flow %s has no test", f.Name)
		}
	}
	return plan
}

// worldKinds are the kinds of a hub with every driver: starters are checked in one without Oracle's, too.
func worldKinds(t *testing.T) map[string]connector.Kind {
	kinds := world(t).Kinds
	kinds["sql"] = anyDriver{}
	return kinds
}

// anyDriver is the kind sql, whose databases need no driver.
type anyDriver struct{ sql.Kind }

// Check finds every problem but that a driver is missing.
func (k anyDriver) Check(s connector.Settings, p *strictyaml.Problems) {
	s.Database = noDatabase{}
	k.Kind.Check(s, p)
}

type noDatabase struct{}

func (noDatabase) Connect(context.Context) (driver.Conn, error) { return nil, driver.ErrBadConn }
func (noDatabase) Driver() driver.Driver                        { return nil }

// only shows one folder of a tree.
type only struct {
	fs.FS
	dir string
}

// ReadDir lists a folder: at the top, the one.
func (o only) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(o.FS, name)
	if name == "." {
		list = slices.DeleteFunc(list, func(d fs.DirEntry) bool { return d.Name() != o.dir })
	}
	return list, err
}

// Configuration is a project's with a system as the manifest's example shows it.
func Configuration(m *manifest.Manifest) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "systems:\n  %s:\n    connector: %s\n", m.Name, m.Name)
	b.Write(manifest.YAML(m.Example, 2))
	return b.Bytes()
}

// tested: every object type has a mapping to the canonical document, and one from it unless the manifest says that it is only read.
func tested(t *testing.T, m *manifest.Manifest, plan *config.Plan) {
	for _, entity := range manifest.Entities {
		if !m.System.Get("objects").Has(entity) {
			continue
		}
		if in := plan.Mappings[m.Name+"-"+entity+"-to-"+entity]; in == nil {
			t.Errorf("there is no mapping %s-%s-to-%s", m.Name, entity, entity)
		} else if in.To().Name() != "canonical/"+entity+".v1" {
			t.Errorf("%s makes %s", in.Name(), in.To().Name())
		}
		if out := plan.Mappings[entity+"-to-"+m.Name]; out == nil && m.OnlyRead[entity] == "" {
			t.Errorf("there is no mapping %s-to-%s, and only-read gives no reason", entity, m.Name)
		}
	}
}

// everybody knows every object.
type everybody struct{}

func (everybody) HubID(_ context.Context, entity, _, local string) (string, bool, error) {
	return "hub-" + entity + "-" + local, true, nil
}

func (everybody) LocalID(_ context.Context, _, _, _ string) (string, bool, error) {
	return "1", true, nil
}

// carried: what was recorded is what the mappings expect, and what they make is what was recorded as taken.
func carried(t *testing.T, m *manifest.Manifest, plan *config.Plan, recordings []*recording.Recording) {
	for _, entity := range manifest.Entities {
		in, out := plan.Mappings[m.Name+"-"+entity+"-to-"+entity], plan.Mappings[entity+"-to-"+m.Name]
		mapped := 0
		for _, r := range recordings {
			reads, writes := r.Documents(entity)
			for _, doc := range reads {
				if in != nil {
					mapped++
					apply(t, r.File(), in, doc)
				}
			}
			for _, doc := range writes {
				d, err := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
				if err != nil || out == nil {
					continue
				}
				for name := range d.Root().Members() {
					if _, state := out.To().Shape().Field(name); state != schema.Declared {
						t.Errorf("%s: a %s was written with %s, which %s does not know", r.File(), entity, name, out.To().Name())
					}
				}
			}
		}
		if in != nil && mapped == 0 {
			t.Errorf("no recorded %s goes through the mapping %s", entity, in.Name())
		}
	}
}

func apply(t *testing.T, file string, m *mapping.Mapping, doc string) {
	t.Helper()
	d, err := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return
	}
	if err := m.From().Validate(d); err != nil {
		t.Errorf("%s: what was read is not as %s says: %v: %s", file, m.From().Name(), err, doc)
		return
	}
	out, err := m.Apply(t.Context(), &mapping.Input{Doc: d, Lookup: everybody{}, Event: &event.Event{ID: "1", Hub: "hub-1", Key: "1", Entity: "x", Operation: "upsert", Version: "1"}}, nil)
	if err != nil {
		t.Errorf("%s: %s: %v: %s", file, m.Name(), err, doc)
		return
	}
	made, err := jsondoc.Parse(out, jsondoc.Limits{})
	if err == nil {
		err = m.To().Validate(made)
	}
	if err != nil {
		t.Errorf("%s: %s makes what %s does not allow: %v: %s", file, m.Name(), m.To().Name(), err, out)
	}
}

// page keeps the manifest's page what the manifest says.
func page(t *testing.T, m *manifest.Manifest, recordings []*recording.Recording) {
	var proven []string
	for _, r := range recordings {
		proven = append(proven, fmt.Sprintf("`%s` (%s): %s. %s", r.Name, r.On, strings.Join(r.Asked(), ", "), strings.TrimSuffix(r.Made, ".")+"."))
	}
	text := m.Page(proven)
	connectortest.Golden(t, filepath.Join(root, "docs", "vendors", m.Name+".md"), text)
}

// TestPage keeps the tables of docs/manifests.md what the code and the manifests say.
func TestPage(t *testing.T) {
	w := world(t)
	file := filepath.Join(root, "docs", "manifests.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	put := func(begin, end, table string) {
		t.Helper()
		head, rest, ok := strings.Cut(text, begin)
		_, tail, also := strings.Cut(rest, end)
		if !ok || !also {
			t.Fatalf("the page has no place between %q and %q", begin, end)
		}
		text = head + begin + table + end + tail
	}
	var list strings.Builder
	for _, name := range w.Manifests.Names() {
		var p strictyaml.Problems
		m := w.Manifests.Get(name, anywhere{}, &p)
		if m == nil {
			t.Fatal(p.Err())
		}
		fmt.Fprintf(&list, "| [`%s`](vendors/%s.md) | %s | %s |\n", name, name, m.Title, map[string]string{"product": "the product", "runtime": "the vendor's runtime", "stand-in": "a stand-in"}[m.Proof.On])
	}
	put("| manifest | product | proven on |\n|---|---|---|\n", "\n*A stand-in*", list.String())
	put("## A manifest\n\n", "\n## A recording\n", connector.Table(manifest.Fields()))
	put("that they are there.\n\n", "\n`record` writes", connector.Table(recording.Fields()))
	connectortest.Golden(t, file, []byte(text))
}
