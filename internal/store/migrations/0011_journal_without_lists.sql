-- Nothing lists the journal of a flow any more: it is read by key, object and event.
DROP INDEX journal_flow;
