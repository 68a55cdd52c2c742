package strictyaml

import (
	"fmt"
	"log/slog"
)

const masked = "[secret]"

// Secret is a password, key or token. It never prints: every way of formatting, logging or marshalling it gives
// "[secret]". In a file it must be a reference: ${env:NAME} or ${file:PATH}.
type Secret struct {
	// A pointer, so that reflection through a foreign unexported field prints an address, never the text.
	text *string
}

// NewSecret makes a secret of a text that does not come from a file.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal gives the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty reports whether there is no text.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// Equal compares the texts. It is not constant in time: use crypto/subtle to check what a stranger sent.
func (s Secret) Equal(o Secret) bool { return s.Reveal() == o.Reveal() }

// String gives "[secret]".
func (Secret) String() string { return masked }

// GoString gives "[secret]".
func (Secret) GoString() string { return masked }

// Format prints "[secret]" for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// MarshalJSON gives "[secret]".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// MarshalText gives "[secret]".
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue gives "[secret]".
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// UnmarshalNode reads a reference; literal text is a problem, and so is a reference to something empty.
func (s *Secret) UnmarshalNode(n Node, p *Problems) {
	text, refs, ok := n.resolve(p)
	switch {
	case !ok:
	case refs == 0:
		p.AddHint(n.Pos(), "write ${env:NAME} or ${file:PATH}", "%sa secret must not stand in the file", n.label())
	case text == "":
		p.AddHint(n.Pos(), "set the variable or fill the file", "%sthe secret is empty", n.label())
	default:
		s.text = &text
	}
}
