package api

import (
	"fmt"
	"net/http"

	"github.com/waybill-hub/waybill/internal/state"
)

// LinksRequest says which ids in several systems are one object's each.
type LinksRequest struct {
	Links []Link `json:"links" minitems:"1" maxitems:"5000"`
	// DryRun shows what would become of them, and stores nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// Link is one object's ids, two or more, of different systems.
type Link struct {
	Entity string   `json:"entity" min:"1"`
	IDs    []LinkID `json:"ids" minitems:"2"` // two or more, of different systems; where nobody has seen the object, the first names it
}

// LinkID is an object's id in a system.
type LinkID struct {
	System string `json:"system" min:"1"`
	ID     string `json:"id" min:"1"`
}

// LinksAnswer tells of every link, in their order, what became of it.
type LinksAnswer struct {
	DryRun  bool     `json:"dry_run,omitempty"`
	Linked  int      `json:"linked"`
	Known   int      `json:"known"`
	Refused int      `json:"refused"`
	Links   []Linked `json:"links"`
}

// Linked is what became of one link: linked, known (it was so already) or refused, with why.
type Linked struct {
	Status string `json:"status" enum:"linked,known,refused"` // known: it was so already
	Hub    string `json:"hub,omitempty"`                      // the object's hub id
	Reason string `json:"reason,omitempty"`                   // why it was refused, and which object holds the id
}

// MostLinks is how many links one request may hold.
const MostLinks = 5000

func (s *Server) links(w http.ResponseWriter, r *http.Request, who string) {
	var q LinksRequest
	if !body(w, r, &q, 4<<20) {
		return
	}
	links, places := q.read()
	switch {
	case len(places) > 0:
		s.failed(w, r, &Invalid{Detail: "nothing was linked: " + places[0].Path + ": " + places[0].Message, Places: places})
		return
	case len(links) == 0 || len(links) > MostLinks:
		problem(w, http.StatusBadRequest, fmt.Sprintf(`"links" must hold 1 to %d`, MostLinks))
		return
	}
	got, err := s.hub.Link(r.Context(), links, q.DryRun, who)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	a := LinksAnswer{DryRun: q.DryRun, Links: make([]Linked, len(got))}
	for i, l := range got {
		a.Links[i] = Linked{Status: string(l.Status), Hub: l.Hub, Reason: l.Reason}
		switch l.Status {
		case state.LinkMade:
			a.Linked++
		case state.LinkKnown:
			a.Known++
		default:
			a.Refused++
		}
	}
	answer(w, http.StatusOK, a)
}

// read gives the links, and what is wrong in them.
func (q *LinksRequest) read() (links []state.Link, places []Place) {
	wrong := func(message, path string, args ...any) {
		places = append(places, Place{Path: fmt.Sprintf(path, args...), Message: message})
	}
	for i, l := range q.Links {
		one := state.Link{Entity: l.Entity}
		if l.Entity == "" {
			wrong("the entity is missing", "links[%d].entity", i)
		}
		if len(l.IDs) < 2 {
			wrong("two ids or more are one object's", "links[%d].ids", i)
		}
		seen := map[string]bool{}
		for j, id := range l.IDs {
			switch {
			case id.System == "" || id.ID == "":
				wrong("system and id must both be given", "links[%d].ids[%d]", i, j)
			case seen[id.System]:
				wrong("an object has one id in a system", "links[%d].ids[%d].system", i, j)
			}
			seen[id.System] = true
			one.IDs = append(one.IDs, state.LocalID{System: id.System, Local: id.ID})
		}
		links = append(links, one)
	}
	return links, places
}
