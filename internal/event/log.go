package event

// Log is what a broker says of one partition that a group is about to read.
type Log struct {
	// Cluster and TopicID are the ids of the broker's cluster and of the topic; empty where the broker has none.
	Cluster, TopicID string
	// First and Last are the offsets that the partition holds: [First, Last).
	First, Last int64
	// Committed is the offset that the group has committed at the broker; -1 where it has none.
	Committed int64
}
