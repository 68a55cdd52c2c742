package connector

// ReadOnlyKind is implemented by kinds whose settings can say that a system is only read.
type ReadOnlyKind interface {
	Kind
	// ReadOnly reports whether the settings say so.
	ReadOnly(s Settings) bool
}
