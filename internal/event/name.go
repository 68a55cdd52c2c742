package event

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// mostName bounds a business key and an object's id, in bytes. Both stand in indexes of the store, of which PostgreSQL's take 2,704 bytes a row,
// and in every line that tells of the object.
const mostName = 1024

// CheckName says why a text cannot be a key or an id; nil: it can.
func CheckName(s string) error {
	switch {
	case len(s) > mostName:
		return fmt.Errorf("it has %d bytes, and %d are taken at most", len(s), mostName)
	case strings.IndexByte(s, 0) >= 0:
		return errors.New("it holds the character U+0000, which no store keeps")
	}
	return nil
}

// nameOf is a name that stands in a header; one that is too long counts as absent, as what does not parse.
func nameOf(v []byte) string {
	if len(v) > mostName {
		return ""
	}
	return string(v)
}

// keyOf is the key of a foreign program's record. The digest stands for one that is too long: equal keys stay equal.
func keyOf(v []byte) string {
	if len(v) <= mostName {
		return string(v)
	}
	sum := sha256.Sum256(v)
	return "sha256:" + hex.EncodeToString(sum[:])
}
