package webhook

import (
	"fmt"
	"net/http"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// largest is the largest document that the flow can take; 0: that is not known.
func (h *Handler) largest(k *hook) int64 { return inbox.Largest(h.c.Carries, k.Topic, k.Onward) }

// list is the list of documents in a body; where there is none, it is no array.
func (k *hook) list(root jsondoc.Value) jsondoc.Value {
	if k.Split != "" {
		return root.GetPath(k.Split)
	}
	return root
}

// carried refuses what would be accepted and then could not be carried: a document of size bytes, or one of a list by its index, beyond
// most bytes.
func (k *hook) carried(size int, root jsondoc.Value, most int64) *refusal {
	if most == 0 || int64(size) <= most {
		return nil // and no element is larger than its list
	}
	list := k.list(root)
	if list.Kind() != jsondoc.Array {
		if k.Split != "" {
			return nil // the relay parks it for having no list
		}
		return tooHeavy("the document", size, most)
	}
	i := 0
	for v := range list.Elements() {
		if n := len(v.Raw()); int64(n) > most {
			return tooHeavy(fmt.Sprintf("element %d of the list", i), n, most)
		}
		i++
	}
	return nil
}

// documents refuses what is neither an object nor a list, a list that holds other things than objects, or more of them than one delivery may; total counts them over the request.
// What is in an object is not looked at: that is the flow's.
func (k *hook) documents(root jsondoc.Value, total *int) *refusal {
	list := k.list(root)
	if kind := root.Kind(); kind != jsondoc.Object && kind != jsondoc.Array {
		return malformed("the document is %s, not an object or a list of them", kind)
	}
	if list.Kind() != jsondoc.Array {
		*total++
		return k.tooMany(*total)
	}
	if *total += list.Len(); *total > k.MaxDocuments {
		return k.tooMany(*total)
	}
	i := 0
	for v := range list.Elements() {
		if v.Kind() != jsondoc.Object {
			return malformed("element %d of the list is %s, not an object", i, v.Kind())
		}
		i++
	}
	return nil
}

// tooMany refuses a delivery of n documents where that is too many.
func (k *hook) tooMany(n int) *refusal {
	most := k.MaxDocuments
	if n <= most {
		return nil
	}
	return &refusal{status: http.StatusRequestEntityTooLarge, detail: fmt.Sprintf(
		"the delivery holds %d documents, and %d are taken at a time (hooks.max-documents): send those from index %d on in other deliveries", n, most, most)}
}

func tooHeavy(what string, size int, most int64) *refusal {
	return &refusal{status: http.StatusRequestEntityTooLarge, detail: fmt.Sprintf("%s has %d bytes, and the flow's topic carries %d", what, size, most)}
}
