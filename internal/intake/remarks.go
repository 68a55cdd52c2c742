package intake

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/connector"
)

// remarks are what one read has to say of the system's data: by kind, how many records, and one of them.
type remarks map[connector.RemarkKind]connector.Remark

// add counts what a page says.
func (m remarks) add(page []connector.Remark) {
	for _, r := range page {
		r.Count = max(r.Count, 1)
		if before, ok := m[r.Kind]; ok {
			r.Count += before.Count
			r.Local, r.Version = before.Local, before.Version
		}
		m[r.Kind] = r
	}
}

// list gives them in the order of their kinds.
func (m remarks) list() []connector.Remark {
	out := make([]connector.Remark, 0, len(m))
	for _, r := range m {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b connector.Remark) int { return cmp.Compare(a.Kind, b.Kind) })
	return out
}

// RemarkText says a remark to people.
func RemarkText(r connector.Remark) string {
	unit, file := "record", r.Kind == connector.Left || r.Kind == connector.HeldBack || r.Kind == connector.Failed
	if file {
		unit = "file"
	}
	if r.Kind == connector.Unanswered {
		unit, file = "interchange", true
	}
	count, is, has, changes, waits := "1 "+unit, "is", "has", "it changes", "waits"
	if r.Count != 1 {
		count, is, has, changes, waits = fmt.Sprintf("%d %ss", r.Count, unit), "are", "have", "they change", "wait"
	}
	var what string
	switch r.Kind {
	case connector.Ahead:
		what = is + " stamped ahead of the clock"
	case connector.Unstamped:
		what = has + " no stamp, so that polls cannot tell when " + changes
	case connector.Moving:
		return "the list moved all the time while it was read: what was passed over is not known, and it is read again from where it began"
	case connector.Lost:
		return fmt.Sprintf("%d places of %s were gone before they were read, at %s: whatever records they held are lost to this flow", r.Count, r.Local, r.Version)
	case connector.Anew:
		return fmt.Sprintf("%s was made anew, or cut off, at %s: it is read from its beginning", r.Local, r.Version)
	case connector.Kept:
		return fmt.Sprintf("the system keeps its log for %s: %s", r.Local, r.Version)
	case connector.Schema:
		return fmt.Sprintf("the table %s has changed: %s", r.Local, r.Version)
	case connector.Left:
		what = is + " not taken, and left in the drop"
	case connector.HeldBack:
		what = is + " held back"
	case connector.Unanswered:
		what = is + " not acknowledged as " + map[bool]string{true: "it", false: "they"}[r.Count == 1] + " should be"
	case connector.Failed:
		what = has + " failed, and " + waits + " for a person"
	default:
		what = is + " remarkable: " + string(r.Kind)
	}
	if r.Local == "" {
		return count + " " + what
	}
	such, at := ": ", ""
	if r.Count != 1 {
		such = ", such as "
	}
	switch {
	case file && r.Version != "":
		at = " (" + r.Version + ")"
	case r.Version != "":
		at = " at " + r.Version
	}
	return count + " " + what + such + r.Local + at
}

// remark shows what the last complete read has to say; it is logged when it differs from what was said before.
func (r *reader) remark(now []connector.Remark) {
	r.mu.Lock()
	before := r.state.Remarks
	r.state.Remarks = now
	r.mu.Unlock()
	if slices.Equal(before, now) {
		return
	}
	r.obs.Remarked(r.src.Flow, now)
	for _, m := range now {
		if !slices.Contains(before, m) {
			r.log.Warn("the source's data is remarkable: "+RemarkText(m), "flow", r.src.Flow, "system", r.src.System, "kind", string(m.Kind))
		}
	}
	if len(now) == 0 {
		r.log.Info("nothing is remarkable any more about the source's data", "flow", r.src.Flow, "system", r.src.System)
	}
}

// forget ends the showing of remarks: another hub reads the source from now on.
func (r *reader) forget() {
	r.mu.Lock()
	had := len(r.state.Remarks) > 0
	r.state.Remarks = nil
	r.mu.Unlock()
	if had {
		r.obs.Remarked(r.src.Flow, nil)
	}
}
