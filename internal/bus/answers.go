package bus

import (
	"errors"
	"strings"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/fault"
)

// about is what a broker's error code says something of, and so what becomes of the records concerned.
type about uint8

const (
	// aboutUnknown: nobody can tell whether it was done, or no call of the hub is answered so. The call is made again; a record may be there twice.
	aboutUnknown about = iota
	// aboutMessage: the broker will never take this record. It parks, and nothing else does.
	aboutMessage
	// aboutMoment: not done, and it passes by itself: leaders move, coordinators load, brokers start. The call is made again.
	aboutMoment
	// aboutHub: not done, and it does not pass before someone has mended it: the hub's rights, clock or settings, those of the topic, or what else
	// uses its group. It says nothing of the record: the call is made again until it is mended, and the status tells what is to be mended.
	aboutHub
	// aboutPosition: the log does not reach to where the hub goes on: the log is looked at (see inRange).
	aboutPosition
)

// meaning is what one error code means to the hub.
type meaning struct {
	name  string // Kafka's
	about about
}

// answers are the error codes of Kafka's protocol. A code that is not among them is aboutUnknown: nothing is parked for what nobody knows.
var answers = map[kafka.Error]meaning{
	-1:  {"UNKNOWN_SERVER_ERROR", aboutUnknown},
	1:   {"OFFSET_OUT_OF_RANGE", aboutPosition},
	2:   {"CORRUPT_MESSAGE", aboutMoment},
	3:   {"UNKNOWN_TOPIC_OR_PARTITION", aboutMoment},
	4:   {"INVALID_FETCH_SIZE", aboutHub},
	5:   {"LEADER_NOT_AVAILABLE", aboutMoment},
	6:   {"NOT_LEADER_OR_FOLLOWER", aboutMoment},
	7:   {"REQUEST_TIMED_OUT", aboutUnknown},
	8:   {"BROKER_NOT_AVAILABLE", aboutMoment},
	9:   {"REPLICA_NOT_AVAILABLE", aboutMoment},
	10:  {"MESSAGE_TOO_LARGE", aboutMessage},
	11:  {"STALE_CONTROLLER_EPOCH", aboutMoment},
	12:  {"OFFSET_METADATA_TOO_LARGE", aboutHub},
	13:  {"NETWORK_EXCEPTION", aboutUnknown},
	14:  {"COORDINATOR_LOAD_IN_PROGRESS", aboutMoment},
	15:  {"COORDINATOR_NOT_AVAILABLE", aboutMoment},
	16:  {"NOT_COORDINATOR", aboutMoment},
	17:  {"INVALID_TOPIC_EXCEPTION", aboutHub},
	18:  {"RECORD_LIST_TOO_LARGE", aboutMessage},
	19:  {"NOT_ENOUGH_REPLICAS", aboutMoment},
	20:  {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", aboutUnknown},
	21:  {"INVALID_REQUIRED_ACKS", aboutHub},
	22:  {"ILLEGAL_GENERATION", aboutMoment},
	23:  {"INCONSISTENT_GROUP_PROTOCOL", aboutHub},
	24:  {"INVALID_GROUP_ID", aboutHub},
	25:  {"UNKNOWN_MEMBER_ID", aboutMoment},
	26:  {"INVALID_SESSION_TIMEOUT", aboutHub},
	27:  {"REBALANCE_IN_PROGRESS", aboutMoment},
	28:  {"INVALID_COMMIT_OFFSET_SIZE", aboutHub},
	29:  {"TOPIC_AUTHORIZATION_FAILED", aboutHub},
	30:  {"GROUP_AUTHORIZATION_FAILED", aboutHub},
	31:  {"CLUSTER_AUTHORIZATION_FAILED", aboutHub},
	32:  {"INVALID_TIMESTAMP", aboutHub},
	33:  {"UNSUPPORTED_SASL_MECHANISM", aboutHub},
	34:  {"ILLEGAL_SASL_STATE", aboutHub},
	35:  {"UNSUPPORTED_VERSION", aboutHub},
	36:  {"TOPIC_ALREADY_EXISTS", aboutUnknown},
	37:  {"INVALID_PARTITIONS", aboutHub},
	38:  {"INVALID_REPLICATION_FACTOR", aboutHub},
	39:  {"INVALID_REPLICA_ASSIGNMENT", aboutHub},
	40:  {"INVALID_CONFIG", aboutHub},
	41:  {"NOT_CONTROLLER", aboutMoment},
	42:  {"INVALID_REQUEST", aboutHub},
	43:  {"UNSUPPORTED_FOR_MESSAGE_FORMAT", aboutHub},
	44:  {"POLICY_VIOLATION", aboutHub},
	45:  {"OUT_OF_ORDER_SEQUENCE_NUMBER", aboutUnknown},
	46:  {"DUPLICATE_SEQUENCE_NUMBER", aboutUnknown},
	47:  {"INVALID_PRODUCER_EPOCH", aboutUnknown},
	48:  {"INVALID_TXN_STATE", aboutUnknown},
	49:  {"INVALID_PRODUCER_ID_MAPPING", aboutUnknown},
	50:  {"INVALID_TRANSACTION_TIMEOUT", aboutUnknown},
	51:  {"CONCURRENT_TRANSACTIONS", aboutUnknown},
	52:  {"TRANSACTION_COORDINATOR_FENCED", aboutUnknown},
	53:  {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", aboutUnknown},
	54:  {"SECURITY_DISABLED", aboutHub},
	55:  {"OPERATION_NOT_ATTEMPTED", aboutUnknown},
	56:  {"KAFKA_STORAGE_ERROR", aboutMoment},
	57:  {"LOG_DIR_NOT_FOUND", aboutHub},
	58:  {"SASL_AUTHENTICATION_FAILED", aboutHub},
	59:  {"UNKNOWN_PRODUCER_ID", aboutUnknown},
	60:  {"REASSIGNMENT_IN_PROGRESS", aboutMoment},
	61:  {"DELEGATION_TOKEN_AUTH_DISABLED", aboutHub},
	62:  {"DELEGATION_TOKEN_NOT_FOUND", aboutHub},
	63:  {"DELEGATION_TOKEN_OWNER_MISMATCH", aboutHub},
	64:  {"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", aboutHub},
	65:  {"DELEGATION_TOKEN_AUTHORIZATION_FAILED", aboutHub},
	66:  {"DELEGATION_TOKEN_EXPIRED", aboutHub},
	67:  {"INVALID_PRINCIPAL_TYPE", aboutHub},
	68:  {"NON_EMPTY_GROUP", aboutUnknown},
	69:  {"GROUP_ID_NOT_FOUND", aboutUnknown},
	70:  {"FETCH_SESSION_ID_NOT_FOUND", aboutMoment},
	71:  {"INVALID_FETCH_SESSION_EPOCH", aboutMoment},
	72:  {"LISTENER_NOT_FOUND", aboutMoment},
	73:  {"TOPIC_DELETION_DISABLED", aboutHub},
	74:  {"FENCED_LEADER_EPOCH", aboutMoment},
	75:  {"UNKNOWN_LEADER_EPOCH", aboutMoment},
	76:  {"UNSUPPORTED_COMPRESSION_TYPE", aboutHub},
	77:  {"STALE_BROKER_EPOCH", aboutMoment},
	78:  {"OFFSET_NOT_AVAILABLE", aboutMoment},
	79:  {"MEMBER_ID_REQUIRED", aboutMoment},
	80:  {"PREFERRED_LEADER_NOT_AVAILABLE", aboutMoment},
	81:  {"GROUP_MAX_SIZE_REACHED", aboutHub},
	82:  {"FENCED_INSTANCE_ID", aboutHub},
	83:  {"ELIGIBLE_LEADERS_NOT_AVAILABLE", aboutMoment},
	84:  {"ELECTION_NOT_NEEDED", aboutMoment},
	85:  {"NO_REASSIGNMENT_IN_PROGRESS", aboutUnknown},
	86:  {"GROUP_SUBSCRIBED_TO_TOPIC", aboutUnknown},
	87:  {"INVALID_RECORD", aboutMessage},
	88:  {"UNSTABLE_OFFSET_COMMIT", aboutMoment},
	89:  {"THROTTLING_QUOTA_EXCEEDED", aboutMoment},
	90:  {"PRODUCER_FENCED", aboutUnknown},
	91:  {"RESOURCE_NOT_FOUND", aboutUnknown},
	92:  {"DUPLICATE_RESOURCE", aboutUnknown},
	93:  {"UNACCEPTABLE_CREDENTIAL", aboutHub},
	94:  {"INCONSISTENT_VOTER_SET", aboutUnknown},
	95:  {"INVALID_UPDATE_VERSION", aboutUnknown},
	96:  {"FEATURE_UPDATE_FAILED", aboutUnknown},
	97:  {"PRINCIPAL_DESERIALIZATION_FAILURE", aboutMoment},
	98:  {"SNAPSHOT_NOT_FOUND", aboutUnknown},
	99:  {"POSITION_OUT_OF_RANGE", aboutUnknown},
	100: {"UNKNOWN_TOPIC_ID", aboutMoment},
	101: {"DUPLICATE_BROKER_REGISTRATION", aboutUnknown},
	102: {"BROKER_ID_NOT_REGISTERED", aboutUnknown},
	103: {"INCONSISTENT_TOPIC_ID", aboutMoment},
	104: {"INCONSISTENT_CLUSTER_ID", aboutHub},
	105: {"TRANSACTIONAL_ID_NOT_FOUND", aboutUnknown},
	106: {"FETCH_SESSION_TOPIC_ID_ERROR", aboutMoment},
	107: {"INELIGIBLE_REPLICA", aboutMoment},
	108: {"NEW_LEADER_ELECTED", aboutMoment},
	109: {"OFFSET_MOVED_TO_TIERED_STORAGE", aboutMoment},
	110: {"FENCED_MEMBER_EPOCH", aboutMoment},
	111: {"UNRELEASED_INSTANCE_ID", aboutMoment},
	112: {"UNSUPPORTED_ASSIGNOR", aboutHub},
	113: {"STALE_MEMBER_EPOCH", aboutMoment},
	114: {"MISMATCHED_ENDPOINT_TYPE", aboutHub},
	115: {"UNSUPPORTED_ENDPOINT_TYPE", aboutHub},
	116: {"UNKNOWN_CONTROLLER_ID", aboutUnknown},
	117: {"UNKNOWN_SUBSCRIPTION_ID", aboutUnknown},
	118: {"TELEMETRY_TOO_LARGE", aboutUnknown},
	119: {"INVALID_REGISTRATION", aboutUnknown},
	120: {"TRANSACTION_ABORTABLE", aboutUnknown},
	121: {"INVALID_RECORD_STATE", aboutUnknown},
	122: {"SHARE_SESSION_NOT_FOUND", aboutUnknown},
	123: {"INVALID_SHARE_SESSION_EPOCH", aboutUnknown},
	124: {"FENCED_STATE_EPOCH", aboutUnknown},
	125: {"INVALID_VOTER_KEY", aboutUnknown},
	126: {"DUPLICATE_VOTER", aboutUnknown},
	127: {"VOTER_NOT_FOUND", aboutUnknown},
	128: {"INVALID_REGULAR_EXPRESSION", aboutHub},
	129: {"REBOOTSTRAP_REQUIRED", aboutUnknown},
	130: {"STREAMS_INVALID_TOPOLOGY", aboutUnknown},
	131: {"STREAMS_INVALID_TOPOLOGY_EPOCH", aboutUnknown},
	132: {"STREAMS_TOPOLOGY_FENCED", aboutUnknown},
	133: {"SHARE_SESSION_LIMIT_REACHED", aboutUnknown},
	134: {"GROUP_DELETION_FAILED", aboutUnknown},
	135: {"STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", aboutUnknown},
	136: {"CONTROLLER_ID_NOT_REGISTERED", aboutUnknown},
}

// hints say what to do about what a person has to mend.
var hints = map[kafka.Error]string{
	kafka.InvalidTopic:                "Kafka takes letters, digits, '.', '_' and '-' in a topic's name, 249 at most: give it another one",
	kafka.InconsistentGroupProtocol:   "a member of another protocol holds the group (group.protocol=consumer, a share or a streams group): end that program, or give it a group of its own",
	kafka.InvalidGroupId:              "the broker does not take the group's name: give the flow another one",
	kafka.InvalidSessionTimeout:       "set takeover-after to a time that the broker allows (its group.min.session.timeout.ms to group.max.session.timeout.ms)",
	kafka.TopicAuthorizationFailed:    "give the hub's user READ, WRITE and DESCRIBE on the topic",
	kafka.GroupAuthorizationFailed:    "give the hub's user READ on the group",
	kafka.ClusterAuthorizationFailed:  "give the hub's user the rights on the cluster that the call needs",
	kafka.InvalidTimestamp:            "the clocks of the hub and of the broker differ by more than the topic allows (message.timestamp.before.max.ms and .after.max.ms): set the wrong one right",
	kafka.SASLAuthenticationFailed:    "correct the hub's user and password",
	kafka.UnsupportedSASLMechanism:    "choose a mechanism that the broker has",
	kafka.UnsupportedVersion:          "use Kafka 2.8 or newer",
	kafka.UnsupportedForMessageFormat: "the topic's message.format.version is older than the hub writes: raise it",
	kafka.UnsupportedCompressionType:  "the topic's compression.type cannot be written so: set it to producer",
	kafka.PolicyViolation:             "a policy of the cluster refuses it: see to the broker's log",
	kafka.InvalidReplicationFactor:    "fewer brokers are up than the topic is to have copies: start them, or lower broker.kafka.replication",
	kafka.GroupMaxSizeReached:         "the group has as many members as group.max.size allows: raise it",
}

// aboutOf says what an error is about: the broker's code within it, if there is one.
func aboutOf(err error) about {
	var code kafka.Error
	if errors.As(err, &code) {
		return answers[code].about
	}
	return aboutMoment // no answer at all
}

// produceKind classifies a broker's answer to a write.
func produceKind(e kafka.Error) fault.Kind {
	switch answers[e].about {
	case aboutMessage:
		return fault.Invalid
	case aboutMoment:
		return fault.Unavailable
	case aboutHub:
		return callKind(e)
	}
	return fault.UnknownOutcome
}

// callKind classifies a failed call that changes nothing when it is made twice: unavailable, unless the broker refuses the caller.
func callKind(err error) fault.Kind {
	switch {
	case errors.Is(err, kafka.SASLAuthenticationFailed), errors.Is(err, kafka.UnsupportedSASLMechanism), errors.Is(err, kafka.ClusterAuthorizationFailed),
		errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.GroupAuthorizationFailed):
		return fault.Auth
	}
	return fault.Unavailable
}

// createKind classifies a broker's answer to the making of a topic. Brokers that begin, or are not all there, answer that the number of replicas
// is wrong: a KRaft broker listens before its controller counts it.
func createKind(err error) fault.Kind {
	switch aboutOf(err) {
	case aboutMoment, aboutUnknown:
		return fault.Unavailable
	}
	switch {
	case errors.Is(err, kafka.InvalidReplicationFactor):
		return fault.Unavailable
	case callKind(err) == fault.Auth:
		return fault.Auth
	}
	return fault.Invalid
}

// Answered reports whether a broker has said why: it is there, whatever is wrong.
func Answered(err error) bool {
	var code kafka.Error
	return errors.As(err, &code)
}

// Explained is a failure of this package with the broker's own name of it, and what to do. Code is Kafka's name of the error, empty where no broker
// has answered.
func Explained(err error) (code string, told error) {
	var e kafka.Error
	if errors.As(err, &e) {
		code = answers[e].name
	}
	return code, explained(err)
}

// explained is the error with the text that explain gives it.
func explained(err error) error { return &told{explain(err), err} }

type told struct {
	text string
	err  error
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.err }

// explain is the text of an error for people: the broker's own name of it in place of the library's, its meaning once however often the error names
// it, and what to do.
func explain(err error) string {
	var code kafka.Error
	if !errors.As(err, &code) {
		return err.Error()
	}
	text := err.Error()
	if name := answers[code].name; name != "" && !strings.Contains(text, name) {
		full := name
		if meaning := code.Description(); meaning != "" {
			full += ": " + meaning
		}
		text = strings.ReplaceAll(strings.Replace(text, code.Error(), full, 1), code.Error(), name)
	}
	if hint := hints[code]; hint != "" && !strings.Contains(text, hint) {
		text += "; " + hint
	}
	return text
}
