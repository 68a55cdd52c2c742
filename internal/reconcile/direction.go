package reconcile

import (
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/state"
)

// target is where a repair writes, and through what.
type target struct {
	system, flow string
	from, to     *side
}

// direction says where a difference is to be repaired and what is done there; without a target, why it is not.
func (r *Run) direction(d *state.Difference) (ways []*target, what string) {
	if r.rec.Repair == nil {
		return nil, "the reconciliation has no `repair`"
	}
	switch d.Kind {
	case state.DiffDoubledLeft, state.DiffDoubledRight:
		return nil, "a person decides which of the objects stays"
	case state.DiffNotCompared:
		return nil, "its records have to be mended first"
	}
	if ways = r.ways(d); len(ways) == 0 {
		return nil, "nobody can say which side is right"
	}
	for _, t := range ways {
		if t.flow == "" {
			return nil, fmt.Sprintf("no flow is named that writes to %s", t.system)
		}
	}
	t := ways[0]
	gone := d.Kind == state.DiffMissingLeft && t.from == r.left || d.Kind == state.DiffMissingRight && t.from == r.right
	switch {
	case d.Kind == state.DiffDifferent:
		return ways, "write it anew"
	case !gone:
		return ways, createIt
	case !deletable(d.Reason):
		return nil, fmt.Sprintf("it is in %s alone and the hub has never seen it in %s: a person decides", t.system, t.from.def.System)
	}
	return ways, deleteIt
}

// What is done where an object is missing.
const (
	createIt = "create it"
	deleteIt = "delete it"
)

// ways are the sides that are to be written.
func (r *Run) ways(d *state.Difference) []*target {
	rep := r.rec.Repair
	toRight := &target{system: r.rec.Right.System, flow: rep.ToRight, from: r.left, to: r.right}
	toLeft := &target{system: r.rec.Left.System, flow: rep.ToLeft, from: r.right, to: r.left}
	switch rep.From {
	case config.FromLeft:
		return []*target{toRight}
	case config.FromRight:
		return []*target{toLeft}
	case config.FromOwner:
		if d.Kind == state.DiffDifferent {
			return owners(d, toLeft, toRight)
		}
	}
	switch d.Reason {
	case state.ReasonEditedLeft, state.ReasonDeletedLeft, state.ReasonCreatedLeft:
		return []*target{toRight}
	case state.ReasonEditedRight, state.ReasonDeletedRight, state.ReasonCreatedRight:
		return []*target{toLeft}
	}
	// Of what was deleted on one side, the deletion is the newer change; anything else that is missing has not got there.
	there, gone := toLeft, toRight
	if d.Kind == state.DiffMissingRight {
		there, gone = toRight, toLeft
	}
	switch {
	case d.Kind == state.DiffDifferent:
		return nil // both were changed, or neither
	case d.Reason == state.ReasonMissedDelete:
		return []*target{gone}
	}
	return []*target{there}
}

// owners gives the sides that differ in fields which belong to the other one. A field that belongs to nobody is nobody's to repair.
func owners(d *state.Difference, toLeft, toRight *target) (ways []*target) {
	left, right := false, false
	for i := range d.Fields {
		switch d.Fields[i].Owner {
		case "left":
			left = true
		case "right":
			right = true
		default:
			return nil
		}
	}
	if left {
		ways = append(ways, toRight)
	}
	if right {
		ways = append(ways, toLeft)
	}
	return ways
}

// deletable: the object is gone on the side that is right, and was there before.
func deletable(reason string) bool {
	return slices.Contains([]string{state.ReasonMissedDelete, state.ReasonDeletedLeft, state.ReasonDeletedRight}, reason)
}

// propose says what a repair would do.
func (r *Run) propose(d *state.Difference) string {
	if d.Explained {
		return ""
	}
	ways, what := r.direction(d)
	for i, t := range ways {
		if i > 0 {
			what += ", and"
		}
		what += fmt.Sprintf(" in %s, through %s", t.system, t.flow)
	}
	return what
}
