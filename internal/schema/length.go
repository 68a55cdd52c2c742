package schema

// MaxLength is the largest number of characters of a string; bounded is false where one of the alternatives sets no limit.
func (sh Shape) MaxLength() (most int, bounded bool) {
	for _, a := range sh.alts {
		if !a.allows("string") {
			continue
		}
		own := -1
		for _, n := range a {
			for _, p := range n.plain {
				if p.keyword != "maxLength" {
					continue
				}
				d, err := p.value.Decimal()
				if m, whole := d.Int64(); err == nil && whole && (own < 0 || int(m) < own) {
					own = int(m)
				}
			}
		}
		if own < 0 {
			return 0, false
		}
		most, bounded = max(most, own), true
	}
	return most, bounded
}
