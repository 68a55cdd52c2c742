package connector

// Describer is implemented by kinds that know more of an object type from a system's settings alone, without a connection.
type Describer interface {
	// Describe tells of one object type; nothing of one that the settings do not have, or that has problems.
	Describe(s Settings, object string) ObjectType
}

// ObjectType is what is known of an object type from the settings.
type ObjectType struct {
	// External is the path of the field that holds the hub's external id, empty where there is none, and Form how it is written there.
	External string
	Form     ExternalForm
	// Searched: an external id can be looked up.
	Searched bool
	// Fields are what documents of the object type hold, in the order of their names, where the settings list it; nil: it is not known. What is
	// written may hold no others.
	Fields []ObjectField
	// More: what is read may hold other fields too, such as columns that only a file's header names.
	More bool
	// Stamps are top-level fields that change with every write, whatever it writes: versions, times of change, concurrency tokens.
	Stamps []string
}

// ObjectField is one field of an object type: a column, or a list of rows.
type ObjectField struct {
	Name string
	// Gives and Takes are the JSON types of what is read, and of what can be written, in JSON Schema's words; nil: any.
	Gives, Takes []string
	// Fields are those of the elements, where the field is a list of rows.
	Fields []ObjectField
}
