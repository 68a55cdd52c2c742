package connector

import "context"

// Sampler is implemented by systems that can show an object type as it is there: without it, the first record of a List is what is seen.
type Sampler interface {
	System
	// Sample reads one record, where there is one, and what the system itself says of the fields. It changes nothing: no file is moved, nothing is
	// written, and a transaction is read-only.
	Sample(ctx context.Context, object string) (Sample, error)
}

// Sample is one object type as a system shows it.
type Sample struct {
	// Record is one record; nil: there is none.
	Record *Record
	// Columns are what the system says of the fields, where it does; nil: it does not.
	Columns []SampleColumn
	// Takes are the fields of the schema that the system judges what is written by: it takes no others. nil: it has none.
	Takes []TakenField
	// Lacking are names that the settings have and the system does not.
	Lacking []string
}

// SampleColumn is one field as the system describes it. Type is in the system's own words. Odd is why the settings' type for it cannot be right, or else what
// a person should know of it; Hint is what to do then, where it is not another type in the settings. Length is how many characters it takes; 0: no bound is known.
type SampleColumn struct {
	Name   string
	Type   string
	Odd    string
	Hint   string
	Length int64
}

// TakenField is one field of such a schema, its type in the system's own words, and whether what is written may leave it out.
type TakenField struct {
	Name, Type string
	Optional   bool
}
