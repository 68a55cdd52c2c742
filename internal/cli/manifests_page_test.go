package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fileBlock = regexp.MustCompile("(?s)```(?:yaml|json) file=([^ \n]+)( append=systems)?\n(.*?)```")

// TestManifestsPage follows docs/manifests.md as its reader does: the files as they stand there make a project that checks, passes its tests and whose recording
// plays. A vendor connected both ways takes no more than 120 lines of YAML beside tests and recordings.
func TestManifestsPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "manifests.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if code, _, errs := command(t, "init"); code != 0 {
		t.Fatal(errs)
	}
	lines, files := 0, 0
	for _, m := range fileBlock.FindAllStringSubmatch(string(page), -1) {
		name, text := m[1], m[3]
		files++
		if strings.HasSuffix(name, ".yaml") && !strings.Contains(name, "_test") && !strings.HasPrefix(name, "recordings/") {
			lines += strings.Count(text, "\n")
		}
		if m[2] != "" {
			text = strings.Replace(read(t, name), "\nsystems:\n", "\nsystems:\n"+text, 1)
		}
		write(t, name, text)
	}
	if files != 8 {
		t.Errorf("the page has %d files", files)
	}
	if lines > 120 {
		t.Errorf("the vendor takes %d lines of YAML", lines)
	}
	passes(t)
	if code, out, errs := command(t, "connector", "replay", "recordings/parts-depot.yaml"); code != 0 || !strings.Contains(out, "recordings/parts-depot.yaml: ok, 2 steps") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	// The page would not show it if the player answered to anything: another request is told, with what differs.
	write(t, "recordings/other.yaml", strings.Replace(read(t, "recordings/parts-depot.yaml"), "size=100", "size=50", 1))
	code, _, errs := command(t, "connector", "replay", "recordings/other.yaml")
	if code != 1 || !strings.Contains(errs, "parts: the connector asks GET /api/v2/parts?size=100, which was not recorded\n    not GET /api/v2/parts?size=50: the address is /api/v2/parts?size=100") ||
		!strings.Contains(errs, "GET /api/v2/parts?size=50 was recorded, and not asked for") {
		t.Errorf("%d\n%s", code, errs)
	}
}

// TestManifestProblems: what is wrong with a system of a manifest is told where it stands, with what can stand there.
func TestManifestProblems(t *testing.T) {
	for name, c := range map[string]struct{ system, want string }{
		"an unknown vendor":            {"connector: shopifi", "unknown connector \"shopifi\""},
		"a setting that it lacks":      {"connector: woocommerce\n    auth: {basic: {user: u, password: \"${env:P}\"}}", "3:5: \"store\" is missing, which woocommerce needs: the address of the store (add for example store: https://shop.example.com)"},
		"a setting that it cannot be":  {"connector: woocommerce\n    store: shop\n    auth: {basic: {user: u, password: \"${env:P}\"}}", "4:12: store: \"shop\" does not do: the address of the store (write for example https://shop.example.com)"},
		"a setting that nobody knows":  {"connector: woocommerce\n    shop: x\n    store: https://a.example\n    auth: {basic: {user: u, password: \"${env:P}\"}}", "4:5: the manifest woocommerce knows no setting \"shop\" (woocommerce has store, and the settings of rest)"},
		"no way to log in":             {"connector: woocommerce\n    store: https://a.example", "3:5: \"auth\" is missing: how the hub logs in to WooCommerce (write one of basic below auth:)"},
		"an object that is misspelt":   {"connector: woocommerce\n    store: https://a.example\n    auth: {basic: {user: u, password: \"${env:P}\"}}\n    objects: {custmer: {}}", "6:15: objects: the manifest woocommerce has no object \"custmer\", and nothing is said of it here (did you mean \"customer\"?)"},
		"a default that there is not":  {"connector: rest\n    url: https://a.example\n    defaults: {id: no}\n    objects: {order: {without: [etag]}}", "6:33: without: the defaults have no etag (remove it)"},
		"a default that nobody knows":  {"connector: rest\n    url: https://a.example\n    defaults: {idd: no}\n    objects: {order: {}, customer: {}}", "5:16: unknown key \"idd\" (did you mean \"id\"?)"},
		"defaults that are no mapping": {"connector: rest\n    url: https://a.example\n    defaults: id\n    objects: {order: {}}", "5:15: defaults: expected a mapping, found text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "configs/waybill.yaml", "systems:\n  shop:\n    "+c.system+"\n")
			code, out, errs := command(t, "check")
			if code != 1 || !strings.Contains(out, c.want) {
				t.Errorf("%d\n%s%s\nwant %s", code, out, errs, c.want)
			}
			if strings.Count(out, "problem") != 1 {
				t.Errorf("there is more than one problem:\n%s", out)
			}
		})
	}
}

// TestOwnManifests: a project's own manifest is judged whether a system uses it or not, and stands in the place of a shipped one of its name.
func TestOwnManifests(t *testing.T) {
	own := "manifest: woocommerce\ntitle: Our shop\nconnector: rest\nsystem: {url: \"https://our.example\", objects: {order: {}}}\nexample: {auth: {}}\nproof: {on: stand-in, what: a test}\nclaims: [{of: auth, says: none, source: \"seen: here\"}]\n"
	for name, c := range map[string]struct{ manifest, config, want string }{
		"in the place of a shipped one": {own, "systems: {shop: {connector: woocommerce}}\n", ""},
		"a key that is misspelt":        {own + "claim: x\n", "http: {listen: \"127.0.0.1:0\"}\n", "manifests/woocommerce.yaml:8:1: unknown key \"claim\" (did you mean \"claims\"?)"},
		"a setting that is not listed":  {strings.Replace(own, "https://our.example", "https://${setting:shop}.example", 1), "systems: {shop: {connector: woocommerce}}\n", "manifests/woocommerce.yaml:4:"},
		"another name than its file's":  {strings.Replace(own, "manifest: woocommerce", "manifest: ours", 1), "http: {listen: \"127.0.0.1:0\"}\n", "the manifest is called \"ours\" (call the file ours.yaml)"},
		"a proof of nothing":            {strings.Replace(own, "stand-in", "hearsay", 1), "http: {listen: \"127.0.0.1:0\"}\n", "on: \"hearsay\" is none of its values"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "manifests/woocommerce.yaml", c.manifest)
			write(t, "configs/waybill.yaml", c.config)
			code, out, errs := command(t, "check")
			if c.want == "" && code != 0 || c.want != "" && (code != 1 || !strings.Contains(out, c.want)) {
				t.Errorf("%d\n%s%s\nwant %s", code, out, errs, c.want)
			}
		})
	}
}

// TestNewSystemOfAVendor: the system and its starter are written, under a name of one's own, and pass at once.
func TestNewSystemOfAVendor(t *testing.T) {
	for _, name := range []string{"woocommerce", "shop"} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if code, _, errs := command(t, "init"); code != 0 {
				t.Fatal(errs)
			}
			if _, err := os.Stat("flows/vendors"); err == nil {
				t.Error("init wrote the starters of vendors")
			}
			code, out, errs := command(t, "new", "system", name, "--connector", "woocommerce")
			if code != 0 || !strings.Contains(out, "wrote flows/"+name+".yaml") {
				t.Fatalf("%d\n%s%s", code, out, errs)
			}
			passes(t)
			if code, _, errs := command(t, "test", "--run", "woocommerce"); code != 0 {
				t.Error(errs)
			}
		})
	}
}
