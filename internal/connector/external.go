package connector

import (
	"encoding/base32"
	"encoding/hex"
	"strings"
)

// ExternalForm is how an object's external id is written in a system. The id itself is a UUID, and every form says the same 128 bits: what
// was written in one form is the same object in another.
type ExternalForm string

const (
	// FormUUID has 36 characters: 1297f71c-1905-53e0-bbb7-e253a25632a9. The zero value means it too.
	FormUUID ExternalForm = "uuid"
	// FormCompact has 32: the same without its hyphens.
	FormCompact ExternalForm = "compact"
	// FormBase32 has 26: the alphabet of RFC 4648, in small letters and without padding.
	FormBase32 ExternalForm = "base32"
)

// Length is the number of characters of an external id in the form.
func (f ExternalForm) Length() int {
	switch f {
	case FormCompact:
		return 32
	case FormBase32:
		return 26
	}
	return 36
}

var small32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Write gives an external id in the form. What is no UUID stays as it is.
func (f ExternalForm) Write(external string) string {
	u, ok := ParseExternal(external)
	if !ok {
		return external
	}
	compact := strings.ReplaceAll(u, "-", "")
	switch f {
	case FormCompact:
		return compact
	case FormBase32:
		raw, _ := hex.DecodeString(compact) // it is hexadecimal: ParseExternal has seen to it
		return small32.EncodeToString(raw)
	}
	return u
}

// Others are the forms beside f: an object may have been created under one of them before the setting was changed.
func (f ExternalForm) Others() []ExternalForm {
	var out []ExternalForm
	for _, other := range []ExternalForm{FormUUID, FormCompact, FormBase32} {
		if other.Length() != f.Length() {
			out = append(out, other)
		}
	}
	return out
}

// ParseExternal gives the UUID, in small letters and with hyphens, that a text holds in any form that a hub writes or a system may give it
// back in; ok is false for every other text.
func ParseExternal(s string) (external string, ok bool) {
	if u, ok := parseUUID(s); ok {
		return u, true
	}
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) != FormBase32.Length() {
		return "", false
	}
	raw, err := small32.DecodeString(s)
	if err != nil || small32.EncodeToString(raw) != s { // bits that belong to nothing are zero
		return "", false
	}
	return parseUUID(hex.EncodeToString(raw))
}

// SameExternal reports whether two texts are one external id: by value, whatever the form, where both hold one.
func SameExternal(a, b string) bool {
	if a == b {
		return true
	}
	ua, ok := ParseExternal(a)
	if !ok {
		return false
	}
	ub, ok := ParseExternal(b)
	return ok && ua == ub
}
