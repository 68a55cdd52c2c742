package bus

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
)

// saslMechanism is kafka-go's own interface.
type saslMechanism = sasl.Mechanism

// SASL is how to authenticate to the brokers.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism string
	Username  string
	Password  string
}

// String never shows the password.
func (s *SASL) String() string {
	if s == nil {
		return "none"
	}
	return s.Mechanism + " as " + s.Username
}

func (s *SASL) mechanism() (saslMechanism, error) {
	if s == nil {
		return nil, nil
	}
	if s.Username == "" {
		return nil, errors.New("bus: SASL needs a user name")
	}
	switch s.Mechanism {
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
	case "SCRAM-SHA-256":
		return &scram{name: s.Mechanism, user: s.Username, password: s.Password, hash: sha256.New}, nil
	case "SCRAM-SHA-512":
		return &scram{name: s.Mechanism, user: s.Username, password: s.Password, hash: sha512.New}, nil
	}
	return nil, fmt.Errorf("bus: unknown SASL mechanism %q: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
}

// scram is the client side of RFC 5802 without channel binding.
type scram struct {
	name, user, password string
	hash                 func() hash.Hash
}

// Name makes scram a sasl.Mechanism.
func (s *scram) Name() string { return s.name }

// Start begins an exchange.
func (s *scram) Start(context.Context) (sasl.StateMachine, []byte, error) {
	nonce := make([]byte, 18)
	if _, err := rand.Read(nonce); err != nil {
		return nil, nil, err
	}
	user := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s.user)
	x := &scramExchange{scram: s, nonce: base64.StdEncoding.EncodeToString(nonce)}
	x.first = "n=" + user + ",r=" + x.nonce
	return x, []byte("n,," + x.first), nil
}

type scramExchange struct {
	*scram
	nonce, first string
	serverProof  []byte
}

// Next answers the server's challenge, then checks the server's own proof.
func (x *scramExchange) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	fields := map[string]string{}
	for f := range strings.SplitSeq(string(challenge), ",") {
		if name, value, ok := strings.Cut(f, "="); ok {
			fields[name] = value
		}
	}
	if e := fields["e"]; e != "" {
		return false, nil, fmt.Errorf("%w: the broker refused %s for %s: %s", kafka.SASLAuthenticationFailed, x.name, x.user, e)
	}
	if x.serverProof != nil {
		got, err := base64.StdEncoding.DecodeString(fields["v"])
		if err != nil || !hmac.Equal(got, x.serverProof) {
			return false, nil, fmt.Errorf("%w: the broker does not know the password that it asks for: its proof is wrong", kafka.SASLAuthenticationFailed)
		}
		return true, nil, nil
	}
	salt, err := base64.StdEncoding.DecodeString(fields["s"])
	if err != nil {
		return false, nil, fmt.Errorf("SCRAM salt: %w", err)
	}
	rounds, err := strconv.Atoi(fields["i"])
	if err != nil || rounds < 1 || rounds > 1<<20 {
		return false, nil, fmt.Errorf("SCRAM iteration count %q", fields["i"])
	}
	if !strings.HasPrefix(fields["r"], x.nonce) || len(fields["r"]) == len(x.nonce) {
		return false, nil, errors.New("SCRAM nonce of the broker does not extend ours")
	}
	salted, err := pbkdf2.Key(x.hash, x.password, salt, rounds, x.hash().Size())
	if err != nil {
		return false, nil, err
	}
	final := "c=biws,r=" + fields["r"]
	signed := []byte(x.first + "," + string(challenge) + "," + final)
	clientKey := x.mac(salted, []byte("Client Key"))
	stored := x.hash()
	stored.Write(clientKey)
	proof := bytes.Clone(clientKey)
	for i, b := range x.mac(stored.Sum(nil), signed) {
		proof[i] ^= b
	}
	x.serverProof = x.mac(x.mac(salted, []byte("Server Key")), signed)
	return false, []byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

func (x *scramExchange) mac(key, data []byte) []byte {
	h := hmac.New(x.hash, key)
	h.Write(data)
	return h.Sum(nil)
}
