package sql

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// What both databases find is what the rule says, neither less nor more.
func TestFindByRule(t *testing.T) {
	const u = "1297f71c-1905-53e0-bbb7-e253a25632a9"
	values := []string{
		"ann@example.com", "Ann@Example.COM", "ann@example.com ", "anna@example.com", "MÜLLER", "müller", "muller", "ΣΊΣΥΦΟΣ", "\u212aim", "kim",
		"71000", "0000071000", "71000.0", "71001", "710000", "-7", "7", "007", "0", "000", "0.00", "10.50", "0010.5", "1050", "A0071", "A71", "a.c", "abc", "A.C", "[x]", "[X]", "x",
		u, strings.ToUpper(u), "{" + strings.ToUpper(u) + "}", strings.ReplaceAll(u, "-", ""), u[:35] + "8", "%", "_", "'; --",
	}
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v text)")
		for i, v := range values {
			p.exec(t, p.numbered("INSERT INTO x VALUES (?, ?)"), i, v)
		}
		db := open(t, p, "objects: {x: {table: x, columns: {id: integer, v: text}}}")
		for _, rule := range append([]string{""}, connector.Compares()...) {
			for _, asked := range append([]string{"ANN@EXAMPLE.COM", "Müller", "σίσυφος", "+7", "1e1", "abc\\", "(", "KIM"}, values...) {
				var want, got []string
				for i, v := range values {
					if connector.Compare(rule).Same(v, asked) {
						want = append(want, fmt.Sprint(i))
					}
				}
				found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: map[string]string{"v": asked}, Compare: map[string]connector.Compare{"v": connector.Compare(rule)}})
				if err != nil {
					t.Fatalf("%s %q: %v", rule, asked, err)
				}
				for _, r := range found {
					got = append(got, r.Local)
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s %q: found %v, want %v", rule, asked, got, want)
				}
			}
		}
	})
}

// Columns that are no texts know what is the same by themselves.
func TestFindByRuleInOtherColumns(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, n integer, amount numeric(12,3))")
		p.exec(t, "INSERT INTO x VALUES (1, 71000, 10.5)")
		db := open(t, p, "objects: {x: {table: x, columns: {id: integer, n: integer, amount: decimal}}}")
		for _, tc := range []struct {
			column, asked string
			want          int
		}{{"n", "0000071000", 1}, {"n", "71000.0", 1}, {"n", "71001", 0}, {"n", "A1", 0}, {"amount", "0010.50", 1}, {"amount", "10.51", 0}} {
			got, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: map[string]string{tc.column: tc.asked}, Compare: map[string]connector.Compare{tc.column: connector.Number}})
			if err != nil || len(got) != tc.want {
				t.Errorf("%s %s: %d, want %d: %v", tc.column, tc.asked, len(got), tc.want, err)
			}
		}
	})
}

// An external id is found however the database, or a program beside the hub, has written it; a column of type uuid has its own idea.
func TestFindExternal(t *testing.T) {
	const u = "1297f71c-1905-53e0-bbb7-e253a25632a9"
	written := []string{u, strings.ToUpper(u), strings.ReplaceAll(u, "-", ""), "{" + strings.ToUpper(u) + "}"}
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, ref text)")
		objects := "objects: {x: {table: x, external-id: ref, columns: {id: integer, ref: text}}}"
		db := open(t, p, objects)
		for i, v := range written {
			p.exec(t, "DELETE FROM x")
			p.exec(t, p.numbered("INSERT INTO x VALUES (?, ?)"), i, v)
			for _, asked := range written {
				got, err := db.Find(t.Context(), connector.Lookup{Object: "x", External: asked})
				if err != nil || len(got) != 1 {
					t.Errorf("%s for %s: %d: %v", v, asked, len(got), err)
				}
			}
			_, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: u, Doc: []byte(`{"id":99}`)})
			if err == nil || !strings.Contains(err.Error(), "external id exists") {
				t.Errorf("%s: a twin is made: %v", v, err)
			}
		}
		p.exec(t, "DELETE FROM x")
		p.exec(t, p.numbered("INSERT INTO x VALUES (?, ?)"), 1, connector.FormBase32.Write(u))
		for older, want := range map[bool]int{false: 0, true: 1} {
			got, err := db.Find(t.Context(), connector.Lookup{Object: "x", External: u, Older: older})
			if err != nil || len(got) != want {
				t.Errorf("written as base32, older %v: %d, want %d: %v", older, len(got), want, err)
			}
		}
		if p.kind != "postgres" {
			return
		}
		p.exec(t, "CREATE TABLE y (id integer PRIMARY KEY, ref uuid)")
		db = open(t, p, "objects: {y: {table: y, external-id: ref, external-form: compact, columns: {id: integer, ref: text}}}")
		if _, err := db.Write(t.Context(), connector.Write{Object: "y", Action: connector.Create, External: u, Doc: []byte(`{"id":1}`)}); err != nil {
			t.Fatal(err)
		}
		for _, l := range []connector.Lookup{{External: u, Older: true}, {Natural: map[string]string{"ref": strings.ToUpper(u)}, Compare: map[string]connector.Compare{"ref": connector.UUID}}} {
			l.Object = "y"
			if got, err := db.Find(t.Context(), l); err != nil || len(got) != 1 {
				t.Errorf("a column of type uuid, %+v: %d: %v", l, len(got), err)
			}
		}
		other := strings.Replace(u, "1", "2", 1)
		for _, l := range []connector.Lookup{{External: other, Older: true}, {Natural: map[string]string{"ref": "A-1"}, Compare: map[string]connector.Compare{"ref": connector.UUID}}} {
			l.Object = "y"
			if got, err := db.Find(t.Context(), l); err != nil || len(got) != 0 {
				t.Errorf("a column of type uuid, %+v: %d: %v", l, len(got), err)
			}
		}
	})
}

func TestExternalFormIsWritten(t *testing.T) {
	const u = "1297f71c-1905-53e0-bbb7-e253a25632a9"
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, ref text CHECK (length(ref) <= 32))")
	for i, form := range []connector.ExternalForm{connector.FormCompact, connector.FormBase32} {
		p.exec(t, "DELETE FROM x")
		db := open(t, p, "objects: {x: {table: x, external-id: ref, external-form: "+string(form)+", columns: {id: integer, ref: text}}}")
		r, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: u, Doc: fmt.Appendf(nil, `{"id":%d}`, i+1)})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.text(t, "SELECT ref FROM x"); got != form.Write(u) {
			t.Errorf("%s: written as %s", form, got)
		}
		if got, err := db.Find(t.Context(), connector.Lookup{Object: "x", External: u}); err != nil || len(got) != 1 || got[0].Local != r.Local {
			t.Errorf("%s: %v %v", form, got, err)
		}
	}
}

// The pattern says what Same says. Go's expressions read it as PostgreSQL does, in what it uses of them.
func TestPattern(t *testing.T) {
	texts := rapid.OneOf(rapid.StringMatching(`[a-zA-ZäÖß.*\[\]^$\\ (|]{0,6}`), rapid.StringMatching(`[+-]?0{0,3}[0-9]{0,3}(\.[0-9]{0,2}0{0,2})?`))
	rapid.Check(t, func(t *rapid.T) {
		rule := connector.Compare(rapid.SampledFrom([]string{"fold", "number"}).Draw(t, "rule"))
		a, b := texts.Draw(t, "a"), texts.Draw(t, "b")
		re, err := regexp.Compile(pattern(a, rule))
		if err != nil {
			t.Fatalf("%q: %v", pattern(a, rule), err)
		}
		if got := re.MatchString(b) && rule.Same(a, b); got != rule.Same(a, b) {
			t.Fatalf("%s: %q does not find %q: %s", rule, a, b, re)
		}
	})
}

// TestFindWithoutRight: a look-up that the database refuses for want of a right says nothing of the row; its message waits.
func TestFindWithoutRight(t *testing.T) {
	p := places["postgres"](t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v text)")
	name := p.text(t, "SELECT 'blind' || pg_backend_pid()")
	p.exec(t, "CREATE ROLE "+name+" LOGIN PASSWORD 'unused'")
	p.exec(t, "GRANT USAGE ON SCHEMA "+p.text(t, "SELECT quote_ident(current_schema())")+" TO "+name)
	t.Cleanup(func() { p.exec(t, "DROP OWNED BY "+name); p.exec(t, "DROP ROLE "+name) })
	env := strings.TrimSuffix(strings.TrimPrefix(strings.Split(p.head, "url: ")[1], "${env:"), "}\n")
	t.Setenv(env, strings.Replace(os.Getenv(env), "postgres:unused", name+":unused", 1))
	db := open(t, p, "objects: {x: {table: x, columns: {id: integer, v: text}}}")
	_, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: map[string]string{"v": "a"}})
	if f, ok := fault.As(err); !ok || f.Kind != fault.Unavailable || f.Code != "42501" || !strings.Contains(err.Error(), "give it the right to read such objects") {
		t.Errorf("%v", err)
	}
}
