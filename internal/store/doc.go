// Package store is what the hub remembers: inbox, positions, cross-references, intents, stored queues, journal, runs, leases and
// audit, in SQLite or PostgreSQL behind one type.
//
// All writes pass one goroutine, which merges what concurrent callers ask for into one transaction (group commit): a promise
// costs one fsync however many callers wait for it, and a quiet hub waits for nobody. A member of a merged transaction that is
// refused for a reason of its own (fenced, no such row) fails alone. A transaction that fails for an unexpected
// reason is rolled back and its members are tried one by one.
//
// On SQLite, which this process alone writes, the index of the journal is written behind it (journal_index.go), and what was written lately is
// remembered (remembered.go).
//
// Every write may be repeated: a caller that does not know whether its call was stored (a timeout at COMMIT) calls again.
// Arguments must not be changed until the call has returned, nor afterwards when it returned because its context ended.
package store
