package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Bounds of passwords. What a hash costs is bounded both ways: a cheap one is soon guessed by whoever gets hold of it, and a dear one holds up everybody.
const (
	leastPassword = 12   // characters
	mostPassword  = 1024 // bytes
	leastMemory   = 7 << 10
	mostMemory    = 256 << 10
	mostPasses    = 16
	mostThreads   = 16
	leastSalt     = 8
	leastKey      = 16
	mostKey       = 64
)

// What new hashes are made with: 19 MiB and two passes, the least that OWASP names. Passwords are hashed one at a time, and a small hub has the memory.
const (
	newMemory  = 19 << 10
	newPasses  = 2
	newThreads = 1
	newSalt    = 16
	newKey     = 32
)

// Password is the hash of one, as argon2's own programs write it: $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY.
type Password struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

// ParsePassword reads a hash. Errors say what is wrong, and quote nothing of it.
func ParsePassword(text string) (*Password, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return nil, errors.New("it is no hash of argon2id ($argon2id$v=19$m=…,t=…,p=…$SALT$KEY)")
	}
	p := &Password{}
	if parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, fmt.Errorf("it is of another version of argon2 than v=%d", argon2.Version)
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.threads); n != 3 || err != nil || parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.passes, p.threads) {
		return nil, errors.New("its costs cannot be read: m=…,t=…,p=… in this order")
	}
	var err, also error
	p.salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	p.key, also = base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case err != nil || also != nil:
		return nil, errors.New("its salt or its key is no base64")
	case len(p.salt) < leastSalt || len(p.salt) > mostKey || len(p.key) < leastKey || len(p.key) > mostKey:
		return nil, fmt.Errorf("its salt has %d bytes and its key %d: %d and %d to %d are taken", len(p.salt), len(p.key), leastSalt, leastKey, mostKey)
	case p.memory < leastMemory || p.memory > mostMemory || p.passes < 1 || p.passes > mostPasses || p.threads < 1 || p.threads > mostThreads:
		return nil, fmt.Errorf("its costs are m=%d,t=%d,p=%d: m from %d to %d (KiB), t to %d and p to %d are taken", p.memory, p.passes, p.threads, leastMemory, mostMemory, mostPasses, mostThreads)
	}
	return p, nil
}

// Is reports whether a password is the one that was hashed.
func (p *Password) Is(password string) bool {
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.threads, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1
}

// HashPassword makes the hash of a password.
func HashPassword(password string) (string, error) {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return "", errors.New("the password is no text in UTF-8")
	case n < leastPassword:
		return "", fmt.Errorf("the password has %d characters: at least %d are needed", n, leastPassword)
	case len(password) > mostPassword:
		return "", fmt.Errorf("the password has %d bytes: at most %d are taken", len(password), mostPassword)
	}
	salt := make([]byte, newSalt)
	_, _ = rand.Read(salt) // it never fails
	key := argon2.IDKey([]byte(password), salt, newPasses, newMemory, newThreads, newKey)
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, newMemory, newPasses, newThreads, text(salt), text(key)), nil
}
