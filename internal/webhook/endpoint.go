package webhook

import "github.com/waybill-hub/waybill/internal/inbox"

// Endpoint receives at /hooks/<Path>.
type Endpoint struct {
	Path   string
	Verify Verify
	// DeliveryID is what the sender calls the delivery; nil: what the scheme says, which may be nothing.
	DeliveryID inbox.Eval
	// Split is the dotted path of the list of documents in a body. Empty: an array body is a list, an object one document.
	Split string
	// MaxBody bounds a body in bytes, also after decompression; 0: 4 MiB. What the topics carry bounds each document besides.
	MaxBody int64
	// MaxDocuments bounds the documents of one delivery; 0: 10,000.
	MaxDocuments int
	// ContentTypes are media types besides JSON's under which bodies are read: as JSON, or as a form.
	ContentTypes []string
	// FormField is the field of a form that holds the JSON; empty: the fields are an object of texts.
	FormField string
	// XML, where not nil, reads bodies of XML, and no others.
	XML *XML
	// Ignore are dotted paths that do not count where two bodies of one delivery are compared.
	Ignore []string
	// Handshakes are those of Handshakes that are answered besides the scheme's own.
	Handshakes []string
	// Answer is what the sender gets where a delivery is taken; nil: 202 with the hub's own.
	Answer *Answer
	// Rate and Burst bound the deliveries a second that are taken; 0: unbounded.
	Rate  float64
	Burst int
}

// Source is a flow that has an endpoint.
type Source struct {
	Flow string
	// Topic is where the flow's relay publishes.
	Topic string
	// Onward is the topic to which the flow sends documents as they are; empty: it maps them, or delivers to a system.
	Onward string
	Endpoint
}
