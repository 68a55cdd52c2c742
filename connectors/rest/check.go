package rest

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/zones"
)

// faultKinds are the meanings that errors.kinds can give a code; duplicate is a Conflict of its own, and empty a NotFound that lists may be answered with.
var faultKinds = map[string]fault.Kind{
	"duplicate": fault.Conflict, "empty": fault.NotFound, "conflict": fault.Conflict, "invalid": fault.Invalid, "not-found": fault.NotFound, "auth": fault.Auth,
	"rate-limited": fault.RateLimited, "unavailable": fault.Unavailable, "unknown-outcome": fault.UnknownOutcome,
}

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) *settings {
	set := &settings{}
	s.Decode(set, p)
	set.Settings.Check(s.Node, set.URL, p)
	set.Auth.Check(s.Node.Get("auth"), p)
	set.Errors.Check(s.Node.Get("errors"), p)
	set.Success.complete(s.Node.Get("success"), p)
	objects := s.Node.Get("objects")
	if set.Objects != nil && len(set.Objects) == 0 {
		p.Add(objects.Pos(), "objects: name at least one")
	}
	for name, o := range set.Objects {
		if o != nil {
			o.name = name
			o.complete(objects.Get(name), p)
			o.checkGraphQL(objects.Get(name), set.GraphQL != nil, p)
			if u := strconv.Itoa(o.Update.Unchanged); o.Update.Unchanged > 0 && set.Errors.Kinds[u] != "" {
				p.AddHint(objects.Get(name).Get("update").Get("unchanged").Pos(), "keep one of them", "unchanged: errors.kinds says that %s is a failure", u)
			}
			if posted := o.checkPosted(objects.Get(name), p); posted && set.GraphQL != nil {
				p.AddHint(objects.Get(name).Pos(), "remove body: a GraphQL service is asked by query and variables", "body means nothing with graphql")
			} else if posted {
				set.posted = true
			}
		}
	}
	return set
}

// complete fills in the defaults that depend on other settings, and checks what the shape alone does not show.
func (o *object) complete(n strictyaml.Node, p *strictyaml.Problems) {
	def(&o.Path, httpclient.Escape(o.name))
	byID := strings.TrimRight(o.Path, "/") + "/{id}"
	inQuery := false
	for _, value := range o.Get.Parameters {
		inQuery = inQuery || strings.Contains(value, "{id}")
	}
	if inQuery {
		def(&o.Get.Path, o.Path)
	}
	def(&o.Get.Path, byID)
	def(&o.List.Path, o.Path)
	def(&o.Find.Path, o.List.Path)
	def(&o.Find.Items, o.List.Items)
	def(&o.Create.Path, o.Path)
	def(&o.Create.Method, "POST")
	def(&o.Update.Path, byID)
	def(&o.Update.Method, map[string]string{"put": "PUT"}[o.Update.Style])
	def(&o.Update.Method, "PATCH")
	def(&o.Delete.Path, byID)
	def(&o.Delete.Method, "DELETE")
	def(&o.Create.AnswerID, o.ID)
	def(&o.Update.AnswerID, o.ID)
	o.Success.complete(n.Get("success"), p)
	o.Create.Success.complete(n.Get("create").Get("success"), p)
	o.Update.Success.complete(n.Get("update").Get("success"), p)
	o.Delete.Success.complete(n.Get("delete").Get("success"), p)
	o.checkBulk(&o.Create, n.Get("create").Get("bulk"), p)
	o.checkBulk(&o.Update.writeSettings, n.Get("update").Get("bulk"), p)
	if o.Update.Bulk != nil {
		def(&o.Update.Bulk.ID, o.ID)
		if o.Update.Style == "put" {
			p.AddHint(n.Get("update").Get("bulk").Pos(), "remove one of the two", "bulk: style put reads each object before it writes it")
		}
	}
	pg := &o.List.Paging
	def(&pg.Parameter, pg.Style)
	def(&pg.Next, "next")

	template(n, "path", o.Path, nil, p)
	one := func(n strictyaml.Node, path string) {
		if n.Has("body") && !strings.Contains(path, "{") {
			return // the body may say which object is meant
		}
		template(n, "path", path, []string{"id"}, p)
	}
	if inQuery {
		template(n.Get("get"), "path", o.Get.Path, nil, p)
	} else {
		one(n.Get("get"), o.Get.Path)
	}
	template(n.Get("list"), "path", o.List.Path, nil, p)
	template(n.Get("find"), "path", o.Find.Path, nil, p)
	if o.List.IDs != nil && o.List.IDs.Path != "" {
		template(n.Get("list").Get("ids"), "path", o.List.IDs.Path, nil, p)
	}
	o.checkCreate(n.Get("create"), p)
	o.checkParts(n, p)
	one(n.Get("update"), o.Update.Path)
	one(n.Get("delete"), o.Delete.Path)
	for _, op := range []struct{ key, method string }{{"create", o.Create.Method}, {"update", o.Update.Method}, {"delete", o.Delete.Method}} {
		if !slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE"}, op.method) {
			p.AddHint(n.Get(op.key).Get("method").Pos(), "write POST, PUT, PATCH or DELETE", "method: %q changes nothing", op.method)
		}
	}
	if o.Find.External != nil {
		o.checkExternal(n, p)
	}
	asks := n.Get("find").Has("body") || n.Get("list").Has("body") // a question has words beside its values there
	for name, t := range o.Find.Natural {
		if len(placeholders(t)) == 0 && !asks {
			p.AddHint(n.Get("find").Get("natural").Get(name).Pos(), "write the field's name in braces: {code}", "natural: the parameter %s holds no field", name)
		}
	}
	if (o.ETag == "field" || o.ETag == "body" || o.ETag == etagPlaced) && o.ETagField == "" {
		p.AddHint(n.Get("etag").Pos(), "add etag-field", "etag: which field holds it is not said")
	}
	if o.List.Order == "changed" && (o.Version == "" || o.List.ChangedSince.Parameter == "") {
		p.Add(n.Get("list").Get("order").Pos(), "order: changed needs version and changed-since")
	}
	o.checkPaging(n.Get("list").Get("paging"), p)
	if u := o.Update.Unchanged; n.Get("update").Has("unchanged") && (u < 300 || u > 399) {
		p.AddHint(n.Get("update").Get("unchanged").Pos(), "write for example 304", "unchanged: %d is no status from 300 to 399", u)
	} else if slices.Contains([]int{301, 302, 303, 307, 308}, u) {
		p.AddHint(n.Get("update").Get("unchanged").Pos(), "write for example 304", "unchanged: %d leads to another address, such as that of a page to log in", u)
	}
	cs := o.List.ChangedSince
	if n.Get("list").Has("changed-since") && cs.Parameter == "" {
		p.Add(n.Get("list").Get("changed-since").Pos(), "changed-since: parameter is missing")
	}
	if !strings.Contains(cs.Template, "{since}") {
		p.Add(n.Get("list").Get("changed-since").Get("template").Pos(), "template: there is no {since} in it")
	}
	o.checkPairs(n, p)
	o.checkTimes(n, p)
}

// checkCreate: a path may hold the hub's id.
func (o *object) checkCreate(n strictyaml.Node, p *strictyaml.Problems) {
	if !strings.Contains(o.Create.Path, "{external}") {
		template(n, "path", o.Create.Path, nil, p)
		return
	}
	template(n, "path", o.Create.Path, []string{"external"}, p)
	if o.ExternalID == "" {
		p.AddHint(n.Get("path").Pos(), "add external-id, so that what is found can be compared", "path: {external} is there, and the object has no external-id")
	}
	if o.Create.Bulk != nil {
		p.AddHint(n.Get("bulk").Pos(), "remove one of the two", "bulk: a path with {external} is about one object")
	}
}

func (o *object) checkExternal(n strictyaml.Node, p *strictyaml.Problems) {
	at := n.Get("find").Get("external")
	if o.ExternalID == "" {
		p.AddHint(at.Pos(), "add external-id, so that what is found can be compared", "external: the object has no external-id")
	}
	found := false
	for name, t := range o.Find.External {
		found = found || slices.Contains(placeholders(t), "external")
		for _, ph := range placeholders(t) {
			if ph != "external" {
				p.AddHint(at.Get(name).Pos(), "only {external} is known here", "external: {%s} is unknown", ph)
			}
		}
	}
	if !found {
		p.AddHint(at.Pos(), "write for example externalId: \"{external}\"", "external: no parameter holds {external}")
	}
}

func (o *object) checkTimes(n strictyaml.Node, p *strictyaml.Problems) {
	var err error
	if o.zone, err = zones.Load(o.Zone); err != nil {
		p.AddHint(n.Get("zone").Pos(), "write a name such as Asia/Shanghai", "zone: %q is no time zone", o.Zone)
		o.zone = time.UTC
	} else if doubt := zones.Doubt(o.Zone); doubt != "" {
		p.Note(n.Get("zone").Pos(), zones.DoubtHint, "zone: %s", doubt)
	}
	if f := o.VersionFormat; !slices.Contains([]string{"auto", "unix", "unix-ms", dateMS}, f) && !isLayout(f) {
		p.AddHint(n.Get("version-format").Pos(), "write auto, unix, unix-ms, date-ms or a layout such as 2006-01-02 15:04:05", "version-format: %q is none", f)
	} else {
		o.local = isLayout(f) && connector.Zoneless(f)
	}
	if f := o.List.ChangedSince.Format; !slices.Contains([]string{"rfc3339", "rfc3339-ms", "unix", "unix-ms", "raw"}, f) && !isLayout(f) {
		p.AddHint(n.Get("list").Get("changed-since").Get("format").Pos(),
			"write rfc3339, rfc3339-ms, unix, unix-ms, raw or a layout such as 2006-01-02 15:04:05", "format: %q is none", f)
	}
}

// isLayout reports whether a layout holds at least a full date.
func isLayout(s string) bool {
	a := time.Date(2031, 11, 23, 17, 48, 59, 0, time.UTC)
	t, err := time.Parse(s, a.Format(s))
	return err == nil && t.Year() == a.Year() && t.YearDay() == a.YearDay()
}

func def(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// checkPaging looks for settings of a list's pages that contradict each other or mean nothing.
func (o *object) checkPaging(n strictyaml.Node, p *strictyaml.Problems) {
	pg := &o.List.Paging
	if pg.Size < 1 {
		p.Add(n.Get("size").Pos(), "size: at least 1")
	}
	styles := map[string][]string{
		"total": {"page", "offset"}, "pages": {"page"}, "total-header": {"page", "offset"}, "pages-header": {"page"},
		"until": {"page", "offset", "key"}, "self": {"cursor", "next-url", "link"}, "stable": {"page", "offset", "cursor", "next-url", "link"}, "after": {"key"}, "join": {"key"}, "end": {"cursor"},
		"last": {"page", "offset", "cursor", "next-url", "link", "key"},
	}
	for _, key := range slices.Sorted(maps.Keys(styles)) {
		if n.Has(key) && !slices.Contains(styles[key], pg.Style) {
			p.AddHint(n.KeyPos(key), "remove it, or write style: "+strings.Join(styles[key], " or "), "%s means nothing under style: %s", key, pg.Style)
		}
	}
	said := ""
	for _, key := range []string{"end", "more", "last", "total", "total-header", "pages", "pages-header"} {
		if said != "" && n.Has(key) {
			p.AddHint(n.KeyPos(key), "keep one of them", "%s and %s both say where the list ends", said, key)
		}
		if n.Has(key) {
			said = key
		}
	}
	if said != "" && n.Has("until") && pg.Until == "short" {
		p.AddHint(n.KeyPos("until"), "keep one of them", "%s and until: short both say where the list ends", said)
	}
	if pg.Style != "key" {
		return
	}
	switch found := placeholders(pg.After); {
	case !slices.Contains(found, "id"):
		p.AddHint(n.Get("after").Pos(), "write for example after: ID gt '{id}'", "after: there is no {id} in it")
	case slices.ContainsFunc(found, func(name string) bool { return name != "id" && name != "version" }):
		p.AddHint(n.Get("after").Pos(), "only {id} and {version} are known here", "after: unknown placeholder in %q", pg.After)
	case slices.Contains(found, "version") && o.Version == "":
		p.AddHint(n.Get("after").Pos(), "add version to the object", "after: {version} needs version")
	}
	if found := slices.Sorted(slices.Values(placeholders(pg.Join))); !slices.Equal(found, []string{"after", "changed"}) {
		p.AddHint(n.Get("join").Pos(), "write for example ({changed}) and ({after})", "join: it must hold {changed} and {after}, and nothing else in braces")
	}
	if !n.Has("parameter") {
		p.AddHint(n.Pos(), "write for example parameter: $filter", "paging: style key needs parameter")
	}
}
