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
	// Stamps are top-level fields that change with every write, whatever it writes: versions, times of change, concurrency tokens.
	Stamps []string
}
