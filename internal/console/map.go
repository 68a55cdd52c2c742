package console

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/api"
)

// mapBody is the picture of systems, flows and topics.
type mapBody struct {
	Picture template.HTML
	Flows   []api.Flow
}

// Sizes of the picture, in its own units.
const (
	boxWidth  = 190
	boxHeight = 26
	rowHeight = 34
	columnGap = 56
	// nameLetters is how many letters of a name have room in a box.
	nameLetters = 24
)

// Columns of the picture.
const (
	fromSystems = iota
	flowsIn
	topics
	flowsOut
	toSystems
	mapColumns
)

// box is a system, a topic or a flow in the picture.
type box struct {
	name, state, title, to string
	column                 int
	y                      float64
	near                   []*box // what is drawn towards it, by whose places it is placed
}

// edge leads from one box to another.
type edge struct {
	from, to *box
	state    string
	width    float64
}

// plan is the page with the map.
func (c *Console) plan(p *page) error {
	st, err := p.glance()
	if err != nil {
		return err
	}
	recent, err := latest[api.Deliveries](p, recentPath)
	if err != nil {
		return err
	}
	return p.show("map", p.T("map.title"), mapBody{Picture: p.draw(st, recent), Flows: st.Flows})
}

// picture is what is drawn.
type picture struct {
	columns [mapColumns][]*box
	known   map[string]*box
	edges   []edge
}

// box gives the one of that name in that column, or adds it.
func (m *picture) box(column int, name string, make func(*box)) *box {
	key := fmt.Sprint(column, " ", name)
	b := m.known[key]
	if b == nil {
		b = &box{name: name, column: column}
		make(b)
		m.known[key] = b
		m.columns[column] = append(m.columns[column], b)
	}
	return b
}

// draw makes the picture.
func (p *page) draw(st *api.Status, recent *api.Deliveries) template.HTML {
	m := &picture{known: map[string]*box{}}
	systems := map[string]string{}
	for i := range st.Systems {
		systems[st.Systems[i].Name] = st.Systems[i].State
	}
	delivered := map[string]int64{}
	for i := range recent.Flows {
		delivered[recent.Flows[i].Name] = sum(recent.Flows[i].Delivered)
	}
	// A place that is no system is a topic.
	end := func(name string, column int) *box {
		state, is := systems[name]
		if !is {
			return m.box(topics, name, func(b *box) { b.title = name })
		}
		return m.box(column, name, func(b *box) {
			b.state, b.to, b.title = state, "/console/systems/"+url.PathEscape(name), p.T("map.node", name, p.State(state))
		})
	}
	for i := range st.Flows {
		f := &st.Flows[i]
		from, to := end(f.From, fromSystems), end(f.To, toSystems)
		column := flowsIn
		if from.column == topics {
			column = flowsOut
		}
		n := delivered[f.Name]
		b := m.box(column, f.Name, func(b *box) {
			b.state, b.to, b.title = f.State, "/console/flows/"+url.PathEscape(f.Name), p.T("map.flow", f.Name, p.State(f.State), number(n))
		})
		width := 1 + math.Min(4, math.Log10(float64(n+1)))
		m.edges = append(m.edges, edge{from, b, f.State, width}, edge{b, to, f.State, width})
		from.near, to.near = append(from.near, b), append(to.near, b)
		if from.column == topics {
			b.near = append(b.near, from)
		} else {
			b.near = append(b.near, to)
		}
	}
	m.place()
	return m.svg(p.T("map.label"))
}

// place gives every box its row: topics by name, flows beside their topics, systems beside their flows.
func (m *picture) place() {
	for _, column := range m.columns {
		slices.SortFunc(column, func(a, b *box) int { return strings.Compare(a.name, b.name) })
	}
	for _, column := range []int{topics, flowsIn, flowsOut, topics, fromSystems, toSystems} {
		boxes := m.columns[column]
		want := map[*box]float64{}
		for i, b := range boxes {
			if want[b] = float64(i) * rowHeight; len(b.near) > 0 && (column != topics || b.near[0].y > 0) {
				total := 0.0
				for _, n := range b.near {
					total += n.y
				}
				want[b] = total / float64(len(b.near))
			}
		}
		slices.SortStableFunc(boxes, func(a, b *box) int { return cmp.Compare(want[a], want[b]) })
		next := 0.0
		for _, b := range boxes {
			b.y = max(next, want[b])
			next = b.y + rowHeight
		}
	}
}

func (m *picture) svg(label string) template.HTML {
	height := 0.0
	for _, b := range m.known {
		height = max(height, b.y+rowHeight)
	}
	width := mapColumns*boxWidth + (mapColumns-1)*columnGap
	x := func(column int) int { return column * (boxWidth + columnGap) }
	var s strings.Builder
	fmt.Fprintf(&s, `<svg class="map" viewBox="-4 -4 %d %d" role="group" aria-label="%s">`, width+8, int(height)+8, template.HTMLEscapeString(label))
	for _, e := range m.edges {
		x1, y1, x2, y2 := x(e.from.column)+boxWidth, e.from.y+boxHeight/2, x(e.to.column), e.to.y+boxHeight/2
		if e.to.column < e.from.column { // back to a topic
			x1, x2 = x(e.from.column), x(e.to.column)+boxWidth
		}
		fmt.Fprintf(&s, `<path class="edge %s" stroke-width="%.1f" d="M%d %.1fC%d %.1f %d %.1f %d %.1f"/>`, tone(e.state), e.width, x1, y1, (x1+x2)/2, y1, (x1+x2)/2, y2, x2, y2)
	}
	for _, column := range m.columns {
		for _, b := range column {
			name := []rune(b.name)
			if len(name) > nameLetters {
				name = append(name[:nameLetters-1], '…')
			}
			class, inset := "node", 10
			if b.column == topics {
				class = "node topic"
			} else if b.column == flowsIn || b.column == flowsOut {
				class = "flow"
			}
			body := fmt.Sprintf(`<rect x="%d" y="%.1f" width="%d" height="%d" rx="6"/>`, x(b.column), b.y, boxWidth, boxHeight)
			if b.state != "" {
				inset = 22
				body += fmt.Sprintf(`<circle class="dot %s" cx="%d" cy="%.1f" r="4"/>`, tone(b.state), x(b.column)+12, b.y+boxHeight/2)
			}
			body += fmt.Sprintf(`<text x="%d" y="%.1f">%s</text>`, x(b.column)+inset, b.y+boxHeight/2, template.HTMLEscapeString(string(name)))
			title := template.HTMLEscapeString(b.title)
			if b.to == "" {
				fmt.Fprintf(&s, `<g class="%s"><title>%s</title>%s</g>`, class, title, body)
				continue
			}
			fmt.Fprintf(&s, `<a class="%s" href="%s" aria-label="%s"><title>%s</title>%s</a>`, class, template.HTMLEscapeString(b.to), title, title, body)
		}
	}
	return template.HTML(s.String() + "</svg>")
}
