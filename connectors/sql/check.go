package sql

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/zones"
)

var identifier = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_$]{0,127}$`)

// quote quotes a name, with its schema, that identifier has accepted.
func quote(name string) string {
	return `"` + strings.ReplaceAll(name, ".", `"."`) + `"`
}

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) (*settings, *time.Location) {
	set := &settings{}
	before := p.Len()
	s.Decode(set, p)
	sound := p.Len() == before // a reference that leads nowhere has been told
	zone, err := zones.Load(set.Zone)
	if err != nil {
		p.AddHint(s.Node.Get("zone").Pos(), "write a name such as Asia/Shanghai", "zone: %q is no time zone", set.Zone)
		zone = time.UTC
	} else if doubt := zones.Doubt(set.Zone); doubt != "" {
		p.Note(s.Node.Get("zone").Pos(), zones.DoubtHint, "zone: %s", doubt)
	}
	switch set.Driver {
	case "sqlite":
		if set.Path == "" && (sound || !s.Node.Has("path")) {
			p.Add(s.Node.Pos(), `"path" is missing`)
		}
		if s.Node.Has("url") {
			p.AddHint(s.Node.Get("url").Pos(), "SQLite takes path", "url: not for sqlite")
		}
	case "postgres":
		if !s.Node.Has("url") {
			p.Add(s.Node.Pos(), `"url" is missing`)
		} else if _, err := pgx.ParseConfig(set.URL.Reveal()); err != nil && strings.HasPrefix(set.URL.Reveal(), "postgres") {
			// Anything else may stand for a secret that is not set on this machine; Open says so if it does not.
			p.AddHint(s.Node.Get("url").Pos(), "write postgres://user:password@host:5432/database", "url: this is no PostgreSQL connection URL")
		}
		if s.Node.Has("path") {
			p.AddHint(s.Node.Get("path").Pos(), "PostgreSQL takes url", "path: not for postgres")
		}
	case "mysql":
		if !s.Node.Has("url") {
			p.Add(s.Node.Pos(), `"url" is missing`)
		} else if _, err := mysqlConfig(set.URL.Reveal(), set.Timeout); err != nil && (strings.HasPrefix(set.URL.Reveal(), "mysql") || strings.HasPrefix(set.URL.Reveal(), "mariadb")) {
			p.AddHint(s.Node.Get("url").Pos(), "write mysql://user:password@host:3306/database", "url: %s", err)
		}
		if s.Node.Has("path") {
			p.AddHint(s.Node.Get("path").Pos(), "MySQL takes url", "path: not for mysql")
		}
	}
	checkServer(s, set, p)
	set.Capture.complete(s.Node, set, p)
	connector.Positive(s.Node.Get("timeout"), p)
	if limit := s.Node.Get("limit"); limit.Has("concurrency") && set.Limit.Concurrency < 1 {
		p.Add(limit.Get("concurrency").Pos(), "concurrency: at least 1")
	}
	if limit := s.Node.Get("limit"); limit.Has("batch") && (set.Limit.Batch < 1 || set.Limit.Batch > mostTogether) {
		p.Add(limit.Get("batch").Pos(), "batch: 1 to %d", mostTogether)
	}
	objects := s.Node.Get("objects")
	if set.Objects != nil && len(set.Objects) == 0 {
		p.Add(objects.Pos(), "objects: name at least one")
	}
	for name, o := range set.Objects {
		if o != nil {
			o.name = name
			o.rowversions(objects.Get(name), set.Driver, p)
			o.complete(objects.Get(name), p)
			if o.Procedures != nil {
				o.Procedures.complete(o, objects.Get(name).Get("procedures"), set.Driver, p)
			}
		}
	}
	return set, zone
}

// serverURLs are the drivers whose URLs are checked by what reads them when the hub connects; more: how one is written.
var serverURLs = map[string]struct {
	scheme, example string
	check           func(set *settings) error
}{
	"sqlserver": {"sqlserver", "sqlserver://user:password@host:1433?database=NAME", func(set *settings) error {
		_, err := sqlserverConfig(set.URL.Reveal(), set.Timeout, set.ReadOnly)
		return err
	}},
	"oracle": {"oracle", "oracle://user:password@host:1521/SERVICE", func(set *settings) error { return checkOracleURL(set.URL.Reveal()) }},
	"hana": {"hdb", "hdb://user:password@host:443?databaseName=NAME", func(set *settings) error {
		_, err := hanaConfig(set.URL.Reveal(), set.Timeout)
		return err
	}},
}

// checkServer checks how a server is reached.
func checkServer(s connector.Settings, set *settings, p *strictyaml.Problems) {
	how, is := serverURLs[set.Driver]
	if !is {
		return
	}
	if set.Driver == "oracle" && oracleMissing != "" && s.Database == nil {
		p.AddHint(s.Node.Get("driver").Pos(), oracleMissing, "driver: oracle is not in this program")
	}
	if !s.Node.Has("url") {
		p.Add(s.Node.Pos(), `"url" is missing`)
	} else if err := how.check(set); err != nil && strings.HasPrefix(set.URL.Reveal(), how.scheme) {
		p.AddHint(s.Node.Get("url").Pos(), "write "+how.example, "url: %s", err)
	}
	if s.Node.Has("path") {
		p.AddHint(s.Node.Get("path").Pos(), "write url", "path: not for %s", set.Driver)
	}
}

// complete checks an object and fills in what follows from its settings.
func (o *object) complete(n strictyaml.Node, p *strictyaml.Problems) {
	o.table = table(n, o.Table, p)
	o.columnNames = slices.Sorted(maps.Keys(o.Columns))
	o.childrenNames = slices.Sorted(maps.Keys(o.Children))
	checkColumns(n.Get("columns"), o.Columns, p)
	known := func(key, column string) bool { return declared(n, key, column, o.Columns, p) }
	o.completeKey(n, p)
	known("external-id", o.ExternalID)
	if known("deleted", o.Deleted) && !slices.Contains([]string{"boolean", "timestamp", "local-timestamp", "unix", "unix-ms", "integer"}, o.Columns[o.Deleted]) {
		p.Add(n.Get("deleted").Pos(), "deleted: a %s cannot mark a deleted row", o.Columns[o.Deleted])
	}
	versions := []string{"integer", "timestamp", "local-timestamp", "unix", "unix-ms"}
	if known("version", o.Version) && !slices.Contains(versions, o.Columns[o.Version]) {
		p.AddHint(n.Get("version").Pos(), "write one of "+strings.Join(versions, ", "), "version: a %s does not order changes", o.Columns[o.Version])
	}
	if known("version-else", o.VersionElse) && (o.Version == "" || o.Columns[o.VersionElse] != o.Columns[o.Version]) {
		p.Add(n.Get("version-else").Pos(), "version-else: it must have the type of version")
	}
	if o.Touch && o.Version == "" {
		p.Add(n.Get("touch").Pos(), "touch: there is no version to set")
	}
	if o.Upsert && o.ExternalID == "" {
		p.Add(n.Get("upsert").Pos(), "upsert: there is no external-id to go by")
	}
	for _, name := range o.childrenNames {
		at := n.Get("children").Get(name)
		if _, dup := o.Columns[name]; dup {
			p.Add(at.Pos(), "children: %q is a column too", name)
		}
		if c := o.Children[name]; c != nil {
			c.name = name
			c.complete(o, at, p)
		}
	}
	if it := o.Interface; it != nil {
		at := n.Get("interface")
		for _, f := range []struct{ key, column string }{
			{"status", it.Status}, {"operation", it.Operation}, {"reference", it.Reference}, {"idempotency-key", it.IdempotencyKey},
		} {
			if f.column != "" && !identifier.MatchString(f.column) {
				p.Add(at.Get(f.key).Pos(), "%s: %q is no name of a column", f.key, f.column)
			}
		}
		it.complete(o, at, p)
		if (it.Status == "") != (it.Value == "") {
			p.Add(at.Pos(), "interface: status and value belong together")
		}
		if o.Upsert {
			p.Add(n.Get("upsert").Pos(), "upsert: an interface table only takes new rows")
		}
	}
}

// rowversions takes the type rowversion for the number that documents show. It is the version's alone, since nothing else is asked of it.
func (o *object) rowversions(n strictyaml.Node, driver string, p *strictyaml.Problems) {
	for column, typ := range o.Columns {
		if typ != rowversion {
			continue
		}
		o.Columns[column] = "integer"
		at := n.Get("columns").Get(column).Pos()
		switch {
		case driver != "sqlserver":
			p.AddHint(at, "write integer, or timestamp", "%s: %q is a type of SQL Server's alone", column, typ)
		case column != o.Version:
			p.AddHint(at, "write version: "+column, "%s: a rowversion says when a row changed, and is the version", column)
		default:
			o.rowversion = true
		}
	}
	if o.rowversion && (o.Touch || o.VersionElse != "" || o.Lookback != 0) {
		p.AddHint(n.Get("version").Pos(), "leave touch, version-else and lookback out", "version: the server sets a rowversion, in every row, and polls wait for those that are on their way")
	}
}

func (c *child) complete(o *object, n strictyaml.Node, p *strictyaml.Problems) {
	c.table = table(n, c.Table, p)
	c.columnNames = slices.Sorted(maps.Keys(c.Columns))
	checkColumns(n.Get("columns"), c.Columns, p)
	c.completeParent(o, n, p)
	declared(n, "key", c.Key, c.Columns, p)
	declared(n, "order", c.Order, c.Columns, p)
	if c.Order == "" {
		c.Order = c.Key
	}
	if c.Order == "" {
		p.AddHint(n.Pos(), "add key or order", "%s: the rows have no order", c.name)
	}
	if c.OnUpdate == "merge" && c.Key == "" {
		p.AddHint(n.Get("on-update").Pos(), "add key", "on-update: merge needs a key")
	}
}

func table(n strictyaml.Node, name string, p *strictyaml.Problems) string {
	parts := strings.Split(name, ".")
	for _, part := range parts {
		if name != "" && (len(parts) > 3 || !identifier.MatchString(part)) {
			p.Add(n.Get("table").Pos(), "table: %q is no name of a table", name)
			break
		}
	}
	return quote(name)
}

func checkColumns(n strictyaml.Node, columns map[string]string, p *strictyaml.Problems) {
	for name, typ := range columns {
		if !identifier.MatchString(name) {
			p.Add(n.KeyPos(name), "columns: %q is no name of a column", name)
		}
		if !slices.Contains(types, typ) {
			p.AddHint(n.Get(name).Pos(), strictyaml.DidYouMean(typ, types), "%s: %q is no type", name, typ)
		}
	}
}

// declared reports whether a setting names a column, and one that is listed.
func declared(n strictyaml.Node, key, column string, columns map[string]string, p *strictyaml.Problems) bool {
	return declaredAt(n.Get(key), key, column, columns, p)
}

// declaredAt is declared of a setting at a place.
func declaredAt(at strictyaml.Node, key, column string, columns map[string]string, p *strictyaml.Problems) bool {
	if column == "" {
		return false
	}
	if _, ok := columns[column]; ok {
		return true
	}
	hint := "add it to columns, with its type"
	if s := strictyaml.Suggest(column, slices.Sorted(maps.Keys(columns))); s != "" {
		hint = fmt.Sprintf("did you mean %q?", s)
	}
	p.AddHint(at.Pos(), hint, "%s: the column %q is not listed in columns", key, column)
	return false
}
