package privacy

import (
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Unknown is an entity of which nothing is known, as that of a comparison that the files have no more: its keys may be personal data.
const Unknown = "?"

// keyed says whose business keys are personal data: those of flows whose key is made of a marked field, and of flows that read what these write.
type keyed struct {
	flows map[string]bool
	// entities are those of all flows; true: of some flow the keys are personal.
	entities map[string]bool
	// ids are the entities and systems whose ids there are such keys: of a system that names none itself, an object's id is its key.
	ids map[[2]string]bool
}

// keys works out whose keys are personal. A flow that names no key has that of the events on its topic, or the id in its source, of which nobody has said that it is personal.
func (p *Plan) keys(all []*building) {
	k := &keyed{flows: map[string]bool{}, entities: map[string]bool{}, ids: map[[2]string]bool{}}
	for _, b := range all {
		k.entities[b.flow.Entity] = false
	}
	for again := true; again; {
		again = false
		for _, b := range all {
			if k.flows[b.flow.Name] || !k.makes(b, all) {
				continue
			}
			k.flows[b.flow.Name], k.entities[b.flow.Entity], again = true, true, true
			k.ids[[2]string{b.flow.Entity, b.flow.From.System}] = true
			p.flows[b.flow.Name].Keyed = true
		}
	}
	p.keyed = k
}

func (k *keyed) makes(b *building, all []*building) bool {
	if b.flow.Key != nil {
		mask := b.source.mask()
		for _, field := range b.flow.Key.SourceFields() {
			if mask.reaches([]string{field}) {
				return true
			}
		}
		return false
	}
	for _, o := range all {
		if b.flow.From.Topic != "" && o.flow.To.Topic == b.flow.From.Topic && k.flows[o.flow.Name] {
			return true
		}
	}
	return false
}

// PersonalKey reports whether the business keys of a flow are personal data, or those of some flow of an entity; of neither, whether any are. Of a flow or an entity that the plan does not have
// nobody knows: they may be, where any are.
func (p *Plan) PersonalKey(flow, entity string) bool {
	switch {
	case p == nil || p.keyed == nil:
		return false
	case flow == "" && entity == "":
		return len(p.keyed.flows) > 0
	}
	_, known := p.flows[flow]
	personal, knows := p.keyed.entities[entity]
	return p.keyed.flows[flow] || personal || (flow != "" && !known || entity != "" && !knows) && len(p.keyed.flows) > 0
}

// deepest is how deep an answer nests: a document of 64 levels stands in it, with what is around it.
const deepest = 200

// Veil masks, in an answer of the API, business keys that are personal data, and these wherever else they stand. Its objects name them: a member key beside a flow or an entity; of more, about says
// the entity of what names neither. An answer that cannot be read is none.
func (p *Plan) Veil(answer []byte, about string) ([]byte, bool) {
	if !p.PersonalKey("", "") {
		return answer, true
	}
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if d.Reset(answer, jsondoc.Limits{Bytes: len(answer) + 1, Depth: deepest, Nodes: 16_777_215, NumberLen: 1024, Exponent: 1000}) != nil {
		return nil, false
	}
	v := veil{p: p, about: about, values: &Values{}}
	v.find(d.Root(), "")
	if len(v.values.seen) == 0 {
		return answer, true
	}
	v.out = make([]byte, 0, len(answer))
	v.write(d.Root())
	return v.out, true
}

type veil struct {
	p      *Plan
	about  string
	values *Values
	out    []byte
}

// find notes the keys of an answer. within is the entity of the object around.
func (v *veil) find(of jsondoc.Value, within string) {
	switch of.Kind() {
	case jsondoc.Object:
		flow, entity := text(of.Get("flow")), text(of.Get("entity"))
		if flow == "" && entity == "" {
			entity = v.about
		}
		if (flow != "" || entity != "") && v.p.PersonalKey(flow, entity) {
			for _, name := range []string{"key", "left", "right"} { // of a difference, either id may be the key
				v.values.add(text(of.Get(name)))
			}
			for id := range of.Get("more").Elements() {
				v.values.add(text(id))
			}
		}
		if entity == "" {
			entity = within
		}
		if v.p.keyed.ids[[2]string{entity, text(of.Get("system"))}] {
			v.values.add(text(of.Get("id")))
			v.values.add(text(of.Get("local")))
		}
		for _, m := range of.Members() {
			v.find(m, entity)
		}
	case jsondoc.Array:
		for e := range of.Elements() {
			v.find(e, within)
		}
	}
}

func text(v jsondoc.Value) string {
	if v.Kind() != jsondoc.String {
		return ""
	}
	return v.Str()
}

// write writes an answer again. Names of members are the API's own, but in documents, where personal ones are masked already.
func (v *veil) write(of jsondoc.Value) {
	switch of.Kind() {
	case jsondoc.Object:
		v.out = append(v.out, '{')
		first := true
		for name, m := range of.Members() {
			if !first {
				v.out = append(v.out, ',')
			}
			first = false
			v.out = append(jsondoc.AppendString(v.out, name), ':')
			v.write(m)
		}
		v.out = append(v.out, '}')
	case jsondoc.Array:
		v.out = append(v.out, '[')
		i := 0
		for e := range of.Elements() {
			if i > 0 {
				v.out = append(v.out, ',')
			}
			i++
			v.write(e)
		}
		v.out = append(v.out, ']')
	case jsondoc.String:
		v.out = jsondoc.AppendString(v.out, v.shown(of.Str()))
	default:
		v.out = append(v.out, of.Raw()...)
	}
}

// shown is a text without any of the keys. Of very many keys a text is compared with each as a whole, and a sentence is masked: it may hold one.
func (v *veil) shown(text string) string {
	if len(v.values.seen) <= mostForms {
		return v.values.Value(text)
	}
	if v.values.seen[text] || strings.ContainsRune(text, ' ') {
		return Masked
	}
	return text
}
