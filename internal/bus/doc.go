// Package bus carries records between the hub and Kafka, for watermill's router: a publisher that tells the outcome of
// every record, and a subscriber that hands over lane batches and keeps the order of each key. The embedded broker, in
// the package below, speaks the same protocol to the same code.
//
// kafka-go gives connections, authentication, routing to partition leaders and the group protocol. Its Reader and its
// Writer are not used: the Reader has no fencing between generations, and the Writer retries what may have been written
// and sends later records of a key after an earlier one failed.
package bus
