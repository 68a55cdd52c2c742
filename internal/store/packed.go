package store

import (
	"errors"

	"github.com/klauspost/compress/s2"
)

// pack makes the stored form of a text: compressed, where that saves anything.
func pack(b []byte) []byte {
	if len(b) < smallest {
		return append([]byte{plainForm}, b...)
	}
	packed := s2.EncodeBetter(nil, b)
	return append(append(make([]byte, 0, 1+len(packed)), s2Form), packed...)
}

// unpack gives the text of a stored form, which has no more than most bytes; errTorn where it is none.
func unpack(b []byte, most int) ([]byte, error) {
	if len(b) == 0 {
		return nil, errTorn
	}
	form, b := b[0], b[1:]
	switch form {
	case plainForm:
		return b, nil
	case s2Form:
		if n, err := s2.DecodedLen(b); err != nil || n > most {
			return nil, errors.Join(errTorn, err)
		}
		out, err := s2.Decode(nil, b)
		if err != nil {
			return nil, errors.Join(errTorn, err)
		}
		return out, nil
	}
	return nil, errTorn
}
