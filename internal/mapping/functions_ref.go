package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sort"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func refFunctions() []*function {
	return []*function{
		{
			name: "xref", params: []param{pn("entity", kText), pn("system", kText), p("local", kPlain)}, required: 3, result: passing(textType),
			prepare: prepareRef, run: xref,
		},
		{
			name: "xref_id", params: []param{pn("entity", kText), pn("system", kText), p("hub", kText)}, required: 3, result: passing(textType),
			prepare: prepareRef, run: xrefID,
		},
		{
			name: "value", params: []param{{name: "map", k: kText, literal: true}, pn("system", kText), p("code", kPlain)}, required: 3,
			result:  passing(textType),
			prepare: prepareValues,
			run: func(_ *frame, s *site, args []any) (any, error) {
				code, err := plain(args[2])
				if err != nil {
					return nil, err
				}
				v, err := s.values.Value(args[1].(string), code)
				return v, err
			},
			direct: directValues,
		},
		{
			name: "code", params: []param{{name: "map", k: kText, literal: true}, pn("system", kText), p("canonical", kPlain)}, required: 3,
			result:  passing(textType),
			prepare: prepareValues,
			run: func(_ *frame, s *site, args []any) (any, error) {
				code, err := plain(args[2])
				if err != nil {
					return nil, err
				}
				v, err := s.values.Code(args[1].(string), code)
				return v, err
			},
			direct: directValues,
		},
		{
			name: "hash", params: []param{pt("x", kAll)}, required: 1, variadic: true, result: fixed(textType),
			run: hash,
		},
		{
			name: "uuid5", params: []param{pn("namespace", kText), p("name", kPlain)}, required: 2, result: passing(textType),
			run: uuid5,
		},
	}
}

// prepareRef notes which entity and system the call asks for, and checks literal ones.
func prepareRef(c *compiler, call *callInfo) *site {
	use := Use{Function: call.fn.name, Pos: c.place(call.offset)}
	if name, ok := call.literal(0); ok {
		use.Entity = name
		c.checkName("entity", name, c.deps.Entities, call.at(0))
	}
	if name, ok := call.literal(1); ok {
		use.System = name
		c.checkName("system", name, c.deps.Systems, call.at(1))
	}
	c.uses = append(c.uses, use)
	return nil
}

// checkName checks a name against a set; a nil set allows everything.
func (c *compiler) checkName(what, name string, known map[string]bool, offset int) {
	if known == nil || known[name] {
		return
	}
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	sort.Strings(names)
	c.problem(offset, didYouMean(name, names), "unknown %s %q", what, name)
}

func xref(f *frame, _ *site, args []any) (any, error) {
	entity, system := args[0].(string), args[1].(string)
	local, err := plain(args[2])
	if err != nil {
		return nil, err
	}
	if local == "" {
		return nil, nil // systems write "no customer" as an empty text
	}
	if f.in.Lookup == nil {
		return nil, errors.New("xref: there are no cross-references here")
	}
	if err := f.spend(refSteps); err != nil {
		return nil, err
	}
	hub, ok, err := f.in.Lookup.HubID(f.ctx, entity, system, local)
	if err != nil {
		return nil, lookupError(err)
	}
	if !ok {
		return nil, &MissingRef{Entity: entity, System: system, Local: local}
	}
	return hub, nil
}

func xrefID(f *frame, _ *site, args []any) (any, error) {
	entity, system, hub := args[0].(string), args[1].(string), args[2].(string)
	if hub == "" {
		return nil, nil
	}
	if f.in.Lookup == nil {
		return nil, errors.New("xref_id: there are no cross-references here")
	}
	if err := f.spend(refSteps); err != nil {
		return nil, err
	}
	local, ok, err := f.in.Lookup.LocalID(f.ctx, entity, system, hub)
	if err != nil {
		return nil, lookupError(err)
	}
	if !ok {
		return nil, &MissingRef{Entity: entity, System: system, Hub: hub}
	}
	return local, nil
}

// lookupError: the document is not to blame when the cross-reference cannot be asked.
func lookupError(err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	return fault.Wrap(fault.Unavailable, "cross-reference", err)
}

// prepareValues finds the value map of a call to value or code.
func prepareValues(c *compiler, call *callInfo) *site {
	name, ok := call.literal(0)
	if !ok {
		return nil
	}
	m := c.deps.Values[name]
	if m == nil {
		names := make([]string, 0, len(c.deps.Values))
		for n := range c.deps.Values {
			names = append(names, n)
		}
		sort.Strings(names)
		c.problem(call.at(0), orElse(didYouMean(name, names), "value maps stand in mappings/values/"), "unknown value map %q", name)
		return nil
	}
	c.values[name] = true
	s := &site{values: m}
	if system, ok := call.literal(1); ok {
		s.system = system
		if m.columns[system] == nil {
			c.problem(call.at(1), orElse(didYouMean(system, m.Systems()), "its systems are "+listed(m.Systems())), "the value map %s has no codes of %q", name, system)
			return s
		}
		s.ready = true
		s.members = tables(m, system, call.fn.name)
	}
	return s
}

// tables gives a direction's entries with their results in JSON.
func tables(m *ValueMap, system, direction string) map[string][]byte {
	column := m.columns[system]
	entries := column.toCanonical
	if direction == DirectionCode {
		entries = column.fromHub
	}
	out := make(map[string][]byte, len(entries))
	for from, to := range entries {
		out[from] = []byte(to)
	}
	return out
}

// directValues looks codes up without making Go strings.
func directValues(_ *compiler, call *callInfo) op {
	if !call.site.ready {
		return nil
	}
	return &valuesOp{a: call.args[2].op, site: call.site, fn: call.fn, at: call.offset}
}

type valuesOp struct {
	a    op
	site *site
	fn   *function
	at   int
}

func (o *valuesOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil || v.k == vAbsent {
		return err
	}
	if s, _, ok := v.text(f); ok {
		if to, ok := o.site.members[string(s)]; ok {
			v.setText(to, false)
			return nil
		}
	}
	x, err := v.any(f)
	if err == nil {
		x, err = o.fn.call(f, o.site, []any{o.site.values.name, o.site.system, x})
	}
	if err != nil {
		return at(o.at, err)
	}
	v.setAny(x)
	return nil
}

// hash is the SHA-256 in hexadecimal: of one text its UTF-8, of anything else the canonical JSON of the list of arguments.
func hash(f *frame, _ *site, args []any) (any, error) {
	if len(args) == 1 {
		if s, ok := args[0].(string); ok {
			h := sha256.Sum256([]byte(s))
			return hex.EncodeToString(h[:]), nil
		}
	}
	b, err := appendTree(nil, args, f.room)
	if errors.Is(err, errLongTree) {
		f.room = -1
		return nil, f.over()
	}
	f.made(2 * len(b))
	if err != nil {
		return nil, err
	}
	d, err := jsondoc.Parse(b, jsondoc.Limits{})
	if err != nil {
		return nil, fmt.Errorf("hash: %w", err)
	}
	h := jsondoc.Hash(d.Root())
	return hex.EncodeToString(h[:]), nil
}

var uuidSpaces = map[string]uuid.UUID{"dns": uuid.NameSpaceDNS, "url": uuid.NameSpaceURL, "oid": uuid.NameSpaceOID, "x500": uuid.NameSpaceX500}

// uuid5 names something by a namespace (dns, url, oid, x500 or a UUID) and a text.
func uuid5(_ *frame, _ *site, args []any) (any, error) {
	space, ok := uuidSpaces[args[0].(string)]
	if !ok {
		var err error
		if space, err = uuid.Parse(args[0].(string)); err != nil {
			return nil, fmt.Errorf("uuid5: the namespace must be dns, url, oid, x500 or a UUID, not %s", show(args[0].(string)))
		}
	}
	name, err := plain(args[1])
	if err != nil {
		return nil, err
	}
	return uuid.NewSHA1(space, []byte(name)).String(), nil
}
