// Package soap is the connector for SOAP services, 1.1 and 1.2, and for systems that take plain XML over HTTP, such as SAP's IDocs. Requests are made by templates in
// the settings; lists, polls, look-ups and what an answer means are those of connectors/rest.
package soap

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/connectors/rest"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// Kind is the connector kind "soap".
type Kind struct{}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "soap",
		Summary: "a SOAP service, or one that takes XML over HTTP",
		Fields:  connector.Fields[settings](),
		Can:     connector.Abilities{Write: true, Find: true, Poll: true, List: true},
	}
}

// Check reads the settings and adds every problem to p.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Open makes the system ready. It makes no call.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set, d, objects := read(s, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	c := set.Config(s, set.URL, set.Auth)
	c.Secrets = set.secrets
	return rest.OpenWith(rest.Config{Client: c, Probe: set.Probe, Errors: set.Errors, Success: set.Success, Objects: objects, Dialect: d})
}

// Describe tells of one object type what its settings say.
func (Kind) Describe(s connector.Settings, name string) connector.ObjectType {
	if o := objectOf(s, name); o != nil {
		return o.Describe()
	}
	return connector.ObjectType{}
}

var _ connector.Orderer = Kind{}

// Ordering says by what changes are ordered.
func (Kind) Ordering(s connector.Settings, name string) connector.Ordering {
	if o := objectOf(s, name); o != nil {
		return o.Ordering()
	}
	return connector.Ordering{}
}

func objectOf(s connector.Settings, name string) *rest.Object {
	_, _, objects := read(s, &strictyaml.Problems{})
	return objects[name]
}

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) (*settings, *dialect, map[string]*rest.Object) {
	set := &settings{}
	s.Decode(set, p)
	set.Settings.Check(s.Node, set.URL, p)
	set.Auth.Check(s.Node.Get("auth"), p)
	set.Errors.Check(s.Node.Get("errors"), p)
	set.Success.Complete(s.Node.Get("success"), p)
	for i, row := range s.Node.Get("faults").Items() {
		if i < len(set.Faults) && set.Faults[i].Code == "" && set.Faults[i].Text == "" {
			p.AddHint(row.Pos(), "add code or text", "faults: a row that every fault fits")
		}
	}
	set.checkNamespaces(s.Node.Get("namespaces"), p)
	d := newDialect(set)
	c := &compiler{spaces: set.Namespaces, p: p}
	if n := s.Node.Get("header"); n.Kind() != strictyaml.Missing {
		if set.Envelope == "none" {
			p.Add(s.Node.KeyPos("header"), "header: there is no envelope that could have one")
		}
		d.header = c.content(n)
	}
	if set.UsernameToken != nil && set.Envelope == "none" {
		p.AddHint(s.Node.Get("username-token").Pos(), "use auth: {basic: …}", "username-token: there is no envelope that could hold it")
	}
	at := s.Node.Get("objects")
	if set.Objects != nil && len(set.Objects) == 0 {
		p.Add(at.Pos(), "objects: name at least one")
	}
	objects := map[string]*rest.Object{}
	for _, name := range slices.Sorted(maps.Keys(set.Objects)) {
		if o := set.Objects[name]; o != nil {
			objects[name] = o.complete(name, at.Get(name), d, c)
		}
	}
	for _, text := range c.secrets {
		set.secrets = append(set.secrets, strictyaml.NewSecret(text))
	}
	if set.UsernameToken != nil {
		set.secrets = append(set.secrets, set.UsernameToken.Password)
	}
	return set, d, objects
}

// reserved are the prefixes of envelopes.
var reserved = []string{"soap", "wsse", "wsu", "xsi", "xml", "xmlns"}

func (set *settings) checkNamespaces(n strictyaml.Node, p *strictyaml.Problems) {
	for prefix, space := range set.Namespaces {
		at := n.Get(prefix).Pos()
		switch {
		case slices.Contains(reserved, prefix):
			p.AddHint(at, "choose another one", "namespaces: the prefix %s is the envelope's", prefix)
		case xmldoc.CheckName(prefix) != nil:
			p.Add(at, "namespaces: %q is no prefix", prefix)
		case space == "":
			p.Add(at, "namespaces: %s stands for nothing", prefix)
		}
		if _, err := xmldoc.AppendText(nil, space); err != nil {
			p.Add(at, "namespaces: %s", err)
		}
	}
}

// complete checks an object type and gives it as connectors/rest has it.
func (o *object) complete(name string, n strictyaml.Node, d *dialect, c *compiler) *rest.Object {
	out := &rest.Object{
		ID: o.ID, ExternalID: o.ExternalID, Version: o.Version, VersionFormat: o.VersionFormat, Zone: o.Zone, ETagField: o.ETagField,
		Deleted: o.Deleted, DeletedValue: o.DeletedValue, Success: o.Success, ExternalForm: o.ExternalForm,
	}
	if o.ETagField != "" {
		out.ETag = "body"
	}
	out.Get.Item = o.Get.Item
	out.List.Items, out.List.Paging, out.List.ChangedSince, out.List.Order = o.List.Items, o.List.Paging, o.List.ChangedSince, o.List.Order
	if ids := o.List.IDs; ids != nil {
		out.List.IDs = &rest.IDs{Items: ids.Items, ID: ids.ID}
	}
	out.Find.Items, out.Find.External, out.Find.Natural = o.Find.Items, o.Find.External, o.Find.Natural
	out.Create.Item, out.Create.AnswerID, out.Create.AnswerComplete, out.Create.Success, out.Create.SentID = o.Create.Item, o.Create.AnswerID, o.Create.AnswerComplete, o.Create.Success, o.Create.SentID
	out.Update.Item, out.Update.AnswerID, out.Update.AnswerComplete, out.Update.Success = o.Update.Item, o.Update.AnswerID, o.Update.AnswerComplete, o.Update.Success
	out.Delete.Success = o.Delete.Success
	out.Update.Style, out.Create.ContentType, out.Update.ContentType = "patch", "text/xml", "text/xml"
	out.Complete(name, n, c.p)
	o.operations(name, n, out, d, c)
	o.checkShape(n, c.p)
	if style := o.List.Paging.Style; style == "next-url" || style == "link" {
		c.p.AddHint(n.Get("list").Get("paging").Get("style").Pos(), "write page, offset, cursor or key", "style: %s means nothing to a SOAP service", style)
	}
	for _, key := range []string{"total-header", "pages-header"} {
		if at := n.Get("list").Get("paging"); at.Has(key) {
			c.p.Add(at.KeyPos(key), "%s means nothing to a SOAP service", key)
		}
	}
	return out
}

// operations compiles the requests of an object type.
func (o *object) operations(name string, n strictyaml.Node, out *rest.Object, d *dialect, c *compiler) {
	type one struct {
		action string
		at     strictyaml.Node
		op     *operation
		base   string
		list   bool
		answer string
	}
	list := n.Get("list")
	all := []one{
		{rest.ActGet, n.Get("get"), &o.Get.operation, o.Get.Item, false, ""}, {rest.ActList, list, &o.List.operation, o.List.Items, true, ""},
		{rest.ActFind, n.Get("find"), &o.Find.operation, out.Find.Items, true, ""}, {rest.ActCreate, n.Get("create"), &o.Create.operation, o.Create.Item, false, o.Create.AnswerComplete},
		{rest.ActUpdate, n.Get("update"), &o.Update.operation, o.Update.Item, false, o.Update.AnswerComplete}, {rest.ActDelete, n.Get("delete"), &o.Delete.operation, "", false, ""},
	}
	if ids := o.List.IDs; ids != nil {
		items := ids.Items
		if items == "" {
			items = o.List.Items
		}
		all = append(all, one{rest.ActIDs, list.Get("ids"), &ids.operation, items, true, ""})
	}
	for _, a := range all {
		if a.at.Has("request") {
			if a.op.Request.Kind() != strictyaml.Map {
				c.p.AddHint(a.at.Get("request").Pos(), "write for example {ord:GetOrder: {ord:id: \"{$id}\"}}", "request: this is no element")
				continue
			}
			tops := c.content(a.op.Request)
			if len(tops) != 1 && d.envelope == "none" {
				c.p.Add(a.at.Get("request").Pos(), "request: without an envelope it is one root element")
			}
			a.op.template = &template{children: tops}
			if asked := params(tops); (a.action == rest.ActGet || a.action == rest.ActUpdate || a.action == rest.ActDelete) && !slices.Contains(asked, "id") {
				c.p.AddHint(a.at.Get("request").Pos(), "write {$id} where the request names the object", "request: it does not say which object")
			}
			if strings.ContainsAny(a.op.Action, "\"\r\n") {
				c.p.Add(a.at.Get("action").Pos(), "action: it cannot hold quotes or line ends")
			}
			switch {
			case a.list && a.base == "":
				c.p.AddHint(a.at.Pos(), "write for example items: ListOrdersResponse.orders.order", "%s: where the answer holds the objects is not said (items)", a.at.Key())
			case a.action == rest.ActGet && a.base == "":
				c.p.AddHint(a.at.Pos(), "write for example item: GetOrderResponse.order", "get: where the answer holds the object is not said (item)")
			}
		}
		d.ops[name+" "+a.action] = &bound{operation: a.op, shape: o.shape(a.base, a.list), base: a.base, unread: a.answer == "none"}
	}
}

// shape is what elements of an answer are, with what is said of the object put where the object stands.
func (o *object) shape(base string, list bool) *xmldoc.Shape {
	at := func(path string) string {
		if base == "" {
			return path
		}
		return base + "." + path
	}
	s := &xmldoc.Shape{Lists: map[string]bool{}, Types: map[string]string{}}
	if list {
		s.Lists[base] = true
	}
	for _, path := range o.Lists {
		s.Lists[at(path)] = true
	}
	for path, kind := range o.Types {
		s.Types[at(path)] = kind
	}
	return s
}

func (o *object) checkShape(n strictyaml.Node, p *strictyaml.Problems) {
	for path, kind := range o.Types {
		if !slices.Contains([]string{xmldoc.Decimal, xmldoc.Integer, xmldoc.Boolean}, kind) {
			p.AddHint(n.Get("types").Get(path).Pos(), "write decimal, integer or boolean", "types: %q is none of them", kind)
		}
	}
	for i, at := range n.Get("lists").Items() {
		if i < len(o.Lists) && strings.Contains("."+o.Lists[i]+".", "..") {
			p.AddHint(at.Pos(), "write for example lines.line", "lists: %q is no path", o.Lists[i])
		}
	}
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

var errNoRequest = errors.New("the request is empty: nothing that it is made of is in the document")

const mediaXML = "text/xml; charset=utf-8"

// probe asks for the address as a browser does.
func probe() httpclient.Request { return httpclient.Request{Method: http.MethodGet} }
