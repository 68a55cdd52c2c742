package state

import "github.com/google/uuid"

// space is the namespace of all ids that the hub derives. It must never change: ids written to targets stand on it.
var space = uuid.MustParse("6f0e3f0a-6f6b-5d53-9d0a-3a1f5f3c7b10")

// MintHub is the hub id of an object that was first seen as local in system: the same on every hub and every retry.
func MintHub(entity, system, local string) string {
	return uuid.NewSHA1(space, []byte(entity+"\x00"+system+"\x00"+local)).String()
}

// ExternalID is the id of the object that is written to targets.
func ExternalID(entity, hub string) string {
	return uuid.NewSHA1(uuid.NewSHA1(space, []byte(entity)), []byte(hub)).String()
}
