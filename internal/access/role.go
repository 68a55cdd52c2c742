package access

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Role is what somebody may do. Each may do what those before it may.
type Role int

// The roles. Nobody is what is not let in at all.
const (
	Nobody   Role = iota
	Viewer        // sees everything, with personal data masked
	Operator      // repairs: replays, edits, discards, pauses, runs comparisons; sees personal data where that is needed
	Engineer      // changes what the hub does: loads files, reads sources again, links ids
	Admin         // puts back what is lost: recovers topics, copies the store, says that it was restored
)

// Roles are those that people and tokens have, the least first.
var Roles = []Role{Viewer, Operator, Engineer, Admin}

var roleNames = [...]string{"nobody", "viewer", "operator", "engineer", "admin"}

func (r Role) String() string { return roleNames[r] }

// ParseRole reads a role's name.
func ParseRole(name string) (Role, bool) {
	i := slices.Index(roleNames[1:], name)
	return Role(i + 1), i >= 0
}

// Scope is a part of what can be asked. A token may be for some alone.
type Scope string

// The scopes.
const (
	Status      Scope = "status"      // how the hub, its flows and its systems do
	Metrics     Scope = "metrics"     // the same for Prometheus
	Messages    Scope = "messages"    // documents, their fates, and what rests in queues
	Flows       Scope = "flows"       // pausing and rewinding
	Comparisons Scope = "comparisons" // reconciliations and rules
	Audit       Scope = "audit"       // who did what
	Hub         Scope = "hub"         // files, copies, topics, links of ids
)

// Scopes are all of them.
var Scopes = []Scope{Status, Metrics, Messages, Flows, Comparisons, Audit, Hub}

// Need is who may ask for something: whoever has the role, and, if a token is for some scopes alone, this one. Without a scope it is part of each.
type Need struct {
	Role  Role
	Scope Scope
}

// May reports whether a visitor has what is needed.
func (v *Visitor) May(n Need) bool {
	return n.Role != Nobody && v.Role >= n.Role && v.inScope(n.Scope)
}

func (v *Visitor) inScope(s Scope) bool {
	return s == "" || len(v.Scopes) == 0 || slices.Contains(v.Scopes, s)
}

// SeesPersonal reports whether personal data may be shown to a visitor where it is asked for.
func (v *Visitor) SeesPersonal() bool { return v.Role >= Operator }

// Allow refuses a visitor who was let in, and may not ask for this.
func (g *Guard) Allow(v *Visitor, n Need) *Refusal {
	if v.May(n) {
		return nil
	}
	who := "this"
	if v.Name != "" {
		who = clip(v.Name)
	}
	no := &Refusal{Status: http.StatusForbidden, Why: WrongRole}
	if n.Role == Nobody || v.Role < n.Role {
		no.Detail = fmt.Sprintf("this needs the role %s, and %s has the role %s: ask whoever keeps the hub's configuration (http)", n.Role, who, v.Role)
	} else {
		var has []string
		for _, s := range v.Scopes {
			has = append(has, string(s))
		}
		no.Detail = fmt.Sprintf("this needs the scope %s, and the token %s is for %s alone (scopes of http.tokens)", n.Scope, who, strings.Join(has, ", "))
	}
	return g.count(no)
}
