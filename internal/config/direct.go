package config

// direct gives the flow that `through` names where it reads the side's system itself, with no topic in between, and maps for a system: what it reads and what
// it makes of that is the side then. nil: it does not, or the file names another mapping or flow for the side.
func (l *loader) direct(d *sideDocument, raw sideFile, entity string) *Flow {
	f := l.plan.Flow(raw.Through)
	if f == nil || d.node.Has("map") || d.node.Has("flow") && raw.Flow != raw.Through {
		return nil
	}
	object := f.From.object()
	if f.From.System != raw.System || f.To.System == "" || f.Entity != entity || f.Map == nil || raw.Object != "" && object != "" && object != raw.Object {
		return nil
	}
	return f
}

// straight is the flow that reads the system of one side and writes to that of the other what the side is mapped to; nil: none does.
func (l *loader) straight(from, to *sideDocument) *Flow {
	for _, f := range l.plan.Flows {
		if f.Map != nil && f.Map == from.side.Map && from.side.Then == nil && f.From.System == from.side.System && f.To.System == to.side.System {
			return f
		}
	}
	return nil
}
