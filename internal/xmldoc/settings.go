package xmldoc

// Settings say in a configuration how a body of XML that a sender posts becomes documents.
type Settings struct {
	Form  string            `yaml:"form" enum:"plain,soap,idoc" default:"plain" doc:"plain: the root element is the document; soap: what the envelope's body holds is; idoc: every IDoc is, named by its control record, with its segments as lists"`
	Names map[string]string `yaml:"names" doc:"what elements or segments are called in documents, by their names without namespaces, for example {E1EDP01: lines}"`
	Lists []string          `yaml:"lists" doc:"dotted paths of elements that are lists even where there is one of them"`
	Types map[string]string `yaml:"types" doc:"types of texts by dotted path: decimal, integer, boolean; without one a text stays a text. A path goes into every element of a list"`
}

// Shape is what they say of elements.
func (s *Settings) Shape() Shape {
	out := Shape{Names: s.Names, Types: s.Types, Lists: map[string]bool{}}
	for _, path := range s.Lists {
		out.Lists[path] = true
	}
	return out
}
